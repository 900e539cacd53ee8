//! Through which the work of a session says things: to the store, and to whoever is attached.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::broadcast;

use super::protocol::StatusAnswer;
use crate::{
    domain::ServiceName,
    report::{LiveEvent, Redactor, Standing},
    state::LiveStore,
};

/// How many of the last events an attached client may ask for.
const RECENT: usize = 1000;
/// How many events an attached client may be behind before it misses some.
const BEHIND: usize = 1024;

/// Takes what the work says. Cheap to clone.
#[derive(Clone)]
pub struct Board {
    shared: Arc<Mutex<Shared>>,
    redactor: Redactor,
}

struct Shared {
    store: LiveStore,
    /// The last events, as lines.
    recent: VecDeque<Arc<str>>,
    /// `None` once there will be no more.
    line_tx: Option<broadcast::Sender<Arc<str>>>,
    standings: BTreeMap<ServiceName, Standing>,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

impl Board {
    /// A board that keeps events in `store`; `earlier` are those of the sessions before.
    pub(super) fn new(store: LiveStore, earlier: &[LiveEvent], redactor: Redactor) -> Self {
        let newest = &earlier[earlier.len().saturating_sub(RECENT)..];
        let shared = Shared {
            store,
            recent: newest
                .iter()
                .map(|event| redacted(event, &redactor))
                .collect(),
            line_tx: Some(broadcast::Sender::new(BEHIND)),
            standings: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            redactor,
        }
    }

    /// What is kept out of all that is said.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Says that something happened. Waits for nobody.
    pub fn tell(&self, event: LiveEvent) {
        let line = redacted(event, &self.redactor);
        let mut shared = self.lock();
        // A disk that is full is no reason to end, and the next line is tried again.
        let _ = shared.store.append(&line);
        if shared.recent.len() == RECENT {
            shared.recent.pop_front();
        }
        shared.recent.push_back(Arc::clone(&line));
        if let Some(line_tx) = &shared.line_tx {
            // That nobody listens is fine.
            let _ = line_tx.send(line);
        }
    }

    /// Says how it stands with a service, in place of what was said before.
    pub fn standing(&self, service: &ServiceName, standing: Standing) {
        self.lock().standings.insert(service.clone(), standing);
    }

    /// How it stands with the services, as a line.
    pub(super) fn standings(&self) -> Arc<str> {
        let services = self.lock().standings.clone();
        redacted(StatusAnswer { services }, &self.redactor)
    }

    /// The last `tail` events, and then all that come: none is left out, and none comes twice.
    pub(super) fn listen(&self, tail: usize) -> Hearing {
        let shared = self.lock();
        let left_out = shared.recent.len().saturating_sub(tail);
        Hearing {
            recent: shared.recent.iter().skip(left_out).cloned().collect(),
            line_rx: shared.line_tx.as_ref().map(broadcast::Sender::subscribe),
        }
    }

    /// There will be no more: who listens hears what is left, and then the end.
    pub(super) fn close(&self) {
        self.lock().line_tx = None;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one who listens hears.
pub(super) struct Hearing {
    recent: VecDeque<Arc<str>>,
    line_rx: Option<broadcast::Receiver<Arc<str>>>,
}

/// What is heard next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An event, as a line.
    Line(Arc<str>),
    /// So many events went by before they were listened to.
    Missed(u64),
    /// Nothing will come any more.
    End,
}

impl Hearing {
    /// What comes next. A call that is dropped loses nothing.
    pub(super) async fn next(&mut self) -> Heard {
        if let Some(line) = self.recent.pop_front() {
            return Heard::Line(line);
        }
        let Some(line_rx) = &mut self.line_rx else {
            return Heard::End;
        };
        match line_rx.recv().await {
            Ok(line) => Heard::Line(line),
            Err(broadcast::error::RecvError::Lagged(missed)) => Heard::Missed(missed),
            Err(broadcast::error::RecvError::Closed) => Heard::End,
        }
    }
}

/// A document as a line without secrets: they are replaced before it is quoted.
fn redacted(document: impl Serialize, redactor: &Redactor) -> Arc<str> {
    let mut value = serde_json::to_value(document).unwrap_or_default();
    redactor.value(&mut value);
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::files,
        report::{LiveWhat, StandingState},
        state::live_events,
    };

    fn board() -> (tempfile::TempDir, Board, Redactor) {
        let directory = tempfile::tempdir().unwrap();
        let store = LiveStore::new(directory.path().join("live.jsonl"));
        let redactor = Redactor::default();
        let board = Board::new(store, &[], redactor.clone());
        (directory, board, redactor)
    }

    fn notice(text: &str) -> LiveEvent {
        LiveEvent {
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            service: None,
            what: LiveWhat::Notice {
                is_warning: false,
                text: text.to_owned(),
            },
        }
    }

    fn line(text: &str) -> Heard {
        Heard::Line(serde_json::to_string(&notice(text)).unwrap().into())
    }

    #[tokio::test]
    async fn who_listens_hears_the_last_events_and_every_further_one_once() {
        let (_directory, board, _) = board();
        for text in ["one", "two", "three"] {
            board.tell(notice(text));
        }
        let mut hearing = board.listen(2);
        board.tell(notice("four"));
        board.close();
        for text in ["two", "three", "four"] {
            assert_eq!(hearing.next().await, line(text));
        }
        assert_eq!(hearing.next().await, Heard::End);
        assert_eq!(board.listen(0).next().await, Heard::End);
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_much_was_missed_and_holds_nobody_up() {
        let (_directory, board, _) = board();
        let mut hearing = board.listen(0);
        for index in 0..BEHIND + 5 {
            board.tell(notice(&index.to_string()));
        }
        assert_eq!(hearing.next().await, Heard::Missed(5));
        assert_eq!(hearing.next().await, line("5"));
    }

    #[tokio::test]
    async fn a_secret_reaches_neither_the_disk_nor_a_client() {
        let (directory, board, redactor) = board();
        redactor.register("hunter2\"hunter2");
        let mut hearing = board.listen(0);
        board.tell(notice("it is hunter2\"hunter2"));
        let payment = "payment".parse().unwrap();
        let standing = Standing {
            containers: 0,
            state: StandingState::Failed {
                reason: "hunter2\"hunter2".to_owned(),
            },
        };
        board.standing(&payment, standing);
        assert_eq!(hearing.next().await, line("it is [redacted]"));
        assert!(board.standings().contains("[redacted]"));
        let kept = files::read_text(&directory.path().join("live.jsonl")).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
    }

    #[tokio::test]
    async fn the_events_of_the_session_before_are_among_the_last_ones() {
        let (directory, board, redactor) = board();
        board.tell(notice("before"));
        let path = directory.path().join("live.jsonl");
        let earlier = live_events(&path).unwrap();
        let again = Board::new(LiveStore::new(path), &earlier, redactor);
        assert_eq!(again.listen(10).next().await, line("before"));
    }
}
