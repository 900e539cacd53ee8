//! The protocol: frames over a byte stream, requests answered in any order.
//!
//! A frame is its length (4 bytes, little endian) and a message in postcard's encoding. The agent speaks first: it
//! says which version it speaks and who it is. Each request has an id that devenv chooses; what belongs to it carries
//! the same id. What is too large for a frame follows its request, or comes before its answer, in chunks, of which a
//! sender has no more than `WINDOW` bytes under way: the other side says how much it has taken.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{init_protocol, log_protocol::LogPosition, volume_protocol};

/// The version of the protocol. A devenv and an agent of different versions do not talk.
pub const VERSION: u16 = 8;
/// The longest frame, in bytes, without its length.
pub const LONGEST_FRAME: usize = 1 << 20;
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

/// The id of a container as its runtime knows it: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId(String);

/// Text that is no id of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a container")]
pub struct NoContainerId(String);

impl std::str::FromStr for ContainerId {
    type Err = NoContainerId;

    fn from_str(text: &str) -> Result<Self, NoContainerId> {
        // Kubernetes writes the runtime's name before it: containerd://0123...
        let id = text.rsplit_once("//").map_or(text, |(_, id)| id);
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(id.to_owned()))
        } else {
            Err(NoContainerId(text.to_owned()))
        }
    }
}

impl ContainerId {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ContainerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0[..12])
    }
}

/// One change. Its path is relative to the base of the request, without `..`.
///
/// In the chunks of a request each change is its length (4 bytes, little endian) and its encoding; the contents of a
/// file follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChange {
    /// A file with these contents; its directories are made.
    File {
        /// Its path.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// The number of bytes that follow.
        size: u64,
        /// The BLAKE3 of the contents.
        hash: [u8; 32],
    },
    /// A symbolic link; its directories are made.
    Link {
        /// Its path.
        path: Vec<u8>,
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// A directory; those above it are made.
    Directory {
        /// Its path.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing is there afterwards; a directory goes with all below it.
    Absent {
        /// Its path.
        path: Vec<u8>,
    },
}

/// Something below a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path, relative to the directory.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A file.
    File {
        /// Its permission bits.
        mode: u32,
        /// The BLAKE3 of its contents.
        hash: [u8; 32],
    },
    /// A symbolic link.
    Link {
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
    /// A device, a socket or a pipe.
    Special,
}

/// Why the agent could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AgentError {
    /// No process of that container runs in this node.
    #[error("the container {0} does not run")]
    NoContainer(ContainerId),
    /// The file system of a container or of the node refused.
    #[error("cannot {doing} {path}: {problem}", path = String::from_utf8_lossy(path))]
    File {
        /// What was tried, such as `write`.
        doing: String,
        /// The path in the container or in the node.
        path: Vec<u8>,
        /// What went wrong.
        problem: FileProblem,
    },
    /// The request breaks the protocol; one side has a fault.
    #[error("not understood: {0}")]
    Protocol(String),
    /// The request was cancelled, or its stream ended early.
    #[error("cancelled")]
    Cancelled,
    /// Nobody listens where the init of a live service does: it is none, or it has not begun.
    #[error("no init of devenv runs in the container {0}")]
    NoInit(ContainerId),
    /// The init ended before it answered, and its container with it.
    #[error("the container {0} ended before its init answered")]
    InitEnded(ContainerId),
    /// The init did not answer in time.
    #[error("the init of the container {0} does not answer")]
    InitSilent(ContainerId),
    /// The control group of a container does not do what it has to.
    #[error("cannot {doing} the control group of the container {container}: {reason}")]
    ControlGroup {
        /// What was tried, such as `freeze`.
        doing: String,
        /// The container.
        container: ContainerId,
        /// In the system's words.
        reason: String,
    },
    /// A directory could not be mounted in the place of another.
    #[error("cannot mount another directory at {path} of the container {container}: {reason}",
        path = String::from_utf8_lossy(path))]
    NotRemounted {
        /// The container.
        container: ContainerId,
        /// The path in the container.
        path: Vec<u8>,
        /// In the system's words.
        reason: String,
    },
    /// A process that was killed does not go.
    #[error("a process of the container {0} was killed and does not end")]
    NotGone(ContainerId),
    /// Containers stood longer than they may, and went on before that was asked.
    #[error("the containers went on by themselves, as the time was over")]
    StoodTooLong,
    /// A service could not be reached in time.
    #[error("not reached in time: {last}")]
    NotReached {
        /// What was wrong the last time.
        last: String,
    },
}

/// What a file system refused with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FileProblem {
    /// It may only be read.
    #[error("its file system is read-only")]
    ReadOnly,
    /// It, or a directory above it, is not there.
    #[error("it is not there")]
    NotThere,
    /// Something is there already.
    #[error("it is there already")]
    Exists,
    /// There is no room.
    #[error("no space is left")]
    NoSpace,
    /// The contents that came are not those that were announced.
    #[error("its contents were damaged on the way")]
    Damaged,
    /// The path leads out of where it must stay, or is none.
    #[error("the path is not one below its base")]
    Path,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// Writes one frame and flushes.
pub fn write_frame(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)?)?;
    to.flush()
}

/// One frame as bytes.
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LONGEST_FRAME {
        let text = format!("a frame of {length} bytes is too long");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    bytes[..4].copy_from_slice(&prefix);
    Ok(bytes)
}

/// Reads one frame; `None` at the end of the stream.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match from.read(&mut prefix[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = vec![0; length(prefix)?];
    from.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

/// The length that a frame begins with; fails for one that is too long.
pub fn length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LONGEST_FRAME {
        let text = format!("a frame of {length} bytes is announced: this is not the protocol");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(length)
}

/// The message of a frame without its length.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(id: RequestId) -> ToAgent {
        let request = Request::Ping;
        ToAgent::Request { id, request }
    }

    #[test]
    fn frames_come_out_as_they_went_in_and_the_stream_ends_between_them() {
        let mut stream = Vec::new();
        for id in [1, 70_000] {
            write_frame(&mut stream, &ping(id)).unwrap();
        }
        let mut reader = stream.as_slice();
        assert_eq!(read_frame(&mut reader).unwrap(), Some(ping(1)));
        assert_eq!(read_frame(&mut reader).unwrap(), Some(ping(70_000)));
        assert_eq!(read_frame::<ToAgent>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_stream_cut_anywhere_in_a_frame_is_an_error() {
        let whole = frame(&ping(9)).unwrap();
        for end in 1..whole.len() {
            let cut = read_frame::<ToAgent>(&mut &whole[..end]);
            assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused_before_memory_is_given_to_it() {
        let http = b"HTTP/1.1 400 Bad Request\r\n";
        let error = read_frame::<FromAgent>(&mut &http[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let bytes = vec![0; LONGEST_FRAME + 1];
        let chunk = ToAgent::Chunk { id: 1, bytes };
        assert!(frame(&chunk).is_err());
    }

    #[test]
    fn a_containers_id_is_taken_as_kubernetes_writes_it() {
        let digits = "0a".repeat(32);
        let id: ContainerId = format!("containerd://{digits}").parse().unwrap();
        assert_eq!(id.as_str(), digits);
        for wrong in ["", "containerd://", "../../etc", &digits[1..]] {
            assert!(wrong.parse::<ContainerId>().is_err(), "{wrong}");
        }
    }
}
