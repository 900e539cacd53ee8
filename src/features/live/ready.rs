//! When a service runs with a change.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{TryStreamExt as _, future::try_join_all};
use jiff::Timestamp;

use super::{containers::LiveContainer, shared::Shared};
use crate::{
    adapters::{
        agent::{AgentError, AgentFailure, Probe as Asking, ServiceState},
        kube::{KubeError, LogLine, LogOptions},
    },
    domain::{ExitClass, Failure, Probe, ServiceName},
};

/// How long to ask for an answer before looking whether the process still runs.
const SLICE: Duration = Duration::from_millis(200);
/// How long a command of a probe may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);
/// How long a process must run that nobody can ask whether it is ready.
const SETTLED: Duration = Duration::from_millis(150);
/// How many lines of its log explain the end of a process.
const LOG_LINES: u32 = 15;
const LOG_WITHIN: Duration = Duration::from_secs(2);
const LOG_AGAIN: Duration = Duration::from_millis(100);
/// What the init says of a process that has ended.
const ENDED: &str = "devenv-agent: the service ended with code";

/// What is waited for.
#[derive(Debug, Clone)]
pub(super) struct Awaited {
    pub(super) service: ServiceName,
    pub(super) probe: Option<Probe>,
    pub(super) within: Duration,
    /// When its process was started anew.
    pub(super) since: Timestamp,
}

/// Waits until the service answers in all of the containers; fails soon where its process ends.
pub(super) async fn until_ready(
    shared: &Shared,
    awaited: &Awaited,
    containers: &[LiveContainer],
) -> Result<(), Failure> {
    let waiting = containers
        .iter()
        .map(|container| in_container(shared, awaited, container));
    try_join_all(waiting).await.map(|_| ())
}

async fn in_container(
    shared: &Shared,
    awaited: &Awaited,
    container: &LiveContainer,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let asked = ask(shared, awaited, container).await;
        let last = match asked.map_err(|error| error.failure().of(&awaited.service))? {
            Asked::Ready => return Ok(()),
            Asked::NotReady(last) => last,
        };
        let status = shared.agents.ask(&container.node, |agent| async move {
            agent.service_status(&container.id).await
        });
        let status = status
            .await
            .map_err(|error| error.failure().of(&awaited.service))?;
        if let ServiceState::Failed { code } = status.state {
            return Err(ended(shared, awaited, container, code).await);
        }
        if began.elapsed() >= awaited.within {
            return Err(late(shared, awaited, container, last).await);
        }
    }
}

enum Asked {
    Ready,
    NotReady(String),
}

/// Asks for a while whether the service is ready.
async fn ask(
    shared: &Shared,
    awaited: &Awaited,
    container: &LiveContainer,
) -> Result<Asked, AgentFailure> {
    let node = &container.node;
    let (what, port) = match (&awaited.probe, container.ip) {
        (Some(Probe::Http { path, port }), Some(ip)) => (
            Asking::Http { path: path.clone() },
            SocketAddr::new(ip, port.get()),
        ),
        (Some(Probe::Tcp { port }), Some(ip)) => (Asking::Tcp, SocketAddr::new(ip, port.get())),
        (Some(Probe::Command(command)), _) => {
            let ran = shared.agents.ask(node, |agent| async move {
                agent.run(&container.id, command, COMMAND_WITHIN).await
            });
            let ran = ran.await?;
            if ran.code == 0 {
                return Ok(Asked::Ready);
            }
            return Ok(Asked::NotReady(format!(
                "`{}` ended with {}",
                command.join(" "),
                ran.code
            )));
        }
        (_, None) | (None, _) => {
            tokio::time::sleep(SETTLED).await;
            let status = shared.agents.ask(node, |agent| async move {
                agent.service_status(&container.id).await
            });
            return Ok(match status.await?.state {
                ServiceState::Failed { .. } => Asked::NotReady("it has ended".to_owned()),
                _ => Asked::Ready,
            });
        }
    };
    let what = &what;
    let reached = shared.agents.ask(
        node,
        |agent| async move { agent.probe(port, what, SLICE).await },
    );
    match reached.await {
        Ok(_) => Ok(Asked::Ready),
        Err(AgentFailure::Refused(AgentError::NotReached { last })) => Ok(Asked::NotReady(last)),
        Err(error) => Err(error),
    }
}

async fn ended(shared: &Shared, awaited: &Awaited, container: &LiveContainer, code: u8) -> Failure {
    let service = &awaited.service;
    Failure::new(
        "live.process-ended",
        ExitClass::NotReady,
        format!("the process of {service} ended with code {code}"),
    )
    .because("it was started anew with the change")
    .of(service)
    .with_evidence(
        format!("last log lines of {service}"),
        log(shared, awaited, container).await,
    )
    .help("edit it again: the next change starts it anew")
    .help(format!("devenv logs {service}"))
}

async fn late(
    shared: &Shared,
    awaited: &Awaited,
    container: &LiveContainer,
    last: String,
) -> Failure {
    let service = &awaited.service;
    let within = awaited.within.as_secs();
    Failure::new(
        "live.not-ready",
        ExitClass::NotReady,
        format!("{service} runs with the change, and was not ready within {within} s"),
    )
    .because(last)
    .of(service)
    .with_evidence(
        format!("last log lines of {service}"),
        log(shared, awaited, container).await,
    )
    .help("edit it again: the next change starts it anew")
    .help(format!("devenv logs {service}"))
}

/// The last lines that the process said since its start; why there are none where they cannot be had.
///
/// They come to the log a moment after they were said: of a process that has ended, the init says so last.
async fn log(shared: &Shared, awaited: &Awaited, container: &LiveContainer) -> Vec<String> {
    let asked = Instant::now();
    loop {
        let said = said(shared, awaited, container).await;
        let is_over = asked.elapsed() >= LOG_WITHIN;
        match said {
            Ok(lines) if is_over || lines.iter().any(|line| line.contains(ENDED)) => return lines,
            Err(error) if is_over => return vec![error.to_string()],
            _ => tokio::time::sleep(LOG_AGAIN).await,
        }
    }
}

async fn said(
    shared: &Shared,
    awaited: &Awaited,
    container: &LiveContainer,
) -> Result<Vec<String>, KubeError> {
    let options = LogOptions {
        tail: Some(LOG_LINES),
        ..LogOptions::default()
    };
    let lines = shared
        .cluster
        .logs(&container.pod, &container.name, &options);
    let lines: Vec<LogLine> = lines.try_collect().await?;
    let is_new = |line: &&LogLine| line.time.is_none_or(|time| time >= awaited.since);
    let text = |line: &LogLine| String::from_utf8_lossy(&line.bytes).into_owned();
    Ok(lines.iter().filter(is_new).map(text).collect())
}
