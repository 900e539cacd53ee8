//! Where an archive goes: gathered, so that the system is called seldom.

use std::io::{self, Write};

use super::{BLOCK, padding};

/// How much is gathered, in bytes.
const GATHERED: usize = 256 << 10;
/// The least room that is given to who reads into it, in bytes.
const LEAST_ROOM: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Output<W> {
    to: W,
    buffer: Vec<u8>,
    /// How much of the buffer is not yet written.
    filled: usize,
    /// How much was written and gathered, in bytes.
    pub(super) offset: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            buffer: vec![0; GATHERED],
            filled: 0,
            offset: 0,
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            if self.filled == self.buffer.len() {
                self.write_out()?;
            }
            let room = &mut self.buffer[self.filled..];
            let (now, later) = left.split_at(left.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.added(now.len());
            left = later;
        }
        Ok(())
    }

    /// Room for some of `wanted` bytes, to be filled from its beginning.
    pub(super) fn room(&mut self, wanted: u64) -> io::Result<&mut [u8]> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        if self.buffer.len() - self.filled < wanted.min(LEAST_ROOM) {
            self.write_out()?;
        }
        let end = self.filled.saturating_add(wanted).min(self.buffer.len());
        Ok(&mut self.buffer[self.filled..end])
    }

    /// Takes what the room was filled with, and shows it.
    pub(super) fn took(&mut self, count: usize) -> &[u8] {
        let begin = self.filled;
        self.added(count);
        &self.buffer[begin..self.filled]
    }

    fn added(&mut self, count: usize) {
        self.filled += count;
        self.offset += count as u64;
    }

    /// Fills up contents of a length to a block.
    pub(super) fn pad(&mut self, length: u64) -> io::Result<()> {
        self.put(&[0; BLOCK][..padding(length)])
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.to.write_all(&self.buffer[..self.filled])?;
        self.filled = 0;
        Ok(())
    }

    /// Writes what is gathered.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_out()?;
        self.to.flush()?;
        Ok(self.to)
    }
}
