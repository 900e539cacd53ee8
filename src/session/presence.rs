//! A work that does nothing but watch over the cluster: the session ends with it.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Board, Ended, Work};
use crate::{
    adapters::docker::{Docker, NodeRole},
    features::Project,
    report::{LiveEvent, LiveWhat},
    state::{Holder, LoadedRecord, Record},
};

/// Between two looks at the cluster's containers.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Goes on while the environment's cluster is there, and until it was there once.
#[derive(Debug)]
pub struct WhileThere {
    project: Project,
}

impl WhileThere {
    /// The work for this project.
    pub const fn new(project: Project) -> Self {
        Self { project }
    }

    /// Whether a cluster was created, by the record.
    fn was_created(&self) -> bool {
        match Record::load(&self.project.paths.record()) {
            Ok(LoadedRecord::Found(record)) => record.identity.is_some(),
            // A command will say what is wrong with it.
            Ok(LoadedRecord::Absent | LoadedRecord::Damaged { .. }) | Err(_) => false,
        }
    }

    /// Returns once the cluster is gone.
    async fn gone(&self) {
        let mut was_there = self.was_created();
        let mut docker = None;
        loop {
            match self.look(&mut docker).await {
                Some(Presence::There) => was_there = true,
                // A command at work may be about to create it anew.
                Some(Presence::Gone) if was_there && Holder::of(&self.project.paths).is_none() => {
                    return;
                }
                Some(Presence::Gone) | None => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether the cluster has a node, running or not; `None` if docker does not say.
    async fn look(&self, docker: &mut Option<Docker>) -> Option<Presence> {
        if docker.is_none() {
            *docker = self.project.tools().await.ok().map(|tools| tools.docker);
        }
        let cluster = self.project.environment.id.cluster();
        let containers = docker.as_ref()?.containers_of(&cluster).await;
        // One that went away may answer elsewhere when it is back.
        let Ok(containers) = containers else {
            *docker = None;
            return None;
        };
        let mut roles = containers.iter().map(|container| container.role);
        Some(if roles.any(|role| role == NodeRole::Server) {
            Presence::There
        } else {
            Presence::Gone
        })
    }
}

/// Whether a cluster has a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Gone,
}

impl Work for WhileThere {
    async fn run(self, board: Board, cancel: CancellationToken) -> Ended {
        if cancel.run_until_cancelled(self.gone()).await.is_none() {
            return Ended::Cancelled;
        }
        board.tell(LiveEvent {
            at: Timestamp::now(),
            service: None,
            what: LiveWhat::Notice {
                is_warning: true,
                text: "the cluster is gone, and the session ends with it".to_owned(),
            },
        });
        Ended::ClusterGone
    }
}
