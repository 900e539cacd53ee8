//! The run on a terminal: what stays on the screen, and the moving part below it. Pure; `terminal` draws.

use std::time::{Duration, Instant};

use super::{
    steps::{Running, Steps, since, stage_name},
    style::{Style, Tone},
    text::{pad, truncate, width},
    units::{duration, seconds},
};
use crate::{
    domain::{EventKind, NoticeLevel, Outcome, StepId, Trouble},
    report::Redactor,
};

/// A step that is done sooner is never shown as running.
const HIDDEN: Duration = Duration::from_millis(250);
/// Columns in which a line ends at most, so that times stand near their titles.
const WIDEST: usize = 96;
/// How long one picture of the spinner is shown, in milliseconds.
const SPIN: u128 = 80;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const ASCII_SPINNER: [&str; 4] = ["|", "/", "-", "\\"];

/// Turns events into lines that stay, and the present into lines that move.
#[derive(Debug)]
pub(super) struct Board {
    steps: Steps,
    pub(super) style: Style,
    started: Instant,
    /// Troubles that were told already: they come again at every look.
    troubles: Vec<Trouble>,
}

impl Board {
    pub(super) fn new(style: Style, redactor: Redactor, now: Instant) -> Self {
        Self {
            steps: Steps::new(redactor),
            style,
            started: now,
            troubles: Vec::new(),
        }
    }

    /// The lines that an event leaves on the screen, with their ends.
    pub(super) fn event(&mut self, event: &EventKind, now: Instant) -> String {
        match event {
            EventKind::RunStarted { .. } => self.started = now,
            EventKind::PlanReady { steps } => self.steps.plan(steps),
            EventKind::StepStarted { step } => self.steps.start(step, now),
            EventKind::StepProgress { step, note } => self.steps.note(step, note),
            EventKind::StepFinished {
                step,
                outcome,
                took,
            } => {
                self.steps.finish(step);
                return self.finished(step, outcome, *took);
            }
            EventKind::ServiceTrouble { trouble } => return self.trouble(trouble),
            EventKind::Notice { level, text } => {
                let text = self.steps.safe(text);
                return match level {
                    NoticeLevel::Info => format!("{text}\n"),
                    NoticeLevel::Warning => {
                        format!("{} {text}\n", self.style.paint(Tone::Warn, "warning:"))
                    }
                };
            }
            EventKind::Applying { .. } | EventKind::Changed { .. } => {}
            EventKind::RunFinished { stages, succeeded } => {
                self.steps.running.clear();
                // A run that succeeds has a report, which tells the times.
                if !succeeded {
                    let times: Vec<String> = stages
                        .iter()
                        .map(|time| format!("{} {}", stage_name(time.stage), duration(time.took)))
                        .chain([format!("total {}", duration(since(self.started, now)))])
                        .collect();
                    let line = times.join(&format!(" {} ", self.style.dot()));
                    return format!("{}\n", self.style.paint(Tone::Dim, line));
                }
            }
        }
        String::new()
    }

    /// The moving lines at `now`, without their ends: at most `height`.
    pub(super) fn frame(&self, now: Instant, height: usize) -> Vec<String> {
        let shown: Vec<&Running> = self
            .steps
            .running
            .iter()
            .filter(|step| since(step.started, now) >= HIDDEN)
            .collect();
        if shown.is_empty() || height < 2 {
            return Vec::new();
        }
        let room = height - 1;
        let mut lines: Vec<String> = shown
            .iter()
            .take(room)
            .map(|step| self.running(step, now))
            .collect();
        let hidden = shown.len().saturating_sub(room);
        lines.push(self.footer(hidden, now));
        lines
    }

    fn running(&self, step: &Running, now: Instant) -> String {
        let elapsed = since(step.started, now);
        let spinner = match self.style.glyphs {
            super::style::Glyphs::Unicode => &SPINNER[..],
            super::style::Glyphs::Ascii => &ASCII_SPINNER[..],
        };
        // The remainder is below the number of pictures.
        let picture = usize::try_from(elapsed.as_millis() / SPIN).unwrap_or(0) % spinner.len();
        let title = self.steps.title(&step.id);
        let text = match &step.note {
            Some(note) => format!("{title} {} {note}", self.style.dot()),
            None => title,
        };
        self.row(
            (Tone::Link, spinner[picture]),
            &self.steps.subject(&step.id),
            (None, &text),
            &duration(elapsed),
        )
    }

