//! Runs child processes: the only place that starts any.
//!
//! Called by the adapters of command-line tools and by the engine for hooks. A child gets a process
//! group of its own, an environment that holds nothing but what is named, a deadline, and an end: on
//! deadline, on cancellation and on drop the whole group is ended, politely first. Secrets go in by
//! standard input or a file, never by an argument, since arguments are shown in errors.

mod background;
mod environment;
mod error;
mod group;
mod orphans;
mod output;

use std::{
    ffi::OsString,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    background::{
        Background, OwnProgram, ask_to_end, kill, leave_starter, own_program, start_in_background,
    },
    environment::ChildEnvironment,
    error::{ProcessError, last_lines},
    group::kill_all,
    orphans::end_orphans,
};
use self::{group::ProcessGroup, output::Collected};
use crate::domain::shell_words;

/// How long a group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How long to read on after the child ended: a grandchild may keep the pipes open for ever.
const LINGER: Duration = Duration::from_millis(200);
/// How much is read at a time, in bytes.
const CHUNK: usize = 8192;
/// How much of each output stream is kept, in bytes, unless asked for more.
pub const OUTPUT_KEPT: usize = 64 * 1024;

/// Whether a process of this id runs.
pub fn is_alive(pid: u32) -> bool {
    let pid = pid.try_into().ok().and_then(rustix::process::Pid::from_raw);
    // One of another user cannot be signalled, and runs.
    pid.is_some_and(|pid| {
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    })
}

/// One of a child's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Called with every line as it comes, without its end.
pub type OnLine<'a> = &'a (dyn Fn(Stream, &str) + Sync);

/// A child to run, as a plain value.
#[derive(Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program; searched on the child's `PATH` if it has no slash.
    pub program: PathBuf,
    /// Its arguments. They are shown in errors: no secrets.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub environment: ChildEnvironment,
    /// Its working directory; this process's own if `None`.
    pub directory: Option<PathBuf>,
    /// What it reads; nothing if `None`. Never shown.
    pub stdin: Option<Vec<u8>>,
    /// How long it may run.
    pub deadline: Duration,
    /// How much of each output stream is kept, in bytes: the end of it.
    pub output_kept: usize,
}

impl Invocation {
    /// An invocation without arguments, input or directory.
    pub fn new(
        program: impl Into<PathBuf>,
        environment: ChildEnvironment,
        deadline: Duration,
    ) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment,
            directory: None,
            stdin: None,
            deadline,
            output_kept: OUTPUT_KEPT,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The command as one would type it, for messages.
    pub fn command_line(&self) -> String {
        let words: Vec<_> = std::iter::once(self.program.as_os_str())
            .chain(self.args.iter().map(OsString::as_os_str))
            .map(|word| word.to_string_lossy())
            .collect();
        shell_words(&words)
    }
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invocation")
            .field("command", &self.command_line())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A child that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; 128 and the signal's number where a signal ended it, as a shell says it.
    pub code: i32,
    /// The end of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Whether it ended with 0.
    pub const fn succeeded(&self) -> bool {
        self.code == 0
    }

    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Runs a child to its end and returns its exit code, whatever it is, with its output.
///
/// Fails if it cannot be started, runs into its deadline, or `cancel` is triggered; the whole process
/// group is gone then. Dropping the future kills the group at once.
pub async fn run(
    invocation: &Invocation,
    cancel: &CancellationToken,
    on_line: Option<OnLine<'_>>,
) -> Result<Finished, ProcessError> {
    let started = Instant::now();
    let mut child = spawn(invocation)?;
    let mut group = ProcessGroup::of(&child);
    let mut output = Collected::new(invocation.output_kept, on_line);
    let work = drive(&mut child, invocation.stdin.as_deref(), &mut output);
    let status = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ProcessError::Cancelled { command: invocation.command_line() }),
        ended = tokio::time::timeout(invocation.deadline, work) => match ended {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(source)) => Err(ProcessError::Wait { command: invocation.command_line(), source }),
            Err(_) => Err(ProcessError::Deadline {
                command: invocation.command_line(),
                after: started.elapsed(),
                stderr: Vec::new(),
            }),
        },
    };
    match status {
        Ok(status) => {
            group.disarm();
            let (stdout, stderr) = output.finish();
            Ok(Finished {
                code: exit_code(status),
                stdout,
                stderr,
            })
        }
        Err(error) => {
            group.end(&mut child, GRACE).await;
            let (_, stderr) = output.finish();
            Err(error.with_stderr(stderr))
        }
    }
}

