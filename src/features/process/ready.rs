//! When a process that was started anew is ready.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Agents, Process};
use crate::{
    adapters::agent::{AgentFailure, Probe as Asking, ServiceState},
    domain::{Probe, Service},
};

/// How long to ask for an answer before looking whether the process still runs.
const SLICE: Duration = Duration::from_millis(200);
/// How long a command of a probe may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait until a command is asked again: it takes of the processors that the process needs to start.
const COMMAND_AGAIN: Duration = Duration::from_millis(50);
/// How long a process must run that nobody can ask whether it is ready.
const SETTLED: Duration = Duration::from_millis(150);

/// What is waited for.
#[derive(Debug, Clone)]
pub(in crate::features) struct Awaited {
    /// How it is asked; nobody can be asked if `None`.
    pub(in crate::features) probe: Option<Probe>,
    /// How long it may take.
    pub(in crate::features) within: Duration,
}

impl Awaited {
    /// What the manifest says of a service.
    pub(in crate::features) fn of(service: &Service) -> Self {
        let ready = service.workload().and_then(|its| its.ready.as_ref());
        Self {
            probe: ready.map(|ready| ready.probe.clone()),
            within: service.ready_within,
        }
    }
}

/// Why a process is not ready.
#[derive(Debug)]
pub(in crate::features) enum NotReady {
    /// It has ended.
    Ended {
        /// Its exit code.
        code: u8,
    },
    /// It took too long.
    Late {
        /// Its last answer, in words.
        last: String,
    },
    /// It could not be asked.
    NotAsked(AgentFailure),
}

/// Waits until a process answers as the manifest says; fails soon where it has ended.
pub(in crate::features) async fn until_ready(
    agents: &Agents,
    process: &Process,
    awaited: &Awaited,
) -> Result<(), NotReady> {
    let began = Instant::now();
    loop {
        let asked = ask(agents, process, awaited.probe.as_ref()).await;
        let last = match asked.map_err(NotReady::NotAsked)? {
            Ok(()) => return Ok(()),
            Err(last) => last,
        };
        let state = agents.state(process).await.map_err(NotReady::NotAsked)?;
        if let ServiceState::Failed { code } = state {
            return Err(NotReady::Ended { code });
        }
        if began.elapsed() >= awaited.within {
            return Err(NotReady::Late { last });
        }
    }
}

/// Asks for a while whether it is ready; why not, in words.
async fn ask(
    agents: &Agents,
    process: &Process,
    probe: Option<&Probe>,
) -> Result<Result<(), String>, AgentFailure> {
    let (what, port) = match (probe, process.ip) {
        (Some(Probe::Http { path, port }), Some(ip)) => {
            let path = path.clone();
            (Asking::Http { path }, SocketAddr::new(ip, port.get()))
        }
        (Some(Probe::Tcp { port }), Some(ip)) => (Asking::Tcp, SocketAddr::new(ip, port.get())),
        (Some(Probe::Command(command)), _) => return ask_by(agents, process, command).await,
        (_, None) | (None, _) => return ask_nobody(agents, process).await,
    };
    agents.probe(process, port, &what, SLICE).await
}

async fn ask_by(
    agents: &Agents,
    process: &Process,
    command: &[String],
) -> Result<Result<(), String>, AgentFailure> {
    let ran = agents.run(process, command, COMMAND_WITHIN).await?;
    if ran.code == 0 {
        return Ok(Ok(()));
    }
    tokio::time::sleep(COMMAND_AGAIN).await;
    Ok(Err(format!(
        "`{}` ended with {}",
        command.join(" "),
        ran.code
    )))
}

async fn ask_nobody(
    agents: &Agents,
    process: &Process,
) -> Result<Result<(), String>, AgentFailure> {
    tokio::time::sleep(SETTLED).await;
    Ok(match agents.state(process).await? {
        ServiceState::Failed { .. } => Err("it has ended".to_owned()),
        _ => Ok(()),
    })
}
