//! A cluster that does not answer: what became of it, and its start where nobody else starts it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{deploy, shared::Shared};
use crate::{
    adapters::docker::{ClusterContainer, EngineState},
    engine::check_identity,
    report::{LiveAction, LiveLeft, LiveWhat},
    state::{LoadedRecord, Record},
};

/// What became of a cluster that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may answer again at any time.
    Unknown,
    /// It was removed, or another has its name.
    Gone,
    /// The docker engine was away, and did not start it again: after a kill it takes what it finds for stopped by hand.
    LeftStopped,
}

/// What is known of it since it does not answer.
#[derive(Debug, Default)]
pub(super) struct Lost {
    docker_was_away: bool,
}

impl Lost {
    /// Looks what became of it.
    pub(super) async fn fate(&mut self, shared: &Shared) -> Fate {
        let id = &shared.environment().id;
        let Ok(mut nodes) = shared.tools.docker.nodes_of(&id.cluster()).await else {
            self.docker_was_away = true;
            return Fate::Unknown;
        };
        nodes.retain(|node: &ClusterContainer| node.environment.as_deref() == Some(id.as_str()));
        if nodes.is_empty() || is_anothers(shared).await {
            return Fate::Gone;
        }
        let is_stopped = |node: &ClusterContainer| node.state == EngineState::Exited;
        // One that is stopped by hand is to stay so: that is asked for once, by an engine that comes back.
        if std::mem::take(&mut self.docker_was_away) && nodes.iter().all(is_stopped) {
            return Fate::LeftStopped;
        }
        Fate::Unknown
    }
}

async fn is_anothers(shared: &Shared) -> bool {
    let Ok(LoadedRecord::Found(record)) = Record::load(&shared.project.paths.record()) else {
        return false;
    };
    match shared.cluster.identity().await {
        Ok(identity) => check_identity(record.identity.as_ref(), &identity).is_err(),
        Err(_) => false,
    }
}

/// Starts the cluster that the docker engine left stopped.
pub(super) async fn start_again(shared: Arc<Shared>, cancel: CancellationToken) {
    let audience = &shared.audience;
    audience.warn(
        None,
        "the docker engine was away, and left the cluster stopped: it is started again",
    );
    let started = deploy::start(&shared, &cancel).await;
    if let Err(failures) = started
        && !cancel.is_cancelled()
    {
        let cluster = shared.environment().id.cluster().to_string();
        let change = super::shared::change(cluster, 0, LiveAction::Redeploy, None, 0);
        let failures = failures.iter().map(Into::into).collect();
        let left = LiveLeft::AsBefore;
        audience.tell(
            None,
            LiveWhat::Failed {
                change,
                left,
                failures,
            },
        );
    }
}
