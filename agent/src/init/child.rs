//! The service's process, its group, and what it leaves behind.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group,
        test_kill_process_group, wait,
    },
};

use super::terminal::Terminal;

/// What a shell ends with for a command that is not there.
const NOT_FOUND: u8 = 127;
/// What a shell ends with for a command that is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: u8 = 128;

/// The command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start `{}`: {source}", program.display())]
pub(super) struct StartError {
    program: OsString,
    source: io::Error,
}

impl StartError {
    /// The error of starting a command.
    pub(super) fn of(command: &Command, source: io::Error) -> Self {
        Self {
            program: command.get_program().to_owned(),
            source,
        }
    }

    /// What a shell would end with.
    pub(super) fn code(&self) -> u8 {
        match self.source.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        }
    }
}

/// Not even a program is named.
#[derive(Debug, thiserror::Error)]
#[error("there is no command to run")]
pub(super) struct NoCommand;

/// What is run, each time anew.
#[derive(Debug)]
pub(super) struct Service {
    own: Command,
    /// Run in place of it.
    other: Option<Command>,
    /// The directory that the container starts in, as long as it has a path.
    directory: Option<PathBuf>,
    terminal: Terminal,
}

/// A service that was just started.
#[derive(Debug)]
pub(super) struct Started {
    /// Its group, which it leads.
    pub(super) group: Group,
    /// How long it took.
    pub(super) took: Duration,
}

impl Service {
    /// A program, looked up on the `PATH`, with its arguments.
    pub(super) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        let mut own = Command::new(program);
        own.args(arguments);
        Self {
            own,
            other: None,
            directory: env::current_dir().ok(),
            terminal: Terminal::find(),
        }
    }

    /// Says what the next start runs: a command, or its own, with these variables besides those of the container.
    pub(super) fn set(
        &mut self,
        words: Option<&[String]>,
        variables: Vec<(String, String)>,
    ) -> Result<(), NoCommand> {
        let mut next;
        if let Some(words) = words {
            let (program, arguments) = words.split_first().ok_or(NoCommand)?;
            next = Command::new(program);
            next.args(arguments);
        } else {
            next = Command::new(self.own.get_program());
            next.args(self.own.get_args());
        }
        next.envs(variables);
        self.other = Some(next);
        Ok(())
    }

    /// Enters its directory again, by its path: what is there now is what it is started in.
    pub(super) fn enter(&self) -> Result<(), StartError> {
        let entered = self.directory.as_ref().map_or(Ok(()), env::set_current_dir);
        entered.map_err(|error| StartError::of(&self.own, error))
    }

    /// Starts it with everything inherited, as the leader of a new process group.
    pub(super) fn start(&mut self) -> Result<Started, StartError> {
        let begun = Instant::now();
        let group = Group::start(self.other.as_mut().unwrap_or(&mut self.own))?;
        self.terminal.give_to(group);
        let took = begun.elapsed();
        Ok(Started { group, took })
    }
}

/// The process group of a service or of a command beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    leader: Pid,
}

impl Group {
    /// Starts a command as the leader of a new group.
    pub(super) fn start(command: &mut Command) -> Result<Self, StartError> {
        // Only its number is kept: it is reaped with all other children.
        let started = command.process_group(0).spawn().and_then(|child| {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.ok_or_else(|| Errno::RANGE.into())
        });
        match started {
            Ok(leader) => Ok(Self { leader }),
            Err(error) => Err(StartError::of(command, error)),
        }
    }

    /// The group's own process, from which all others of it come.
    pub(super) fn leader(self) -> Pid {
        self.leader
    }

    /// The number of that process.
    pub(super) fn pid(self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal to that process alone.
    pub(super) fn signal_leader(self, signal: Signal) {
        // It may just have ended; its end is then reported.
        let _ = kill_process(self.leader, signal);
    }

    /// Sends a signal to all of the group.
    pub(super) fn signal_all(self, signal: Signal) {
        // Nobody may be left.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Whether no process of the group is left, not even one that is to be reaped.
    pub(super) fn is_gone(self) -> bool {
        test_kill_process_group(self.leader) == Err(Errno::SRCH)
    }
}

/// A process that ended and was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Which one.
    pub(super) pid: Pid,
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub(super) code: u8,
}

/// Reaps every child that has ended. Signals of one kind coalesce: one may stand for many of them.
pub(super) fn reap() -> impl Iterator<Item = Ended> {
    std::iter::from_fn(|| {
        let (pid, status) = wait(WaitOptions::NOHANG).ok()??;
        let code = code(status);
        Some(Ended { pid, code })
    })
}

fn code(status: WaitStatus) -> u8 {
    let by_signal = |signal| BY_SIGNAL.saturating_add(narrow(signal));
    status
        .exit_status()
        .map(narrow)
        .or_else(|| status.terminating_signal().map(by_signal))
        .unwrap_or(BY_SIGNAL)
}

/// The kernel keeps eight bits of an exit code and has fewer signals than that.
fn narrow(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// What a shell would end with that a signal ended.
pub(super) fn code_of_signal(signal: Signal) -> u8 {
    BY_SIGNAL.saturating_add(narrow(signal.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_error(program: &str) -> StartError {
        let mut service = Service::new(program.into(), Vec::new());
        service.start().unwrap_err()
    }

    #[test]
    fn a_command_that_cannot_be_started_is_named_and_counted_as_a_shell_counts_it() {
        let missing = start_error("no-such-program");
        assert_eq!(missing.code(), 127);
        assert!(missing.to_string().contains("`no-such-program`"));
        assert_eq!(start_error("/").code(), 126);
    }

    #[test]
    fn a_signal_counts_as_a_shell_counts_it() {
        assert_eq!(code_of_signal(Signal::TERM), 143);
        assert_eq!(code_of_signal(Signal::KILL), 137);
    }
}
