//! The one channel from a command to whoever shows it.

use tokio::sync::mpsc;

use crate::domain::EventKind;

/// How many messages may wait for a slow reader before the sender waits.
const ROOM: usize = 1024;

/// Something to show.
#[derive(Debug)]
pub enum Message {
    /// Something happened in a run.
    Event(EventKind),
}

/// The sending end. Cheap to clone; the reader ends when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Outbox {
    message_tx: mpsc::Sender<Message>,
}

impl Outbox {
    /// An outbox and its reading end.
    pub fn new() -> (Self, mpsc::Receiver<Message>) {
        let (message_tx, message_rx) = mpsc::channel(ROOM);
        (Self { message_tx }, message_rx)
    }

    /// Sends a message; waits while the reader is behind. A reader that is gone is no error: nobody listens.
    pub async fn send(&self, message: Message) {
        let _ = self.message_tx.send(message).await;
    }

    /// Sends an event.
    pub async fn event(&self, event: EventKind) {
        self.send(Message::Event(event)).await;
    }

    /// Sends an event that may be dropped when the reader is behind: progress.
    pub fn try_event(&self, event: EventKind) {
        let _ = self.message_tx.try_send(Message::Event(event));
    }
}
