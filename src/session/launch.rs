//! Starts the process of a session, starts one again that was killed, and ends one.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Client, ClientError};
use crate::{
    adapters::{
        environment::HostVariables,
        files::{self, FileError},
        process::{self, Background, ChildEnvironment, Invocation, ProcessError},
    },
    domain::{ExitClass, Failure, NoticeLevel},
    report::Outbox,
    state::{EnvironmentPaths, Holder, SessionLife, SessionProgram, SessionRecord, SessionRequest},
};

/// How long a session may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a session may take to end: when it was asked to, by a signal, and when it was killed.
const ENDS_WITHIN: Duration = Duration::from_secs(12);
const ENDS_BY_SIGNAL_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How much of a session's log outlives the start of another, in bytes.
const LOG_KEPT: u64 = 1024 * 1024;
/// How many lines of the log explain why a session did not start.
const LOG_LINES: usize = 20;
/// Variables that stand in for flags: a session gets what its record says.
const FLAGS: [&str; 5] = [
    "DEVENV_DIRECTORY",
    "DEVENV_FILE",
    "DEVENV_OUTPUT",
    "DEVENV_PROFILES",
    "DEVENV_SET",
];

/// A session that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
    /// The version of its program.
    pub version: String,
}

/// Where a session is started, and who hears about it.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The environment, whose directories exist.
    pub paths: &'a EnvironmentPaths,
    /// What the session finds in its environment.
    pub variables: &'a HostVariables,
    /// Who is told of what is worth a line.
    pub outbox: &'a Outbox,
}

/// Makes sure that a session lives that does what `request` says: starts one if none does, and replaces one
/// that was started otherwise, or by another devenv.
pub async fn ensure(launch: &Launch<'_>, request: SessionRequest) -> Result<Running, Failure> {
    let record = record(request)?;
    match Client::connect(launch.paths).await {
        Ok(client) => {
            let Some(why) = difference(launch.paths, &record)? else {
                return Ok(client.running());
            };
            drop(client);
            replace(launch, &record, why).await
        }
        Err(ClientError::NotRunning(_)) => start(launch, &record).await,
        Err(ClientError::NoAnswer(_) | ClientError::NotUnderstood) => {
            replace(launch, &record, "it does not answer as it should").await
        }
    }
}

/// Why the session that lives is not the one that is wanted, if it is not.
fn difference(
    paths: &EnvironmentPaths,
    wanted: &SessionRecord,
) -> Result<Option<&'static str>, Failure> {
    let lives = SessionRecord::load(paths).map_err(|error| error.failure())?;
    Ok(match lives {
        Some(lives) if lives.program != wanted.program => Some("it is that of another devenv"),
        Some(lives) if lives.request != wanted.request => Some("it was started with other flags"),
        Some(_) => None,
        // One that was started by hand left no record.
        None => Some("nobody knows how it was started"),
    })
}

async fn replace(
    launch: &Launch<'_>,
    record: &SessionRecord,
    why: &str,
) -> Result<Running, Failure> {
    let text = format!("the session is ended, and another started: {why}");
    launch.outbox.notice(NoticeLevel::Info, text).await;
    end(launch.paths).await?;
    start(launch, record).await
}

/// Starts the session again if it was killed, as it was started then; returns it if so.
pub async fn revive(launch: &Launch<'_>) -> Result<Option<Running>, Failure> {
    let paths = launch.paths;
    let failed = |error: FileError| error.failure();
    // A command that is at work on the environment sees to its session itself.
    if !files::exists(&paths.session_record()) || Holder::of(paths).is_some() {
        return Ok(None);
    }
    if SessionLife::of(paths).map_err(failed)? != SessionLife::Gone {
        return Ok(None);
    }
    // Only now: one that ends in order removes it before it lets go of its lock.
    let Some(was) = SessionRecord::load(paths).map_err(failed)? else {
        return Ok(None);
    };
    let running = start(launch, &record(was.request)?).await?;
    let text = "the session had ended unexpectedly; it is started again";
    launch.outbox.notice(NoticeLevel::Warning, text).await;
    Ok(Some(running))
}

/// Whether a session was there to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WasRunning {
    /// It was, and has ended.
    Yes,
    /// None was.
    No,
}

/// Ends the session of an environment: asks it first, then insists. None there is fine.
pub async fn end(paths: &EnvironmentPaths) -> Result<WasRunning, Failure> {
    let failed = |error: FileError| error.failure();
    if SessionLife::of(paths).map_err(failed)? == SessionLife::Gone {
        // One that was killed must not come back.
        SessionRecord::remove(paths).map_err(failed)?;
        return Ok(WasRunning::No);
    }
    let asked = match Client::connect(paths).await {
        Ok(client) => client.stop().await.is_ok(),
        Err(_) => false,
    };
    if asked && is_gone_within(paths, ENDS_WITHIN).await? {
        return Ok(WasRunning::Yes);
    }
    for signal in [process::ask_to_end, process::kill] {
        if let SessionLife::Lives(Some(holder)) = SessionLife::of(paths).map_err(failed)? {
            signal(holder.pid);
        }
        if is_gone_within(paths, ENDS_BY_SIGNAL_WITHIN).await? {
            SessionRecord::remove(paths).map_err(failed)?;
            return Ok(WasRunning::Yes);
        }
    }
    Err(not_ended(paths))
}

