//! The reading end of the outbox, on its own thread.

use std::{
    io::{self, BufRead, Write},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    board::Board,
    documents, failures, json,
    lines::Lines,
    logs::Logs,
    style::{Style, Tone},
    terminal::{self, Region, TICK},
    text::wrap,
};
use crate::{
    domain::{EventKind, Failures},
    report::{FailureReport, Message, OutputFormat, OutputStream, Question, Redactor, Report},
};

/// How the events of a run are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// Not at all.
    Silent,
    /// One line each.
    Lines,
    /// On a terminal, moving.
    Live,
}

/// How everything is shown.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The form of documents.
    pub format: OutputFormat,
    /// The events.
    pub talk: Talk,
    /// Standard output.
    pub stdout: Style,
    /// Standard error.
    pub stderr: Style,
    /// Whether a document that is sent again replaces the one before on the screen.
    pub redraw: Redraw,
}

/// Whether standard output can be drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redraw {
    /// It is a terminal.
    Possible,
    /// It is a file or a pipe.
    Impossible,
}

/// A running reader.
#[derive(Debug)]
pub struct Reader {
    done_rx: std::sync::mpsc::Receiver<()>,
}

impl Reader {
    /// Starts reading.
    pub fn spawn(
        settings: Settings,
        message_rx: mpsc::Receiver<Message>,
        redactor: Redactor,
    ) -> io::Result<Self> {
        let (done_tx, done_rx) = sync_channel(1);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || {
                Show::new(settings, redactor, io::stdout(), io::stderr()).run(message_rx);
                // Nobody waits for it after the deadline.
                let _ = done_tx.send(());
            })?;
        Ok(Self { done_rx })
    }

    /// Waits until everything is shown, at most `deadline`; a reader that waits for a user's answer is left behind.
    pub fn finish(self, deadline: Duration) {
        match self.done_rx.recv_timeout(deadline) {
            Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
        }
    }
}

enum Talker {
    Silent,
    Lines(Lines),
    Live(Box<Board>, Region),
}

/// Shows messages on two writers.
struct Show<O, E> {
    settings: Settings,
    redactor: Redactor,
    talker: Talker,
    logs: Logs,
    stdout: O,
    stderr: E,
    /// The report of the command, kept until its end in the forms of which there is exactly one document.
    document: Option<Report>,
    /// Lines of the last document of a stream that can be drawn over.
    item_lines: usize,
}

impl<O: Write, E: Write> Show<O, E> {
    fn new(settings: Settings, redactor: Redactor, stdout: O, stderr: E) -> Self {
        let now = Instant::now();
        let talker = match settings.talk {
            Talk::Silent => Talker::Silent,
            Talk::Lines => Talker::Lines(Lines::new(settings.stderr, redactor.clone(), now)),
            Talk::Live => {
                let board = Board::new(settings.stderr, redactor.clone(), now);
                Talker::Live(Box::new(board), Region::default())
            }
        };
        Self {
            logs: Logs::new(settings.stdout, redactor.clone()),
            settings,
            redactor,
            talker,
            stdout,
            stderr,
            document: None,
            item_lines: 0,
        }
    }

