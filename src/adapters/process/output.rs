//! A child's output: the end of it kept, every line passed on.

use std::collections::VecDeque;

use super::{OnLine, Stream};

/// A line longer than this is passed on in pieces.
const LONGEST_LINE: usize = 16 * 1024;

/// What both streams said.
pub(super) struct Collected<'a> {
    stdout: Tail,
    stderr: Tail,
    on_line: Option<OnLine<'a>>,
}

impl<'a> Collected<'a> {
    /// Keeps the last `kept` bytes of each stream.
    pub(super) fn new(kept: usize, on_line: Option<OnLine<'a>>) -> Self {
        Self {
            stdout: Tail::new(kept),
            stderr: Tail::new(kept),
            on_line,
        }
    }

    /// Takes bytes as they come.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let tail = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        tail.keep(bytes);
        if let Some(on_line) = self.on_line {
            tail.lines(bytes, |line| on_line(stream, line));
        }
    }

    /// The end of standard output and of standard error. Passes on what came after the last line's end.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        if let Some(on_line) = self.on_line {
            self.stdout.rest(|line| on_line(Stream::Stdout, line));
            self.stderr.rest(|line| on_line(Stream::Stderr, line));
        }
        (self.stdout.kept.into(), self.stderr.kept.into())
    }
}

struct Tail {
    kept: VecDeque<u8>,
    room: usize,
    open_line: Vec<u8>,
}

impl Tail {
    const fn new(room: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            room,
            open_line: Vec::new(),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.room)..];
        let excess = (self.kept.len() + bytes.len()).saturating_sub(self.room);
        self.kept.drain(..excess);
        self.kept.extend(bytes);
    }

    fn lines(&mut self, bytes: &[u8], mut emit: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open_line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open_line.len() >= LONGEST_LINE {
                self.rest(&mut emit);
            }
        }
    }

    fn rest(&mut self, mut emit: impl FnMut(&str)) {
        if !self.open_line.is_empty() {
            let line = String::from_utf8_lossy(&self.open_line);
            emit(line.trim_end_matches(['\n', '\r']));
            self.open_line.clear();
        }
    }
}
