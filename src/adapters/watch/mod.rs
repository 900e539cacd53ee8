//! Watches directory trees of this machine and says which files really changed.
//!
//! Called by `features`. What the kernel reports is a hint where to look, never the answer: events come in any number
//! for one save, and some never come. A change is told when the disk differs from what is known, and for a file only
//! when its contents or its mode do. What cannot be watched is looked at every second, and the user is told.

mod batch;
mod checkout;
mod disk;
mod forest;
mod hints;
mod kernel;
mod rules;
mod run;
mod tree;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Instant};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use kernel::WatchLimit;
pub use rules::Ignore;

use self::{forest::Forest, hints::Pending, kernel::Inotify, tree::Tree};
use crate::domain::{ExitClass, Failure, Memory, words::amount};

/// A directory tree to watch.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Absolute and without links.
    pub root: PathBuf,
    /// What is left out beside what git ignores.
    pub ignore: Ignore,
}

/// Which of the watched trees: its index in the list that the watcher was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(pub usize);

/// A path that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tree that it lies in.
    pub tree: TreeId,
    /// Relative to the tree's root.
    pub path: PathBuf,
    /// What lies there now.
    pub kind: ChangeKind,
}

/// What lies now at a path that is not as it was. What was of another kind before is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A file with other contents or another mode than before.
    File {
        /// Permission bits.
        mode: u32,
        /// In bytes, when it was read.
        size: u64,
        /// Of its contents.
        hash: blake3::Hash,
    },
    /// A symbolic link, which is not followed.
    Link {
        /// Where it points.
        target: PathBuf,
    },
    /// A directory that was not there.
    Directory,
    /// Nothing. Of a directory that is gone, each path that was known in it is told.
    Removed,
    /// A pipe, a socket or a device, which is never opened. Told once.
    Special,
}

/// What a watcher tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// What a checkout that goes on has changed since this was told last. It may change again: the batch at its end has
    /// all of it as it is then.
    Underway(Vec<Change>),
    /// Changes that are complete.
    Batch(Batch),
}

/// Changes that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Each path once: of each tree, removals from the innermost to the outermost, then the others, directories
    /// before what they hold. What the rules leave out from now on is not told as removed.
    pub changes: Vec<Change>,
    /// When the first hint of them came.
    pub first_seen: Instant,
    /// What made the watcher look.
    pub reason: Why,
    /// What the user should hear of. Not every batch with notices has changes.
    pub notices: Vec<Notice>,
}

/// What made the watcher look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The kernel's events.
    Events,
    /// It looked at more than events named.
    Rescan(Rescan),
}

/// Why the watcher looked at more than events named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescan {
    /// It began: there are notices, or files that it skips.
    Start,
    /// The kernel lost events. The batch is told even if nothing changed.
    Overflow,
    /// A `.gitignore` says something else.
    Rules,
    /// A root that was gone is back.
    RootBack,
    /// Some directories are not watched.
    Poll,
    /// It was asked to. The batch is told even if nothing changed.
    Asked,
}

/// Something the user should hear of. Shown as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The kernel watches no more: changes of some directories are seen later.
    Limit {
        /// Which limit.
        limit: WatchLimit,
        /// How many directories are not watched.
        unwatched: usize,
    },
    /// The kernel does not watch some directories for another reason: their changes are seen later.
    NotWatched {
        /// How many.
        unwatched: usize,
        /// Of one of them, in the system's words.
        reason: String,
    },
    /// A file or directory that this user may not read: its changes are not seen.
    Unreadable {
        /// Absolute.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// A file that is too large to be copied while somebody waits: its changes are not seen.
    TooLarge {
        /// Absolute.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The root of a tree is gone. Its files are not told as removed.
    RootGone(PathBuf),
    /// The root of a tree is there again.
    RootBack(PathBuf),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, unwatched } => write!(
                f,
                "the kernel's limit {limit} is reached: {unwatched} directories are looked at only every second; raise it: `{}`",
                limit.raise()
            ),
            Self::NotWatched { unwatched, reason } => write!(
                f,
                "{unwatched} directories cannot be watched ({reason}): they are looked at only every second"
            ),
            Self::Unreadable { path, reason } => {
                write!(f, "changes of {} are not seen: {reason}", path.display())
            }
            Self::TooLarge { path, bytes } => write!(
                f,
                "changes of {} are not followed: it has {}, and what is over {} would hold up all edits; `devenv up` takes it into the image, unless `.dockerignore` names it",
                path.display(),
                amount(Memory::from_bytes(*bytes)),
                amount(Memory::from_bytes(disk::LARGEST)),
            ),
            Self::RootGone(path) => write!(
                f,
                "{} is gone: what was made of it stays as it is until it comes back",
                path.display()
            ),
            Self::RootBack(path) => write!(f, "{} is back", path.display()),
        }
    }
}

