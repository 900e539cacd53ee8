//! Other directories in the places of those that containers have mounted, through their node's agent.

use std::{os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use devenv_agent::{
    init_protocol,
    protocol::{Answer, ContainerId, Mounting, ProcessId, Request},
};

use super::{Agent, AgentFailure, live::milliseconds};

/// A directory of the node that is to be mounted in a container.
#[derive(Debug, Clone, Copy)]
pub struct MountedAt<'a> {
    /// Where, absolute in the container.
    pub at: &'a Path,
    /// A directory of the node, absolute.
    pub root: &'a Path,
    /// The directory that is mounted, relative to it.
    pub directory: &'a Path,
}

/// What was killed of a container, whose service is to be started again.
#[derive(Debug)]
pub struct Remounted {
    killed: Vec<ProcessId>,
}

impl Agent {
    /// Has the init of a container hold its service for a while where that ends within a time, until it is released.
    pub async fn stand_by(
        &self,
        container: &ContainerId,
        within: Duration,
        hold: Duration,
    ) -> Result<(), AgentFailure> {
        let request = init_protocol::Request::StandBy {
            within_ms: milliseconds(within),
            hold_ms: milliseconds(hold),
        };
        match self.control(container, request).await? {
            init_protocol::Answer::StandsBy => Ok(()),
            other => Err(self.not_understood(format!("{other:?} to the wish to stand by"))),
        }
    }

    /// Kills the service of a container that stands and whose init stands by, and mounts other directories in it. Where
    /// this fails the container has to be replaced.
    pub async fn remount(
        &self,
        container: &ContainerId,
        mounted: &[MountedAt<'_>],
    ) -> Result<Remounted, AgentFailure> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mountings = mounted.iter().map(|mounted| Mounting {
            at: bytes(mounted.at),
            root: bytes(mounted.root),
            directory: bytes(mounted.directory),
        });
        let request = Request::Remount {
            container: container.clone(),
            mountings: mountings.collect(),
        };
        match self.request(request).await? {
            Answer::Remounted { killed } => Ok(Remounted { killed }),
            other => Err(self.not_understood(format!("{other:?} to other mounts"))),
        }
    }

    /// Starts the service of a container that goes on with other directories.
    pub async fn start_remounted(
        &self,
        container: &ContainerId,
        remounted: Remounted,
    ) -> Result<(), AgentFailure> {
        let request = Request::Start {
            container: container.clone(),
            killed: remounted.killed,
        };
        match self.request(request).await? {
            Answer::Started => Ok(()),
            Answer::Control(Err(refusal)) => Err(AgentFailure::Init(refusal)),
            other => Err(self.not_understood(format!("{other:?} to a start"))),
        }
    }
}
