//! The files of a service on this machine, and how a container differs from them.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::rules::Rules;
use crate::adapters::{
    agent::{Change, Content, Entry, EntryKind},
    watch::ChangeKind,
};

/// The permission bits of a directory that is made in a container.
const DIRECTORY_MODE: u32 = 0o755;
/// The bits that say whether a file can be run: others may rightly differ between a machine and an image.
const EXECUTABLE: u32 = 0o111;

/// What lies below the base of a service on this machine, by path relative to it.
#[derive(Debug, Default)]
pub(super) struct HostTree {
    base: PathBuf,
    found: BTreeMap<PathBuf, ChangeKind>,
}

impl HostTree {
    /// The tree at `base`, an absolute path.
    pub(super) const fn new(base: PathBuf, found: BTreeMap<PathBuf, ChangeKind>) -> Self {
        Self { base, found }
    }

    /// Takes a change in; `false` if it is known already.
    pub(super) fn apply(&mut self, path: &Path, kind: &ChangeKind) -> bool {
        if *kind == ChangeKind::Removed {
            return self.found.remove(path).is_some();
        }
        self.found.insert(path.to_owned(), kind.clone()).as_ref() != Some(kind)
    }

    /// How it differs from a newer look at the same place: what `apply` would have to be told.
    pub(super) fn difference(
        &self,
        newer: &BTreeMap<PathBuf, ChangeKind>,
    ) -> Vec<(PathBuf, ChangeKind)> {
        let gone = self.found.keys().filter(|path| !newer.contains_key(*path));
        let gone = gone.rev().map(|path| (path.clone(), ChangeKind::Removed));
        let other = newer
            .iter()
            .filter(|(path, kind)| self.found.get(*path) != Some(kind));
        gone.chain(other.map(|(path, kind)| (path.clone(), kind.clone())))
            .collect()
    }

    /// What is at a path.
    pub(super) fn now(&self, path: &Path) -> ChangeKind {
        let found = self.found.get(path);
        found.cloned().unwrap_or(ChangeKind::Removed)
    }

    /// All paths, relative to the base.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.found.keys().map(PathBuf::as_path)
    }

    /// What a container must be told of changes, with paths relative to its root.
    pub(super) fn changes<'a>(
        &self,
        rules: &Rules,
        changes: impl Iterator<Item = (&'a PathBuf, &'a ChangeKind)>,
    ) -> Vec<Change> {
        let told = changes.flat_map(|(path, kind)| {
            let places = rules.targets(path).collect::<Vec<_>>();
            places.into_iter().filter_map(move |place| {
                let content = self.content(path, kind)?;
                Some(Change {
                    path: place,
                    content,
                })
            })
        });
        told.collect()
    }

    /// What a container that holds `entries`, by path relative to its root, must be told to be the same.
    ///
    /// What it has and this machine has not is removed only if it is in `ever`, the places of what was on this machine
    /// once: the rest was made by the image or by the service.
    pub(super) fn differences(
        &self,
        rules: &Rules,
        entries: &BTreeMap<Vec<u8>, EntryKind>,
        ever: &BTreeSet<Vec<u8>>,
    ) -> Vec<Change> {
        let mut wanted = BTreeMap::new();
        for (path, kind) in &self.found {
            for place in rules.targets(path) {
                wanted.insert(place, (path, kind));
            }
        }
        let gone = entries
            .keys()
            .filter(|place| !wanted.contains_key(*place) && ever.contains(*place));
        let gone = gone.rev().map(|place| Change {
            path: place.clone(),
            content: Content::Absent,
        });
        let other = wanted.iter().filter_map(|(place, (path, kind))| {
            let is_same = entries.get(place).is_some_and(|entry| is_same(kind, entry));
            let content = if is_same {
                None
            } else {
                self.content(path, kind)
            };
            Some(Change {
                path: place.clone(),
                content: content?,
            })
        });
        gone.chain(other).collect()
    }

    /// What is at a place after a change; `None` for what cannot be copied.
    fn content(&self, path: &Path, kind: &ChangeKind) -> Option<Content> {
        Some(match kind {
            ChangeKind::File { mode, .. } => Content::File {
                from: self.base.join(path),
                mode: *mode,
            },
            ChangeKind::Link { target } => Content::Link {
                target: target.as_os_str().as_bytes().to_vec(),
            },
            ChangeKind::Directory => Content::Directory {
                mode: DIRECTORY_MODE,
            },
            ChangeKind::Removed => Content::Absent,
            ChangeKind::Special => return None,
        })
    }
}

/// Whether a container has what this machine has. A directory is one however it is.
fn is_same(kind: &ChangeKind, entry: &EntryKind) -> bool {
    match (kind, entry) {
        (
            ChangeKind::File { mode, hash, .. },
            EntryKind::File {
                mode: mode_there,
                hash: hash_there,
            },
        ) => {
            let can_run = |mode| mode & EXECUTABLE != 0;
            hash.as_bytes() == hash_there && can_run(*mode) == can_run(*mode_there)
        }
        (ChangeKind::Link { target }, EntryKind::Link { target: there }) => {
            target.as_os_str().as_bytes() == there.as_slice()
        }
        (ChangeKind::Directory, EntryKind::Directory { .. }) | (ChangeKind::Special, _) => true,
        _ => false,
    }
}

