//! The agent in a node: a small static program that devenv carries, starts in each node and keeps talking to.
//!
//! Called by the features that work on running containers and on volumes. One stream a node stays open, so that a request costs a
//! fraction of a millisecond, where a `kubectl exec` takes a tenth of a second. The agent keeps nothing: when its
//! stream breaks, connecting again is all there is to do. It is put into the node by the docker engine's API.

mod archive;
mod cgroups;
mod change;
mod connection;
mod error;
mod install;
mod live;
mod logs;
mod read;
mod remount;
mod transfer;
mod volumes;

pub use self::{
    archive::{pack, unpack},
    cgroups::Frozen,
    change::{Change, Content},
    connection::Agent,
    error::{AgentFailure, DISK_FULL},
    install::{install, install_everywhere, program},
    live::Reached,
    remount::{MountedAt, Remounted},
    transfer::Transfer,
    volumes::{Draft, Volumes},
};
pub use devenv_agent::{
    init_protocol::{
        Ran, Refusal, Restarted, SOCKET as INIT_SOCKET, State as ServiceState,
        Status as ServiceStatus,
    },
    log_protocol::{FileId, LogPosition, LogRecord, RunId},
    protocol::{
        AgentError, ContainerId, Entry, EntryKind, FileProblem, Owner, Principal,
        ProbeWhat as Probe, Usage,
    },
    volume_protocol::{Copied, Means, Measured, Progress, TreeHash},
};