    fn footer(&self, hidden: usize, now: Instant) -> String {
        let (done, all) = self.steps.progress();
        let mut parts = vec![
            format!("{done} of {all} steps"),
            seconds(since(self.started, now).as_secs_f64()),
        ];
        if hidden > 0 {
            parts.insert(0, format!("{hidden} more running"));
        }
        let line = parts.join(&format!(" {} ", self.style.dot()));
        let room = self.style.width.saturating_sub(3);
        let line = truncate(&line, room, self.style.ellipsis());
        format!("  {}", self.style.paint(Tone::Dim, line))
    }

    fn finished(&self, step: &StepId, outcome: &Outcome, took: Duration) -> String {
        let style = &self.style;
        let (tone, sign) = match outcome {
            Outcome::Done => (Tone::Good, style.glyph("✓", "+")),
            Outcome::Skipped { .. } => (Tone::Dim, style.glyph("·", "-")),
            Outcome::Failed { .. } => (Tone::Bad, style.glyph("✗", "x")),
            Outcome::Blocked { .. } | Outcome::Cancelled => (Tone::Warn, style.glyph("⊘", "!")),
        };
        let title = self.steps.title(step);
        let remark = self.steps.remark(step, outcome);
        let text = match outcome {
            Outcome::Done => title,
            // What it would have done does not matter, and the failure is explained below.
            Outcome::Blocked { .. } => remark,
            _ => format!("{title} {} {remark}", style.dot()),
        };
        let text_tone = match outcome {
            Outcome::Skipped { .. } => Some(Tone::Dim),
            _ => None,
        };
        let time = match outcome {
            Outcome::Skipped { .. } | Outcome::Blocked { .. } => String::new(),
            _ => duration(took),
        };
        let subject = self.steps.subject(step);
        self.row((tone, sign), &subject, (text_tone, &text), &time) + "\n"
    }

    fn trouble(&mut self, trouble: &Trouble) -> String {
        if self.troubles.contains(trouble) {
            return String::new();
        }
        self.troubles.push(trouble.clone());
        let text = self.steps.trouble(trouble);
        let sign = (Tone::Warn, "!");
        self.row(
            sign,
            trouble.service.as_str(),
            (Some(Tone::Warn), &text),
            "",
        ) + "\n"
    }

    /// `sign subject text           time`, cut to the terminal.
    fn row(
        &self,
        (sign_tone, sign): (Tone, &str),
        subject: &str,
        (text_tone, text): (Option<Tone>, &str),
        time: &str,
    ) -> String {
        let style = &self.style;
        // The last column stays free: some terminals wrap when it is written.
        let room = style.width.saturating_sub(1).min(WIDEST);
        let columns = self.steps.subject_width();
        let subject = pad(&truncate(subject, columns, style.ellipsis()), columns);
        let head = width(sign) + 1 + columns + 2;
        let tail = if time.is_empty() { 0 } else { width(time) + 2 };
        let text_room = room.saturating_sub(head + tail);
        let text = truncate(text, text_room, style.ellipsis());
        let gap = text_room.saturating_sub(width(&text));
        let painted = match text_tone {
            Some(tone) => style.paint(tone, &text),
            None => text,
        };
        let mut line = format!("{} {subject}  {painted}", style.paint(sign_tone, sign));
        if !time.is_empty() {
            line.push_str(&" ".repeat(gap + 2));
            line.push_str(&style.paint(Tone::Dim, time));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            steps::samples::plan,
            style::samples::{ASCII, PLAIN},
        },
        *,
    };
    use crate::domain::{ExitClass, Failure, Stage, StageTime, TroubleKind};

    fn board(style: Style) -> (Board, Instant) {
        let start = Instant::now();
        let mut board = Board::new(style, Redactor::default(), start);
        board.event(&EventKind::PlanReady { steps: plan() }, start);
        (board, start)
    }

    fn start(board: &mut Board, kind: &str, subject: &str, at: Instant) {
        let step = StepId::new(kind, subject);
        board.event(&EventKind::StepStarted { step }, at);
    }

