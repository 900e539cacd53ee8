//! The one channel from a command to whoever shows it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{LogLine, Redactor, Report};
use crate::domain::{EventKind, Failures, NoticeLevel};

/// How many messages may wait for a slow reader before the sender waits.
const ROOM: usize = 1024;

/// Something to show.
#[derive(Debug)]
pub enum Message {
    /// Something happened in a run.
    Event(EventKind),
    /// The result of the command: at most one a command.
    Report(Box<Report>),
    /// One of a stream of documents: a log line, a status that is watched.
    Item(Box<Report>),
    /// The command did not do what it was asked; in place of its report.
    Failures {
        /// The exit code of the program.
        exit_code: u8,
        /// Why.
        failures: Failures,
    },
    /// Bytes of a child's output, passed on as they are.
    Bytes(OutputStream, Vec<u8>),
    /// Answered once everything before it is written.
    Flush(oneshot::Sender<()>),
    /// A question to the user; only sent where a user can answer.
    Question(Question),
    /// The command is over: show what is left, then stop reading.
    End,
}

/// Where a child's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A question that is answered with yes or no.
#[derive(Debug)]
pub struct Question {
    /// What is shown above it: lines, each as it is.
    pub about: Vec<String>,
    /// The question, one sentence with its question mark.
    pub text: String,
    /// Where the answer goes; dropped means no.
    pub answer_tx: oneshot::Sender<bool>,
}

/// Another reader of the events, such as the journal. Called in the order of the stream, before anything is shown.
pub trait Listener: Send {
    /// Takes one event.
    fn event(&mut self, event: &EventKind);

    /// Takes note that the run is over, and how; it hears nothing more.
    fn ended(&mut self, exit_code: u8, failures: Option<&Failures>);
}

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    message_tx: mpsc::Sender<Message>,
    listener: Arc<Mutex<Option<Box<dyn Listener>>>>,
    redactor: Redactor,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox and its reading end.
    pub fn new() -> (Self, mpsc::Receiver<Message>) {
        Self::keeping(Redactor::default())
    }

    /// An outbox that never shows the values of `redactor`, and its reading end.
    pub fn keeping(redactor: Redactor) -> (Self, mpsc::Receiver<Message>) {
        let (message_tx, message_rx) = mpsc::channel(ROOM);
        let outbox = Self {
            message_tx,
            listener: Arc::default(),
            redactor,
        };
        (outbox, message_rx)
    }

    /// Sends a message; waits while the reader is behind. A reader that is gone is no error: nobody listens.
    pub async fn send(&self, message: Message) {
        if let Message::Event(event) = &message {
            self.tell_listener(event);
        }
        let _ = self.message_tx.send(message).await;
    }

    /// Sends an event.
    pub async fn event(&self, event: EventKind) {
        self.send(Message::Event(event)).await;
    }

    /// Sends an event that may be dropped when the reader is behind: progress.
    pub fn try_event(&self, event: EventKind) {
        self.tell_listener(&event);
        let _ = self.message_tx.try_send(Message::Event(event));
    }

    /// Sends a sentence that is worth a line.
    pub async fn notice(&self, level: NoticeLevel, text: impl Into<String>) {
        let text = text.into();
        self.event(EventKind::Notice { level, text }).await;
    }

    /// Sends the result of the command: once, at its end.
    pub async fn report(&self, report: Report) {
        self.send(Message::Report(Box::new(report))).await;
    }

    /// Sends one of a stream of documents.
    pub async fn item(&self, report: Report) {
        self.send(Message::Item(Box::new(report))).await;
    }

    /// Sends a line of a container's log.
    pub async fn log(&self, line: LogLine) {
        self.item(Report::Log(line)).await;
    }

    /// Waits until everything sent so far is written, however slow its reader is.
    pub async fn flush(&self) {
        let (written_tx, written_rx) = oneshot::channel();
        self.send(Message::Flush(written_tx)).await;
        // A reader that is gone writes nothing more.
        let _ = written_rx.await;
    }

    /// Asks the user, and waits for the answer; no answer is a no.
    pub async fn ask(&self, about: Vec<String>, text: impl Into<String>) -> bool {
        let (answer_tx, answer_rx) = oneshot::channel();
        let text = text.into();
        self.send(Message::Question(Question {
            about,
            text,
            answer_tx,
        }))
        .await;
        answer_rx.await.unwrap_or(false)
    }

    /// Adds a value that must never be shown, whoever says it. See [`Redactor::register`].
    pub fn redact(&self, secret: &str) {
        self.redactor.register(secret);
    }

    /// The values that are never shown.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Makes `listener` read every event from now on, in place of the one before.
    pub fn listen(&self, listener: Box<dyn Listener>) {
        *self.lock_listener() = Some(listener);
    }

    /// Tells the reader of the events how the run ended, and lets go of it; nothing where there is none.
    pub fn end_run(&self, exit_code: u8, failures: Option<&Failures>) {
        if let Some(mut listener) = self.lock_listener().take() {
            listener.ended(exit_code, failures);
        }
    }

    fn tell_listener(&self, event: &EventKind) {
        if let Some(listener) = self.lock_listener().as_mut() {
            listener.event(event);
        }
    }

    fn lock_listener(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Listener>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(Arc<Mutex<usize>>);

    impl Listener for Count {
        fn event(&mut self, _: &EventKind) {
            *self.0.lock().unwrap() += 1;
        }

        fn ended(&mut self, _: u8, _: Option<&Failures>) {
            *self.0.lock().unwrap() += 10;
        }
    }

    #[tokio::test]
    async fn a_listener_hears_every_event_even_when_nobody_reads() {
        let (outbox, message_rx) = Outbox::new();
        drop(message_rx);
        let count = Arc::default();
        outbox.listen(Box::new(Count(Arc::clone(&count))));
        outbox.notice(NoticeLevel::Info, "one").await;
        outbox.try_event(EventKind::RunStarted {
            command: "up".into(),
        });
        assert_eq!(*count.lock().unwrap(), 2);
        outbox.end_run(0, None);
        outbox.notice(NoticeLevel::Info, "late").await;
        outbox.end_run(1, None);
        assert_eq!(*count.lock().unwrap(), 12);
    }

    #[tokio::test]
    async fn a_question_that_nobody_answers_is_a_no() {
        let (outbox, message_rx) = Outbox::new();
        drop(message_rx);
        assert!(!outbox.ask(Vec::new(), "Remove it?").await);
    }
}
