//! A process of this program that goes on in the background when the one that started it ends.

use std::{
    fs::File,
    io,
    os::fd::RawFd,
    path::{Path, PathBuf},
    process::Stdio,
};

use jiff::Timestamp;
use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process, setsid},
};
use tokio::process::Child;

use super::{super::files, Invocation, ProcessError, command, exit_code, start};

/// The last of the standard streams.
const STDERR: RawFd = 2;

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
/// It stays in this process's group, so that it can call [`leave_starter`]: the leader of a group cannot.
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

/// Lets go of whoever started this process: it becomes its own session, which no terminal can end, and closes
/// what it was left open beside its standard streams, so that nobody waits in vain for the end of a pipe.
pub fn leave_starter() {
    // The leader of a group cannot, and has its group to itself already.
    let _ = setsid();
    for descriptor in inherited() {
        // Nobody here knows of it, so nobody uses it.
        let _ = nix::unistd::close(descriptor);
    }
}

/// The descriptors that were open when this process began: all that it opens itself end with an `exec`.
fn inherited() -> Vec<RawFd> {
    let all = files::list(Path::new("/proc/self/fdinfo")).unwrap_or_default();
    let inherited = all.into_iter().filter_map(|path| {
        let descriptor: RawFd = path.file_name()?.to_str()?.parse().ok()?;
        let about = files::read_text(&path).ok()?;
        (descriptor > STDERR && outlives_exec(&about)?).then_some(descriptor)
    });
    inherited.collect()
}

/// Reads the flags, in octal, from what `/proc/PID/fdinfo/N` says.
fn outlives_exec(about: &str) -> Option<bool> {
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    Some(!OFlags::from_bits_retain(flags).contains(OFlags::CLOEXEC))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inherited_is_known_by_its_flags() {
        let own = "pos:\t0\nflags:\t02100002\nmnt_id:\t15\n";
        let inherited = "pos:\t0\nflags:\t0100001\nmnt_id:\t14\n";
        assert_eq!(outlives_exec(own), Some(false));
        assert_eq!(outlives_exec(inherited), Some(true));
        assert_eq!(outlives_exec("pos:\t0\n"), None);
    }

    #[test]
    fn a_file_that_this_process_opened_is_not_inherited() {
        use std::os::fd::AsRawFd as _;
        let own = tempfile::tempfile().unwrap();
        assert!(!inherited().contains(&own.as_raw_fd()));
    }
}
