//! The texts a manifest is made of: files in the order of their layers, then `--set` flags.

use std::path::{Path, PathBuf};

use super::tree::{Origin, SourceId};
use crate::domain::{Place, conceal_line};

/// The name under which a `--set` flag appears as a file.
pub(super) const SET: &str = "--set";

struct Source {
    /// Relative to the project directory where it is inside it.
    file: PathBuf,
    text: String,
    /// Byte offsets at which lines begin.
    lines: Vec<usize>,
}

/// Every text read for one load.
#[derive(Default)]
pub(super) struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// Keeps a text and gives its id.
    pub(super) fn add(&mut self, file: &Path, text: String) -> SourceId {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let file = file.to_path_buf();
        self.list.push(Source { file, text, lines });
        // More than 65,535 profiles and flags do not fit a command line.
        SourceId(u16::try_from(self.list.len() - 1).unwrap_or(u16::MAX))
    }

    pub(super) fn text(&self, id: SourceId) -> &str {
        self.list
            .get(usize::from(id.0))
            .map_or("", |source| source.text.as_str())
    }

    /// The file of a text.
    pub(super) fn file(&self, id: SourceId) -> &Path {
        let source = self.list.get(usize::from(id.0));
        source.map_or(Path::new(""), |source| source.file.as_path())
    }

    /// The origin of `length` characters from the byte `at` of a text on.
    pub(super) fn origin_at(&self, id: SourceId, at: usize, length: usize) -> Origin {
        let Some(source) = self.list.get(usize::from(id.0)) else {
            return Origin::start_of(id);
        };
        let line = source.lines.partition_point(|start| *start <= at).max(1);
        let start = source.lines[line - 1];
        let before = source.text.get(start..at).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Origin {
            source: id,
            line: number(line),
            column: number(before.chars().count() + 1),
            length: number(length.max(1)),
        }
    }

    /// The byte of its text at which an origin is.
    pub(super) fn offset(&self, origin: Origin) -> usize {
        let Some(source) = self.list.get(usize::from(origin.source.0)) else {
            return 0;
        };
        let line = (origin.line as usize).saturating_sub(1);
        let start = source.lines.get(line).copied().unwrap_or_default();
        let rest = source.text.get(start..).unwrap_or_default();
        let before = (origin.column as usize).saturating_sub(1);
        start + rest.chars().take(before).map(char::len_utf8).sum::<usize>()
    }

    /// Where an origin is, with its line.
    pub(super) fn place(&self, origin: Origin) -> Place {
        let source = self.list.get(usize::from(origin.source.0));
        let line = origin.line as usize;
        let source_line = source.map_or("", |source| source.line(line));
        let column = origin.column as usize;
        let room = (source_line.chars().count() + 1).saturating_sub(column);
        Place {
            file: source.map(|source| source.file.clone()).unwrap_or_default(),
            line,
            column,
            length: (origin.length as usize).clamp(1, room.max(1)),
            source_line: conceal_line(source_line),
        }
    }
}

impl Source {
    fn line(&self, line: usize) -> &str {
        let Some(start) = line.checked_sub(1).and_then(|index| self.lines.get(index)) else {
            return "";
        };
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        self.text
            .get(*start..end)
            .unwrap_or_default()
            .trim_end_matches(['\n', '\r'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_of_a_text_has_an_origin_and_an_origin_a_byte() {
        let mut sources = Sources::default();
        let text = "a: 1\nzwölf: ${x}\n";
        let source = sources.add(Path::new("devenv.yaml"), text.to_owned());
        let at = text.find("${x}").unwrap();
        let origin = sources.origin_at(source, at, 4);
        assert_eq!((origin.line, origin.column, origin.length), (2, 8, 4));
        assert_eq!(sources.offset(origin), at);
        assert_eq!(sources.origin_at(source, 0, 1), Origin::start_of(source));
    }

    #[test]
    fn a_place_carries_its_line_without_the_line_end_and_stays_on_it() {
        let mut sources = Sources::default();
        let source = sources.add(Path::new("devenv.yaml"), "a: 1\r\nb: zwölf\r\n".to_owned());
        let place = sources.place(Origin {
            source,
            line: 2,
            column: 4,
            length: 99,
        });
        assert_eq!(place.source_line, "b: zwölf");
        assert_eq!(place.length, 5);
        assert_eq!(place.to_string(), "devenv.yaml:2:4");
    }
}
