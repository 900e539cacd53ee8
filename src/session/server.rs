//! The session's side of its socket.

use std::{io, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Board,
    board::Heard,
    protocol::{ErrorAnswer, Greeting, LONGEST_REQUEST, Request, StopAnswer, Told, line},
};
use crate::adapters::local_socket::{Line, LineReader, LineWriter, Listener};

/// How long clients may take to read what is left.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// After an error of the system, such as too many open files.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Answers clients until `over`; `stop` is triggered when one asks the session to end.
pub(super) async fn serve(
    listener: Listener,
    greeting: Greeting,
    board: Board,
    stop: CancellationToken,
    over: CancellationToken,
) {
    let greeting = line(&greeting);
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that are gone take no room.
            Some(_) = clients.join_next() => continue,
            () = over.cancelled() => break,
        };
        let Ok((reader, writer)) = accepted else {
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        let client = Client {
            reader,
            writer,
            board: board.clone(),
            stop: stop.clone(),
        };
        let greeting = greeting.clone();
        clients.spawn(async move {
            // A client that is gone wants nothing more.
            let _ = client.talk(&greeting).await;
        });
    }
    let all_gone = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WORDS, all_gone).await;
}

struct Client {
    reader: LineReader,
    writer: LineWriter,
    board: Board,
    stop: CancellationToken,
}

impl Client {
    async fn talk(mut self, greeting: &str) -> io::Result<()> {
        self.writer.line(greeting).await?;
        loop {
            let text = match self.reader.next(LONGEST_REQUEST).await? {
                Line::Text(text) => text,
                Line::TooLong => {
                    let error = format!("a request has at most {LONGEST_REQUEST} bytes");
                    return self.writer.line(&line(&ErrorAnswer { error })).await;
                }
                Line::End => return Ok(()),
            };
            match serde_json::from_str(&text) {
                Ok(Request::Status) => {
                    let standings = self.board.standings();
                    self.writer.line(&standings).await?;
                }
                Ok(Request::Attach { tail }) => return self.attach(tail).await,
                Ok(Request::Stop) => {
                    let answered = self
                        .writer
                        .line(&line(&StopAnswer { stopping: true }))
                        .await;
                    // Whether it still hears the answer or not: it asked.
                    self.stop.cancel();
                    return answered;
                }
                Err(error) => {
                    let error = format!("not a request: {error}");
                    self.writer.line(&line(&ErrorAnswer { error })).await?;
                }
            }
        }
    }

    /// Passes events on until the client goes or there are no more.
    async fn attach(mut self, tail: usize) -> io::Result<()> {
        let mut hearing = self.board.listen(tail);
        loop {
            tokio::select! {
                heard = hearing.next() => match heard {
                    Heard::Line(line) => self.writer.line(&line).await?,
                    Heard::Missed(missed) => self.writer.line(&line(&Told::Missed { missed })).await?,
                    Heard::End => return Ok(()),
                },
                asked = self.reader.next(LONGEST_REQUEST) => match asked? {
                    // It has what it asked for.
                    Line::Text(_) => {}
                    Line::TooLong | Line::End => return Ok(()),
                },
            }
        }
    }
}
