//! How a running service follows its sources, and how its process is debugged.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::PortNumber;

/// What a change of a service's sources does to its containers.
///
/// The lists are in the manifest's order: `services.<name>.live.sync[0]` is the place of the first of `sync`.
/// Patterns are relative to `base` and written as in a `.gitignore`, without `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// What patterns are relative to, absolute: the build context; the project directory where nothing is built.
    pub base: PathBuf,
    /// Copied into the containers. Their targets and those of `mount` are not inside each other.
    pub sync: Vec<SyncRule>,
    /// Shown to the containers as they are on this machine.
    pub mount: Vec<MountRule>,
    /// Commands in the containers after a sync.
    pub run: Vec<RunRule>,
    /// A command on this machine before a sync.
    pub build: Option<BuildRule>,
    /// Patterns of files whose change builds the image anew.
    pub rebuild: Vec<String>,
    /// Patterns of files that are not looked at, besides those of `.gitignore` and `.dockerignore`.
    pub ignore: Vec<String>,
    /// What becomes of the process after a sync.
    pub on_change: OnChange,
    /// How long a change may take before a warning; never warned about if `None`.
    pub budget: Option<Duration>,
}

impl Live {
    /// Whether following the sources takes devenv's init to run the process, so that it can be started anew in its
    /// container, and is not started before its files are there.
    pub fn needs_init(&self) -> bool {
        let acts_on_mounts = !self.mount.is_empty() && self.on_change != OnChange::Nothing;
        self.holds_start() || acts_on_mounts
    }

    /// Whether the process is started only once the container has the files of this machine.
    pub const fn holds_start(&self) -> bool {
        !self.sync.is_empty()
    }
}

/// A file or directory that is kept the same in the containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRule {
    /// Its path on this machine, absolute. What [`Live::build`] writes may not be there yet.
    pub from: PathBuf,
    /// Its path in the container: absolute, without `.`, `..` and a `/` at its end.
    pub to: String,
    /// Patterns of files below `from` that are left out, relative to [`Live::base`].
    pub ignore: Vec<String>,
}

/// A directory of this machine that the containers read where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRule {
    /// Its path on this machine, absolute.
    pub from: PathBuf,
    /// Its path in the container: absolute, without `.`, `..` and a `/` at its end.
    pub to: String,
}

/// A command in the containers that a change of some files asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRule {
    /// Patterns of the files, never empty.
    pub on: Vec<String>,
    /// Program and arguments, never empty.
    pub command: Vec<String>,
}

/// A command on this machine that makes what is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRule {
    /// Program and arguments, never empty.
    pub command: Vec<String>,
    /// Patterns of the files whose change asks for it, never empty.
    pub on: Vec<String>,
    /// Where it runs, absolute.
    pub directory: PathBuf,
}

/// What becomes of a service's process when its files have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnChange {
    /// It is ended and started anew in its container.
    Restart {
        /// Asks it to end.
        signal: Signal,
        /// How long it may take to end before it is killed.
        grace: Duration,
    },
    /// It is told to read its files again.
    Reload(ReloadBy),
    /// It notices by itself.
    Nothing,
}

/// How a process is told to read its files again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadBy {
    /// By a signal.
    Signal(Signal),
    /// By a command in its container: program and arguments, never empty.
    Command(Vec<String>),
}

/// How a service's process is started under a debugger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debug {
    /// What runs it.
    pub runtime: DebugRuntime,
    /// The port in the container on which the debugger listens.
    pub port: PortNumber,
    /// Starts it under its debugger; empty only where the runtime is known, whose usual way it is then.
    pub command: Vec<String>,
}

/// What runs a process, as far as its debugger is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DebugRuntime {
    /// Node.js with its inspector.
    Node,
    /// Python with debugpy.
    Python,
    /// Go with Delve.
    Go,
    /// The Java virtual machine with JDWP.
    Jvm,
    /// Another one, with a command of the user's.
    Other,
}

impl DebugRuntime {
    /// The port on which its debugger listens by custom; `None` if there is no custom.
    pub const fn usual_port(self) -> Option<PortNumber> {
        match self {
            Self::Node => PortNumber::new(9229),
            Self::Python => PortNumber::new(5678),
            Self::Go => PortNumber::new(2345),
            Self::Jvm => PortNumber::new(5005),
            Self::Other => None,
        }
    }
}

macro_rules! signals {
    ($($variant:ident, $name:literal, $number:literal;)*) => {
        /// A signal of Linux, by its name; real-time signals are not among them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Signal {$(
            #[doc = concat!("`", $name, "`.")]
            #[serde(rename = $name)]
            $variant = $number,
        )*}

        impl Signal {
            /// Every one, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, such as `SIGTERM`.
            pub const fn name(self) -> &'static str {
                match self {$(Self::$variant => $name,)*}
            }
        }
    };
}

signals! {
    Hangup, "SIGHUP", 1;
    Interrupt, "SIGINT", 2;
    Quit, "SIGQUIT", 3;
    Illegal, "SIGILL", 4;
    Trap, "SIGTRAP", 5;
    Abort, "SIGABRT", 6;
    Bus, "SIGBUS", 7;
    FloatingPoint, "SIGFPE", 8;
    Kill, "SIGKILL", 9;
    User1, "SIGUSR1", 10;
    Segment, "SIGSEGV", 11;
    User2, "SIGUSR2", 12;
    Pipe, "SIGPIPE", 13;
    Alarm, "SIGALRM", 14;
    Terminate, "SIGTERM", 15;
    StackFault, "SIGSTKFLT", 16;
    Child, "SIGCHLD", 17;
    Continue, "SIGCONT", 18;
    Stop, "SIGSTOP", 19;
    TerminalStop, "SIGTSTP", 20;
    TerminalInput, "SIGTTIN", 21;
    TerminalOutput, "SIGTTOU", 22;
    Urgent, "SIGURG", 23;
    CpuLimit, "SIGXCPU", 24;
    FileSizeLimit, "SIGXFSZ", 25;
    VirtualAlarm, "SIGVTALRM", 26;
    Profile, "SIGPROF", 27;
    Window, "SIGWINCH", 28;
    Poll, "SIGIO", 29;
    Power, "SIGPWR", 30;
    SystemCall, "SIGSYS", 31;
}

impl Signal {
    /// Its number on x86-64 and ARM.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_numbers_of_linux_without_a_gap() {
        let numbers: Vec<u8> = Signal::ALL.iter().map(|signal| signal.number()).collect();
        assert_eq!(numbers, (1..=31).collect::<Vec<u8>>());
        assert_eq!(Signal::Terminate.number(), 15);
        assert_eq!(Signal::Terminate.to_string(), "SIGTERM");
    }

    #[test]
    fn a_signal_is_written_by_its_name() {
        for signal in Signal::ALL {
            let json = serde_json::to_value(signal).unwrap();
            assert_eq!(json, signal.name());
            assert_eq!(serde_json::from_value::<Signal>(json).unwrap(), *signal);
        }
    }
}
