//! The loop of a watcher: waits for hints, looks, and tells.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Batch, batch,
    checkout::Checkouts,
    forest::{Forest, Outcome},
    hints::{Hints, Pending},
    kernel::Kernel,
};

/// How often directories are looked at that the kernel does not watch.
const POLL: Duration = Duration::from_secs(1);

/// What a running watcher works with.
#[derive(Debug)]
pub(super) struct Run<K> {
    forest: Forest<K>,
    pending: Arc<Pending>,
    batches: mpsc::Sender<Batch>,
    checkouts: Checkouts,
    /// When to look again at what the kernel does not watch.
    next_poll: Instant,
}

/// Why the loop goes on.
enum Wake {
    Hints(Instant, Hints),
    Poll,
}

/// Nobody receives the batches any more, or the work broke off.
struct Ended;

impl<K: Kernel + 'static> Run<K> {
    pub(super) fn new(
        forest: Forest<K>,
        pending: Arc<Pending>,
        batches: mpsc::Sender<Batch>,
    ) -> Self {
        Self {
            checkouts: Checkouts::around(forest.roots()),
            forest,
            pending,
            batches,
            next_poll: Instant::now() + POLL,
        }
    }

    /// Tells what the start brought, and then every change, until nobody listens.
    pub(super) async fn all(mut self, start: Outcome) {
        if self.tell(Instant::now(), start).await.is_err() {
            return;
        }
        while let Ok(next) = self.turn().await {
            self = next;
        }
    }

    async fn turn(mut self) -> Result<Self, Ended> {
        let wake = self.wake().await;
        let looking = tokio::task::spawn_blocking(move || {
            let (first, outcome) = match wake {
                Wake::Hints(first, hints) => (first, self.forest.apply(&hints)),
                Wake::Poll => {
                    let began = Instant::now();
                    let outcome = self.forest.poll();
                    self.next_poll = Instant::now() + POLL;
                    (began, outcome)
                }
            };
            (self, first, outcome)
        });
        let (mut run, first, outcome) = looking.await.map_err(|_| Ended)?;
        run.tell(first, outcome).await?;
        Ok(run)
    }

    async fn wake(&mut self) -> Wake {
        let hints = batch::next(&self.pending, &mut self.checkouts);
        if !self.forest.needs_polling() {
            let (first, hints) = hints.await;
            return Wake::Hints(first, hints);
        }
        tokio::select! {
            (first, hints) = hints => Wake::Hints(first, hints),
            () = sleep_until(self.next_poll) => Wake::Poll,
        }
    }

    async fn tell(&mut self, first: Instant, outcome: Outcome) -> Result<(), Ended> {
        if !outcome.is_worth_telling() {
            return Ok(());
        }
        let batch = Batch {
            changes: outcome.changes,
            first_seen: first.into_std(),
            reason: outcome.why,
            notices: outcome.notices,
        };
        self.batches.send(batch).await.map_err(|_| Ended)
    }
}