async fn is_gone_within(paths: &EnvironmentPaths, within: Duration) -> Result<bool, Failure> {
    let deadline = Instant::now() + within;
    loop {
        if SessionLife::of(paths).map_err(|error| error.failure())? == SessionLife::Gone {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn not_ended(paths: &EnvironmentPaths) -> Failure {
    let failure = Failure::new(
        "session.not-ended",
        ExitClass::Cluster,
        "the session of this environment does not end",
    );
    match SessionLife::of(paths) {
        Ok(SessionLife::Lives(Some(holder))) => failure
            .because(format!("process {} did not end when killed", holder.pid))
            .help(format!("ps -o pid,stat,wchan,args {}", holder.pid)),
        _ => failure.help("devenv session stop   # again"),
    }
}

fn record(request: SessionRequest) -> Result<SessionRecord, Failure> {
    let own = process::own_program()
        .map_err(|error| failed_to_start("its program cannot be found").caused_by(&error))?;
    Ok(SessionRecord {
        request,
        program: SessionProgram::from(own),
    })
}

async fn start(launch: &Launch<'_>, record: &SessionRecord) -> Result<Running, Failure> {
    let paths = launch.paths;
    let failed = |error: FileError| error.failure();
    let log = paths.session_log();
    files::cut_to_newest(&log, LOG_KEPT).map_err(failed)?;
    let file = files::append_private(&log).map_err(failed)?;
    let said_before = file.metadata().map_or(0, |about| about.len());
    record.save(paths).map_err(failed)?;
    let started = process::start_in_background(&invocation(launch, record), file).map_err(
        |error: ProcessError| failed_to_start("its process cannot be started").caused_by(&error),
    );
    let answer = match started {
        Ok(background) => first_answer(paths, background)
            .await
            .map_err(|why| with_log(failed_to_start(why), &log, said_before)),
        Err(failure) => Err(failure),
    };
    if answer.is_err() && SessionLife::of(paths).map_err(failed)? == SessionLife::Gone {
        // It would only fail again.
        SessionRecord::remove(paths).map_err(failed)?;
    }
    answer
}

fn invocation(launch: &Launch<'_>, record: &SessionRecord) -> Invocation {
    let SessionRequest {
        directory,
        file,
        profiles,
        sets,
    } = &record.request;
    let flag = |name: &str, value: &Path| {
        let mut flag = std::ffi::OsString::from(name);
        flag.push(value);
        flag
    };
    let variables = launch.variables.iter();
    let environment = variables
        .filter(|(name, _)| !FLAGS.contains(name))
        .fold(ChildEnvironment::default(), |all, (name, value)| {
            all.with(name, value)
        });
    let environment = environment.with(
        SessionRequest::SETS_VARIABLE,
        serde_json::json!(sets).to_string(),
    );
    let mut invocation = Invocation::new(&record.program.path, environment, ANSWERS_WITHIN)
        .arg(flag("--directory=", directory))
        .args(file.iter().map(|file| flag("--file=", file)))
        .args(profiles.iter().map(|name| format!("--profile={name}")))
        .args(["session", "run", "--detached"]);
    // It outlives the directory that it is started from.
    invocation.directory = Some("/".into());
    invocation
}

/// Waits until the session answers, be it the one that was started or one that was faster.
async fn first_answer(
    paths: &EnvironmentPaths,
    mut background: Background,
) -> Result<Running, String> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        if let Ok(client) = Client::connect(paths).await {
            return Ok(client.running());
        }
        let ended = background.ended();
        // One that finds another alive ends, and that other one is as good.
        if let Some(code) = ended.filter(|code| *code != i32::from(ExitClass::Locked.code())) {
            return Err(format!("it ended at once, with exit code {code}"));
        }
        if Instant::now() >= deadline {
            background.ask_to_end();
            let seconds = ANSWERS_WITHIN.as_secs();
            return Err(format!("it did not answer within {seconds} s"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn failed_to_start(why: impl Into<String>) -> Failure {
    Failure::new(
        "session.not-started",
        ExitClass::Cluster,
        "the session could not be started",
    )
    .because(why)
    .help("devenv up --no-session   # without it: edits do not become live, and no logs are kept")
}

/// Adds what was said to the log since it had `said_before` bytes.
fn with_log(failure: Failure, log: &Path, said_before: u64) -> Failure {
    let bytes = files::read(log).unwrap_or_default();
    let new = usize::try_from(said_before)
        .ok()
        .and_then(|start| bytes.get(start..));
    let text = String::from_utf8_lossy(new.unwrap_or_default()).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    failure.with_evidence(format!("what it said in {}", log.display()), last.to_vec())
}
