//! A process of this program that goes on in the background when the one that started it ends.

use std::{fs::File, io, path::PathBuf, process::Stdio};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process, setsid};
use tokio::process::Child;

use super::{Invocation, ProcessError, command, exit_code, start};

/// A process that was started to outlive this one.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(exit_code)
    }

    /// Asks it to end, if it runs.
    pub fn ask_to_end(&self) {
        if let Some(id) = self.child.id() {
            ask_to_end(id);
        }
    }
}

/// Starts a process that reads nothing and says everything to `log`.
///
/// It stays in this process's group, so that it can call [`leave_terminal`]: the leader of a group cannot.
pub fn start_in_background(invocation: &Invocation, log: File) -> Result<Background, ProcessError> {
    let failed = |source| ProcessError::Spawn {
        program: invocation.program.clone(),
        source,
    };
    let mut command = command(invocation)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log);
    start(command, invocation).map(|child| Background { child })
}

/// Makes this process its own session: no terminal can end it, nor be its own.
pub fn leave_terminal() {
    // The leader of a group cannot, and has its group to itself already.
    let _ = setsid();
}

/// Asks a process to end; one that is gone is fine.
pub fn ask_to_end(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Ends a process at once; one that is gone is fine.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = pid.try_into().ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The file that this process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProgram {
    /// Where it was when the process started.
    pub path: PathBuf,
    /// When it was written.
    pub modified: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The file that this process runs.
pub fn own_program() -> io::Result<OwnProgram> {
    let path = std::env::current_exe()?;
    let about = path.metadata()?;
    let modified = Timestamp::try_from(about.modified()?).map_err(io::Error::other)?;
    Ok(OwnProgram {
        path,
        modified,
        bytes: about.len(),
    })
}
