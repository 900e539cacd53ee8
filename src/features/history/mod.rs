//! What became of an environment: its runs judged, and what they applied compared.
//!
//! Called by the commands `history` and `diff`. All of it is computed from journals that were read; nothing is asked of a
//! cluster.

mod changes;
mod compare;
mod find;

use std::time::Duration;

use jiff::Timestamp;

pub use self::{
    compare::{Side, differences},
    find::{RunName, applied, find},
};
use crate::{
    domain::NoticeLevel,
    report::{
        FailureEntry, HistoryActor, HistoryNotice, HistoryResult, HistoryRun, HistoryShown,
        HistoryStep,
    },
    state::{Actor, Holder, RecordedRun, RecordedStep, RunId, StepProgress},
};

/// Exit codes of those whom a signal ended: SIGHUP, SIGINT, SIGTERM.
const ENDED_BY_USER: [u8; 3] = [129, 130, 143];
/// Exit codes of those who did what they were asked; 10 says that there are changes.
const DONE: [u8; 2] = [0, 10];

/// Runs as they look at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The instant.
    pub now: Timestamp,
    /// Who was at work on the environment while the runs were read.
    pub holders: &'a [Holder],
    /// All runs that are known.
    pub all: &'a [RunId],
}

impl Look<'_> {
    /// A run in short.
    pub fn run(&self, run: &RecordedRun) -> HistoryRun {
        let result = self.result(run);
        let started = started(run);
        let age = self.now.duration_since(started);
        let age = Duration::try_from(age).unwrap_or_default();
        let took = match result {
            HistoryResult::Running => age,
            _ => run.elapsed,
        };
        let header = run.header.as_ref();
        let changes = changes::of(run);
        HistoryRun {
            id: run.id.as_str().to_owned(),
            short_id: run.id.short(self.all).to_owned(),
            command: run.command.clone(),
            typed: header
                .map(|header| header.typed.clone())
                .unwrap_or_default(),
            by: match header.map(|header| header.by) {
                Some(Actor::Session) => HistoryActor::Session,
                _ => HistoryActor::Command,
            },
            user: header.and_then(|header| header.user.clone()),
            uid: header.and_then(|header| header.uid),
            started,
            age_seconds: age.as_secs(),
            result,
            exit_code: run.end.as_ref().map(|end| end.exit_code),
            codes: failures(run)
                .into_iter()
                .map(|failure| failure.code)
                .collect(),
            seconds: took.as_secs_f64(),
            changed: changes::in_one_line(&changes, run),
            changes,
            broken_lines: run.broken_lines,
        }
    }

    fn result(&self, run: &RecordedRun) -> HistoryResult {
        if let Some(end) = &run.end {
            return match end.exit_code {
                code if DONE.contains(&code) => HistoryResult::Succeeded,
                code if ENDED_BY_USER.contains(&code) => HistoryResult::Interrupted,
                _ => HistoryResult::Failed,
            };
        }
        let pid = run.header.as_ref().and_then(|header| header.pid);
        match (pid, run.succeeded) {
            (Some(pid), _) if self.holders.iter().any(|holder| holder.pid == pid) => {
                HistoryResult::Running
            }
            (Some(_), _) => HistoryResult::Killed,
            (None, Some(true)) => HistoryResult::Succeeded,
            (None, Some(false)) => HistoryResult::Failed,
            (None, None) => HistoryResult::Unknown,
        }
    }

    /// All of a run.
    pub fn whole(&self, environment: &str, run: RecordedRun) -> HistoryShown {
        let shown = self.run(&run);
        let failures = failures(&run);
        let header = run.header;
        let notices = run.notices.into_iter().map(|(level, text)| HistoryNotice {
            is_warning: level == NoticeLevel::Warning,
            text,
        });
        HistoryShown {
            environment: environment.to_owned(),
            run: shown,
            version: header.as_ref().map(|header| header.version.clone()),
            branch: header.as_ref().and_then(|header| header.branch.clone()),
            commit: header.as_ref().and_then(|header| header.commit.clone()),
            manifest_hash: header.as_ref().and_then(|header| header.manifest.clone()),
            profiles: header.map(|header| header.profiles).unwrap_or_default(),
            steps: run.steps.into_iter().map(step).collect(),
            notices: notices.collect(),
            failures,
            manifest: run.applying.map(|applying| applying.manifest),
        }
    }
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this command.
    pub command: Option<String>,
    /// Only those that changed this service.
    pub service: Option<String>,
    /// Only those that did not do what they were asked.
    pub trouble: Trouble,
}

