//! The runs of an environment as their journals tell them.
//!
//! A journal is read as far as it can be: lines that are broken are counted and left out. Those of earlier versions
//! say less.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;

use super::{EnvironmentPaths, RunHeader};
use crate::{
    adapters::files::{self, FileError},
    domain::{Applying, NoticeLevel, RunChange, StepId, StepSummary},
    report::FailureEntry,
};

/// The characters of an id that tell the second.
const SECOND: usize = "20260102T030405".len();

/// What names a run: when it began, in UTC, to the microsecond. Later runs have greater ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of a run that begins at an instant.
    pub fn at(instant: Timestamp) -> Self {
        Self(instant.strftime("%Y%m%dT%H%M%S.%6f").to_string())
    }

    /// The id and the command in the name of a journal; `None` if it is not the name of one.
    fn of_file(name: &str) -> Option<(Self, &str)> {
        let (id, command) = name.strip_suffix(".jsonl")?.split_once("Z-")?;
        let id = Self(id.to_owned());
        id.began().map(|_| (id, command))
    }

    /// When the run began.
    pub fn began(&self) -> Option<Timestamp> {
        let time = DateTime::strptime("%Y%m%dT%H%M%S.%f", &self.0).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// As much of the id as tells it from the others, at least to the second.
    pub fn short(&self, all: &[Self]) -> &str {
        let is_unique = |length: &usize| {
            let same = |other: &&Self| other.0.get(..*length) == self.0.get(..*length);
            all.iter().filter(same).count() <= 1
        };
        let length = (SECOND..self.0.len()).find(is_unique);
        length.map_or(&*self.0, |length| &self.0[..length])
    }
}

/// A step of a run, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// What it was to do.
    pub summary: StepSummary,
    /// How far it came.
    pub progress: StepProgress,
}

/// How far a step came.
#[derive(Debug, Clone, PartialEq)]
pub enum StepProgress {
    /// It was planned.
    Planned,
    /// It was begun.
    Begun,
    /// It ended.
    Ended {
        /// `done`, `skipped`, `failed`, `blocked` or `cancelled`.
        outcome: String,
        /// How long it ran.
        took: Duration,
        /// Why it had nothing to do, or what kept it from being tried.
        remark: Option<String>,
        /// Why it failed.
        failure: Option<Box<FailureEntry>>,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEnd {
    /// The exit code of the program.
    pub exit_code: u8,
    /// Why it did not do what it was asked.
    pub failures: Vec<FailureEntry>,
}

/// A run as its journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRun {
    /// Its id.
    pub id: RunId,
    /// The command, such as `up`.
    pub command: String,
    /// Who ran it and how; `None` where that line is broken.
    pub header: Option<RunHeader>,
    /// Its steps in the order in which they were planned.
    pub steps: Vec<RecordedStep>,
    /// What it said.
    pub notices: Vec<(NoticeLevel, String)>,
    /// What it was about to make of the environment, if it came so far.
    pub applying: Option<Applying>,
    /// What it changed besides.
    pub changes: Vec<RunChange>,
    /// Whether the steps of its last plan succeeded, if they came to an end.
    pub succeeded: Option<bool>,
    /// How it ended; `None` if it goes on, was killed, or is of a version that did not say so.
    pub end: Option<RecordedEnd>,
    /// How long it took until the last that is known of it.
    pub elapsed: Duration,
    /// How many lines are broken.
    pub broken_lines: usize,
}

/// A line behind the first.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    elapsed: Duration,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum What {
    PlanReady {
        steps: Vec<StepSummary>,
    },
    StepStarted {
        step: StepId,
    },
    StepFinished {
        step: StepId,
        outcome: String,
        took: Duration,
        reason: Option<String>,
        by: Option<StepId>,
        failure: Option<Box<FailureEntry>>,
    },
    Notice {
        level: NoticeLevel,
        text: String,
    },
    Applying {
        applying: Box<Applying>,
    },
    Changed {
        change: RunChange,
    },
    RunFinished {
        succeeded: bool,
    },
    #[serde(rename = "commandEnded")]
    Ended {
        exit_code: u8,
        failures: Vec<FailureEntry>,
    },
    #[serde(other)]
    Other,
}

/// The ids of the runs that are known, the newest first.
pub fn run_ids(paths: &EnvironmentPaths) -> Result<Vec<RunId>, FileError> {
    let journals = journals(paths)?.into_iter();
    Ok(journals.map(|(id, _)| id).collect())
}

