//! When a process that was started anew is ready.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::Process;
use crate::{
    adapters::agent::{AgentError, AgentFailure, Probe as Asking, ServiceState},
    domain::{ExitClass, Failure, Probe, Workload},
};

/// How long to ask for an answer before looking whether the process still runs.
const SLICE: Duration = Duration::from_millis(200);
/// How long a command of a probe may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);
/// How long a process must run that nobody can ask whether it is ready.
const SETTLED: Duration = Duration::from_millis(150);

/// How a process answered when it was asked.
enum Asked {
    Ready,
    NotReady(String),
}

impl Process {
    /// Waits until it answers as the manifest says; fails soon where it has ended.
    pub(in crate::features) async fn until_ready(
        &self,
        workload: &Workload,
        within: Duration,
    ) -> Result<(), Failure> {
        let probe = workload.ready.as_ref().map(|ready| &ready.probe);
        let began = Instant::now();
        loop {
            let asked = self.ask(probe).await;
            let last = match asked.map_err(|error| self.failure(&error))? {
                Asked::Ready => return Ok(()),
                Asked::NotReady(last) => last,
            };
            if let ServiceState::Failed { code } = self.state().await? {
                return Err(self.ended(code));
            }
            if began.elapsed() >= within {
                return Err(self.late(within, &last));
            }
        }
    }

    /// Asks for a while whether it is ready.
    async fn ask(&self, probe: Option<&Probe>) -> Result<Asked, AgentFailure> {
        let (what, port) = match (probe, self.ip) {
            (Some(Probe::Http { path, port }), Some(ip)) => {
                let path = path.clone();
                (Asking::Http { path }, SocketAddr::new(ip, port.get()))
            }
            (Some(Probe::Tcp { port }), Some(ip)) => (Asking::Tcp, SocketAddr::new(ip, port.get())),
            (Some(Probe::Command(command)), _) => return self.ask_by(command).await,
            (_, None) | (None, _) => return self.ask_nobody().await,
        };
        match self.agent.probe(port, &what, SLICE).await {
            Ok(_) => Ok(Asked::Ready),
            Err(AgentFailure::Refused(AgentError::NotReached { last })) => {
                Ok(Asked::NotReady(last))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask_by(&self, command: &[String]) -> Result<Asked, AgentFailure> {
        let (agent, container) = (&self.agent, &self.container);
        let ran = agent.run(container, command, COMMAND_WITHIN).await?;
        if ran.code == 0 {
            return Ok(Asked::Ready);
        }
        let line = command.join(" ");
        Ok(Asked::NotReady(format!("`{line}` ended with {}", ran.code)))
    }

    async fn ask_nobody(&self) -> Result<Asked, AgentFailure> {
        tokio::time::sleep(SETTLED).await;
        let status = self.agent.service_status(&self.container).await?;
        Ok(match status.state {
            ServiceState::Failed { .. } => Asked::NotReady("it has ended".to_owned()),
            _ => Asked::Ready,
        })
    }

    fn ended(&self, code: u8) -> Failure {
        let service = &self.service;
        Failure::new(
            "process.ended",
            ExitClass::NotReady,
            format!("the process of {service} was started anew, and ended with code {code}"),
        )
        .because(format!("it is that of the pod {}", self.pod))
        .of(service)
        .help(format!("see why: devenv logs {service}"))
        .help(format!("devenv restart {service} --pods"))
    }

    fn late(&self, within: Duration, last: &str) -> Failure {
        let service = &self.service;
        Failure::new(
            "process.not-ready",
            ExitClass::NotReady,
            format!(
                "{service} was started anew, and was not ready within {} s",
                within.as_secs()
            ),
        )
        .because(format!("{}: {last}", self.pod))
        .of(service)
        .help(format!("see why: devenv logs {service}"))
    }
}
