//! What a change needs the cluster's API for: an image built anew and rolled out, a manifest applied.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::{
    domain::{Desired, Failure, Failures, ServiceName},
    features::{
        Project,
        observe::observe,
        power,
        up::{Scope, Wanted, up},
    },
    report::{Outbox, Up},
    state::{Actor, EnvironmentLock, Journal, LockError},
};

/// How often the lock is asked for while a command holds it.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a rollout may take.
const DEADLINE: Duration = Duration::from_mins(15);

/// What is deployed.
#[derive(Debug, Clone)]
pub(super) enum Deployment {
    /// The image of one service.
    Rebuild(ServiceName),
    /// What the manifest says now.
    Redeploy {
        /// The services that it had before.
        before: Vec<ServiceName>,
    },
}

impl Deployment {
    /// What the holder of the lock is called, and its journal.
    fn command(&self) -> String {
        match self {
            Self::Rebuild(service) => format!("session (rebuild {service})"),
            Self::Redeploy { .. } => "session (redeploy)".to_owned(),
        }
    }

    /// What is to be brought up; `None` if nothing is.
    async fn wanted(&self, project: &Project, outbox: &Outbox) -> Result<Option<Wanted>, Failure> {
        let (services, scope) = match self {
            Self::Rebuild(service) => (vec![service.clone()], Scope::Alone),
            Self::Redeploy { before } => match affected(project, before, outbox).await? {
                Some(services) => (services, Scope::WithDependencies),
                None => return Ok(None),
            },
        };
        Ok(Some(Wanted {
            services,
            scope,
            deadline: DEADLINE,
        }))
    }
}

/// Whom a manifest concerns that changed, as [`Wanted`] says it: everybody (an empty list) where all that it had before
/// was brought up; else those that are there, since the user wanted no others. `None` if none is.
async fn affected(
    project: &Project,
    before: &[ServiceName],
    outbox: &Outbox,
) -> Result<Option<Vec<ServiceName>>, Failure> {
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let nothing = Desired::default();
    let sight = observe(project, &tools, record.as_ref(), &nothing, outbox).await?;
    let is_there = |service: &&ServiceName| sight.observed.releases.contains_key(*service);
    if before.iter().all(|service| is_there(&service)) {
        return Ok(Some(Vec::new()));
    }
    let services = project.environment.services.keys();
    let there: Vec<ServiceName> = services.filter(is_there).cloned().collect();
    Ok((!there.is_empty()).then_some(there))
}

/// Deploys, once no command is at work on the environment; ends soon after it is told to stop. `None` if nothing that it
/// concerns is in the cluster.
pub(super) async fn deploy(
    shared: &Shared,
    deployment: &Deployment,
    cancel: &CancellationToken,
) -> Result<Option<Up>, Failures> {
    let project = &shared.project;
    let deploying = async |outbox: &Outbox| match deployment.wanted(project, outbox).await? {
        Some(wanted) => up(project, &wanted, outbox, cancel).await.map(Some),
        None => Ok(None),
    };
    alone(shared, &deployment.command(), cancel, deploying).await
}

/// Starts the cluster with all that is in it, in the same way.
pub(super) async fn start(shared: &Shared, cancel: &CancellationToken) -> Result<(), Failures> {
    let project = &shared.project;
    let starting = async |outbox: &Outbox| {
        let started = power::start(project, outbox, cancel, DEADLINE).await;
        started.map(|_| ())
    };
    alone(shared, "session (start)", cancel, starting).await
}

/// Does something to the environment while no command does, and keeps a journal of it.
async fn alone<T>(
    shared: &Shared,
    command: &str,
    cancel: &CancellationToken,
    work: impl AsyncFnOnce(&Outbox) -> Result<T, Failures>,
) -> Result<T, Failures> {
    let project = &shared.project;
    let _lock = lock(project, command, cancel).await?;
    let (outbox, mut messages) = Outbox::keeping(shared.redactor.clone());
    let header = project.run_header(Actor::Session, "session", &[command.to_owned()]);
    let redactor = outbox.redactor().clone();
    let journal = Journal::begin(&project.paths.journal(), &header, redactor);
    // A run without its journal is better than no run.
    if let Ok(journal) = journal {
        outbox.listen(Box::new(journal));
    }
    let working = work(&outbox);
    tokio::pin!(working);
    loop {
        tokio::select! {
            done = &mut working => {
                let failures = done.as_ref().err();
                outbox.end_run(failures.map_or(0, Failures::exit_code), failures);
                return done;
            }
            // The journal has heard it; nobody else listens.
            _ = messages.recv() => {}
        }
    }
}

async fn lock(
    project: &Project,
    command: &str,
    cancel: &CancellationToken,
) -> Result<EnvironmentLock, Failures> {
    loop {
        let now = Timestamp::now();
        match EnvironmentLock::take(&project.paths, Actor::Session, command, now) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held { .. }) if !cancel.is_cancelled() => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.failure(now).into()),
        }
    }
}