    fn run(&mut self, mut message_rx: mpsc::Receiver<Message>) {
        // Only a moving screen needs a clock.
        let clock = match self.talker {
            Talker::Live(..) => tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .ok(),
            Talker::Silent | Talker::Lines(_) => None,
        };
        let mut drawn = Instant::now();
        loop {
            let message = match &clock {
                None => message_rx.blocking_recv(),
                Some(clock) => {
                    let receive = async { tokio::time::timeout(TICK, message_rx.recv()).await };
                    match clock.block_on(receive) {
                        Ok(message) => message,
                        Err(_tick) => {
                            self.tick();
                            drawn = Instant::now();
                            continue;
                        }
                    }
                }
            };
            match message {
                None | Some(Message::End) => break,
                Some(message) => self.message(message),
            }
            // A busy stream must not keep the screen from moving.
            if clock.is_some() && drawn.elapsed() >= TICK {
                self.tick();
                drawn = Instant::now();
            }
        }
        self.end();
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.event(&event),
            Message::Report(report) => self.report(*report),
            Message::Item(report) => self.item(&report),
            Message::Failures {
                exit_code,
                failures,
            } => self.failures(exit_code, &failures),
            Message::Bytes(stream, bytes) => self.bytes(stream, &bytes),
            // Whoever waited for it may have given up.
            Message::Flush(written_tx) => drop(written_tx.send(())),
            Message::Question(question) => self.question(question),
            Message::End => {}
        }
    }

    fn event(&mut self, event: &EventKind) {
        let now = Instant::now();
        let text = match &mut self.talker {
            Talker::Silent => return,
            Talker::Lines(lines) => lines.event(event, now),
            Talker::Live(board, region) => {
                let above = board.event(event, now);
                if above.is_empty() {
                    return;
                }
                let (style, rows) = terminal::size(board.style);
                board.style = style;
                region.draw(&above, &board.frame(now, rows.saturating_sub(1)))
            }
        };
        self.talk(&text);
    }

    fn tick(&mut self) {
        if let Talker::Live(board, region) = &mut self.talker {
            let (style, rows) = terminal::size(board.style);
            board.style = style;
            let text = region.draw("", &board.frame(Instant::now(), rows.saturating_sub(1)));
            self.talk(&text);
        }
    }

    /// Takes the moving part off the screen, so that something else can be written.
    fn clear(&mut self) {
        if let Talker::Live(_, region) = &mut self.talker {
            let text = region.erase();
            self.talk(&text);
        }
    }

    fn report(&mut self, report: Report) {
        match self.settings.format {
            OutputFormat::Text => {
                self.clear();
                let text = documents::text(&report, &self.settings.stdout, &mut self.logs);
                self.data(self.redactor.text(&text).as_bytes());
            }
            // What comes last counts: a failure after a report is the truth.
            OutputFormat::Json | OutputFormat::Yaml => self.document = Some(report),
        }
    }

    fn item(&mut self, report: &Report) {
        let format = self.settings.format;
        let text = match format {
            OutputFormat::Json | OutputFormat::Yaml => json::item(report, format, &self.redactor),
            OutputFormat::Text => {
                self.clear();
                let text = documents::text(report, &self.settings.stdout, &mut self.logs);
                let text = self.redactor.text(&text);
                self.over_the_last(report, text)
            }
        };
        self.data(text.as_bytes());
    }

    /// `text` so that it replaces the last document on a terminal. What is only told once stays.
    fn over_the_last(&mut self, report: &Report, text: String) -> String {
        let is_told_once = matches!(report, Report::Log(_) | Report::Live(_) | Report::Up(_));
        if is_told_once || self.settings.redraw == Redraw::Impossible {
            return text;
        }
        let lines = text.lines().count();
        let before = std::mem::replace(&mut self.item_lines, lines);
        if before == 0 {
            return text;
        }
        format!("\x1b[{before}F\x1b[0J{text}")
    }

    fn failures(&mut self, exit_code: u8, failures: &Failures) {
        match self.settings.format {
            OutputFormat::Text => {
                self.clear();
                let text = failures::render(failures, &self.redactor, &self.settings.stderr);
                self.talk(&text);
            }
            OutputFormat::Json | OutputFormat::Yaml => {
                let report = FailureReport::new(exit_code, failures);
                self.document = Some(Report::Failure(report));
            }
        }
    }

    fn bytes(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.clear();
        match (stream, self.settings.format) {
            (OutputStream::Stdout, OutputFormat::Text) => self.data(bytes),
            // Standard output belongs to the document.
            (OutputStream::Stdout | OutputStream::Stderr, _) => self.talk_bytes(bytes),
        }
    }

    fn question(&mut self, question: Question) {
        self.clear();
        // Whole and with nothing taken out: what is agreed to must not hide behind what looks like a secret.
        for line in &question.about {
            self.talk(&format!("{}\n", super::safe_text(line)));
        }
        let text = super::safe_text(&self.redactor.text(&question.text));
        let style = &self.settings.stderr;
        let prompt = wrap(&format!("{text} [y/N]"), style.width.saturating_sub(1)).join("\n");
        let prompt = style.paint(Tone::Strong, prompt);
        self.talk(&format!("{prompt} "));
        let mut answer = String::new();
        // No answer at all is a no.
        let _ = io::stdin().lock().read_line(&mut answer);
        let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        // The command may have been interrupted meanwhile.
        let _ = question.answer_tx.send(yes);
    }

    fn end(&mut self) {
        self.clear();
        if let Some(report) = self.document.take() {
            let text = json::document(&report, self.settings.format, &self.redactor);
            self.data(text.as_bytes());
        }
    }

    fn talk(&mut self, text: &str) {
        self.talk_bytes(text.as_bytes());
    }

    /// Nobody can be told when standard error is closed.
    fn talk_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stderr.write_all(bytes);
        let _ = self.stderr.flush();
    }

    /// A reader of standard output that is gone, as `| head` is, has all it wanted.
    fn data(&mut self, bytes: &[u8]) {
        let _ = self.stdout.write_all(bytes);
        let _ = self.stdout.flush();
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