/// Whether a program that was let go has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launched {
    /// It runs on, and will whatever becomes of this process.
    Runs,
    /// It ended with this code.
    Ended(i32),
}

/// Starts a program that may outlive this process, such as a browser, without input or output.
///
/// Looks at it until the invocation's deadline, so that one that ends at once can be told from one that
/// works; it is not ended then.
pub async fn launch(invocation: &Invocation) -> Result<Launched, ProcessError> {
    let mut command = command(invocation)?;
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = start(command, invocation)?;
    match tokio::time::timeout(invocation.deadline, child.wait()).await {
        Err(_) => Ok(Launched::Runs),
        Ok(Ok(status)) => Ok(Launched::Ended(exit_code(status))),
        Ok(Err(source)) => Err(ProcessError::Wait {
            command: invocation.command_line(),
            source,
        }),
    }
}

fn spawn(invocation: &Invocation) -> Result<Child, ProcessError> {
    let mut command = command(invocation)?;
    command
        .process_group(0)
        .stdin(if invocation.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    start(command, invocation)
}

fn start(mut command: Command, invocation: &Invocation) -> Result<Child, ProcessError> {
    command.spawn().map_err(|source| ProcessError::Spawn {
        program: invocation.program.clone(),
        source,
    })
}

/// The program, with nothing but the environment that it is given.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts processes"
)]
fn command(invocation: &Invocation) -> Result<Command, ProcessError> {
    let program = invocation.environment.find(&invocation.program)?;
    let mut command = Command::new(program);
    command
        .args(&invocation.args)
        .env_clear()
        .envs(invocation.environment.iter());
    if let Some(directory) = &invocation.directory {
        command.current_dir(directory);
    }
    Ok(command)
}

/// Feeds the child, reads what it says and waits for its end.
async fn drive(
    child: &mut Child,
    stdin: Option<&[u8]>,
    output: &mut Collected<'_>,
) -> std::io::Result<std::process::ExitStatus> {
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let mut feed = std::pin::pin!(feed(child.stdin.take(), stdin));
    let mut is_fed = false;
    let mut ended = None;
    let mut linger = std::pin::pin!(tokio::time::sleep(Duration::MAX));
    let (mut out_buffer, mut err_buffer) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        if let (Some(status), None, None) = (ended, &stdout, &stderr) {
            return Ok(status);
        }
        tokio::select! {
            count = read(&mut stdout, &mut out_buffer), if stdout.is_some() => match count {
                0 => stdout = None,
                count => output.push(Stream::Stdout, &out_buffer[..count]),
            },
            count = read(&mut stderr, &mut err_buffer), if stderr.is_some() => match count {
                0 => stderr = None,
                count => output.push(Stream::Stderr, &err_buffer[..count]),
            },
            () = &mut feed, if !is_fed => is_fed = true,
            status = child.wait(), if ended.is_none() => {
                ended = Some(status?);
                linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
            }
            () = &mut linger, if ended.is_some() => {
                stdout = None;
                stderr = None;
            }
        }
    }
}

/// Writes all input and closes the pipe. A child that does not read to the end is no error.
async fn feed(pipe: Option<ChildStdin>, input: Option<&[u8]>) {
    if let (Some(mut pipe), Some(input)) = (pipe, input) {
        let _ = pipe.write_all(input).await;
        let _ = pipe.shutdown().await;
    }
}

/// Bytes read; 0 at the end and on any error, since a broken pipe ends the stream too.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

#[cfg(test)]
mod tests;