    fn finish(board: &mut Board, kind: &str, subject: &str, outcome: Outcome) -> String {
        let event = EventKind::StepFinished {
            step: StepId::new(kind, subject),
            outcome,
            took: Duration::from_millis(4_200),
        };
        board.event(&event, Instant::now())
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_moves_in_the_first_quarter_second() {
        let (mut board, begin) = board(PLAIN);
        start(&mut board, "build", "order", begin);
        assert_eq!(board.frame(begin + millis(249), 24), Vec::<String>::new());
        assert_eq!(board.frame(begin + millis(250), 24).len(), 2);
    }

    #[test]
    fn what_runs_is_shown_with_its_note_and_time() {
        let (mut board, begin) = board(PLAIN);
        start(&mut board, "create", "cluster", begin);
        start(&mut board, "build", "order", begin + millis(3_000));
        board.event(
            &EventKind::StepProgress {
                step: StepId::new("build", "order"),
                note: "5/9 RUN pip install -r requirements.txt --no-cache-dir --require-hashes"
                    .into(),
            },
            begin,
        );
        insta::assert_snapshot!(board.frame(begin + millis(9_100), 24).join("\n"), @r"
        ⠸ cluster   create the cluster                                            9.1 s
        ⠦ order     build order · 5/9 RUN pip install -r requirements.txt --no-…  6.1 s
          0 of 4 steps · 9.1 s
        ");
    }

    #[test]
    fn a_low_terminal_says_how_much_more_runs() {
        let (mut board, begin) = board(ASCII);
        start(&mut board, "create", "cluster", begin);
        start(&mut board, "build", "order", begin);
        start(&mut board, "build", "payment", begin);
        insta::assert_snapshot!(board.frame(begin + millis(900), 2).join("\n"), @r"
        \ cluster   create the cluster                                            0.9 s
          2 more running - 0 of 4 steps - 0.9 s
        ");
    }

    #[test]
    fn every_end_of_a_step_has_its_sign() {
        let (mut board, _) = board(PLAIN);
        let failure = Failure::new("image.build-failed", ExitClass::Cluster, "The build failed");
        let skipped = Outcome::Skipped {
            reason: "the image is there".into(),
        };
        let lines = [
            finish(&mut board, "create", "cluster", Outcome::Done),
            finish(&mut board, "build", "order", skipped),
            finish(
                &mut board,
                "build",
                "payment",
                Outcome::Failed {
                    failure: Box::new(failure),
                },
            ),
            finish(
                &mut board,
                "install",
                "payment",
                Outcome::Blocked {
                    by: StepId::new("build", "payment"),
                },
            ),
            finish(&mut board, "install", "payment", Outcome::Cancelled),
        ];
        insta::assert_snapshot!(lines.concat(), @r"
        ✓ cluster   create the cluster                                            4.2 s
        · order     build order · the image is there
        ✗ payment   build payment · The build failed                              4.2 s
        ⊘ payment   blocked by: build payment
        ⊘ payment   install payment · not finished                                4.2 s
        ");
    }

    #[test]
    fn a_trouble_is_told_once() {
        let (mut board, begin) = board(PLAIN);
        let event = EventKind::ServiceTrouble {
            trouble: Trouble {
                service: "payment".parse().unwrap(),
                pod: None,
                container: None,
                kind: TroubleKind::CrashLoop {
                    exit_code: 1,
                    signal: None,
                    restarts: 2,
                },
                message: "back-off 20s".into(),
                is_final: false,
            },
        };
        insta::assert_snapshot!(board.event(&event, begin), @"! payment   stopped with exit code 1, restarts: 2: back-off 20s");
        assert_eq!(board.event(&event, begin), "");
    }

    #[test]
    fn a_run_that_failed_still_tells_its_times() {
        let (mut board, begin) = board(PLAIN);
        let event = EventKind::RunFinished {
            stages: vec![StageTime {
                stage: Stage::Images,
                took: millis(41_200),
            }],
            succeeded: false,
        };
        assert_eq!(
            board.event(&event, begin + millis(50_000)),
            "images 41.2 s · total 50.0 s\n"
        );
    }

    #[test]
    fn no_moving_line_is_wider_than_the_terminal() {
        for columns in [20, 40, 80, 200] {
            let (mut board, begin) = board(Style {
                width: columns,
                ..PLAIN
            });
            start(&mut board, "create", "cluster", begin);
            board.event(
                &EventKind::StepProgress {
                    step: StepId::new("create", "cluster"),
                    note: "日本".repeat(60),
                },
                begin,
            );
            for line in board.frame(begin + millis(900), 24) {
                assert!(width(&line) < columns, "{columns}: {line}");
            }
        }
    }
}
