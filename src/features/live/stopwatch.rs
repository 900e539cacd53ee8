//! Where the time of a change goes.

use std::time::{Duration, Instant};

use crate::report::LiveStage;

/// The time since an edit, by stage.
#[derive(Debug, Clone)]
pub(super) struct Stopwatch {
    began: Instant,
    last: Instant,
    stages: Vec<LiveStage>,
}

impl Stopwatch {
    /// Runs since an edit; what passed until now went to seeing it.
    pub(super) fn since(began: Instant) -> Self {
        let mut watch = Self {
            began,
            last: began,
            stages: Vec::new(),
        };
        watch.lap("detect");
        watch
    }

    /// What passed since the last lap went to `stage`.
    pub(super) fn lap(&mut self, stage: &str) {
        let now = Instant::now();
        let took = now.duration_since(self.last);
        self.last = now;
        self.add(stage, took);
    }

    /// A stage that was timed elsewhere.
    pub(super) fn add(&mut self, stage: &str, took: Duration) {
        self.stages.push(LiveStage {
            name: stage.to_owned(),
            millis: millis(took),
        });
    }

    /// All is over; what passed since the last lap was added by stage.
    pub(super) fn end(&mut self) {
        self.last = Instant::now();
    }

    /// From the edit until the last lap.
    pub(super) fn total(&self) -> Duration {
        self.last.duration_since(self.began)
    }

    /// The stages, in order.
    pub(super) fn stages(&self) -> Vec<LiveStage> {
        self.stages.clone()
    }
}

/// Milliseconds, to the tenth.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
