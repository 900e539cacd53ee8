//! Debuggers that an image lacks: fetched once to this machine, and copied into containers.

use core::net::SocketAddr;
use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    command::{BROUGHT_TO, Debugger, asks_for_port, python_of},
    delve,
};
use crate::{
    adapters::{
        agent::{AgentFailure, Change, Content, Probe, Refusal},
        files,
        process::{self, ChildEnvironment, Invocation},
    },
    domain::{Debug, DebugRuntime, ExitClass, Failure, ServiceName},
    features::{
        Project,
        process::{Agents, Process},
    },
};

/// How long a debugger may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long to ask for a debugger at a time.
const SLICE: Duration = Duration::from_millis(200);
/// How long a container may take to say whether it has a debugger.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// How long a debugger may take to be fetched.
const FETCH_WITHIN: Duration = Duration::from_mins(3);
/// Parts of debugpy for other systems, and for attaching to a process that runs already.
const NOT_NEEDED: [&str; 6] = ["pyc", "so", "dylib", "dll", "exe", "pdb"];

/// Has the debugger of a runtime in a container.
pub(super) async fn bring(
    project: &Project,
    agents: &Agents,
    process: &Process,
    debug: &Debug,
    own: &[String],
) -> Result<Debugger, Failure> {
    if !debug.command.is_empty() {
        return Ok(Debugger::There);
    }
    let changes = match debug.runtime {
        DebugRuntime::Python => {
            let look = [&python_of(own), "-c", "import debugpy"].map(str::to_owned);
            if has(agents, process, &look).await? {
                return Ok(Debugger::There);
            }
            debugpy(project, &process.service).await?
        }
        DebugRuntime::Go => {
            if has(agents, process, &["dlv", "version"].map(str::to_owned)).await? {
                return Ok(Debugger::There);
            }
            vec![delve::of_this_machine(project, &process.service)?]
        }
        DebugRuntime::Node | DebugRuntime::Jvm | DebugRuntime::Other => {
            return Ok(Debugger::There);
        }
    };
    let told = agents.change(process, &changes).await;
    told.map_err(|error| process.failure(&error))?;
    Ok(Debugger::Brought)
}

/// Takes what was brought out of a container again.
pub(super) async fn take_away(agents: &Agents, process: &Process) -> Result<(), AgentFailure> {
    let gone = [Change {
        path: BROUGHT_TO.as_bytes().to_vec(),
        content: Content::Absent,
    }];
    agents.change(process, &gone).await
}

/// Whether a debugger can be attached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listens {
    /// It can.
    Yes,
    /// Not yet; why, in words.
    NotYet(String),
}

/// Asks for a moment whether the debugger of a process listens.
pub(super) async fn listens(
    agents: &Agents,
    process: &Process,
    debug: &Debug,
    own: &[String],
) -> Result<Listens, Failure> {
    if debug.runtime == DebugRuntime::Python {
        // debugpy takes the first connection for the debugger, and serves no other once that has gone.
        if has(agents, process, &asks_for_port(own, debug.port)).await? {
            return Ok(Listens::Yes);
        }
        tokio::time::sleep(SLICE).await;
        return Ok(Listens::NotYet("nothing listens there".to_owned()));
    }
    let Some(ip) = process.ip else {
        return Ok(Listens::Yes);
    };
    let address = SocketAddr::new(ip, debug.port.get());
    let asked = agents.probe(process, address, &Probe::Tcp, SLICE).await;
    Ok(match asked.map_err(|error| process.failure(&error))? {
        Ok(()) => Listens::Yes,
        Err(last) => Listens::NotYet(last),
    })
}

/// Waits until nobody listens for debuggers any more, not for long: debugpy has a helper, which goes when it notices that
/// its process is gone and no debugger is attached.
pub(super) async fn until_gone(
    agents: &Agents,
    process: &Process,
    debug: &Debug,
    own: &[String],
) -> Result<(), Failure> {
    let began = Instant::now();
    while debug.runtime == DebugRuntime::Python
        && began.elapsed() < GONE_WITHIN
        && has(agents, process, &asks_for_port(own, debug.port)).await?
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Whether a command beside the process succeeds.
async fn has(agents: &Agents, process: &Process, command: &[String]) -> Result<bool, Failure> {
    match agents.run(process, command, LOOK_WITHIN).await {
        Ok(ran) => Ok(ran.code == 0),
        Err(AgentFailure::Init(Refusal::NotRun(_) | Refusal::TookTooLong { .. })) => Ok(false),
        Err(error) => Err(process.failure(&error)),
    }
}

/// What brings debugpy into a container.
async fn debugpy(project: &Project, service: &ServiceName) -> Result<Vec<Change>, Failure> {
    let directory = project.paths.debuggers().join("debugpy");
    if !files::exists(&directory) {
        let fetched = fetch_debugpy(project, &directory).await;
        fetched.map_err(|why| {
            lacking(service, "debugpy")
                .because(why)
                .help("add it to the image: pip install debugpy")
        })?;
    }
    let below = files::files_below(&directory).map_err(|error| error.failure())?;
    let needed = below.into_iter().filter(|file| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        !ending.is_some_and(|ending| NOT_NEEDED.contains(&ending))
    });
    Ok(needed
        .map(|file| {
            copy(
                file.strip_prefix(&directory).unwrap_or(&file).to_owned(),
                file,
                0o644,
            )
        })
        .collect())
}

/// Fetches debugpy for any system; fails with the reason in words.
async fn fetch_debugpy(project: &Project, to: &Path) -> Result<(), String> {
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    let options = "-m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
                   --only-binary=:all: --platform any --target";
    // pip is the user's own program: its settings are in variables too.
    let variables = project.variables.iter();
    let environment = variables.fold(ChildEnvironment::default(), |all, (name, value)| {
        all.with(name, value)
    });
    let pip = Invocation::new("python3", environment, FETCH_WITHIN)
        .args(options.split_whitespace())
        .arg(&partial)
        .arg("debugpy");
    let ran = process::run(&pip, &CancellationToken::new(), None).await;
    let ran = ran.map_err(|error| error.to_string())?;
    if !ran.succeeded() {
        // What is there of it is of no use; that it stays is no reason to fail for.
        let _ = files::remove_tree(&partial);
        let said = ran.stderr_text();
        let last = said.lines().last().unwrap_or_default();
        return Err(format!("pip on this machine cannot fetch it: {last}"));
    }
    files::rename(&partial, to).map_err(|error| error.to_string())
}

/// Copies a file of this machine to where debuggers are put.
pub(super) fn copy(name: PathBuf, from: PathBuf, mode: u32) -> Change {
    Change {
        path: Path::new(BROUGHT_TO)
            .join(name)
            .as_os_str()
            .as_bytes()
            .to_vec(),
        content: Content::File { from, mode },
    }
}

/// The failure of an image that has no debugger, which cannot be brought either.
pub(super) fn lacking(service: &ServiceName, debugger: &str) -> Failure {
    Failure::new(
        "debug.no-debugger",
        ExitClass::Prerequisite,
        format!("the image of {service} has no {debugger}"),
    )
    .of(service)
}
