//! Frames: what a segment is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::adapters::agent::FileId;

/// The length and the checksum before a frame.
const PREFIX: usize = 8;

/// How far a run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    pub(super) file: FileId,
    pub(super) offset: u64,
}

/// An amount of what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    /// Of lines as they are stored.
    pub(super) fn of(lines: &[u8]) -> Self {
        let parts = lines.split(|byte| *byte == b'\n').count();
        Self {
            lines: parts as u64 - 1,
            bytes: lines.len() as u64,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What a frame begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Header {
    /// The first of each segment.
    Before {
        /// What was stored in all segments before.
        stored: Amount,
        /// How far each run was read that may go on.
        reached: BTreeMap<Origin, Reached>,
    },
    /// Lines follow.
    Lines { origin: Origin, reached: Reached },
    /// Something was removed in the node before it was read.
    Lost { origin: Origin, bytes: Option<u64> },
    /// Nothing more comes of a run.
    Ended { origin: Origin },
}

/// Adds a frame to `to`.
pub(super) fn write(header: &Header, lines: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(&[0; PREFIX]);
    // Into memory it cannot fail.
    let mut header = postcard::to_allocvec(header).unwrap_or_default();
    to.append(&mut header);
    to.extend_from_slice(lines);
    let frame = &to[start + PREFIX..];
    let (length, sum) = (u32::try_from(frame.len()).unwrap_or(u32::MAX), sum(frame));
    to[start..start + 4].copy_from_slice(&length.to_le_bytes());
    to[start + 4..start + PREFIX].copy_from_slice(&sum);
}

/// The first frame of `bytes`, its lines and its length; nothing if it is not whole.
pub(super) fn read(bytes: &[u8]) -> Option<(Header, &[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let frame = rest.get(..u32::from_le_bytes(*length) as usize)?;
    if sum(frame) != *expected {
        return None;
    }
    let (header, lines) = postcard::take_from_bytes(frame).ok()?;
    Some((header, lines, PREFIX + frame.len()))
}

fn sum(frame: &[u8]) -> [u8; 4] {
    let hash = *blake3::hash(frame).as_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}
