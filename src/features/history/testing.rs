use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{Stage, StepId, StepSummary},
    state::{Actor, RecordedEnd, RecordedRun, RecordedStep, RunHeader, RunId, StepProgress},
};

/// The process of all runs.
pub(in crate::features) const PID: u32 = 4242;

pub(in crate::features) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A run that has not ended.
pub(in crate::features) fn run(command: &str) -> RecordedRun {
    RecordedRun {
        header: Some(RunHeader {
            command: command.to_owned(),
            version: "0.0.0".to_owned(),
            started: at(0),
            by: Actor::Command,
            pid: Some(PID),
            typed: vec![command.to_owned()],
            uid: Some(1000),
            user: None,
            branch: None,
            commit: None,
            profiles: Vec::new(),
            manifest: None,
        }),
        elapsed: Duration::from_secs(4),
        ..RecordedRun::new(RunId::at(at(0)), command)
    }
}

pub(in crate::features) fn ended(command: &str, exit_code: u8) -> RecordedRun {
    RecordedRun {
        end: Some(RecordedEnd {
            exit_code,
            failures: Vec::new(),
        }),
        ..run(command)
    }
}

/// A step such as `deploy:order` of a stage, with its outcome.
pub(in crate::features) fn step(
    (kind, subject): (&str, &str),
    stage: Stage,
    outcome: Option<&str>,
) -> RecordedStep {
    RecordedStep {
        summary: StepSummary {
            id: StepId::new(kind, subject),
            title: format!("{kind} {subject}"),
            reason: String::new(),
            stage,
            service: subject.parse().ok(),
            needs: Vec::new(),
        },
        progress: outcome.map_or(StepProgress::Planned, |outcome| StepProgress::Ended {
            outcome: outcome.to_owned(),
            took: Duration::from_secs(1),
            remark: None,
            failure: None,
        }),
    }
}
