//! The terminal and the standard streams of this process, where a program elsewhere uses them as its own.
//!
//! Called by the features that connect a user to a container. Nothing here prints.

use std::{
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    thread,
};

use bytes::Bytes;
use futures::stream;
use rustix::{
    event::{PollFd, PollFlags, poll},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use tokio::{
    io::AsyncRead,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tokio_util::io::StreamReader;

use super::kube::TerminalSize;

/// How much of the input is read at a time, in bytes.
const CHUNK: usize = 32 * 1024;
/// How many pieces of the input may wait for their reader.
const WAITING: usize = 4;

/// The terminal passes every key on as it is, until this is dropped.
///
/// Dropping it puts back what was before: at a return, at a cancelled wait and at a panic. A signal that
/// ends the program at once is the affair of `cli`, which remembers the modes as well.
#[must_use = "dropping it puts the terminal back"]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Makes the terminal on standard input raw.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin().as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone, and then nobody looks at it.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.before);
    }
}

/// The size of the terminal on standard output; `None` if there is none.
pub fn size() -> Option<TerminalSize> {
    let size = tcgetwinsize(io::stdout().as_fd()).ok()?;
    Some(TerminalSize {
        width: size.ws_col,
        height: size.ws_row,
    })
}

/// Whether what is on the screen already should be drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redraw {
    /// Yes: a program that draws its screen does so when the size changes, which shows what it drew before
    /// anyone was connected. The first size comes twice for it, at first a little larger.
    Asked,
    /// No.
    NotNeeded,
}

/// The size of the terminal now, and again whenever it changes. Needs a tokio runtime.
pub fn sizes(redraw: Redraw) -> io::Result<mpsc::Receiver<TerminalSize>> {
    let mut changed = signal(SignalKind::window_change())?;
    let (size_tx, size_rx) = mpsc::channel(2);
    tokio::spawn(async move {
        if redraw == Redraw::Asked
            && let Some(TerminalSize { width, height }) = size()
        {
            let larger = TerminalSize {
                width: width.saturating_add(1),
                height: height.saturating_add(1),
            };
            // The receiver is there: it is returned with room for two.
            let _ = size_tx.send(larger).await;
        }
        loop {
            if let Some(size) = size()
                && size_tx.send(size).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = size_tx.closed() => return,
                next = changed.recv() => if next.is_none() { return },
            }
        }
    });
    Ok(size_rx)
}

/// Standard input, read by a thread of its own that the end of the program does not wait for.
pub fn input() -> io::Result<impl AsyncRead + Send + Unpin> {
    reader("input", io::stdin())
}

fn reader(
    name: &str,
    mut from: impl Read + Send + 'static,
) -> io::Result<impl AsyncRead + Send + Unpin> {
    let (bytes_tx, bytes_rx) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let piece = match from.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let is_over = piece.is_err();
                if bytes_tx.blocking_send(piece).is_err() || is_over {
                    return;
                }
            }
        })?;
    let pieces = stream::unfold(bytes_rx, |mut bytes_rx| async move {
        let piece = bytes_rx.recv().await?;
        Some((piece, bytes_rx))
    });
    Ok(StreamReader::new(Box::pin(pieces)))
}

/// Returns once nobody reads standard output any more, as after `| head`; never where that cannot be seen.
pub async fn output_closed() {
    closed(io::stdout()).await;
}

/// A thread waits for it, so that the descriptor stays as it is: others share it and expect it to block.
async fn closed(output: impl AsFd) {
    let (closed_tx, closed_rx) = oneshot::channel();
    let watched = output.as_fd().try_clone_to_owned().and_then(|output| {
        thread::Builder::new()
            .name("output-closed".to_owned())
            .spawn(move || {
                if wait_until_closed(&output) {
                    // Whoever waited may be gone.
                    let _ = closed_tx.send(());
                }
            })
    });
    if watched.is_err() || closed_rx.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether the other side is gone; blocks until it is.
fn wait_until_closed(output: &OwnedFd) -> bool {
    loop {
        let mut asked = [PollFd::new(output, PollFlags::empty())];
        match poll(&mut asked, None) {
            Ok(_) => {
                return asked[0]
                    .revents()
                    .intersects(PollFlags::ERR | PollFlags::HUP);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn input_comes_whole_and_ends() {
        let bytes: Vec<u8> = (0..=255).cycle().take(CHUNK * 9 + 1).collect();
        let mut read = Vec::new();
        reader("test", Cursor::new(bytes.clone()))
            .unwrap()
            .read_to_end(&mut read)
            .await
            .unwrap();
        assert!(read == bytes);
    }

    #[tokio::test]
    async fn an_output_is_closed_once_its_reader_is_gone_and_not_before() {
        let (reader, writer) = io::pipe().unwrap();
        let mut closed = Box::pin(closed(&writer));
        assert!(futures::poll!(&mut closed).is_pending());
        drop(reader);
        tokio::time::timeout(Duration::from_secs(10), closed)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_file_is_never_closed() {
        let file = tempfile::tempfile().unwrap();
        assert!(futures::poll!(Box::pin(closed(&file))).is_pending());
    }
}
