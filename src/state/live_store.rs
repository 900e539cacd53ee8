//! What the session did: every event as one line of JSON, the newest of them kept.
//!
//! Written by the session alone; anybody may read. It never stops the session: where a line cannot be
//! written it is lost, and the next one is tried again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{
    adapters::files::{self, FileError},
    report::{LiveChange, LiveEdit, LiveEvent, LiveTimes, LiveWhat},
};

/// How large the file may grow, in bytes, before it is cut to half of that.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Of how many of the last changes the times are told.
const TIMED: usize = 200;

/// The file of the events.
#[derive(Debug)]
pub struct LiveStore {
    path: PathBuf,
    /// `None` before the first line, and once a line could not be written.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl LiveStore {
    /// The store at `path`, where there need not be a file.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Adds a line, without its end, from which all secrets are gone.
    pub fn append(&mut self, line: &str) -> Result<(), FileError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        if open.bytes + line.len() as u64 >= LARGEST {
            files::cut_to_newest(&self.path, LARGEST / 2)?;
            open = Open::at(&self.path)?;
        }
        open.write(&self.path, line)?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> Result<Self, FileError> {
        let is_torn = files::read_if_there(path)?.is_some_and(|bytes| !ends_a_line(&bytes));
        let file = files::append_private(path)?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        let mut open = Self { file, bytes };
        if is_torn {
            // What a killed session began must not spoil the next line too.
            open.write(path, "")?;
        }
        Ok(open)
    }

    /// One write a line: a crash leaves whole lines, and at most one that is torn.
    fn write(&mut self, path: &Path, line: &str) -> Result<(), FileError> {
        let line = format!("{line}\n");
        self.bytes += line.len() as u64;
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| FileError {
                operation: files::Operation::Write,
                path: path.to_owned(),
                source,
            })
    }
}

fn ends_a_line(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.ends_with(b"\n")
}

/// Every event that is kept, the oldest first. Lines that are torn, or of another devenv, are left out.
pub fn live_events(path: &Path) -> Result<Vec<LiveEvent>, FileError> {
    let bytes = files::read_if_there(path)?.unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// How long edits took to be live, by service.
pub fn live_times(path: &Path) -> Result<BTreeMap<String, LiveTimes>, FileError> {
    let mut all: BTreeMap<String, Vec<LiveEdit>> = BTreeMap::new();
    for event in live_events(path)? {
        if let (Some(service), Some(edit)) = (event.service.clone(), edit(event)) {
            all.entry(service).or_default().push(edit);
        }
    }
    let times = all
        .into_iter()
        .filter_map(|(service, edits)| Some((service, times(&edits)?)));
    Ok(times.collect())
}

fn edit(event: LiveEvent) -> Option<LiveEdit> {
    match event.what {
        LiveWhat::Done {
            change: LiveChange { file, action, .. },
            total_millis: millis,
            ..
        } => Some(LiveEdit {
            file,
            millis,
            at: event.at,
            action,
        }),
        LiveWhat::Began { .. }
        | LiveWhat::Failed { .. }
        | LiveWhat::Adopted { .. }
        | LiveWhat::Notice { .. } => None,
    }
}

fn times(edits: &[LiveEdit]) -> Option<LiveTimes> {
    let last = edits.last()?.clone();
    let newest = &edits[edits.len().saturating_sub(TIMED)..];
    let mut millis: Vec<f64> = newest.iter().map(|edit| edit.millis).collect();
    millis.sort_by(f64::total_cmp);
    Some(LiveTimes {
        changes: edits.len().try_into().unwrap_or(u32::MAX),
        last,
        p50_millis: percentile(&millis, 50)?,
        p95_millis: percentile(&millis, 95)?,
    })
}

/// The smallest of the sorted values that so many percent of them do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::report::LiveAction;

    fn store() -> (tempfile::TempDir, LiveStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = LiveStore::new(directory.path().join("live.jsonl"));
        (directory, store)
    }

    fn done(service: &str, file: &str, millis: f64) -> String {
        let event = LiveEvent {
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            service: Some(service.to_owned()),
            what: LiveWhat::Done {
                change: LiveChange {
                    file: file.to_owned(),
                    files: 1,
                    action: LiveAction::Restart,
                    rule: None,
                    containers: 1,
                },
                total_millis: millis,
                stages: Vec::new(),
                over_budget_millis: None,
            },
        };
        serde_json::to_string(&event).unwrap()
    }

    #[test]
    fn the_times_are_those_of_the_last_two_hundred_changes_of_a_service() {
        let (_directory, mut store) = store();
        // The first ones are slow, and too long ago to count.
        for millis in (1001..=1100).chain(1..=200) {
            let line = done("payment", "src/app.py", f64::from(millis));
            store.append(&line).unwrap();
        }
        store.append(&done("order", "main.go", 7.5)).unwrap();
        let times = live_times(&store.path).unwrap();
        let payment = &times["payment"];
        assert_eq!((payment.changes, payment.last.millis), (300, 200.0));
        assert_eq!((payment.p50_millis, payment.p95_millis), (100.0, 190.0));
        let order = &times["order"];
        assert_eq!((order.p50_millis, order.p95_millis), (7.5, 7.5));
        assert_eq!(order.last.file, "main.go");
    }

    #[test]
    fn where_nothing_was_kept_there_are_no_times() {
        let (_directory, store) = store();
        assert!(live_times(&store.path).unwrap().is_empty());
    }

    #[test]
    fn a_torn_line_is_left_out_and_spoils_no_other() {
        let (_directory, mut store) = store();
        store.append(&done("payment", "a", 1.0)).unwrap();
        let whole = files::read(&store.path).unwrap();
        for end in 0..whole.len() {
            files::write_private(&store.path, &whole[..end]).unwrap();
            let mut again = LiveStore::new(store.path.clone());
            again.append(&done("payment", "b", 2.0)).unwrap();
            let files: Vec<String> = live_events(&store.path)
                .unwrap()
                .into_iter()
                .filter_map(|event| edit(event).map(|edit| edit.file))
                .collect();
            let is_whole = end == whole.len() - 1;
            let expected: &[&str] = if is_whole { &["a", "b"] } else { &["b"] };
            assert_eq!(files, expected, "{end}");
        }
    }

    #[test]
    fn a_full_store_keeps_the_newest_half() {
        let (_directory, mut store) = store();
        let long = "x".repeat(100_000);
        for index in 0..60_u32 {
            let line = done("payment", &long, f64::from(index));
            store.append(&line).unwrap();
            assert!(store.path.metadata().unwrap().len() <= LARGEST);
        }
        let events = live_events(&store.path).unwrap();
        let numbers: Vec<f64> = events
            .into_iter()
            .filter_map(|event| edit(event).map(|edit| edit.millis))
            .collect();
        assert!((20..45).contains(&numbers.len()), "{numbers:?}");
        let all: Vec<f64> = (0..60_u32).map(f64::from).collect();
        assert_eq!(numbers, all[60 - numbers.len()..]);
        let mode = store.path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
