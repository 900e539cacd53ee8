//! Bytes that were damaged in the ways that happen, and in those that somebody means: the same each time.

/// How often each file of a corpus is damaged: more often where somebody wants to be surer.
pub(crate) fn rounds(usual: usize) -> usize {
    let wanted = std::env::vars().find(|(name, _)| name == "DEVENV_FUZZ");
    let times = wanted.map_or(1, |(_, times)| times.parse().expect("a number"));
    usual * times
}

/// Numbers that are the same each time.
pub(crate) struct Mutator(u64);

impl Mutator {
    /// One that begins with a number.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below another, which is not 0.
    fn below(&mut self, most: usize) -> usize {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap_or(0)
    }

    /// A place in bytes, or behind them.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }

    /// A piece of bytes, at most so long.
    fn piece<'a>(&mut self, bytes: &'a [u8], most: usize) -> &'a [u8] {
        let begin = self.place(bytes);
        let length = self.below((bytes.len() - begin).min(most) + 1);
        &bytes[begin..begin + length]
    }

    /// `whole`, with one to four things done to it; `other` is what may get into it.
    pub(crate) fn damaged(&mut self, whole: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(4) {
            self.damage(&mut bytes, other);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.place(bytes);
        match self.below(8) {
            // A bit is turned.
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            // A byte is another.
            2 if at < bytes.len() => {
                let odd = [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'{'];
                bytes[at] = odd[self.below(odd.len())];
            }
            // The end is cut off.
            3 => bytes.truncate(at),
            // A piece is missing.
            4 => {
                let end = at + self.below((bytes.len() - at).min(64) + 1);
                bytes.drain(at..end);
            }
            // A piece is there again.
            5 => {
                let piece = self.piece(bytes, 600).to_vec();
                bytes.splice(at..at, piece);
            }
            // A piece of something else is in it.
            6 => {
                let piece = self.piece(other, 600).to_vec();
                bytes.splice(at..at, piece);
            }
            // A length is said that is not so.
            _ => {
                let lengths: [&[u8]; 5] = [
                    &[0xff; 4],
                    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                    &[0, 0, 0x10, 0],
                    &[0x80, 0x80, 0x40],
                    b"77777777777",
                ];
                let length = lengths[self.below(lengths.len())];
                let end = (at + length.len()).min(bytes.len());
                // In the place of another, or between.
                let end = if self.below(2) == 0 { at } else { end };
                bytes.splice(at..end, length.iter().copied());
            }
        }
    }
}
