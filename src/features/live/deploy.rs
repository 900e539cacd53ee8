//! What a change needs the cluster's API for: an image built anew and rolled out, a manifest applied.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Failures, ServiceName},
    features::{
        Project,
        up::{Scope, Wanted, up},
    },
    report::{Outbox, Up},
    state::{EnvironmentLock, Journal, LockError},
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
    /// All that the manifest says.
    Redeploy,
}

impl Deployment {
    /// What the holder of the lock is called, and its journal.
    fn command(&self) -> String {
        match self {
            Self::Rebuild(service) => format!("session (rebuild {service})"),
            Self::Redeploy => "session (redeploy)".to_owned(),
        }
    }

    fn wanted(&self) -> Wanted {
        match self {
            Self::Rebuild(service) => Wanted {
                services: vec![service.clone()],
                scope: Scope::Alone,
                deadline: DEADLINE,
            },
            Self::Redeploy => Wanted {
                services: Vec::new(),
                scope: Scope::WithDependencies,
                deadline: DEADLINE,
            },
        }
    }
}

/// Deploys, once no command is at work on the environment; ends soon after it is told to stop.
pub(super) async fn deploy(
    project: &Project,
    deployment: &Deployment,
    cancel: &CancellationToken,
) -> Result<Up, Failures> {
    let _lock = lock(project, deployment, cancel).await?;
    let (outbox, mut messages) = Outbox::new();
    let journal = Journal::begin(
        &project.paths.journal(),
        "session",
        Timestamp::now(),
        outbox.redactor().clone(),
    );
    // A run without its journal is better than no run.
    if let Ok(journal) = journal {
        outbox.listen(Box::new(journal));
    }
    let wanted = deployment.wanted();
    let deploying = up(project, &wanted, &outbox, cancel);
    tokio::pin!(deploying);
    loop {
        tokio::select! {
            done = &mut deploying => return done,
            // The journal has heard it; nobody else listens.
            _ = messages.recv() => {}
        }
    }
}

async fn lock(
    project: &Project,
    deployment: &Deployment,
    cancel: &CancellationToken,
) -> Result<EnvironmentLock, Failures> {
    let command = format!("devenv {}", deployment.command());
    loop {
        let now = Timestamp::now();
        match EnvironmentLock::take(&project.paths, &command, now) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held { .. }) if !cancel.is_cancelled() => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.failure(now).into()),
        }
    }
}
