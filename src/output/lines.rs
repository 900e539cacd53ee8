//! The run as plain lines, for CI, pipes and log files: one at the start and one at the end of each step.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    steps::{Steps, since},
    style::{Style, Tone},
    text::pad,
    units::duration,
};
use crate::{
    domain::{EventKind, NoticeLevel, Outcome, StepId},
    report::Redactor,
};

/// Between two progress notes of one step.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Columns for the time since the run's start.
const CLOCK: usize = 9;
/// Columns for the word that says what happened.
const WORD: usize = 9;

/// Turns events into lines.
#[derive(Debug)]
pub(super) struct Lines {
    steps: Steps,
    style: Style,
    started: Instant,
    last_notes: BTreeMap<StepId, Instant>,
}

impl Lines {
    pub(super) fn new(style: Style, redactor: Redactor, now: Instant) -> Self {
        Self {
            steps: Steps::new(redactor),
            style,
            started: now,
            last_notes: BTreeMap::new(),
        }
    }

    /// The line for an event, with its end; empty if it is not worth one.
    pub(super) fn event(&mut self, event: &EventKind, now: Instant) -> String {
        match event {
            EventKind::RunStarted { .. } => {
                self.started = now;
                String::new()
            }
            EventKind::PlanReady { steps } => {
                self.steps.plan(steps);
                String::new()
            }
            EventKind::StepStarted { step } => {
                self.steps.start(step, now);
                self.last_notes.insert(step.clone(), now);
                let title = self.steps.title(step);
                self.line(now, step, (Tone::Dim, "started"), &title)
            }
            EventKind::StepProgress { step, note } => {
                let last = self.last_notes.get(step).copied().unwrap_or(self.started);
                if since(last, now) < NOTE_EVERY {
                    return String::new();
                }
                self.last_notes.insert(step.clone(), now);
                let note = self.steps.safe(note);
                self.line(now, step, (Tone::Dim, "running"), &note)
            }
            EventKind::StepFinished {
                step,
                outcome,
                took,
            } => self.finished(step, outcome, *took, now),
            EventKind::ServiceTrouble { trouble } => {
                let text = self.steps.trouble(trouble);
                self.row(
                    now,
                    trouble.service.as_str(),
                    (Tone::Warn, "trouble"),
                    &text,
                )
            }
            EventKind::Notice { level, text } => self.notice(*level, text),
            EventKind::Applying { .. }
            | EventKind::Changed { .. }
            | EventKind::RunFinished { .. } => String::new(),
        }
    }

    fn finished(
        &mut self,
        step: &StepId,
        outcome: &Outcome,
        took: Duration,
        now: Instant,
    ) -> String {
        let ran = self.steps.running.iter().any(|running| &running.id == step);
        self.steps.finish(step);
        let word = match outcome {
            Outcome::Done => (Tone::Good, "done"),
            Outcome::Skipped { .. } => (Tone::Dim, "skipped"),
            Outcome::Failed { .. } => (Tone::Bad, "failed"),
            Outcome::Blocked { .. } => (Tone::Warn, "blocked"),
            Outcome::Cancelled => (Tone::Warn, "stopped"),
        };
        let mut text = self.steps.title(step);
        let remark = self.steps.remark(step, outcome);
        if ran {
            text.push_str(&format!(" ({})", duration(took)));
        }
        if !remark.is_empty() {
            text.push_str(&format!(": {remark}"));
        }
        self.line(now, step, word, &text)
    }

    fn notice(&self, level: NoticeLevel, text: &str) -> String {
        let text = self.steps.safe(text);
        match level {
            NoticeLevel::Info => format!("{text}\n"),
            NoticeLevel::Warning => {
                format!("{} {text}\n", self.style.paint(Tone::Warn, "warning:"))
            }
        }
    }

    fn line(&self, now: Instant, step: &StepId, word: (Tone, &str), text: &str) -> String {
        self.row(now, &self.steps.subject(step), word, text)
    }

    fn row(&self, now: Instant, subject: &str, (tone, word): (Tone, &str), text: &str) -> String {
        let clock = duration(since(self.started, now));
        format!(
            "{}  {}  {}{text}\n",
            self.style.paint(Tone::Dim, format!("{clock:>CLOCK$}")),
            pad(subject, self.steps.subject_width()),
            self.style.paint(tone, pad(word, WORD)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{steps::samples::plan, style::samples::PLAIN},
        *,
    };
    use crate::domain::{ExitClass, Failure, Trouble, TroubleKind};

    fn show(events: &[(u64, EventKind)]) -> String {
        let start = Instant::now();
        let mut lines = Lines::new(PLAIN, Redactor::default(), start);
        events
            .iter()
            .map(|(millis, event)| lines.event(event, start + Duration::from_millis(*millis)))
            .collect()
    }

    fn progress(step: &StepId, note: &str) -> EventKind {
        EventKind::StepProgress {
            step: step.clone(),
            note: note.into(),
        }
    }

    #[test]
    fn a_run_is_one_line_a_start_and_one_an_end() {
        let (build, failing) = (
            StepId::new("build", "order"),
            StepId::new("build", "payment"),
        );
        let failure = Failure::new("image.build-failed", ExitClass::Cluster, "The build failed");
        let finished = |step: &StepId, outcome, millis| EventKind::StepFinished {
            step: step.clone(),
            outcome,
            took: Duration::from_millis(millis),
        };
        let text = show(&[
            (0, EventKind::PlanReady { steps: plan() }),
            (
                10,
                EventKind::StepStarted {
                    step: build.clone(),
                },
            ),
            (
                20,
                EventKind::StepStarted {
                    step: failing.clone(),
                },
            ),
            (900, progress(&build, "2/9 COPY")),
            (6_000, progress(&build, "5/9 RUN pip\x1b[2J")),
            (6_100, progress(&build, "6/9 RUN")),
            (7_000, finished(&build, Outcome::Done, 6_990)),
            (
                7_100,
                finished(
                    &failing,
                    Outcome::Failed {
                        failure: Box::new(failure),
                    },
                    7_080,
                ),
            ),
            (
                7_100,
                finished(
                    &StepId::new("install", "payment"),
                    Outcome::Blocked {
                        by: failing.clone(),
                    },
                    0,
                ),
            ),
            (
                7_200,
                EventKind::ServiceTrouble {
                    trouble: Trouble {
                        service: "payment".parse().unwrap(),
                        pod: None,
                        container: None,
                        kind: TroubleKind::OutOfMemory { restarts: 2 },
                        message: String::new(),
                        is_final: false,
                    },
                },
            ),
        ]);
        insta::assert_snapshot!(text, @r"
        0.0 s  order     started  build order
        0.0 s  payment   started  build payment
        6.0 s  order     running  5/9 RUN pip^[[2J
        7.0 s  order     done     build order (7.0 s)
        7.1 s  payment   failed   build payment (7.1 s): The build failed
        7.1 s  payment   blocked  install payment: blocked by: build payment
        7.2 s  payment   trouble  killed for its memory use, restarts: 2
        ");
    }
}
