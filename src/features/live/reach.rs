//! Brings changes into containers, and has their service run with them.

use std::{collections::BTreeSet, time::Duration};

use futures::future::{join_all, try_join_all};

use super::{ahead::Ahead, shared::Shared};
use crate::{
    adapters::agent::{AgentFailure, Change, Transfer},
    domain::{ExitClass, Failure, Live, OnChange, ReloadBy, ServiceName},
    features::process::Process,
    report::LiveAction,
};

/// How long a command in a container may take.
const COMMAND_WITHIN: Duration = Duration::from_mins(10);

/// What a change that reaches containers leads to.
pub(super) const fn action(live: &Live) -> LiveAction {
    match live.on_change {
        OnChange::Restart { .. } => LiveAction::Restart,
        OnChange::Reload(_) => LiveAction::Reload,
        OnChange::Nothing => LiveAction::Sync,
    }
}

/// A process whose container could not be told of a change.
#[derive(Debug)]
pub(super) struct NotTold {
    pub(super) process: Process,
    pub(super) error: AgentFailure,
}

/// Changes of files that containers are to be told.
#[derive(Debug)]
pub(super) struct ToTell {
    pub(super) all: Vec<Change>,
    /// What those still have to be told that were sent some ahead.
    pub(super) rest: Vec<Change>,
    pub(super) ahead: Ahead,
}

/// Tells the containers of all processes of changes at the same time; gives those that were told, and those that were not.
pub(super) async fn copy(
    shared: &Shared,
    processes: Vec<Process>,
    changes: ToTell,
) -> (Vec<Process>, Vec<NotTold>) {
    let ToTell {
        all,
        rest,
        mut ahead,
    } = changes;
    if all.is_empty() {
        return (processes, Vec::new());
    }
    let telling = processes.into_iter().map(|process| {
        let begun = ahead.take(&process);
        let (all, rest) = (&all, &rest);
        async move {
            let told = match begun {
                Some(transfer) => finish(shared, &process, transfer, all, rest).await,
                None => shared.agents.change(&process, all).await,
            };
            (process, told)
        }
    });
    let (mut told, mut not_told) = (Vec::new(), Vec::new());
    for (process, result) in join_all(telling).await {
        match result {
            Ok(()) => told.push(process),
            Err(error) => not_told.push(NotTold { process, error }),
        }
    }
    (told, not_told)
}

/// Ends a transfer with what is left; where it breaks off, the container is told all.
async fn finish(
    shared: &Shared,
    process: &Process,
    mut transfer: Transfer,
    all: &[Change],
    rest: &[Change],
) -> Result<(), AgentFailure> {
    let finishing = async {
        transfer.send(rest).await?;
        transfer.finish().await
    };
    match finishing.await {
        Ok(_) => Ok(()),
        Err(refused @ AgentFailure::Refused(_)) => Err(refused),
        Err(_) => shared.agents.change(process, all).await,
    }
}

/// Runs commands of the manifest in all containers, one after another; one that fails ends it.
pub(super) async fn run(
    shared: &Shared,
    service: &ServiceName,
    live: &Live,
    commands: &BTreeSet<usize>,
    processes: &[Process],
) -> Result<(), Failure> {
    for (index, rule) in live.run.iter().enumerate() {
        if commands.contains(&index) {
            let key = format!("services.{service}.live.run[{index}]");
            let running = processes
                .iter()
                .map(|process| command(shared, &rule.command, process));
            let ran = try_join_all(running).await;
            ran.map_err(|failure| {
                failure.at(shared.environment().provenance.place(&key).cloned())
            })?;
        }
    }
    Ok(())
}

async fn command(shared: &Shared, command: &[String], process: &Process) -> Result<(), Failure> {
    let service = &process.service;
    let ran = shared.agents.run(process, command, COMMAND_WITHIN).await;
    let ran = ran.map_err(|error| process.failure(&error))?;
    if ran.code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.output)
        .lines()
        .map(str::to_owned)
        .collect();
    Err(Failure::new(
        "live.command-failed",
        ExitClass::Cluster,
        format!(
            "`{}` ended with code {} in {service}",
            command.join(" "),
            ran.code
        ),
    )
    .of(service)
    .with_evidence(format!("{} in {}", command[0], process.pod), said)
    .help(format!(
        "try it there: devenv exec {service} -- {}",
        command.join(" ")
    )))
}

/// Has all processes run with what was copied.
pub(super) async fn act(
    shared: &Shared,
    live: &Live,
    processes: &[Process],
) -> Result<(), Failure> {
    let agents = &shared.agents;
    let acting = processes.iter().map(|process| async move {
        let acted = match &live.on_change {
            OnChange::Nothing => Ok(()),
            OnChange::Restart { signal, grace } => agents.restart(process, *signal, *grace).await,
            OnChange::Reload(ReloadBy::Signal(signal)) => agents.signal(process, *signal).await,
            OnChange::Reload(ReloadBy::Command(line)) => {
                return command(shared, line, process).await;
            }
        };
        acted.map_err(|error| process.failure(&error))
    });
    try_join_all(acting).await.map(|_| ())
}

/// What the time of [`act`] goes to.
pub(super) const fn stage(live: &Live) -> Option<&'static str> {
    match live.on_change {
        OnChange::Nothing => None,
        OnChange::Restart { .. } => Some("restart"),
        OnChange::Reload(_) => Some("reload"),
    }
}