/// Why trees cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A root is no directory.
    #[error("{} is not a directory", .0.display())]
    RootMissing(PathBuf),
    /// A pattern of what to leave out is none.
    #[error("`{pattern}` is no pattern")]
    BadPattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel gives no watcher, for another reason than its limits.
    #[error("this system cannot watch files")]
    Kernel(#[from] notify::Error),
    /// The first look at the trees broke off.
    #[error("the watcher stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

impl WatchError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        match self {
            Self::RootMissing(path) => Failure::new(
                "watch.root-missing",
                ExitClass::Prerequisite,
                self.to_string(),
            )
            .help(format!("look at it: `ls -ld {}`", path.display())),
            Self::BadPattern { reason, .. } => {
                Failure::new("watch.bad-pattern", ExitClass::Manifest, self.to_string())
                    .because(reason)
                    .help("the syntax is that of .gitignore: https://git-scm.com/docs/gitignore#_pattern_format")
            }
            Self::Kernel(source) => self.broken(source),
            Self::Stopped(source) => self.broken(source),
        }
    }
    fn broken(&self, source: &dyn std::error::Error) -> Failure {
        Failure::new("watch.failed", ExitClass::Internal, self.to_string()).caused_by(source)
    }
}

/// A running watcher; it stops when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    pending: Arc<Pending>,
    _stop: DropGuard,
}

/// Where the news of a watcher come out.
#[derive(Debug)]
pub struct Changes {
    news: mpsc::Receiver<News>,
}

impl Watcher {
    /// Watches trees, which may overlap, from their present state on: reads all their files before it returns.
    pub async fn start(trees: Vec<Watched>) -> Result<(Self, Changes), WatchError> {
        let pending = Arc::new(Pending::default());
        let kernel = Inotify::new(Arc::clone(&pending))?;
        let (forest, outcome) =
            tokio::task::spawn_blocking(move || Forest::plant(trees, kernel)).await??;
        let stop = CancellationToken::new();
        // One: while the receiver is busy with a batch, further hints gather into the next.
        let (sender, news) = mpsc::channel(1);
        let run = run::Run::new(forest, Arc::clone(&pending), sender);
        tokio::spawn(stop.clone().run_until_cancelled_owned(run.all(outcome)));
        let watcher = Self {
            pending,
            _stop: stop.drop_guard(),
        };
        Ok((watcher, Changes { news }))
    }

    /// Asks for a look at everything, such as after the machine slept: its batch has [`Rescan::Asked`] as reason.
    pub fn rescan(&self) {
        self.pending.ask(Rescan::Asked);
    }
}

impl Changes {
    /// The next news, as soon as there are any; `None` once the watcher has ended.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }
}

/// What a tree holds now, by path relative to its root, without what its rules leave out. Reads all files.
pub fn scan(watched: Watched) -> Result<BTreeMap<PathBuf, ChangeKind>, WatchError> {
    if disk::look(&watched.root).ok() != Some(disk::Found::Directory) {
        return Err(WatchError::RootMissing(watched.root));
    }
    Ok(Tree::new(watched)?.rescan(&mut |_| {}).changes)
}

#[cfg(test)]
mod tests;
