//! What the agent says against a request.

use serde::{Deserialize, Serialize};

use super::ContainerId;

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
