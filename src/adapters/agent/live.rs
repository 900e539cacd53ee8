//! Live services through an agent: what their inits do for devenv, and whether they can be reached.

use std::{net::SocketAddr, time::Duration};

use devenv_agent::{
    init_protocol::{self, Ran, Restarted, Status},
    protocol::{Answer, ContainerId, ProbeWhat, Request},
};

use super::{Agent, AgentFailure};
use crate::domain::Signal;

/// A service that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// How long it took, as the node saw it.
    pub took: Duration,
    /// How often it was tried.
    pub attempts: u32,
}

impl Agent {
    /// Starts the service of a container if it is held; else it changes nothing.
    pub async fn release(&self, container: &ContainerId) -> Result<(), AgentFailure> {
        match self
            .control(container, init_protocol::Request::Release)
            .await?
        {
            init_protocol::Answer::Released => Ok(()),
            other => Err(self.not_understood(format!("{other:?} to a release"))),
        }
    }

    /// How the service of a container is.
    pub async fn service_status(&self, container: &ContainerId) -> Result<Status, AgentFailure> {
        match self
            .control(container, init_protocol::Request::Status)
            .await?
        {
            init_protocol::Answer::Status(status) => Ok(status),
            other => Err(self.not_understood(format!("{other:?} to the question for a status"))),
        }
    }

    /// Asks the service of a container to end with a signal, kills what is left of it after `grace`, and starts it again.
    pub async fn restart(
        &self,
        container: &ContainerId,
        signal: Signal,
        grace: Duration,
    ) -> Result<Restarted, AgentFailure> {
        let request = init_protocol::Request::Restart {
            signal: signal.number().into(),
            grace_ms: milliseconds(grace),
        };
        match self.control(container, request).await? {
            init_protocol::Answer::Restarted(restarted) => Ok(restarted),
            other => Err(self.not_understood(format!("{other:?} to a restart"))),
        }
    }

    /// Says what the service of a container is started with from its next start on: a command, or its own if `None`,
    /// with variables besides those of its container.
    pub async fn set_command(
        &self,
        container: &ContainerId,
        command: Option<Vec<String>>,
        environment: Vec<(String, String)>,
    ) -> Result<(), AgentFailure> {
        let request = init_protocol::Request::Command {
            command,
            environment,
        };
        match self.control(container, request).await? {
            init_protocol::Answer::CommandSet => Ok(()),
            other => Err(self.not_understood(format!("{other:?} to a command to start with"))),
        }
    }

    /// Sends a signal to the service of a container, and only to it.
    pub async fn signal(
        &self,
        container: &ContainerId,
        signal: Signal,
    ) -> Result<(), AgentFailure> {
        let signal = signal.number().into();
        match self
            .control(container, init_protocol::Request::Signal { signal })
            .await?
        {
            init_protocol::Answer::Signalled => Ok(()),
            other => Err(self.not_understood(format!("{other:?} to a signal"))),
        }
    }

    /// Runs a command beside the service of a container, as its user; kills it with all of its group after `within`, or
    /// when this is dropped.
    pub async fn run(
        &self,
        container: &ContainerId,
        command: &[String],
        within: Duration,
    ) -> Result<Ran, AgentFailure> {
        let request = init_protocol::Request::Run {
            command: command.to_vec(),
            within_ms: milliseconds(within),
        };
        match self.control(container, request).await? {
            init_protocol::Answer::Ran(ran) => Ok(ran),
            other => Err(self.not_understood(format!("{other:?} to a command"))),
        }
    }

    /// Waits until a service answers at an address that its node reaches, no longer than `within`.
    pub async fn probe(
        &self,
        address: SocketAddr,
        what: &ProbeWhat,
        within: Duration,
    ) -> Result<Reached, AgentFailure> {
        let request = Request::Probe {
            address,
            what: what.clone(),
            within_ms: milliseconds(within),
        };
        match self.request(request).await? {
            Answer::Reached { took_us, attempts } => Ok(Reached {
                took: Duration::from_micros(took_us),
                attempts,
            }),
            other => Err(self.not_understood(format!("{other:?} to a probe"))),
        }
    }

    pub(super) async fn control(
        &self,
        container: &ContainerId,
        request: init_protocol::Request,
    ) -> Result<init_protocol::Answer, AgentFailure> {
        let container = container.clone();
        match self
            .request(Request::Control { container, request })
            .await?
        {
            Answer::Control(answer) => answer.map_err(AgentFailure::Init),
            other => Err(self.not_understood(format!("{other:?} to a question for an init"))),
        }
    }
}

/// No longer than fits: 49 days.
pub(super) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
