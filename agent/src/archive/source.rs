//! Where an archive comes from: read in large pieces, given out in small ones.

use std::io::{ErrorKind, Read};

use super::{BLOCK, Problem};

/// How much is read in one go, in bytes.
const AT_ONCE: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Source<R> {
    from: R,
    buffer: Vec<u8>,
    /// What was read and not yet given out.
    begin: usize,
    end: usize,
    /// How much was given out, in bytes.
    pub(super) offset: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            buffer: vec![0; AT_ONCE],
            begin: 0,
            end: 0,
            offset: 0,
        }
    }

    /// Some bytes, at least one and no more than `most`.
    pub(super) fn some(&mut self, most: u64) -> Result<&[u8], Problem> {
        self.ready()?;
        Ok(self.take(most))
    }

    /// Waits until some bytes are there.
    pub(super) fn ready(&mut self) -> Result<(), Problem> {
        if self.is_at_end()? {
            return Err(Problem::Truncated);
        }
        Ok(())
    }

    /// What is there, no more than `most`.
    pub(super) fn take(&mut self, most: u64) -> &[u8] {
        let there = self.end - self.begin;
        let count = usize::try_from(most).map_or(there, |most| most.min(there));
        let begin = self.begin;
        self.begin += count;
        self.offset += count as u64;
        &self.buffer[begin..begin + count]
    }

    /// Appends as many bytes.
    pub(super) fn append(&mut self, count: usize, to: &mut Vec<u8>) -> Result<(), Problem> {
        let whole = to.len() + count;
        while to.len() < whole {
            let some = self.some((whole - to.len()) as u64)?;
            to.extend_from_slice(some);
        }
        Ok(())
    }

    pub(super) fn block(&mut self) -> Result<[u8; BLOCK], Problem> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let some = self.some((BLOCK - filled) as u64)?;
            block[filled..filled + some.len()].copy_from_slice(some);
            filled += some.len();
        }
        Ok(block)
    }

    /// Whether nothing is left. Waits until that is known.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Problem> {
        while self.begin == self.end {
            match self.from.read(&mut self.buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => (self.begin, self.end) = (0, count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Problem::unreadable(&error)),
            }
        }
        Ok(false)
    }
}
