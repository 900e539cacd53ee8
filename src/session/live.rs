//! The work of a session: the live loop, with the logs that it keeps.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Board, Ended, Work};
use crate::{
    domain::{Failures, ServiceName},
    features::{
        Project,
        live::{self, Audience, Hear, LiveEnd, Open},
    },
    report::{LiveEvent, Standing},
};

/// Follows the files of a project, brings edits into its containers, and keeps what they say.
pub struct LiveWork {
    project: Project,
    open: Open,
}

impl LiveWork {
    /// The work for a project, which `open` reads again.
    pub fn new(
        project: Project,
        open: impl Fn() -> Result<Project, Failures> + Send + Sync + 'static,
    ) -> Self {
        Self {
            project,
            open: Arc::new(open),
        }
    }
}

impl Work for LiveWork {
    async fn run(self, board: Board, cancel: CancellationToken) -> Ended {
        let redactor = board.redactor().clone();
        let audience = Audience::new(board);
        match live::follow(self.project, self.open, audience, redactor, &cancel).await {
            LiveEnd::Cancelled => Ended::Cancelled,
            LiveEnd::ClusterGone => Ended::ClusterGone,
        }
    }
}

impl Hear for Board {
    fn event(&self, event: LiveEvent) {
        self.tell(event);
    }

    fn standing(&self, service: &ServiceName, standing: Standing) {
        self.standing(service, standing);
    }
}
