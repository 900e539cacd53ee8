//! The protocol: frames over a byte stream, requests answered in any order.
//!
//! A frame is its length (4 bytes, little endian) and a message in postcard's encoding. The agent speaks first: it
//! says which version it speaks and who it is. Each request has an id that devenv chooses; what belongs to it carries
//! the same id. What is too large for a frame follows its request, or comes before its answer, in chunks, of which a
//! sender has no more than `WINDOW` bytes under way: the other side says how much it has taken.

mod container;
mod error;
mod files;
mod frame;

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    container::{ContainerId, NoContainerId},
    error::{AgentError, FileProblem},
    files::{Entry, EntryKind, FileChange},
    frame::{LONGEST_FRAME, decode, frame, length, read_frame, write_frame},
};
use crate::{init_protocol, log_protocol::LogPosition, volume_protocol};

/// The version of the protocol. A devenv and an agent of different versions do not talk.
pub const VERSION: u16 = 8;
/// The longest chunk, in bytes.
pub const LONGEST_CHUNK: usize = 256 * 1024;
/// How many bytes of one request's chunks may be under way at a time.
pub const WINDOW: u32 = 4 << 20;
/// How long processes that were killed may take until they are gone.
pub const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The id of a request, unique among those that are open.
pub type RequestId = u32;

/// What devenv sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Asks for something.
    Request {
        /// Its id.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// More of what belongs to a request.
    Chunk {
        /// The request's id.
        id: RequestId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// All of what belongs to a request is sent.
    End {
        /// The request's id.
        id: RequestId,
    },
    /// Chunks of an answer were taken: as many bytes more may be sent.
    Taken {
        /// The request's id.
        id: RequestId,
        /// How many bytes.
        bytes: u32,
    },
    /// The answer to a request is no longer wanted. The agent answers all the same, soon.
    Cancel {
        /// The request's id.
        id: RequestId,
    },
}

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The first message.
    Hello(Hello),
    /// Chunks of a request were taken: as many bytes more may be sent.
    Taken {
        /// The request's id.
        id: RequestId,
        /// How many bytes.
        bytes: u32,
    },
    /// More of what belongs to an answer that follows.
    Chunk {
        /// The request's id.
        id: RequestId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The answer to a request, once.
    Answer {
        /// The request's id.
        id: RequestId,
        /// What became of it.
        answer: Result<Answer, AgentError>,
    },
}

/// Who the agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub version: u16,
    /// Its process in the node.
    pub pid: u32,
}

/// What is asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Nothing but an answer.
    Ping,
    /// Changes files in a container. The changes follow as records: see [`FileChange`].
    ///
    /// Every file is written beside its place first; only when all have come do they take their places, one right
    /// after another. A stream that ends early changes nothing.
    Change {
        /// The container.
        container: ContainerId,
        /// Paths of changes are below this directory of the container, absolute.
        base: Vec<u8>,
        /// Whose the files and directories become that are named; if `None` a file is whose the one before it was, else whose
        /// its directory is.
        owner: Option<Owner>,
    },
    /// Lists what is below a directory of a container. Chunks of the answer are [`Entry`] records: each its length
    /// (4 bytes, little endian) and its encoding, in the order of the paths.
    List {
        /// The container.
        container: ContainerId,
        /// The directory, absolute in the container; of a file there is one entry without a path.
        directory: Vec<u8>,
    },
    /// Asks the init of a live service.
    Control {
        /// The service's container.
        container: ContainerId,
        /// What.
        request: init_protocol::Request,
    },
    /// Tries to reach a service, again and again until it succeeds or the time is over; at least once.
    Probe {
        /// Where it listens, as the node reaches it.
        address: SocketAddr,
        /// What it has to do.
        what: ProbeWhat,
        /// How long it has for that, in milliseconds.
        within_ms: u32,
    },
    /// Stops all processes of containers at once. One chunk, a [`Stands`] record, says that they stand. They go on when
    /// the request's [`End`](ToAgent::End) comes, or sooner: when it is cancelled, the stream ends, the agent is killed,
    /// or the time is over.
    Freeze {
        /// The containers.
        containers: Vec<ContainerId>,
        /// How long they may stand, in milliseconds.
        at_most_ms: u32,
    },
    /// Kills all processes of containers; those that stand do nothing more when they are let go, but die. A container
    /// that does not run has none.
    Kill {
        /// The containers.
        containers: Vec<ContainerId>,
    },
    /// Kills all processes of a container that stands but its first, an init that stands by, and mounts directories of
    /// the node in the places of those that the container has mounted. Where this fails the container has to be
    /// replaced.
    Remount {
        /// The container.
        container: ContainerId,
        /// What is mounted where.
        mountings: Vec<Mounting>,
    },
    /// Has the init of a container start its service, once nothing is left of what was killed.
    Start {
        /// The container.
        container: ContainerId,
        /// What was killed.
        killed: Vec<ProcessId>,
    },
    /// What containers use, in the order in which they are named.
    Usage {
        /// The containers.
        containers: Vec<ContainerId>,
    },
    /// Tells what the containers of a namespace said and say, until it is cancelled. Chunks of the answer are
    /// [`LogRecord`](crate::log_protocol::LogRecord)s: each its length (4 bytes, little endian) and its encoding.
    Logs {
        /// The namespace.
        namespace: String,
        /// Runs that were read before go on behind their positions; others begin with the oldest that is kept.
        from: Vec<LogPosition>,
    },
    /// Does something with directories of the node, such as volumes. Chunks of the answer are
    /// [`Progress`](volume_protocol::Progress) records: each its length (4 bytes, little endian) and its encoding.
    Volume {
        /// The directory of the node in which they are, absolute.
        root: Vec<u8>,
        /// What.
        request: volume_protocol::Request,
    },
    /// The contents of a file of a container, in the chunks of the answer.
    Read {
        /// The container.
        container: ContainerId,
        /// The file, absolute in the container; links are followed within it.
        file: Vec<u8>,
    },
}

