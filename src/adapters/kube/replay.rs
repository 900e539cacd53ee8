//! An input whose beginning can be read again.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

/// How much of the beginning is kept, in bytes: more than a connection takes in before it says that nobody reads.
const KEPT: usize = 4 << 20;

/// An input that gives what it gave once more after [`rewind`](Self::rewind), unless that was long.
#[derive(Debug)]
pub(super) struct Replay<R> {
    from: R,
    /// What was read; `None` once that is too long.
    kept: Option<Vec<u8>>,
    /// How much of what is kept was given since the last rewind.
    given: usize,
}

impl<R> Replay<R> {
    /// All of `from`.
    pub(super) const fn of(from: R) -> Self {
        Self {
            from,
            kept: Some(Vec::new()),
            given: 0,
        }
    }

    /// Goes back to the beginning; `false` if that is not kept any more.
    pub(super) const fn rewind(&mut self) -> bool {
        self.given = 0;
        self.kept.is_some()
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Replay<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { from, kept, given } = &mut *self;
        let again = kept.as_ref().map_or(&[][..], |kept| &kept[*given..]);
        if !again.is_empty() {
            let count = again.len().min(into.remaining());
            into.put_slice(&again[..count]);
            *given += count;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = Pin::new(from).poll_read(context, into);
        if let Some(bytes) = kept {
            bytes.extend_from_slice(&into.filled()[before..]);
            *given = bytes.len();
        }
        if kept.as_ref().is_some_and(|kept| kept.len() > KEPT) {
            *kept = None;
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_read_is_read_again_and_then_goes_on() {
        let mut input = Replay::of(&b"one two three"[..]);
        let mut first = [0; 3];
        input.read_exact(&mut first).await.unwrap();
        for _ in 0..2 {
            assert!(input.rewind());
            let mut part = [0; 7];
            input.read_exact(&mut part).await.unwrap();
            assert_eq!(&part, b"one two");
        }
        let mut rest = String::new();
        input.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, " three");
        assert!(input.rewind());
        let mut all = String::new();
        input.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "one two three");
    }

    #[tokio::test]
    async fn a_long_input_is_read_once() {
        let long = vec![b'x'; KEPT + 1];
        let mut input = Replay::of(long.as_slice());
        let mut all = Vec::new();
        input.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, long);
        assert!(!input.rewind());
    }
}
