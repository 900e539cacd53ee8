//! The journal: every event of a run as JSON Lines, one file a run.
//!
//! One more reader of the stream. It never stops a run: when the disk is full it ends and the run goes on.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    adapters::files::{self, FileError},
    domain::{Event, EventKind},
    report::{Listener, Redactor},
};

/// How many runs are kept.
const KEPT_RUNS: usize = 50;

/// A journal that could not be begun.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct JournalError(#[from] FileError);

/// The first line of a journal.
#[derive(Debug, Serialize)]
struct Header<'a> {
    schema: &'static str,
    command: &'a str,
    version: &'static str,
    started: Timestamp,
}

/// The journal of one run.
#[derive(Debug)]
pub struct Journal {
    /// `None` once a line could not be written.
    file: Option<File>,
    path: PathBuf,
    redactor: Redactor,
    started: Instant,
    next_index: u64,
}

impl Journal {
    /// Begins the journal of `command`, started at `now`, in `directory`; removes the oldest beyond the last 50.
    pub fn begin(
        directory: &Path,
        command: &str,
        now: Timestamp,
        redactor: Redactor,
    ) -> Result<Self, JournalError> {
        // The names sort by time, so that the oldest come first.
        let journals = files::list(directory)?;
        let surplus = (journals.len() + 1).saturating_sub(KEPT_RUNS);
        for old in journals.iter().take(surplus) {
            files::remove_file(old)?;
        }
        let name = format!("{}-{command}.jsonl", now.strftime("%Y%m%dT%H%M%S.%6fZ"));
        let path = directory.join(name);
        let mut journal = Self {
            file: Some(files::append_private(&path)?),
            path,
            redactor,
            started: Instant::now(),
            next_index: 0,
        };
        journal.write(&Header {
            schema: "devenv.journal/1",
            command,
            version: env!("CARGO_PKG_VERSION"),
            started: now,
        });
        Ok(journal)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, line: &impl Serialize) {
        let (Some(file), Ok(mut value)) = (&mut self.file, serde_json::to_value(line)) else {
            return;
        };
        self.redactor.value(&mut value);
        // One write a line: a crash leaves whole lines.
        if file.write_all(format!("{value}\n").as_bytes()).is_err() {
            self.file = None;
        }
    }
}

impl Listener for Journal {
    fn event(&mut self, event: &EventKind) {
        if matches!(event, EventKind::StepProgress { .. }) {
            return;
        }
        let event = Event {
            index: self.next_index,
            elapsed: self.started.elapsed(),
            kind: event.clone(),
        };
        self.next_index += 1;
        self.write(&event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NoticeLevel, StepId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn begin(directory: &Path, second: i64, redactor: Redactor) -> Journal {
        Journal::begin(directory, "up", at(second), redactor).unwrap()
    }

    fn lines(journal: &Journal) -> Vec<serde_json::Value> {
        files::read_text(journal.path())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn every_event_but_progress_is_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = begin(directory.path(), 0, Redactor::default());
        let step = StepId::new("build", "order");
        journal.event(&EventKind::StepStarted { step: step.clone() });
        journal.event(&EventKind::StepProgress {
            step,
            note: "3/9".into(),
        });
        journal.event(&EventKind::Notice {
            level: NoticeLevel::Info,
            text: "done".into(),
        });
        let lines = lines(&journal);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["command"], "up");
        assert_eq!(lines[1]["event"], "stepStarted");
        assert_eq!(lines[2]["index"], 1);
    }

    #[test]
    fn a_secret_does_not_reach_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let redactor = Redactor::default();
        let mut journal = begin(directory.path(), 0, redactor.clone());
        redactor.register("hunter2hunter2");
        journal.event(&EventKind::Notice {
            level: NoticeLevel::Info,
            text: "hunter2hunter2".into(),
        });
        assert_eq!(lines(&journal)[1]["text"], "[redacted]");
    }

    #[test]
    fn the_last_fifty_runs_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        for second in 0..53 {
            begin(directory.path(), second, Redactor::default());
        }
        let journals = files::list(directory.path()).unwrap();
        assert_eq!(journals.len(), KEPT_RUNS);
        let first = begin(directory.path(), 60, Redactor::default());
        assert!(journals.iter().all(|path| path < &first.path));
    }
}
