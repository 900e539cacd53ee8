//! Changes of a service's files that are not live yet.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use super::rules::{Decision, Rules};
use crate::adapters::watch::ChangeKind;

/// An edit is told by the time of its files, unless that is longer ago than the kernel needs to tell of it.
const BELIEVED: Duration = Duration::from_secs(2);

/// Changes that are made live together.
#[derive(Debug, Default)]
pub(super) struct Edit {
    changes: BTreeMap<PathBuf, ChangeKind>,
    began: Option<Instant>,
}

impl Edit {
    /// Adds a change that was first seen at `seen`. Paths are relative to the service's base.
    pub(super) fn add(&mut self, path: PathBuf, kind: ChangeKind, seen: Instant) {
        self.changes.insert(path, kind);
        self.began = Some(self.began.map_or(seen, |began| began.min(seen)));
    }

    /// Puts changes back that were overtaken: they become live with this edit, which began when it did.
    pub(super) fn put_back(&mut self, older: Self) {
        for (path, kind) in older.changes {
            self.changes.entry(path).or_insert(kind);
        }
        self.began = self.began.or(older.began);
    }

    /// What of an edit reaches containers without further work.
    pub(super) fn reaching(edit: Self, rules: &Rules) -> Self {
        let reaches = |path: &PathBuf| {
            let decision = rules.decide(std::iter::once(path.as_path()));
            matches!(decision, Decision::Reach { .. })
        };
        Self {
            changes: edit
                .changes
                .into_iter()
                .filter(|(path, _)| reaches(path))
                .collect(),
            began: edit.began,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> + Clone {
        self.changes.keys().map(PathBuf::as_path)
    }

    /// The changes by path.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&PathBuf, &ChangeKind)> {
        self.changes.iter()
    }

    /// When the user made it, as far as can be told: when its newest file was written, below `base`, an absolute path.
    pub(super) fn began(&self, base: &Path) -> Instant {
        let seen = self.began.unwrap_or_else(Instant::now);
        let written = self
            .changes
            .iter()
            .filter(|(_, kind)| matches!(kind, ChangeKind::File { .. }))
            .filter_map(|(path, _)| crate::adapters::files::modified(&base.join(path)))
            .max();
        let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
        age.filter(|age| *age < BELIEVED)
            .and_then(|age| Instant::now().checked_sub(age))
            .map_or(seen, |written| written.min(seen))
    }
}