/// The runs that are known, the newest first.
pub fn runs(paths: &EnvironmentPaths) -> Result<Vec<RecordedRun>, FileError> {
    let mut runs = Vec::new();
    for (id, path) in journals(paths)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let command = RunId::of_file(&name).map_or("", |(_, command)| command);
        // Another command may have removed it meanwhile.
        if let Some(bytes) = files::read_if_there(&path)? {
            runs.push(RecordedRun::read(id, command, &bytes));
        }
    }
    Ok(runs)
}

fn journals(paths: &EnvironmentPaths) -> Result<Vec<(RunId, std::path::PathBuf)>, FileError> {
    let directory = paths.journal();
    if !files::exists(&directory) {
        return Ok(Vec::new());
    }
    let listed = files::list(&directory)?.into_iter();
    let named = listed.filter_map(|path| {
        let (id, _) = RunId::of_file(path.file_name()?.to_str()?)?;
        Some((id, path))
    });
    let mut journals: Vec<_> = named.collect();
    journals.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(journals)
}

impl RecordedRun {
    /// A run of which nothing is known yet.
    pub(crate) fn new(id: RunId, command: &str) -> Self {
        Self {
            id,
            command: command.to_owned(),
            header: None,
            steps: Vec::new(),
            notices: Vec::new(),
            applying: None,
            changes: Vec::new(),
            succeeded: None,
            end: None,
            elapsed: Duration::ZERO,
            broken_lines: 0,
        }
    }

