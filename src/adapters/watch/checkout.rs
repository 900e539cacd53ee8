//! Whether git is changing a working tree right now.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::disk::{self, Found};

/// The locks that git holds while it changes the watched trees.
#[derive(Debug)]
pub(super) struct Checkouts {
    locks: Vec<Lock>,
}

#[derive(Debug)]
struct Lock {
    path: PathBuf,
    /// The lock that was waited for in vain: its git was killed.
    given_up: Option<Found>,
}

impl Checkouts {
    /// Those of the repositories that the directories lie in.
    pub(super) fn around<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Self {
        let paths: BTreeSet<PathBuf> = directories.into_iter().filter_map(index_lock).collect();
        let locks = paths.into_iter().map(|path| Lock {
            path,
            given_up: None,
        });
        Self {
            locks: locks.collect(),
        }
    }

    /// Whether one is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.locks.iter().any(|lock| match lock.present() {
            None => false,
            present => present != lock.given_up,
        })
    }

    /// Waits no longer for those that are under way.
    pub(super) fn give_up(&mut self) {
        for lock in &mut self.locks {
            lock.given_up = lock.present();
        }
    }
}

impl Lock {
    fn present(&self) -> Option<Found> {
        disk::look(&self.path)
            .ok()
            .filter(|found| *found != Found::Absent)
    }
}

/// The lock of the repository that `directory` lies in.
fn index_lock(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find_map(|ancestor| {
        let git = ancestor.join(".git");
        let directory = match disk::look(&git).ok()? {
            Found::Directory => git,
            // A linked working tree, or a submodule.
            Found::File { .. } => ancestor.join(named_in(&git)?),
            Found::Absent | Found::Link { .. } | Found::Special => return None,
        };
        Some(directory.join("index.lock"))
    })
}

/// The directory that a file `.git` names.
fn named_in(file: &Path) -> Option<PathBuf> {
    let text = disk::rules_at(file)?;
    let name = text.strip_prefix(b"gitdir:")?.trim_ascii();
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "the tests change files as other programs do"
    )]

    use std::fs;

    use super::*;

    #[test]
    fn the_lock_is_that_of_the_repository_around() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("services/order")).unwrap();
        fs::create_dir(home.path().join(".git")).unwrap();
        let checkouts = Checkouts::around([&*home.path().join("services/order")]);
        assert!(!checkouts.is_under_way());
        fs::write(home.path().join(".git/index.lock"), "").unwrap();
        assert!(checkouts.is_under_way());
    }

    #[test]
    fn a_linked_working_tree_has_its_lock_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("tree");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join(".git"), "gitdir: ../main/.git/worktrees/tree\n").unwrap();
        let checkouts = Checkouts::around([&*tree]);
        let own = home.path().join("main/.git/worktrees/tree");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("index.lock"), "").unwrap();
        assert!(checkouts.is_under_way());
    }
}
