//! All watched trees, over the kernel's watches and what stands in for those that it refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Change, ChangeKind, Notice, Rescan, TreeId, WatchError, Watched, Why,
    disk::{self, Found},
    hints::Hints,
    kernel::{Kernel, Refusal, WatchLimit},
    tree::{Difference, RulesRead, Tree, Watch},
};

/// The trees and their watches.
#[derive(Debug)]
pub(super) struct Forest<K> {
    plots: Vec<Plot>,
    watches: Watches<K>,
}

/// A tree, and whether it is there.
#[derive(Debug)]
struct Plot {
    id: TreeId,
    tree: Tree,
    root: Presence,
}

#[derive(Debug)]
enum Presence {
    There,
    /// What the tree held is still known; the directory that tells of its return is watched.
    Gone {
        waiting_at: PathBuf,
    },
}

/// What came of a look at the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) changes: Vec<Change>,
    pub(super) notices: Vec<Notice>,
    pub(super) why: Why,
}

impl Outcome {
    fn new(why: Why) -> Self {
        Self {
            changes: Vec::new(),
            notices: Vec::new(),
            why,
        }
    }

    /// Removals from the innermost to the outermost, then the others, directories before what they hold.
    fn extend(&mut self, in_order: impl Iterator<Item = Change>) {
        let (removed, others): (Vec<_>, Vec<_>) =
            in_order.partition(|change| change.kind == ChangeKind::Removed);
        self.changes.extend(removed.into_iter().rev());
        self.changes.extend(others);
    }

    fn add(&mut self, tree: TreeId, difference: Difference) {
        let changes = difference.changes.into_iter();
        self.extend(changes.map(|(path, kind)| Change { tree, path, kind }));
        self.notices.extend(difference.notices);
        if difference.rules == RulesRead::Changed && self.why == Why::Events {
            self.why = Why::Rescan(Rescan::Rules);
        }
    }

    /// This, and what came of a later look.
    pub(super) fn and_then(mut self, later: Self) -> Self {
        let changes = self.changes.into_iter().chain(later.changes);
        let last: BTreeMap<_, _> = changes
            .map(|change| ((change.tree, change.path), change.kind))
            .collect();
        self.changes = Vec::with_capacity(last.len());
        self.extend(
            last.into_iter()
                .map(|((tree, path), kind)| Change { tree, path, kind }),
        );
        self.notices.extend(later.notices);
        if self.why == Why::Events {
            self.why = later.why;
        }
        self
    }

    /// Whether somebody wants to hear of it.
    pub(super) fn is_worth_telling(&self) -> bool {
        let is_answer = matches!(self.why, Why::Rescan(Rescan::Overflow | Rescan::Asked));
        is_answer || !self.changes.is_empty() || !self.notices.is_empty()
    }
}

impl<K: Kernel> Forest<K> {
    /// Watches the trees and reads all they hold. The outcome has what the caller should hear of before any change.
    pub(super) fn plant(trees: Vec<Watched>, kernel: K) -> Result<(Self, Outcome), WatchError> {
        let mut plots = Vec::with_capacity(trees.len());
        for (index, watched) in trees.into_iter().enumerate() {
            if disk::look(&watched.root).ok() != Some(Found::Directory) {
                return Err(WatchError::RootMissing(watched.root));
            }
            plots.push(Plot {
                id: TreeId(index),
                tree: Tree::new(watched)?,
                root: Presence::There,
            });
        }
        let mut forest = Self {
            plots,
            watches: Watches::new(kernel),
        };
        let mut outcome = forest.rescan(Rescan::Start);
        // What is there at the start is no change; of what is skipped the user is told.
        outcome
            .changes
            .retain(|change| change.kind == ChangeKind::Special);
        Ok((forest, outcome))
    }

