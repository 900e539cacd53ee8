//! The places of all that was ever on this machine: what of it a container still has and this machine has not was
//! deleted here, and not made by the image.
//!
//! Kept in a file, one place after another with a NUL behind each: what is deleted while no session runs is known too.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::adapters::files::{self, FileError};

/// The places of a service's files, ever.
#[derive(Debug)]
pub(super) struct Known {
    file: PathBuf,
    places: BTreeSet<Vec<u8>>,
}

impl Known {
    /// What `file` says; nothing where it is not there.
    pub(super) fn load(file: &Path) -> Result<Self, FileError> {
        let text = if files::exists(file) {
            files::read(file)?
        } else {
            Vec::new()
        };
        // What a killed session wrote half has no end.
        let whole = text
            .iter()
            .rposition(|byte| *byte == 0)
            .map_or(0, |end| end);
        let places = text[..whole].split(|byte| *byte == 0);
        Ok(Self {
            file: file.to_owned(),
            places: places
                .filter(|place| !place.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
        })
    }

    /// The places.
    pub(super) const fn places(&self) -> &BTreeSet<Vec<u8>> {
        &self.places
    }

    /// Adds places, on disk too.
    pub(super) fn add(&mut self, places: impl Iterator<Item = Vec<u8>>) -> Result<(), FileError> {
        let before = self.places.len();
        self.places.extend(places);
        if self.places.len() == before {
            return Ok(());
        }
        let mut text = Vec::new();
        for place in &self.places {
            text.extend_from_slice(place);
            text.push(0);
        }
        files::write_private(&self.file, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_once_is_known_by_the_next_session() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("order");
        let places = [b"app/a.py".to_vec(), b"app/b\n\xff".to_vec()];
        let mut known = Known::load(&file).unwrap();
        assert!(known.places().is_empty());
        known.add(places.clone().into_iter()).unwrap();
        assert_eq!(
            *Known::load(&file).unwrap().places(),
            BTreeSet::from(places)
        );
    }

    #[test]
    fn a_torn_file_is_read_up_to_its_last_whole_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("order");
        files::write_private(&file, b"app/a.py\0app/b").unwrap();
        let known = Known::load(&file).unwrap();
        assert_eq!(*known.places(), BTreeSet::from([b"app/a.py".to_vec()]));
    }
}
