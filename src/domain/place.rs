//! Where something is written: file, line, column; and which place set which value.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A place in a text file, one-based, with the line itself so that it can be shown without the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the project directory where it is inside it; `--set` for a flag.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters to underline, at least 1.
    pub length: usize,
    /// The source line, without its end.
    pub source_line: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Which place set each value of the resolved manifest.
///
/// Keys are paths such as `services.order.env.DATABASE_URL`; list items are `services.order.ports[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    places: BTreeMap<String, Place>,
}

impl Provenance {
    /// Records that `path` was set at `place`.
    pub fn insert(&mut self, path: impl Into<String>, place: Place) {
        self.places.insert(path.into(), place);
    }

    /// The place of `path`, or of its nearest ancestor that is written somewhere.
    pub fn place(&self, path: &str) -> Option<&Place> {
        let mut rest = path;
        loop {
            if let Some(place) = self.places.get(rest) {
                return Some(place);
            }
            rest = &rest[..rest.rfind(['.', '['])?];
        }
    }

    /// Every recorded path with its place, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.places
            .iter()
            .map(|(path, place)| (path.as_str(), place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize) -> Place {
        Place {
            file: "devenv.yaml".into(),
            line,
            column: 1,
            length: 1,
            source_line: String::new(),
        }
    }

    #[test]
    fn an_unwritten_value_is_placed_at_its_nearest_ancestor() {
        let mut provenance = Provenance::default();
        provenance.insert("services.order", place(3));
        provenance.insert("services.order.ports[0]", place(5));
        assert_eq!(
            provenance
                .place("services.order.ports[0].name")
                .map(|p| p.line),
            Some(5)
        );
        assert_eq!(
            provenance.place("services.order.replicas").map(|p| p.line),
            Some(3)
        );
        assert_eq!(provenance.place("cluster"), None);
    }
}
