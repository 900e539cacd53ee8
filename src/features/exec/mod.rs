//! Runs a command in a container: of a service that runs, or of a task that is started for it.
//!
//! Called by `commands::exec`. The bytes of the command's streams pass through as they are; its exit code
//! comes back to the caller.

mod copy_out;
mod pod;
mod service;
mod streams;
mod task;
mod trouble;

pub use self::{
    copy_out::{CopyOut, NoCopyOut},
    service::in_service,
    task::in_task,
};
use crate::{
    domain::{Failure, Failures},
    report::CopiedFile,
};

/// What to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Program and arguments; empty means a service's shell or a task's own command.
    pub command: Vec<String>,
    /// In which container of a service's pod; the one that does the service's work if `None`.
    pub container: Option<String>,
    /// How the command is connected to the user.
    pub connection: Connection,
    /// What is copied to this machine once the command has ended.
    pub copy_out: Vec<CopyOut>,
}

/// How a command is connected to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// By the user's terminal: keys go to it one by one, its screen is the user's.
    Terminal,
    /// By streams: input, output and error output, each on its own.
    Streams(Input),
    /// By streams whose output is collected for a document.
    Collected(Input),
}

/// Where the input of a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A file or a pipe.
    File,
    /// A terminal, line by line.
    Keyboard,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ran to its end.
    Ran(Ran),
    /// It could not be started; the code is that of a shell, 126 or 127.
    NotStarted {
        /// The exit code.
        code: u8,
        /// Why.
        failure: Box<Failure>,
    },
    /// The user ended it.
    Interrupted,
    /// Nobody reads its output any more.
    ReaderGone,
}

/// A command that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: u8,
    /// Its output, where it was collected.
    pub stdout: Vec<u8>,
    /// Its error output, where it was collected.
    pub stderr: Vec<u8>,
    /// What was copied out of its container.
    pub copied: Copied,
}

/// What was copied out of a container, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// The files, in the order in which they were copied.
    pub files: Vec<CopiedFile>,
    /// What was left out: links, devices and the like.
    pub left_out: Vec<String>,
    /// Why something else was not copied.
    pub failures: Vec<Failure>,
}

/// What a run comes to.
type Outcome = Result<Ended, Failures>;

/// The exit code of a command as one of this program.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_never_passes_for_a_successful_one() {
        assert_eq!((exit_code(0), exit_code(3), exit_code(143)), (0, 3, 143));
        assert_eq!((exit_code(256), exit_code(-1)), (255, 255));
    }
}
