//! The map before the data of a file with holes.

use super::{Layout, Segment, padding, parse::decimal};

/// The longest line of a map, in bytes.
const LONGEST_LINE: u64 = 21;

/// Appends the map of a file with holes, without what fills it up.
pub(super) fn encode(layout: &Layout, to: &mut Vec<u8>) {
    let ends = layout
        .data()
        .last()
        .is_none_or(|last| last.end() != layout.size());
    let end = ends.then_some(Segment {
        at: layout.size(),
        length: 0,
    });
    let count = layout.data().len() + usize::from(ends);
    number(to, count as u64);
    for piece in layout.data().iter().chain(&end) {
        number(to, piece.at);
        number(to, piece.length);
    }
}

/// The map of a file with holes as it is written.
pub(super) fn map(layout: &Layout) -> Vec<u8> {
    let mut map = Vec::new();
    encode(layout, &mut map);
    map.resize(map.len() + padding(map.len() as u64), 0);
    map
}

fn number(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(number.to_string().as_bytes());
    to.push(b'\n');
}

/// What the first line of a map tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// How many pieces follow, with the empty one that tells a hole at the end.
    pub(super) pieces: u64,
}

impl Announced {
    /// Reads the first line in the first block of a map.
    pub(super) fn of(block: &[u8]) -> Option<Self> {
        let line = block.split(|byte| *byte == b'\n').next()?;
        decimal(line).map(|pieces| Self { pieces })
    }

    pub(super) const fn lines(self) -> u64 {
        self.pieces.saturating_mul(2).saturating_add(1)
    }

    /// How long the map is at most, in bytes.
    pub(super) const fn longest(self) -> u64 {
        self.lines().saturating_mul(LONGEST_LINE)
    }

    /// Reads a map that is there whole.
    pub(super) fn layout(self, map: &[u8], real_size: u64) -> Option<Layout> {
        let mut numbers = map.split(|byte| *byte == b'\n').skip(1);
        let mut pieces = Vec::new();
        for _ in 0..self.pieces {
            let piece = Segment {
                at: decimal(numbers.next()?)?,
                length: decimal(numbers.next()?)?,
            };
            if piece.length != 0 {
                pieces.push(piece);
            }
        }
        Layout::sparse(real_size, pieces)
    }
}

/// How many lines end in some bytes.
pub(super) fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}