impl Request {
    /// How long the agent may rightly say nothing, beside the moment that anything takes.
    pub fn may_take(&self) -> Duration {
        match self {
            // Work on a volume tells how far it is.
            Self::Ping
            | Self::Change { .. }
            | Self::List { .. }
            | Self::Kill { .. }
            | Self::Remount { .. }
            | Self::Usage { .. }
            | Self::Logs { .. }
            | Self::Volume { .. }
            | Self::Read { .. } => Duration::ZERO,
            Self::Freeze { at_most_ms, .. } => Duration::from_millis((*at_most_ms).into()),
            Self::Start { .. } => GONE_WITHIN,
            Self::Control { request, .. } => request.may_take(),
            Self::Probe { within_ms, .. } => Duration::from_millis((*within_ms).into()),
        }
    }
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user.
    pub user: Principal,
    /// The group.
    pub group: Principal,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// By its number.
    Number(u32),
    /// By the name that the container's `/etc/passwd` or `/etc/group` gives it.
    Name(String),
}

/// A directory of the node that is mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounting {
    /// Where, absolute in the container.
    pub at: Vec<u8>,
    /// A directory of the node, absolute.
    pub root: Vec<u8>,
    /// The directory that is mounted, relative to it; no link in it is followed.
    pub directory: Vec<u8>,
}

/// A process of the node, told from a later one of the same number by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub started: u64,
}

/// What a service that is there does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeWhat {
    /// It answers a GET over HTTP with a status from 200 to 399.
    Http {
        /// The path, with what follows a `?`.
        path: String,
    },
    /// It accepts a connection.
    Tcp,
}

/// Containers stand: what a chunk of [`Request::Freeze`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// From the first that stood to the last, in microseconds.
    pub took_us: u64,
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of processors since it was started, in microseconds.
    pub cpu_us: u64,
    /// Of memory, in bytes, without what the kernel keeps of files and could give up.
    pub memory: u64,
    /// The most memory that it may use, in bytes; `None` without a limit.
    pub memory_limit: Option<u64>,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Ping`].
    Pong,
    /// To [`Request::Change`]: how many files have taken their places.
    Changed {
        /// Files, directories and links that were written or removed.
        count: u32,
    },
    /// To [`Request::List`]: how many entries were sent.
    Listed {
        /// The number.
        count: u32,
    },
    /// To [`Request::Control`]: what the init answered.
    Control(Result<init_protocol::Answer, init_protocol::Refusal>),
    /// To [`Request::Probe`]: the service is reached.
    Reached {
        /// How long it took, in microseconds.
        took_us: u64,
        /// How often it was tried.
        attempts: u32,
    },
    /// To [`Request::Freeze`]: the processes go on, as was asked.
    Thawed {
        /// How long they stood at most, in microseconds.
        stood_us: u64,
    },
    /// To [`Request::Kill`].
    Killed,
    /// To [`Request::Remount`].
    Remounted {
        /// What was killed, and is gone only when the container goes on.
        killed: Vec<ProcessId>,
    },
    /// To [`Request::Start`].
    Started,
    /// To [`Request::Usage`]: of each container; `None` for one that does not run.
    Used(Vec<Option<Usage>>),
    /// To [`Request::Volume`].
    Volume(volume_protocol::Answer),
    /// To [`Request::Read`]: all was sent.
    WasRead {
        /// How many bytes it was.
        bytes: u64,
    },
}
