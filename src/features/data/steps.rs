//! The events of work on data: a few steps, one after another.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        EventKind, ExitClass, Failure, Failures, NoticeLevel, Outcome, Stage, StageTime, StepId,
        StepSummary,
    },
    engine::Progress,
    report::Outbox,
};

/// How long work may go on: until a moment, and until the user ends it.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Duration,
    began: Instant,
}

impl<'a> Limits<'a> {
    /// Those of a command that begins now.
    pub fn new(cancel: &'a CancellationToken, deadline: Duration) -> Self {
        Self {
            cancel,
            deadline,
            began: Instant::now(),
        }
    }

    /// What is left of the time.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.began.elapsed())
    }

    /// Does work that is broken off at the limits.
    pub(super) async fn hold<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let cancelled = self.cancel.run_until_cancelled(work);
        match tokio::time::timeout(self.left(), cancelled).await {
            Err(_) => Err(late(self.deadline)),
            Ok(None) => Err(Failure::interrupted()),
            Ok(Some(done)) => done,
        }
    }
}

fn late(deadline: Duration) -> Failure {
    Failure::new(
        "run.timeout",
        ExitClass::NotReady,
        format!("not finished within {} s", deadline.as_secs()),
    )
    .help("allow more time: --timeout 20m")
}

/// Steps that are done one after another, and told about.
pub(super) struct Steps<'a> {
    outbox: &'a Outbox,
    began: Instant,
}

impl<'a> Steps<'a> {
    /// Says what is going to be done: the ids and titles of all steps.
    pub(super) async fn begin(outbox: &'a Outbox, steps: &[(impl AsRef<str>, String)]) -> Self {
        let mut summaries: Vec<StepSummary> = Vec::new();
        for (id, title) in steps {
            let needs = summaries.last().map(|before| before.id.clone());
            summaries.push(StepSummary {
                id: StepId::new("data", id.as_ref()),
                title: title.clone(),
                reason: "you asked for it".to_owned(),
                stage: Stage::Data,
                service: None,
                needs: needs.into_iter().collect(),
            });
        }
        outbox
            .event(EventKind::PlanReady { steps: summaries })
            .await;
        Self {
            outbox,
            began: Instant::now(),
        }
    }

    /// Does a step.
    pub(super) async fn step<T>(
        &self,
        id: &str,
        work: impl AsyncFnOnce(&Progress) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let step = StepId::new("data", id);
        let started = EventKind::StepStarted { step: step.clone() };
        self.outbox.event(started).await;
        let progress = Progress::new(step.clone(), self.outbox.clone());
        let done = work(&progress).await;
        let outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(failure) => Outcome::Failed {
                failure: Box::new(failure.clone()),
            },
        };
        let took = began.elapsed();
        let finished = EventKind::StepFinished {
            step,
            outcome,
            took,
        };
        self.outbox.event(finished).await;
        done
    }

    /// Says how all of it ended, and how long it took.
    pub(super) async fn end<T>(
        self,
        ended: Result<T, Failures>,
    ) -> Result<(T, Duration), Failures> {
        let took = self.began.elapsed();
        let stage = Stage::Data;
        let finished = EventKind::RunFinished {
            stages: vec![StageTime { stage, took }],
            succeeded: ended.is_ok(),
        };
        self.outbox.event(finished).await;
        ended.map(|value| (value, took))
    }

    /// Says something that is worth a line.
    pub(super) async fn notice(&self, level: NoticeLevel, text: String) {
        self.outbox.notice(level, text).await;
    }
}
