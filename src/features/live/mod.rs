//! The live loop: an edit on this machine -> the service runs with it.
//!
//! Run by the session. It keeps the containers of live services the same as the files of this machine: every container
//! that appears is compared with them before its service starts, and every change is brought into those that run. What
//! is needed for that is looked at, not remembered: a loop that was killed and started again goes on where it was.
//! It prints nothing; what it does it tells its [`Audience`].

mod adopt;
mod ahead;
mod audience;
mod deploy;
mod edit;
mod follower;
mod generation;
mod host_build;
mod known;
mod lost;
mod reach;
mod ready;
mod rules;
mod shared;
mod standing;
mod stopwatch;
mod tree;
mod watching;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

pub use self::audience::{Audience, Hear};
use self::{
    generation::{End, Generation},
    shared::Shared,
};
use crate::{
    adapters::{files, kube::Cluster},
    domain::{Failure, Failures, ServiceName},
    engine::{NAMESPACE, Tools, check_identity},
    features::{Project, process::Agents, secrecy::hide_secrets},
    report::Redactor,
    state::{Holder, LoadedRecord, Record},
};

/// How often it is looked whether the cluster is there, where it is not yet; nobody tells of it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long there may be neither a cluster nor a command that makes one.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// How long to wait before what could not be followed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Reads the manifest again as it was read first.
pub type Open = Arc<dyn Fn() -> Result<Project, Failures> + Send + Sync>;

/// Why the live loop ended.
#[derive(Debug)]
pub enum LiveEnd {
    /// It was told to.
    Cancelled,
    /// The cluster is gone.
    ClusterGone,
}

/// Follows a project until it is told to stop or its cluster is gone.
///
/// The cluster may still be on its way. A manifest that changes is followed as it is then, and applied if a service of
/// it has `live`. The logs of all services are kept, whether something is live or not.
pub async fn follow(
    mut project: Project,
    open: Open,
    audience: Audience,
    redactor: Redactor,
    cancel: &CancellationToken,
) -> LiveEnd {
    // The services that the manifest had before it changed.
    let mut before = None;
    let mut told = None;
    loop {
        let beginning = begin(&project, &audience);
        let (cluster, tools) = match cancel.run_until_cancelled(beginning).await {
            None => return LiveEnd::Cancelled,
            Some(None) => return gone(&audience),
            Some(Some(connected)) => connected,
        };
        hide_secrets(&project.environment, &redactor);
        let shared = Shared {
            agents: agents(&tools, &audience),
            project: project.clone(),
            tools,
            cluster,
            audience: audience.clone(),
            redactor: redactor.clone(),
        };
        let generation = match Generation::start(Arc::new(shared)).await {
            Ok(generation) => generation,
            Err(failure) => {
                if told.as_ref() != Some(&failure) {
                    audience.warn(None, failure.what.clone());
                    told = Some(failure);
                }
                let waiting = cancel.run_until_cancelled(tokio::time::sleep(TRY_AGAIN));
                if waiting.await.is_none() {
                    return LiveEnd::Cancelled;
                }
                // The manifest may be what has to change, and nobody watches it now.
                if let Ok(now) = open()
                    && now.environment != project.environment
                {
                    change(&mut project, now, &mut before);
                }
                continue;
            }
        };
        told = None;
        match generation.run(&open, before.take(), cancel).await {
            End::Cancelled => return LiveEnd::Cancelled,
            End::ClusterGone => return gone(&audience),
            End::Manifest(changed) => {
                change(&mut project, *changed, &mut before);
            }
            End::WatcherEnded => {
                audience.warn(None, "the watcher of files ended; it is started again");
            }
        }
    }
}

/// Goes over to what the manifest says `now`; notes what services it had `before` where that is to be applied.
fn change(project: &mut Project, now: Project, before: &mut Option<Vec<ServiceName>>) {
    let old = std::mem::replace(project, now);
    // Where nothing is live, the manifest waits for the next `devenv up`.
    if project.environment.is_live() {
        before.get_or_insert_with(|| old.environment.services.into_keys().collect());
    }
}

fn agents(tools: &Tools, audience: &Audience) -> Agents {
    let audience = audience.clone();
    Agents::telling(tools.docker.clone(), move |error| {
        audience.warn(None, format!("{error}; it is started again"));
    })
}

fn gone(audience: &Audience) -> LiveEnd {
    audience.inform(None, "the cluster is gone, and the session ends with it");
    LiveEnd::ClusterGone
}

/// Waits until the cluster of the project is there and answers; `None` if there is none, and nobody makes one.
async fn begin(project: &Project, audience: &Audience) -> Option<(Cluster, Tools)> {
    let mut told = None;
    let mut absent_since = None;
    loop {
        match connect(project).await {
            Ok(Found::Connected(connected)) => return Some(*connected),
            Ok(Found::Silent) => absent_since = None,
            Ok(Found::Nothing) if Holder::of(&project.paths).is_some() => absent_since = None,
            Ok(Found::Nothing) => {
                let since = *absent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= GONE_AFTER {
                    return None;
                }
            }
            // A docker or an API that does not answer may be on its way back.
            Err(failure) if told.as_ref() != Some(&failure.code) => {
                audience.warn(None, failure.what);
                told = Some(failure.code);
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What there is of a cluster.
enum Found {
    /// It answers.
    Connected(Box<(Cluster, Tools)>),
    /// It was created, and does not answer.
    Silent,
    /// It was not created.
    Nothing,
}

async fn connect(project: &Project) -> Result<Found, Failure> {
    let record = Record::load(&project.paths.record()).map_err(|error| error.failure())?;
    let kubeconfig = project.paths.kubeconfig();
    let LoadedRecord::Found(record) = record else {
        return Ok(Found::Nothing);
    };
    if record.identity.is_none() || !files::exists(&kubeconfig) {
        return Ok(Found::Nothing);
    }
    let cluster = Cluster::connect(&kubeconfig, NAMESPACE).await;
    let cluster = cluster.map_err(|error| error.failure())?;
    let Ok(identity) = cluster.identity().await else {
        return Ok(Found::Silent);
    };
    check_identity(record.identity.as_ref(), &identity)?;
    let tools = project.tools().await?;
    Ok(Found::Connected(Box::new((cluster, tools))))
}