/// Whether only runs with trouble are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// All.
    #[default]
    Any,
    /// Those that failed, were interrupted or killed.
    Only,
}

impl Filter {
    /// Whether a run is asked for.
    pub fn takes(&self, run: &RecordedRun, shown: &HistoryRun) -> bool {
        let is_trouble = matches!(
            shown.result,
            HistoryResult::Failed | HistoryResult::Interrupted | HistoryResult::Killed
        );
        // `data` means all of its verbs.
        let is_command = |command: &String| {
            run.command == *command || run.command.split(' ').next() == Some(command)
        };
        self.command.as_ref().is_none_or(is_command)
            && self
                .service
                .as_ref()
                .is_none_or(|service| changes::concern(run, service))
            && (self.trouble == Trouble::Any || is_trouble)
    }
}

/// When a run began: also where the first line of its journal is broken.
pub(super) fn started(run: &RecordedRun) -> Timestamp {
    let written = run.header.as_ref().map(|header| header.started);
    written.or_else(|| run.id.began()).unwrap_or_default()
}

/// Why a run did not do what it was asked; of one that was killed, why its steps did not.
fn failures(run: &RecordedRun) -> Vec<FailureEntry> {
    if let Some(end) = &run.end {
        return end.failures.clone();
    }
    let of_steps = run.steps.iter().filter_map(|step| match &step.progress {
        StepProgress::Ended { failure, .. } => failure.as_deref().cloned(),
        _ => None,
    });
    of_steps.collect()
}

fn step(step: RecordedStep) -> HistoryStep {
    let (outcome, remark, took) = match step.progress {
        StepProgress::Planned => ("planned".to_owned(), None, None),
        StepProgress::Begun => ("begun".to_owned(), None, None),
        StepProgress::Ended {
            outcome,
            took,
            remark,
            ..
        } => (outcome, remark, Some(took)),
    };
    HistoryStep {
        id: step.summary.id.to_string(),
        title: step.summary.title,
        reason: step.summary.reason,
        service: step.summary.service.map(|service| service.to_string()),
        outcome,
        remark,
        seconds: took.map(|took| took.as_secs_f64()),
    }
}

/// Runs for tests.
#[cfg(test)]
pub(super) mod testing;

#[cfg(test)]
mod tests {
    use super::{testing::*, *};

    fn look(run: &RecordedRun, holder: Option<u32>) -> HistoryResult {
        let holder = holder.map(|pid| Holder {
            pid,
            by: Actor::Command,
            command: "devenv up".to_owned(),
            since: at(0),
        });
        let look = Look {
            now: at(60),
            holders: holder.as_slice(),
            all: std::slice::from_ref(&run.id),
        };
        look.run(run).result
    }

    #[test]
    fn how_a_run_ended_is_told_by_its_last_line_and_by_who_is_at_work() {
        for (code, result) in [
            (0, HistoryResult::Succeeded),
            (6, HistoryResult::Failed),
            (130, HistoryResult::Interrupted),
            (143, HistoryResult::Interrupted),
        ] {
            assert_eq!(look(&ended("up", code), None), result, "{code}");
        }
        let open = run("up");
        assert_eq!(look(&open, None), HistoryResult::Killed);
        assert_eq!(look(&open, Some(8)), HistoryResult::Killed);
        assert_eq!(look(&open, Some(PID)), HistoryResult::Running);
    }

    #[test]
    fn of_an_earlier_version_its_plan_tells_the_end() {
        let mut old = run("up");
        if let Some(header) = &mut old.header {
            header.pid = None;
        }
        assert_eq!(look(&old, None), HistoryResult::Unknown);
        old.succeeded = Some(false);
        assert_eq!(look(&old, None), HistoryResult::Failed);
        old.succeeded = Some(true);
        assert_eq!(look(&old, Some(PID)), HistoryResult::Succeeded);
    }

    #[test]
    fn runs_are_found_by_their_command_their_services_and_their_trouble() {
        let failed = ended("data load", 7);
        let takes = |filter: &Filter| {
            let look = Look {
                now: at(60),
                holders: &[],
                all: &[],
            };
            filter.takes(&failed, &look.run(&failed))
        };
        let command = |command: &str| Filter {
            command: Some(command.to_owned()),
            ..Filter::default()
        };
        assert!(takes(&Filter::default()));
        assert!(takes(&command("data")) && takes(&command("data load")));
        assert!(!takes(&command("up")) && !takes(&command("data reset")));
        assert!(takes(&Filter {
            trouble: Trouble::Only,
            ..Filter::default()
        }));
        assert!(!takes(&Filter {
            service: Some("order".to_owned()),
            ..Filter::default()
        }));
    }
}
