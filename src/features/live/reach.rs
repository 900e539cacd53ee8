//! Brings changes into containers, and has their service run with them.

use std::{collections::BTreeSet, time::Duration};

use futures::future::{join_all, try_join_all};

use super::{adopt, containers::LiveContainer, shared::Shared, stopwatch::Stopwatch};
use crate::{
    adapters::agent::{AgentFailure, Change},
    domain::{ExitClass, Failure, Live, OnChange, ReloadBy, ServiceName},
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

/// A container that could not be told of a change.
#[derive(Debug)]
pub(super) struct NotTold {
    pub(super) container: LiveContainer,
    pub(super) error: AgentFailure,
}

/// Tells all containers of changes at the same time; gives those that were told, and those that were not.
pub(super) async fn copy(
    shared: &Shared,
    containers: Vec<LiveContainer>,
    changes: &[Change],
) -> (Vec<LiveContainer>, Vec<NotTold>) {
    if changes.is_empty() {
        return (containers, Vec::new());
    }
    let telling = containers.into_iter().map(|container| async move {
        let told = adopt::tell(shared, &container, changes).await;
        (container, told)
    });
    let (mut told, mut not_told) = (Vec::new(), Vec::new());
    for (container, result) in join_all(telling).await {
        match result {
            Ok(_) => told.push(container),
            Err(error) => not_told.push(NotTold { container, error }),
        }
    }
    (told, not_told)
}

/// Runs commands of the manifest in all containers, one after another; one that fails ends it.
pub(super) async fn run(
    shared: &Shared,
    service: &ServiceName,
    live: &Live,
    commands: &BTreeSet<usize>,
    containers: &[LiveContainer],
) -> Result<(), Failure> {
    for (index, rule) in live.run.iter().enumerate() {
        if commands.contains(&index) {
            let key = format!("services.{service}.live.run[{index}]");
            let running = containers
                .iter()
                .map(|container| command(shared, service, &rule.command, container));
            let ran = try_join_all(running).await;
            ran.map_err(|failure| {
                failure.at(shared.environment().provenance.place(&key).cloned())
            })?;
        }
    }
    Ok(())
}

async fn command(
    shared: &Shared,
    service: &ServiceName,
    command: &[String],
    container: &LiveContainer,
) -> Result<(), Failure> {
    let ran = shared.agents.ask(&container.node, |agent| async move {
        agent.run(&container.id, command, COMMAND_WITHIN).await
    });
    let ran = ran.await.map_err(|error| error.failure().of(service))?;
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
    .with_evidence(format!("{} in {}", command[0], container.pod), said)
    .help(format!(
        "try it there: devenv exec {service} -- {}",
        command.join(" ")
    )))
}

/// Has the processes of all containers run with what was copied.
pub(super) async fn act(
    shared: &Shared,
    service: &ServiceName,
    live: &Live,
    containers: &[LiveContainer],
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    let acting = containers.iter().map(|container| async move {
        match &live.on_change {
            OnChange::Nothing => Ok(()),
            OnChange::Restart { signal, grace } => {
                let restarted = shared.agents.ask(&container.node, |agent| async move {
                    agent.restart(&container.id, *signal, *grace).await
                });
                restarted
                    .await
                    .map(|_| ())
                    .map_err(|error| error.failure().of(service))
            }
            OnChange::Reload(ReloadBy::Signal(signal)) => {
                let signalled = shared.agents.ask(&container.node, |agent| async move {
                    agent.signal(&container.id, *signal).await
                });
                signalled.await.map_err(|error| error.failure().of(service))
            }
            OnChange::Reload(ReloadBy::Command(line)) => {
                command(shared, service, line, container).await
            }
        }
    });
    try_join_all(acting).await?;
    match &live.on_change {
        OnChange::Nothing => {}
        OnChange::Restart { .. } => watch.lap("restart"),
        OnChange::Reload(_) => watch.lap("reload"),
    }
    Ok(())
}
