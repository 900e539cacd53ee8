//! What the kernel said may have changed, gathered until somebody looks.

use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use notify::Event;
use tokio::{sync::Notify, time::Instant};

use super::Rescan;

/// More paths than this are not kept: looking at everything is then no more work, and memory stays bounded.
const MOST_PATHS: usize = 100_000;

/// What may have changed since it was asked for last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Absolute.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Why everything must be looked at.
    pub(super) rescan: Option<Rescan>,
}

/// Where hints gather.
#[derive(Debug, Default)]
pub(super) struct Pending {
    gathered: Mutex<Gathered>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Gathered {
    paths: HashSet<PathBuf>,
    rescan: Option<Rescan>,
    span: Option<Span>,
}

/// When the gathered hints came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: Instant,
    pub(super) last: Instant,
}

impl Pending {
    /// Takes what the kernel reports.
    pub(super) fn note(&self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            // Whatever was lost, looking at everything finds it.
            return self.ask(Rescan::Overflow);
        };
        if event.need_rescan() {
            return self.ask(Rescan::Overflow);
        }
        // What kind of change it was does not count: only what is there now does.
        if event.kind.is_access() {
            return;
        }
        for path in event.paths {
            self.hint(path);
        }
    }

    /// Adds a hint.
    pub(super) fn hint(&self, path: PathBuf) {
        let mut gathered = self.gathered();
        gathered.paths.insert(path);
        if gathered.paths.len() > MOST_PATHS {
            gathered.paths.clear();
            gathered.rescan = Some(Rescan::Overflow);
        }
        self.arrived(gathered);
    }

    /// Asks for a look at everything.
    pub(super) fn ask(&self, reason: Rescan) {
        let mut gathered = self.gathered();
        gathered.rescan = Some(reason);
        self.arrived(gathered);
    }

    fn arrived(&self, mut gathered: MutexGuard<'_, Gathered>) {
        let now = Instant::now();
        let first = gathered.span.map_or(now, |span| span.first);
        gathered.span = Some(Span { first, last: now });
        drop(gathered);
        if first == now {
            self.begun.notify_one();
        }
    }

    /// When the hints came, as soon as there are any.
    pub(super) async fn span(&self) -> Span {
        loop {
            let begun = self.begun.notified();
            if let Some(span) = self.gathered().span {
                return span;
            }
            begun.await;
        }
    }

    /// When the hints came, if there are any.
    pub(super) fn gathered_in(&self) -> Option<Span> {
        self.gathered().span
    }

    /// All hints so far.
    pub(super) fn take(&self) -> Hints {
        let gathered = std::mem::take(&mut *self.gathered());
        Hints {
            paths: gathered.paths.into_iter().collect(),
            rescan: gathered.rescan,
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        // Every change of it is complete: it is sound even after a panic elsewhere.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, DataChange, EventKind, Flag, ModifyKind};

    use super::*;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn hints_of_one_path_are_one() {
        let pending = Pending::default();
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        pending.note(Ok(event(write, "/a")));
        pending.note(Ok(event(EventKind::Create(CreateKind::File), "/b")));
        pending.note(Ok(event(write, "/b")));
        assert_eq!(pending.take().paths, ["/a", "/b"].map(PathBuf::from).into());
        assert_eq!(pending.take(), Hints::default());
    }

    #[test]
    fn an_access_is_no_hint() {
        let pending = Pending::default();
        pending.note(Ok(event(EventKind::Access(AccessKind::Read), "/a")));
        assert_eq!(pending.take(), Hints::default());
    }

    #[test]
    fn a_lost_event_or_an_error_asks_for_a_look_at_everything() {
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        for report in [Ok(overflow), Err(notify::Error::generic("broken"))] {
            let pending = Pending::default();
            pending.note(report);
            assert_eq!(pending.take().rescan, Some(Rescan::Overflow));
        }
    }

    #[test]
    fn more_hints_than_are_worth_keeping_ask_for_a_look_at_everything() {
        let pending = Pending::default();
        for index in 0..=MOST_PATHS {
            pending.hint(format!("/{index}").into());
        }
        let hints = pending.take();
        assert_eq!(hints.rescan, Some(Rescan::Overflow));
        assert!(hints.paths.is_empty());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_first_hint() {
        let pending = std::sync::Arc::new(Pending::default());
        let waiting = tokio::spawn({
            let pending = std::sync::Arc::clone(&pending);
            async move { pending.span().await }
        });
        tokio::task::yield_now().await;
        pending.hint("/a".into());
        let span = waiting.await.unwrap();
        assert_eq!(span.first, span.last);
    }
}
