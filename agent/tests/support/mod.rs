//! An init under test, and what tests wait for.

use std::{
    fs::File,
    io,
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use devenv_agent::init_protocol::{Answer, Refusal, Request, Restarted, State, Status, ask};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Longer than anything here takes, and than services are given to end where they are not to be killed.
pub(crate) const LONG: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What a service is asked to end with.
pub(crate) const TERM: i32 = 15;
/// For a service that is to be asked once and not killed.
pub(crate) const PATIENT: Request = Request::Restart {
    signal: TERM,
    grace_ms: 60_000,
};

/// Waits for something that comes soon, without assuming how soon.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// What a file says, if it is there.
pub(crate) fn text(path: &Path) -> Option<String> {
    File::open(path).and_then(io::read_to_string).ok()
}

/// An init that runs, and the directory that its service works in.
pub(crate) struct Init {
    pub(crate) process: Child,
    pub(crate) directory: TempDir,
}

/// Nothing of a test stays, not even of one that failed.
impl Drop for Init {
    fn drop(&mut self) {
        // One that was waited for has ended what it ran, and its number may be another's.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        for group in groups_of_children(self.pid()) {
            let _ = kill_process_group(pid(group), Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Init {
    /// The command that runs a service in a directory.
    pub(crate) fn command(directory: &Path, options: &[&str], service: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devenv-agent"));
        let socket = directory.join("socket");
        command.arg("init").arg("--socket").arg(socket);
        command.args(options).arg("--").args(service);
        command.current_dir(directory).stdin(Stdio::null());
        command.stdout(File::create(directory.join("stdout")).unwrap());
        command.stderr(File::create(directory.join("stderr")).unwrap());
        command
    }

    /// The command that runs a script in a terminal, whose other end is the command's standard input.
    pub(crate) fn in_terminal(directory: &Path, script: &str) -> Command {
        let program = env!("CARGO_BIN_EXE_devenv-agent");
        let init = format!("exec '{program}' init --socket socket -- sh -c '{script}'");
        let mut command = Command::new("script");
        command.args(["-qec", &init, "/dev/null"]);
        command.current_dir(directory).stdout(Stdio::null());
        command
    }

    /// Runs a command as its service.
    pub(crate) fn run(options: &[&str], service: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = Self::command(directory.path(), options, service).spawn();
        Self {
            process: process.unwrap(),
            directory,
        }
    }

    /// Runs a script as its service.
    pub(crate) fn script(script: &str) -> Self {
        Self::run(&[], &["sh", "-c", script])
    }

    /// Runs a script as its service, which is held.
    pub(crate) fn held(seconds: &str, script: &str) -> Self {
        Self::run(&["--hold", seconds], &["sh", "-c", script])
    }

    /// A file of the service.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes an empty file that the service looks for.
    pub(crate) fn write(&self, name: &str) {
        File::create(self.path(name)).unwrap();
    }

    /// The line that the service writes into a file, when it has.
    pub(crate) fn line(&self, name: &str) -> String {
        let path = self.path(name);
        eventually(name, || {
            Some(text(&path)?.strip_suffix('\n')?.to_owned()).filter(|line| !line.is_empty())
        })
    }

    /// The process that the service writes into a file, when it has.
    pub(crate) fn pid_in(&self, name: &str) -> u32 {
        self.line(name).parse().unwrap()
    }

    /// Waits until it has said something on standard error.
    pub(crate) fn says(&self, what: &str) {
        let path = self.path("stderr");
        eventually(what, || text(&path)?.contains(what).then_some(()));
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.pid()), signal).unwrap();
    }

    /// Its exit code, when it has ended by itself.
    pub(crate) fn code(&mut self) -> i32 {
        let process = &mut self.process;
        let status = eventually("the init ends", || process.try_wait().unwrap());
        assert_eq!(status.signal(), None);
        status.code().unwrap()
    }

    /// A connection to it, when it listens.
    pub(crate) fn client(&self) -> UnixStream {
        let socket = self.path("socket");
        eventually("the init listens", || UnixStream::connect(&socket).ok())
    }

    /// Asks it on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        ask(&mut self.client(), request).unwrap()
    }

    /// Restarts its service, and needs it to be done.
    pub(crate) fn restart(&self, request: &Request) -> Restarted {
        restarted(self.ask(request))
    }

    /// How its service is.
    pub(crate) fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Ok(Answer::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until its service is in a state.
    pub(crate) fn is_in(&self, state: State) {
        eventually(&format!("{state:?}"), || {
            (self.status().state == state).then_some(())
        });
    }

    /// The process of its service, which must run.
    pub(crate) fn running(&self) -> u32 {
        match self.status().state {
            State::Running { pid } => pid,
            other => panic!("{other:?}"),
        }
    }
}

/// The answer to a restart that was done.
pub(crate) fn restarted(answer: Result<Answer, Refusal>) -> Restarted {
    match answer {
        Ok(Answer::Restarted(restarted)) => restarted,
        other => panic!("{other:?}"),
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

/// What the kernel says of a process after its name: its state, its parent, its group. Nothing if there is none, not
/// even a zombie.
pub(crate) fn process(pid: u32) -> Option<(String, u32, u32)> {
    let stat = text(Path::new(&format!("/proc/{pid}/stat")))?;
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    let state = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some((state, number()?, number()?))
}

/// Waits until a process has ended and was reaped.
pub(crate) fn is_gone(pid: u32) {
    eventually("a process is gone and reaped", || {
        process(pid).is_none().then_some(())
    });
}

fn groups_of_children(of: u32) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = numbers.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?));
    let children = processes.filter(|(_, parent, _)| *parent == of);
    children.map(|(.., group)| group).collect()
}
