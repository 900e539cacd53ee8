//! What devenv and the init of a live service say to each other.
//!
//! The init listens on a unix socket. A client sends requests, one a frame, and gets one answer for each, in their
//! order. A stream that ends without an answer means that the init ended, and its container with it.
//!
//! An init may be older than who asks it: what is new comes at the end of its enum, so that the rest keeps its encoding.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::protocol::{read_frame, write_frame};

/// Where the init listens in a container of a live service.
pub const SOCKET: &str = "/.devenv/run/init";
/// How much of what a command says is kept, in bytes: the end of it.
pub const OUTPUT_KEPT: usize = 64 * 1024;

/// What is asked of the init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How the service is.
    Status,
    /// Starts the service if it is held, also after [`StandBy`](Self::StandBy), and ends the container if it is kept after
    /// its end; else it changes nothing.
    Release,
    /// Stops the service with all it started, and starts it again; also one that is held or has failed.
    ///
    /// From the first of these requests on, a service that fails no longer ends its container. A request that comes
    /// while the service stops joins the one before: both are answered with the same start.
    Restart {
        /// What the service and all it started are asked to end with, such as 15.
        signal: i32,
        /// How long they have until they are killed, in milliseconds.
        grace_ms: u32,
    },
    /// Sends a signal to the service, and only to it.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Runs a command beside the service, as the init's own user, with its environment and in its directory.
    ///
    /// It reads nothing and has a process group of its own, of which nobody outlives it. The group is killed also when
    /// its time is over, and when the client that waits for it is gone.
    Run {
        /// The program, looked up on the `PATH`, and its arguments; never empty.
        command: Vec<String>,
        /// How long it has, in milliseconds.
        within_ms: u32,
    },
    /// Says what the service is started with from its next start on, in place of what was said before. What runs stays;
    /// a new container starts its own again.
    Command {
        /// The program, looked up on the `PATH`, and its arguments, never empty; `None` for the service's own.
        command: Option<Vec<String>>,
        /// Variables that are set besides those that the container has.
        environment: Vec<(String, String)>,
    },
    /// The service is about to be killed, and what is mounted in its container to be exchanged: where it ends within a
    /// time, it is held. If nobody releases it, the container ends with its code.
    StandBy {
        /// How long its end is expected, in milliseconds.
        within_ms: u32,
        /// How long it is held then, in milliseconds.
        hold_ms: u32,
    },
}

impl Request {
    /// How long the init may rightly take until it answers.
    pub fn may_take(&self) -> Duration {
        match self {
            Self::Status
            | Self::Release
            | Self::Signal { .. }
            | Self::Command { .. }
            | Self::StandBy { .. } => Duration::ZERO,
            Self::Restart { grace_ms: ms, .. } | Self::Run { within_ms: ms, .. } => {
                Duration::from_millis((*ms).into())
            }
        }
    }
}

/// What the init answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Release`]: neither the service nor its container is held.
    Released,
    /// To [`Request::Restart`]: the service is started.
    Restarted(Restarted),
    /// To [`Request::Signal`]: it is sent.
    Signalled,
    /// To [`Request::Run`]: the command has ended by itself.
    Ran(Ran),
    /// To [`Request::Command`]: the next start is with it.
    CommandSet,
    /// To [`Request::StandBy`]: the end of the service is no longer that of its container.
    StandsBy,
}

/// How the service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// How often it was started.
    pub starts: u32,
    /// How long ago it was started last, in milliseconds; nothing if it never was.
    pub since_start_ms: Option<u64>,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It waits to be released.
    Held,
    /// It runs.
    Running {
        /// Its process, as the container counts.
        pid: u32,
    },
    /// It was asked to end, to be started again or with its container.
    Stopping,
    /// It failed after a restart, or could not be started again, and waits for the next restart.
    Failed {
        /// The code that it ended with; 128 and the signal's number if a signal ended it.
        code: u8,
    },
    /// It ended, and its container is kept until it is released.
    Ended {
        /// The code that it ended with; 128 and the signal's number if a signal ended it.
        code: u8,
    },
}

/// What a restart came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// The new process, as the container counts.
    pub pid: u32,
    /// How long it took until nothing was left of the old one, in microseconds; 0 if nothing ran.
    pub stopping_us: u64,
    /// How long it took to start the new one, in microseconds.
    pub starting_us: u64,
}

/// What a command beside the service came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: u8,
    /// What it said on both streams as it came, the last [`OUTPUT_KEPT`] bytes of it.
    pub output: Vec<u8>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// Why the init did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No signal has this number, or none that may be asked for.
    #[error("{0} is not the number of a signal")]
    NoSignal(i32),
    /// There is no process that could be sent a signal.
    #[error("the service does not run")]
    NotRunning,
    /// The service ended, but could not be started again.
    #[error("{0}")]
    NotStarted(String),
    /// The container is being stopped, or its first start failed.
    #[error("the container ends")]
    Ending,
    /// The request breaks the protocol, or is of another version. The stream ends after this answer.
    #[error("not understood: {0}")]
    NotUnderstood(String),
    /// The command could not be started, or is none.
    #[error("{0}")]
    NotRun(String),
    /// The command did not end in its time and was killed with all of its group.
    #[error("the command did not end in time")]
    TookTooLong {
        /// What it said until then, as in [`Ran`].
        output: Vec<u8>,
    },
}

/// Sends a request and waits for its answer. Fails also where the init ends before it answers.
pub fn ask(
    stream: &mut (impl Read + Write),
    request: &Request,
) -> io::Result<Result<Answer, Refusal>> {
    write_frame(stream, request)?;
    read_frame(stream)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_request_gets_the_answer_that_the_other_side_wrote() {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let (signal, grace_ms) = (15, 500);
        let request = Request::Restart { signal, grace_ms };
        let answer: Result<Answer, Refusal> = Err(Refusal::Ending);
        // What is written fits into the socket's buffer: no second thread is needed.
        write_frame(&mut server, &answer).unwrap();
        assert_eq!(ask(&mut client, &request).unwrap(), answer);
        assert_eq!(read_frame(&mut server).unwrap(), Some(request));
    }

    #[test]
    fn an_init_that_ends_before_it_answers_is_an_error() {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        let error = ask(&mut client, &Request::Status).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_frame(&mut server).unwrap(), Some(Request::Status));
    }
}
