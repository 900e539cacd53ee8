//! From the streams of a command to the user's, or into memory.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
};

use super::{Connection, Copied, Ran, exit_code};
use crate::report::{Message, Outbox, OutputStream};

/// How much is passed on at a time, and may wait between a command and its reader, in bytes.
const PIECE: usize = 64 * 1024;

/// Where the two outputs of a command are written to.
pub(super) struct Outputs {
    pub(super) stdout: DuplexStream,
    pub(super) stderr: DuplexStream,
    copying: [JoinHandle<Vec<u8>>; 2],
    outbox: Outbox,
}

impl Outputs {
    /// Begins to pass on or to collect.
    pub(super) fn open(connection: Connection, outbox: &Outbox) -> Self {
        let (stdout, said) = duplex(PIECE);
        let (stderr, complained) = duplex(PIECE);
        let copy = |from, to| match connection {
            Connection::Collected(_) => tokio::spawn(collect(from)),
            Connection::Terminal | Connection::Streams(_) => {
                tokio::spawn(pass_on(from, to, outbox.clone()))
            }
        };
        Self {
            stdout,
            stderr,
            copying: [
                copy(said, OutputStream::Stdout),
                copy(complained, OutputStream::Stderr),
            ],
            outbox: outbox.clone(),
        }
    }

    /// Waits until everything is with the user, and says how the command ended.
    pub(super) async fn close(mut self, code: i32, copied: Copied) -> Ran {
        // They are pipes in memory: closing them cannot fail.
        let _ = tokio::join!(self.stdout.shutdown(), self.stderr.shutdown());
        let [stdout, stderr] = self.copying;
        let (stdout, stderr) = tokio::join!(stdout, stderr);
        self.outbox.flush().await;
        Ran {
            code: exit_code(code),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            copied,
        }
    }
}

async fn collect(mut from: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A pipe in memory ends, and does not fail.
    let _ = from.read_to_end(&mut bytes).await;
    bytes
}

async fn pass_on(mut from: DuplexStream, to: OutputStream, outbox: Outbox) -> Vec<u8> {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        outbox
            .send(Message::Bytes(to, buffer[..count].to_vec()))
            .await;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{super::Input, *};

    #[tokio::test]
    async fn every_byte_is_passed_on_before_the_end_is_told() {
        let (outbox, mut message_rx) = Outbox::new();
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            while let Some(message) = message_rx.recv().await {
                match message {
                    Message::Bytes(OutputStream::Stdout, piece) => bytes.extend(piece),
                    Message::Flush(written_tx) => drop(written_tx.send(())),
                    _ => {}
                }
            }
            bytes
        });
        let mut outputs = Outputs::open(Connection::Streams(Input::File), &outbox);
        let said: Vec<u8> = (0..=255).cycle().take(PIECE * 5 + 7).collect();
        outputs.stdout.write_all(&said).await.unwrap();
        let ran = outputs.close(3, Copied::default()).await;
        assert_eq!((ran.code, ran.stdout.len()), (3, 0));
        drop(outbox);
        assert!(reading.await.unwrap() == said);
    }

    #[tokio::test]
    async fn what_is_collected_keeps_the_streams_apart() {
        let outbox = Outbox::new().0;
        let mut outputs = Outputs::open(Connection::Collected(Input::File), &outbox);
        outputs.stdout.write_all(b"out").await.unwrap();
        outputs.stderr.write_all(b"err").await.unwrap();
        let ran = outputs.close(0, Copied::default()).await;
        assert_eq!(
            (&ran.stdout[..], &ran.stderr[..]),
            (&b"out"[..], &b"err"[..])
        );
    }
}
