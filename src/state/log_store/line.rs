//! Lines as the runtime writes them: `<time> <output> <tags> <text>`.

use jiff::Timestamp;

/// Where a container wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Its standard output.
    Standard,
    /// Its standard error.
    Error,
}

impl Output {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "stdout",
            Self::Error => "stderr",
        }
    }
}

/// A line of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was said, by the node's clock; nothing for what is not as the runtime writes it.
    pub time: Option<Timestamp>,
    /// Where it was written.
    pub output: Output,
    /// Whether it goes on in the next of its output.
    pub is_cut: bool,
    /// Its bytes as they were said, without the line's end.
    pub bytes: Vec<u8>,
}

impl Line {
    /// Reads a line without its end. What is not understood is kept as it is.
    pub(super) fn read(text: &[u8]) -> Self {
        parts(text).unwrap_or_else(|| Self {
            time: None,
            output: Output::Standard,
            is_cut: false,
            bytes: text.to_vec(),
        })
    }
}

fn parts(text: &[u8]) -> Option<Line> {
    let mut parts = text.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let output = match parts.next()? {
        b"stdout" => Output::Standard,
        b"stderr" => Output::Error,
        _ => return None,
    };
    // Tags are separated by colons; the first says whether the line is whole.
    let is_cut = match parts.next()?.first()? {
        b'P' => true,
        b'F' => false,
        _ => return None,
    };
    Some(Line {
        time: Some(time),
        output,
        is_cut,
        bytes: parts.next().unwrap_or_default().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        corpus,
        mutate::{Mutator, rounds},
    };

    #[test]
    fn a_line_tells_its_time_its_output_and_whether_it_is_whole() {
        let line = Line::read(b"2026-01-02T03:04:05.123456789Z stderr P  two  spaces\xff");
        assert_eq!(
            line.time.unwrap().to_string(),
            "2026-01-02T03:04:05.123456789Z"
        );
        assert_eq!((line.output, line.is_cut), (Output::Error, true));
        assert_eq!(line.bytes, b" two  spaces\xff");
        let empty = Line::read(b"2026-01-02T03:04:05+01:00 stdout F ");
        assert_eq!((empty.is_cut, &*empty.bytes), (false, &b""[..]));
        assert!(empty.time.is_some());
    }

    #[test]
    fn what_the_runtime_did_not_write_is_kept_as_it_is() {
        for text in [
            "",
            "no time",
            "2026-01-02T03:04:05Z stdin F x",
            "2026-01-02T03:04:05Z stdout",
        ] {
            let line = Line::read(text.as_bytes());
            assert_eq!((line.time, &*line.bytes), (None, text.as_bytes()));
        }
    }

    #[test]
    fn whatever_is_written_nothing_of_it_is_lost() {
        let corpus = corpus::files(Path::new(env!("CARGO_MANIFEST_DIR")), "logs");
        let mut mutator = Mutator::new(0x11e5);
        let mut understood = 0;
        for (_, bytes) in &corpus {
            for _ in 0..rounds(100) {
                let damaged = mutator.damaged(bytes, &corpus[0].1);
                for text in damaged.split(|byte| *byte == b'\n') {
                    let line = Line::read(text);
                    assert!(text.ends_with(&line.bytes));
                    assert!(line.time.is_some() || line.bytes == text);
                    understood += usize::from(line.time.is_some());
                }
            }
        }
        assert!(understood > 100, "{understood}");
    }
}