/// The entries of several listings, each of what lies at `root`, by path relative to the root of the container.
pub(super) fn entries<'a>(
    listings: impl Iterator<Item = (&'a Path, Vec<Entry>)>,
) -> BTreeMap<Vec<u8>, EntryKind> {
    let mut all = BTreeMap::new();
    for (root, entries) in listings {
        let root = root.as_os_str().as_bytes();
        for Entry { path, kind } in entries {
            let place = match (root.is_empty(), path.is_empty()) {
                (false, false) => [root, &path].join(&b'/'),
                (true, _) => path,
                (_, true) => root.to_vec(),
            };
            all.insert(place, kind);
        }
        // What is listed is there itself.
        all.entry(root.to_vec()).or_insert(EntryKind::Directory {
            mode: DIRECTORY_MODE,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Live, OnChange, SyncRule};

    fn rules() -> Rules {
        Rules::of(&Live {
            base: "/shop/order".into(),
            sync: vec![SyncRule {
                from: "/shop/order/src".into(),
                to: "/app".to_owned(),
                ignore: Vec::new(),
            }],
            mount: Vec::new(),
            run: Vec::new(),
            build: None,
            rebuild: Vec::new(),
            ignore: Vec::new(),
            on_change: OnChange::Nothing,
            budget: None,
        })
    }

    fn file(text: &str, mode: u32) -> ChangeKind {
        ChangeKind::File {
            mode,
            size: text.len() as u64,
            hash: blake3::hash(text.as_bytes()),
        }
    }

    fn there(text: &str, mode: u32) -> EntryKind {
        let hash = *blake3::hash(text.as_bytes()).as_bytes();
        EntryKind::File { mode, hash }
    }

    fn tree(files: &[(&str, ChangeKind)]) -> HostTree {
        let files = files
            .iter()
            .map(|(path, kind)| ((*path).into(), kind.clone()));
        HostTree::new("/shop/order".into(), files.collect())
    }

    /// The places that must change, each with whether it goes.
    fn told(changes: &[Change]) -> Vec<(String, bool)> {
        let told = changes.iter().map(|change| {
            let place = String::from_utf8_lossy(&change.path).into_owned();
            (place, change.content == Content::Absent)
        });
        told.collect()
    }

    #[test]
    fn a_container_with_the_same_files_is_told_nothing_whatever_else_it_has() {
        let tree = tree(&[
            ("src", ChangeKind::Directory),
            ("src/a.py", file("a", 0o644)),
            ("README.md", file("x", 0o644)),
        ]);
        let listed = vec![
            Entry {
                path: b"a.py".to_vec(),
                kind: there("a", 0o600),
            },
            Entry {
                path: b"a.pyc".to_vec(),
                kind: there("made", 0o600),
            },
        ];
        let entries = entries([(Path::new("app"), listed)].into_iter());
        assert!(
            tree.differences(&rules(), &entries, &BTreeSet::new())
                .is_empty()
        );
    }

    #[test]
    fn other_contents_a_lost_right_to_run_and_what_was_here_once_are_told() {
        let tree = tree(&[
            ("src", ChangeKind::Directory),
            ("src/a.py", file("new", 0o644)),
            ("src/run", file("run", 0o755)),
            ("src/new.py", file("n", 0o644)),
        ]);
        let listed = vec![
            Entry {
                path: b"a.py".to_vec(),
                kind: there("old", 0o644),
            },
            Entry {
                path: b"old".to_vec(),
                kind: EntryKind::Directory { mode: 0o755 },
            },
            Entry {
                path: b"old/b.py".to_vec(),
                kind: there("b", 0o644),
            },
            Entry {
                path: b"run".to_vec(),
                kind: there("run", 0o644),
            },
        ];
        let entries = entries([(Path::new("app"), listed)].into_iter());
        let ever = BTreeSet::from([b"app/old".to_vec(), b"app/old/b.py".to_vec()]);
        let changes = tree.differences(&rules(), &entries, &ever);
        let expected = [
            ("app/old/b.py", true),
            ("app/old", true),
            ("app/a.py", false),
            ("app/new.py", false),
            ("app/run", false),
        ];
        assert_eq!(
            told(&changes),
            expected.map(|(place, gone)| (place.to_owned(), gone))
        );
    }

    #[test]
    fn a_newer_look_is_told_as_what_changed_and_then_nothing_is_left() {
        let mut tree = tree(&[
            ("src/a.py", file("a", 0o644)),
            ("src/b.py", file("b", 0o644)),
        ]);
        let newer = BTreeMap::from([
            ("src/a.py".into(), file("A", 0o644)),
            ("src/c.py".into(), file("c", 0o644)),
        ]);
        let difference = tree.difference(&newer);
        assert_eq!(difference.len(), 3);
        assert!(difference.iter().all(|(path, kind)| tree.apply(path, kind)));
        assert!(tree.difference(&newer).is_empty());
        assert!(!tree.apply(Path::new("src/a.py"), &file("A", 0o644)));
    }
}
