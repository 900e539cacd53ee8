//! What the readers of a run remember of it: its steps, what runs now, how they are named.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::text::{safe_text, width};
use crate::{
    domain::{Outcome, Stage, StepId, StepSummary, Trouble, TroubleKind},
    report::Redactor,
};

/// The widest subject that columns are made for.
const WIDEST_SUBJECT: usize = 24;

/// A step that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: StepId,
    pub(super) started: Instant,
    /// What it does now, as it said last.
    pub(super) note: Option<String>,
}

/// The steps of a run.
#[derive(Debug, Default)]
pub(super) struct Steps {
    known: BTreeMap<StepId, StepSummary>,
    /// In the order in which they started.
    pub(super) running: Vec<Running>,
    finished: BTreeSet<StepId>,
    redactor: Redactor,
}

impl Steps {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            ..Self::default()
        }
    }

    /// Steps that are known from now on. One run may follow another, and be a part of one that has begun.
    pub(super) fn plan(&mut self, steps: &[StepSummary]) {
        for step in steps {
            self.finished.remove(&step.id);
            self.known.insert(step.id.clone(), step.clone());
        }
    }

    pub(super) fn start(&mut self, id: &StepId, now: Instant) {
        self.running.push(Running {
            id: id.clone(),
            started: now,
            note: None,
        });
    }

    pub(super) fn note(&mut self, id: &StepId, note: &str) {
        let note = self.safe(note);
        if let Some(step) = self.running.iter_mut().find(|step| &step.id == id) {
            step.note = Some(note);
        }
    }

    pub(super) fn finish(&mut self, id: &StepId) {
        self.running.retain(|step| &step.id != id);
        self.finished.insert(id.clone());
    }

    /// How many steps have ended, and how many there are.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.finished.len(), self.known.len())
    }

    /// Whom a step is for: its service, else the part of the run.
    pub(super) fn subject(&self, id: &StepId) -> String {
        match self.known.get(id) {
            Some(step) => step
                .service
                .as_ref()
                .map_or_else(|| stage_name(step.stage).to_owned(), ToString::to_string),
            // A step that was never planned is still named.
            None => self.safe(id.as_str()),
        }
    }

    /// What a step does.
    pub(super) fn title(&self, id: &StepId) -> String {
        self.known
            .get(id)
            .map_or_else(String::new, |step| self.safe(&step.title))
    }

    /// Columns for subjects.
    pub(super) fn subject_width(&self) -> usize {
        self.known
            .keys()
            .map(|id| width(&self.subject(id)))
            .max()
            .unwrap_or(0)
            .clamp(8, WIDEST_SUBJECT)
    }

    /// Text from outside, ready to be shown.
    pub(super) fn safe(&self, text: &str) -> String {
        safe_text(&self.redactor.text(text))
    }

    /// What is said about a step that ended beside its title and time; empty if it did what it says.
    pub(super) fn remark(&self, step: &StepId, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Done => String::new(),
            Outcome::Skipped { reason } => self.safe(reason),
            Outcome::Failed { failure } => self.safe(&failure.what),
            // A service's own earlier step says more than its name.
            Outcome::Blocked { by } if self.subject(by) == self.subject(step) => {
                format!("blocked by: {}", self.title(by))
            }
            Outcome::Blocked { by } => format!("blocked by {}", self.subject(by)),
            Outcome::Cancelled => "not finished".to_owned(),
        }
    }

    /// One line about a trouble.
    pub(super) fn trouble(&self, trouble: &Trouble) -> String {
        let what = trouble_text(&trouble.kind);
        if trouble.message.trim().is_empty() {
            self.safe(&what)
        } else {
            self.safe(&format!("{what}: {}", trouble.message.trim()))
        }
    }
}

/// The name of a part of the run.
pub(super) const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Observe => "observe",
        Stage::Cluster => "cluster",
        Stage::Images => "images",
        Stage::Deploy => "deploy",
        Stage::Ready => "ready",
        Stage::Hooks => "hooks",
        Stage::Data => "data",
        Stage::Remove => "remove",
    }
}

fn trouble_text(kind: &TroubleKind) -> String {
    match kind {
        TroubleKind::ImageUnavailable { image } => format!("image {image} is not available"),
        TroubleKind::CannotStart { reason } => format!("cannot start ({reason})"),
        TroubleKind::CrashLoop {
            exit_code,
            signal,
            restarts,
        } => {
            let end = signal.map_or_else(
                || format!("exit code {exit_code}"),
                |signal| format!("signal {signal}"),
            );
            format!("stopped with {end}, restarts: {restarts}")
        }
        TroubleKind::OutOfMemory { restarts } => {
            format!("killed for its memory use, restarts: {restarts}")
        }
        TroubleKind::Unschedulable => "no node can take it".to_owned(),
        TroubleKind::Evicted => "evicted by the node".to_owned(),
        TroubleKind::ProbeFailing => "not ready yet".to_owned(),
        TroubleKind::PodRefused => "Kubernetes refuses its pod".to_owned(),
    }
}

/// A time since `earlier`, never negative.
pub(super) fn since(earlier: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(earlier)
}

/// A run for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in crate::output) fn step(kind: &str, service: &str, stage: Stage) -> StepSummary {
        StepSummary {
            id: StepId::new(kind, service),
            title: format!("{kind} {service}"),
            reason: "new".into(),
            stage,
            service: service.parse().ok(),
            needs: Vec::new(),
        }
    }

    pub(in crate::output) fn plan() -> Vec<StepSummary> {
        vec![
            StepSummary {
                id: StepId::new("create", "cluster"),
                title: "create the cluster".into(),
                reason: "there is none".into(),
                stage: Stage::Cluster,
                service: None,
                needs: Vec::new(),
            },
            step("build", "order", Stage::Images),
            step("build", "payment", Stage::Images),
            step("install", "payment", Stage::Deploy),
        ]
    }
}
