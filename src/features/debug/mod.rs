//! A service whose process runs under its debugger, for as long as the command does.
//!
//! One pod is debugged: devenv's init starts its process with another command, and the port of its debugger is
//! forwarded. The pod stays, and so do its probes; meanwhile the Kubernetes Service sends connections also to pods that
//! are not ready, as one that stands at a breakpoint. At the end all is as before. What is set is marked on the
//! Kubernetes Service and in the state directory, so that the next command can undo what a killed one left.

mod command;
mod debugger;
mod delve;
mod elf;
mod ide;
mod killed;
mod launch;
mod run;
mod written;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

pub use self::{command::Wait, killed::undo_killed};
use self::{run::Debugging, written::PutBack};
use super::{
    Project,
    observe::Sight,
    podless::podless,
    process::Agents,
    restart::{is_deployed, not_deployed},
    up::running,
};
use crate::{
    adapters::{
        kube::Cluster,
        lock_file::{self, LockAttempt, LockedFile},
    },
    domain::{ExitClass, Failure, Failures, NoticeLevel, PortNumber, ServiceName},
    engine::Tools,
    report::Outbox,
};

/// For which IDE a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ide {
    /// None: it is shown.
    Print,
    /// VS Code: `.vscode/launch.json`.
    Vscode,
    /// A JetBrains IDE: `.idea/runConfigurations`.
    Jetbrains,
}

/// What becomes of the configuration at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdeFile {
    /// The file is as before.
    PutBack,
    /// It stays.
    Kept,
}

/// How a service is to be debugged.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which one.
    pub service: ServiceName,
    /// Whether its process waits for the debugger.
    pub wait: Wait,
    /// The port of this machine, 0 for any that is free; that of the debugger if `None`.
    pub port: Option<u16>,
    /// For which IDE.
    pub ide: Ide,
    /// What becomes of its file.
    pub file: IdeFile,
}

/// Debugs a service until it is cancelled, and undoes all of it.
pub async fn debug(
    project: &Project,
    wanted: &Wanted,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<(), Failures> {
    let (tools, sight, cluster) = deployed(project, &wanted.service, outbox).await?;
    let _lock = lock(project, &wanted.service)?;
    undo_left(project, &tools, &sight, &cluster, &wanted.service, outbox).await?;
    let mut debugging = Debugging::prepare(project, wanted, tools, sight, cluster, outbox).await?;
    let running = cancel.run_until_cancelled(debugging.run());
    let ended = running.await;
    debugging.undo().await;
    // Told to end, it has done what it was asked.
    ended.unwrap_or(Ok(())).map_err(Failures::from)
}

/// Undoes what a `debug` that was killed has left of a service.
pub async fn stop(
    project: &Project,
    service: &ServiceName,
    outbox: &Outbox,
) -> Result<(), Failures> {
    let (tools, sight, cluster) = deployed(project, service, outbox).await?;
    let _lock = lock(project, service)?;
    undo_left(project, &tools, &sight, &cluster, service, outbox).await?;
    let text = format!("{service} is not debugged");
    outbox.notice(NoticeLevel::Info, text).await;
    Ok(())
}

/// The cluster in which a service runs.
async fn deployed(
    project: &Project,
    service: &ServiceName,
    outbox: &Outbox,
) -> Result<(Tools, Sight, Cluster), Failure> {
    let tools = project.tools().await?;
    let mut sight = running(project, &tools, outbox).await?;
    if let Some(failure) = podless(&sight.observed, service) {
        return Err(failure);
    }
    let cluster = sight
        .cluster
        .take()
        .filter(|_| is_deployed(&sight.observed, service))
        .ok_or_else(|| not_deployed(service))?;
    Ok((tools, sight, cluster))
}

/// One command at a time debugs a service; the kernel frees the lock when that ends, however it ends.
fn lock(project: &Project, service: &ServiceName) -> Result<LockedFile, Failure> {
    let path = project.paths.debugging(service, "lock");
    let attempt = lock_file::try_lock(&path).map_err(|error| error.failure())?;
    match attempt {
        LockAttempt::Held(mut file) => {
            let pid = std::process::id().to_string();
            file.describe(&pid).map_err(|error| error.failure())?;
            Ok(file)
        }
        LockAttempt::Busy(pid) => Err(Failure::new(
            "debug.running",
            ExitClass::Locked,
            format!("{service} is debugged already"),
        )
        .because(format!("process {pid} does it"))
        .of(service)
        .help(format!("end that with Ctrl-C, or: kill {pid}"))),
    }
}

/// Undoes what a killed command has left: of the process, of the Kubernetes Service, and of an IDE's files.
async fn undo_left(
    project: &Project,
    tools: &Tools,
    sight: &Sight,
    cluster: &Cluster,
    service: &ServiceName,
    outbox: &Outbox,
) -> Result<(), Failure> {
    put_back(project, service, outbox).await?;
    let paths = &project.paths;
    let record = written::record(paths, service).map_err(|error| error.failure())?;
    let marked = cluster.debugged_pod(service).await;
    let marked = marked.map_err(|error| error.failure())?;
    // The state can be lost, and a service may have no Kubernetes Service to be marked.
    let Some(pod) = marked.or(record.map(|record| record.pod)) else {
        return written::forget(paths, service).map_err(|error| error.failure());
    };
    let workload = project.environment.services.get(service);
    let workload = workload.and_then(|service| service.workload());
    let agents = Agents::new(tools.docker.clone());
    let mut processes = Vec::new();
    for pod in sight.observed.pods.iter().filter(|found| found.name == pod) {
        processes.extend(agents.with_init(pod).await?);
    }
    if let Some(workload) = workload {
        let undoing = processes
            .iter()
            .map(|process| run::undo(&agents, process, workload));
        join_all(undoing)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
    }
    let back = cluster.set_debugged(service, None).await;
    back.map_err(|error| error.failure())?;
    written::forget(paths, service).map_err(|error| error.failure())?;
    let text = format!("undid what a killed `devenv debug {service}` had left");
    outbox.notice(NoticeLevel::Info, text).await;
    Ok(())
}

/// Has the files of an IDE as before.
async fn put_back(
    project: &Project,
    service: &ServiceName,
    outbox: &Outbox,
) -> Result<(), Failure> {
    let put = written::put_back(&project.paths, service).map_err(|error| error.failure())?;
    if let PutBack::ChangedMeanwhile(path) = put {
        let text = format!(
            "{} was changed meanwhile, and is left as it is: remove `devenv: {service}` from it",
            path.display()
        );
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    Ok(())
}

/// The port of this machine that is asked for; `None` for any.
fn local_port(wanted: Option<u16>, debugger: PortNumber) -> Option<PortNumber> {
    wanted.map_or(Some(debugger), PortNumber::new)
}
