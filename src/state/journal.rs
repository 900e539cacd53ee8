//! The journal: every event of a run as JSON Lines, one file a run.
//!
//! One more reader of the stream. It never stops a run: when the disk is full it ends and the run goes on.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, RunId};
use crate::{
    adapters::files::{self, FileError},
    domain::{Event, EventKind, Failure, Failures},
    report::{Listener, Redactor},
};

/// How many runs are kept.
const KEPT_RUNS: usize = 50;

/// A journal that could not be begun.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct JournalError(#[from] FileError);

/// What the first line of a journal says of its run. Journals of earlier versions say less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunHeader {
    /// The command, such as `up`.
    pub command: String,
    /// The version of devenv.
    pub version: String,
    /// When it began.
    pub started: Timestamp,
    /// Who runs it: a command of the user's, or the session.
    #[serde(default)]
    pub by: Actor,
    /// Its process. A journal that names none is of a version that did not write down how runs end.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The words of the command line, without secrets.
    #[serde(default)]
    pub typed: Vec<String>,
    /// The number of the user.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The name of the user, where the system knows one.
    #[serde(default)]
    pub user: Option<String>,
    /// The branch of the project that is checked out, if any.
    #[serde(default)]
    pub branch: Option<String>,
    /// The commit of the project that is checked out, if any.
    #[serde(default)]
    pub commit: Option<String>,
    /// The profiles, in order.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// The hash of the manifest with all its layers, as it was without secrets.
    #[serde(default)]
    pub manifest: Option<String>,
}

/// The first line of a journal.
#[derive(Serialize)]
struct FirstLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    header: &'a RunHeader,
}

/// The last line of a journal. Where there is none, the run goes on or was killed.
#[derive(Serialize)]
#[serde(tag = "event", rename = "commandEnded", rename_all = "camelCase")]
struct LastLine<'a> {
    exit_code: u8,
    failures: Vec<&'a Failure>,
    elapsed: Duration,
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
    /// Begins the journal of a run in `directory`; removes the oldest beyond the last 50.
    pub fn begin(
        directory: &Path,
        header: &RunHeader,
        redactor: Redactor,
    ) -> Result<Self, JournalError> {
        // The names sort by time, so that the oldest come first.
        let journals = files::list(directory)?;
        let surplus = (journals.len() + 1).saturating_sub(KEPT_RUNS);
        for old in journals.iter().take(surplus) {
            files::remove_file(old)?;
        }
        let id = RunId::at(header.started);
        let name = format!("{}Z-{}.jsonl", id.as_str(), header.command);
        let path = directory.join(name);
        let mut journal = Self {
            file: Some(files::append_private(&path)?),
            path,
            redactor,
            started: Instant::now(),
            next_index: 0,
        };
        journal.write(&FirstLine {
            schema: "devenv.journal/1",
            header,
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

    fn ended(&mut self, exit_code: u8, failures: Option<&Failures>) {
        self.write(&LastLine {
            exit_code,
            failures: failures.into_iter().flat_map(Failures::iter).collect(),
            elapsed: self.started.elapsed(),
        });
        self.file = None;
    }
}

/// Headers for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Of a command that a user began.
    pub(in crate::state) fn header(command: &str, started: Timestamp) -> RunHeader {
        RunHeader {
            command: command.to_owned(),
            version: "0.0.0".to_owned(),
            started,
            by: Actor::Command,
            pid: Some(1),
            typed: vec!["devenv".to_owned(), command.to_owned()],
            uid: Some(1000),
            user: Some("ann".to_owned()),
            branch: None,
            commit: None,
            profiles: Vec::new(),
            manifest: None,
        }
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
        Journal::begin(directory, &testing::header("up", at(second)), redactor).unwrap()
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