    /// Reads a journal.
    fn read(id: RunId, command: &str, bytes: &[u8]) -> Self {
        let mut run = Self::new(id, command);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        run.header = serde_json::from_slice(first).ok();
        run.broken_lines += usize::from(run.header.is_none());
        for line in lines.filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => run.add(line),
                Err(_) => run.broken_lines += 1,
            }
        }
        run
    }

    fn add(&mut self, line: Line) {
        self.elapsed = self.elapsed.max(line.elapsed);
        match line.what {
            What::PlanReady { steps } => {
                let planned = steps.into_iter().map(|summary| RecordedStep {
                    summary,
                    progress: StepProgress::Planned,
                });
                self.steps.extend(planned);
            }
            What::StepStarted { step } => self.progress(&step, StepProgress::Begun),
            What::StepFinished {
                step,
                outcome,
                took,
                reason,
                by,
                failure,
            } => {
                let remark = reason.or_else(|| by.map(|by| format!("{by} failed")));
                let ended = StepProgress::Ended {
                    outcome,
                    took,
                    remark,
                    failure,
                };
                self.progress(&step, ended);
            }
            What::Notice { level, text } => self.notices.push((level, text)),
            What::Applying { applying } => {
                self.applying = Some(applying.following(self.applying.take()));
            }
            What::Changed { change } => self.changes.push(change),
            What::RunFinished { succeeded } => self.succeeded = Some(succeeded),
            What::Ended {
                exit_code,
                failures,
            } => {
                self.end = Some(RecordedEnd {
                    exit_code,
                    failures,
                });
            }
            What::Other => {}
        }
    }

    /// A step may be planned again: the last plan is meant.
    fn progress(&mut self, id: &StepId, progress: StepProgress) {
        let mut steps = self.steps.iter_mut().rev();
        if let Some(step) = steps.find(|step| step.summary.id == *id) {
            step.progress = progress;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::{
        adapters::host::HostEnvironment,
        domain::{
            EnvironmentId, EventKind, ExitClass, Failure, Failures, InputsHash, Outcome,
            ServiceChange, ServiceShape, Stage,
        },
        report::{Listener as _, Redactor},
        state::{Journal, UserPaths, journal::testing::header},
    };

    fn environment() -> (tempfile::TempDir, EnvironmentPaths) {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        let host = HostEnvironment::from_variables(variables);
        let id = EnvironmentId::new(&"shop".parse().unwrap(), std::path::Path::new("/shop"));
        let paths = UserPaths::of(&host).unwrap().environment(&id);
        paths.create().unwrap();
        (home, paths)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn applying() -> Applying {
        let order: crate::domain::ServiceName = "order".parse().unwrap();
        let shape = ServiceShape {
            images: vec!["redis:7".to_owned()],
            replicas: Some(2),
            inputs: Some(InputsHash::of(b"x")),
            chart: None,
        };
        Applying {
            manifest: serde_json::json!({ "name": "shop" }),
            services: [(order.clone(), shape.clone())].into(),
            changes: vec![ServiceChange {
                service: order,
                before: None,
                after: Some(shape),
            }],
        }
    }

    /// A run that fails, with everything that a journal can hold.
    fn write(paths: &EnvironmentPaths, second: i64) -> std::path::PathBuf {
        let header = header("up", at(second));
        let mut journal = Journal::begin(&paths.journal(), &header, Redactor::default()).unwrap();
        let step = StepId::new("deploy", "order");
        let failure = Failure::new("service.crash", ExitClass::NotReady, "order ends")
            .with_evidence("its last lines", vec!["boom".to_owned()]);
        for event in [
            EventKind::RunStarted {
                command: "up".to_owned(),
            },
            EventKind::Applying {
                applying: Box::new(applying()),
            },
            EventKind::PlanReady {
                steps: vec![StepSummary {
                    id: step.clone(),
                    title: "deploy order".to_owned(),
                    reason: "it is new".to_owned(),
                    stage: Stage::Deploy,
                    service: Some("order".parse().unwrap()),
                    needs: Vec::new(),
                }],
            },
            EventKind::StepStarted { step: step.clone() },
            EventKind::StepFinished {
                step,
                outcome: Outcome::Failed {
                    failure: Box::new(failure.clone()),
                },
                took: Duration::from_millis(1500),
            },
            EventKind::Notice {
                level: NoticeLevel::Warning,
                text: "look".to_owned(),
            },
            EventKind::Changed {
                change: RunChange::Data {
                    done: "load the dataset demo".to_owned(),
                },
            },
            EventKind::RunFinished {
                stages: Vec::new(),
                succeeded: false,
            },
        ] {
            journal.event(&event);
        }
        journal.ended(6, Some(&Failures::from(failure)));
        journal.path().to_owned()
    }

    #[test]
    fn what_was_written_is_read() {
        let (_home, paths) = environment();
        let journal = write(&paths, 0);
        let mode = journal.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let runs = runs(&paths).unwrap();
        let run = &runs[0];
        assert_eq!(run.header, Some(header("up", at(0))));
        assert_eq!(run.id.began(), Some(at(0)));
        assert_eq!(run.applying, Some(applying()));
        assert_eq!(run.changes.len(), 1);
        assert_eq!(run.notices, [(NoticeLevel::Warning, "look".to_owned())]);
        assert_eq!((run.succeeded, run.broken_lines), (Some(false), 0));
        let end = run.end.as_ref().unwrap();
        assert_eq!(
            (end.exit_code, &*end.failures[0].code),
            (6, "service.crash")
        );
        let StepProgress::Ended {
            outcome, failure, ..
        } = &run.steps[0].progress
        else {
            panic!("{:?}", run.steps);
        };
        assert_eq!(outcome, "failed");
        assert_eq!(failure.as_ref().unwrap().evidence[0].lines, ["boom"]);
    }

    #[test]
    fn a_journal_of_an_earlier_version_says_less() {
        let text = r#"{"schema":"devenv.journal/1","command":"up","version":"0.1.0","started":"2026-01-02T03:04:05Z"}
{"index":0,"elapsed":{"secs":0,"nanos":1},"event":"runStarted","command":"up"}
{"index":1,"elapsed":{"secs":4,"nanos":0},"event":"runFinished","stages":[],"succeeded":true}
"#;
        let (id, command) = RunId::of_file("20260102T030405.000000Z-up.jsonl").unwrap();
        let run = RecordedRun::read(id, command, text.as_bytes());
        assert_eq!((run.succeeded, run.broken_lines), (Some(true), 0));
        assert_eq!(run.elapsed, Duration::from_secs(4));
        assert_eq!(run.header.unwrap().pid, None);
    }

    #[test]
    fn ids_are_as_short_as_they_can_be_and_other_files_are_none() {
        let (_home, paths) = environment();
        write(&paths, 0);
        write(&paths, 1);
        files::write_private(&paths.journal().join("notes.jsonl"), b"{}").unwrap();
        let ids = run_ids(&paths).unwrap();
        assert_eq!(ids.len(), 2);
        assert!(ids[0] > ids[1]);
        let short = ids[0].short(&ids);
        assert_eq!(short.len(), SECOND);
        let twin = RunId(format!("{short}.900000"));
        let all = [ids[0].clone(), twin.clone()];
        assert_eq!(twin.short(&all), format!("{short}.9"));
    }

    proptest! {
        #[test]
        fn whatever_is_cut_or_turned_the_rest_is_read(
            cut in any::<Index>(),
            turned in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        ) {
            let (_home, paths) = environment();
            let path = write(&paths, 0);
            let mut bytes = files::read(&path).unwrap();
            for (index, byte) in &turned {
                *index.get_mut(&mut bytes) = *byte;
            }
            bytes.truncate(cut.index(bytes.len()));
            files::write_private(&path, &bytes).unwrap();
            let runs = runs(&paths).unwrap();
            prop_assert_eq!(runs.len(), 1);
            prop_assert!(runs[0].broken_lines <= 2 * turned.len() + 1);
        }
    }
}