    /// The roots of the trees.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.plots.iter().map(|plot| plot.tree.root())
    }

    /// Whether something must be looked at from time to time, as nobody tells of it.
    pub(super) fn needs_polling(&self) -> bool {
        !self.watches.unwatched.is_empty()
    }

    /// Looks where hints say that something may have changed.
    pub(super) fn apply(&mut self, hints: &Hints) -> Outcome {
        if let Some(reason) = hints.rescan {
            return self.rescan(reason);
        }
        let mut outcome = Outcome::new(Why::Events);
        for index in 0..self.plots.len() {
            let root = self.plots[index].tree.root().to_owned();
            let own: Vec<PathBuf> = hints
                .paths
                .range(root.clone()..)
                .take_while(|path| path.starts_with(&root))
                .filter_map(|path| Some(path.strip_prefix(&root).ok()?.to_owned()))
                .collect();
            let is_above = hints.paths.iter().any(|path| root.starts_with(path));
            if own.is_empty() && !is_above {
                continue;
            }
            match self.find_root(index, &mut outcome) {
                Root::Missing => {}
                Root::Returned => self.look_at_all(index, &mut outcome),
                Root::There => {
                    self.look(index, &mut outcome, |tree, watch| tree.touched(own, watch));
                }
            }
        }
        self.finish(outcome)
    }

    /// Looks at everything.
    pub(super) fn rescan(&mut self, reason: Rescan) -> Outcome {
        let mut outcome = Outcome::new(Why::Rescan(reason));
        for index in 0..self.plots.len() {
            match self.find_root(index, &mut outcome) {
                Root::Missing => {}
                Root::There | Root::Returned => self.look_at_all(index, &mut outcome),
            }
        }
        self.finish(outcome)
    }

    /// Looks at what the kernel does not watch, and tries to have it watched.
    pub(super) fn poll(&mut self) -> Outcome {
        let mut outcome = Outcome::new(Why::Rescan(Rescan::Poll));
        let unwatched = self.watches.unwatched.clone();
        for index in 0..self.plots.len() {
            match self.find_root(index, &mut outcome) {
                Root::Missing => {}
                Root::Returned => self.look_at_all(index, &mut outcome),
                Root::There => self.look(index, &mut outcome, |tree, watch| {
                    tree.look_at(&unwatched, watch)
                }),
            }
        }
        self.finish(outcome)
    }

    fn look_at_all(&mut self, index: usize, outcome: &mut Outcome) {
        self.look(index, outcome, Tree::rescan);
    }

    /// Has a tree look at the disk, and takes what came of it.
    fn look(
        &mut self,
        index: usize,
        outcome: &mut Outcome,
        look: impl FnOnce(&mut Tree, &mut Watch<'_>) -> Difference,
    ) {
        let Self { plots, watches } = self;
        let plot = &mut plots[index];
        let mut difference = look(&mut plot.tree, &mut |directories| {
            watches.watch(directories);
        });
        let id = plot.id;
        self.forget(std::mem::take(&mut difference.forgotten));
        outcome.add(id, difference);
    }

    /// Gives up the watches on directories that no tree needs: trees may overlap, and a path may be taken again.
    fn forget(&mut self, mut directories: Vec<PathBuf>) {
        directories.retain(|directory| !self.plots.iter().any(|plot| plot.needs(directory)));
        self.watches.forget(&directories);
    }

    fn finish(&mut self, mut outcome: Outcome) -> Outcome {
        outcome.notices.extend(self.watches.notices());
        outcome
    }

    /// Looks whether a tree's root is there, and waits for it if it is not.
    ///
    /// That a root is gone is told, but not that its files are: a directory that is moved, or a file system that is
    /// unmounted, must not empty what was made of it. When it comes back, what differs is told.
    fn find_root(&mut self, index: usize, outcome: &mut Outcome) -> Root {
        let root = self.plots[index].tree.root().to_owned();
        let is_there = |root: &Path| disk::look(root).ok() == Some(Found::Directory);
        let was = std::mem::replace(&mut self.plots[index].root, Presence::There);
        if is_there(&root) {
            let Presence::Gone { waiting_at } = was else {
                return Root::There;
            };
            self.forget(vec![waiting_at]);
            outcome.notices.push(Notice::RootBack(root));
            if outcome.why == Why::Events {
                outcome.why = Why::Rescan(Rescan::RootBack);
            }
            return Root::Returned;
        }
        let waiting_at = nearest_directory(&root);
        self.watches.watch(std::slice::from_ref(&waiting_at));
        self.plots[index].root = Presence::Gone {
            waiting_at: waiting_at.clone(),
        };
        let stale = match was {
            Presence::There => {
                outcome.notices.push(Notice::RootGone(root.clone()));
                self.plots[index].tree.directories()
            }
            Presence::Gone { waiting_at } => vec![waiting_at],
        };
        self.forget(stale);
        // It may have come back before its parent was watched.
        if is_there(&root) {
            return self.find_root(index, outcome);
        }
        Root::Missing
    }
}

impl Plot {
    fn needs(&self, directory: &Path) -> bool {
        match &self.root {
            Presence::There => self.tree.holds(directory),
            Presence::Gone { waiting_at } => waiting_at == directory,
        }
    }
}

/// What is the matter with a tree's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    There,
    Returned,
    Missing,
}

/// The innermost directory above `root` that is there.
fn nearest_directory(root: &Path) -> PathBuf {
    root.ancestors()
        .skip(1)
        .find(|above| disk::look(above).ok() == Some(Found::Directory))
        .unwrap_or(Path::new("/"))
        .to_owned()
}

/// The kernel's watches, and the directories that it does not watch.
#[derive(Debug)]
struct Watches<K> {
    kernel: K,
    /// Looked at from time to time instead.
    unwatched: BTreeSet<PathBuf>,
    /// Not told yet.
    refused: Option<Refusal>,
    /// Told since all was watched last.
    told: BTreeSet<WatchLimit>,
}

impl<K: Kernel> Watches<K> {
    const fn new(kernel: K) -> Self {
        Self {
            kernel,
            unwatched: BTreeSet::new(),
            refused: None,
            told: BTreeSet::new(),
        }
    }

    fn watch(&mut self, directories: &[PathBuf]) {
        let refusals = self.kernel.watch(directories);
        for directory in directories {
            self.unwatched.remove(directory);
        }
        for (directory, refusal) in refusals {
            match refusal {
                Refusal::Unreadable => {}
                Refusal::Limit(_) | Refusal::Failed(_) => {
                    self.unwatched.insert(directory);
                    self.refused = Some(refusal);
                }
            }
        }
    }

    fn forget(&mut self, directories: &[PathBuf]) {
        self.kernel.forget(directories);
        for directory in directories {
            self.unwatched.remove(directory);
        }
    }

    /// What the user should hear of it, once until all is watched again.
    fn notices(&mut self) -> Option<Notice> {
        if self.unwatched.is_empty() {
            self.told.clear();
            return None;
        }
        let unwatched = self.unwatched.len();
        match self.refused.take()? {
            Refusal::Limit(limit) => self
                .told
                .insert(limit)
                .then_some(Notice::Limit { limit, unwatched }),
            Refusal::Failed(reason) => Some(Notice::NotWatched { unwatched, reason }),
            Refusal::Unreadable => None,
        }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
