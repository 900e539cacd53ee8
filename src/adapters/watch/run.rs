//! The loop of a watcher: waits for hints, looks, and tells.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Batch, News,
    batch::{self, Course, Together},
    checkout::Checkouts,
    forest::{Forest, Outcome},
    hints::Pending,
    kernel::Kernel,
};

/// How often directories are looked at that the kernel does not watch.
const POLL: Duration = Duration::from_secs(1);

/// What a running watcher works with.
#[derive(Debug)]
pub(super) struct Run<K> {
    forest: Forest<K>,
    pending: Arc<Pending>,
    news: mpsc::Sender<News>,
    checkouts: Checkouts,
    /// When to look again at what the kernel does not watch.
    next_poll: Instant,
    course: Course,
    /// What a checkout that goes on has changed so far: what is seen in its middle is a tree that nobody wants to run.
    held: Option<Outcome>,
}

/// Why the loop goes on.
enum Wake {
    Hints(Together),
    Poll,
}

/// Nobody receives the news any more, or the work broke off.
struct Ended;

impl<K: Kernel + 'static> Run<K> {
    pub(super) fn new(forest: Forest<K>, pending: Arc<Pending>, news: mpsc::Sender<News>) -> Self {
        Self {
            checkouts: Checkouts::around(forest.roots()),
            forest,
            pending,
            news,
            next_poll: Instant::now() + POLL,
            course: Course::Complete,
            held: None,
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
                Wake::Hints(together) => {
                    self.course = together.course;
                    (together.first, self.forest.apply(&together.hints))
                }
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
        let hints = batch::next(&self.pending, self.course, &mut self.checkouts);
        if !self.forest.needs_polling() {
            return Wake::Hints(hints.await);
        }
        tokio::select! {
            together = hints => Wake::Hints(together),
            () = sleep_until(self.next_poll) => Wake::Poll,
        }
    }

    async fn tell(&mut self, first: Instant, outcome: Outcome) -> Result<(), Ended> {
        let held = self.held.take();
        let together = |later: Outcome| match held {
            Some(held) => held.and_then(later),
            None => later,
        };
        if self.course != Course::Complete {
            let changes = outcome.changes.clone();
            self.held = Some(together(outcome));
            if changes.is_empty() {
                return Ok(());
            }
            return self.send(News::Underway(changes)).await;
        }
        let outcome = together(outcome);
        if !outcome.is_worth_telling() {
            return Ok(());
        }
        let batch = Batch {
            changes: outcome.changes,
            first_seen: first.into_std(),
            reason: outcome.why,
            notices: outcome.notices,
        };
        self.send(News::Batch(batch)).await
    }

    async fn send(&self, news: News) -> Result<(), Ended> {
        self.news.send(news).await.map_err(|_| Ended)
    }
}
