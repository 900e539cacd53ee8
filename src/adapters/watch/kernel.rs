//! The kernel's watches on directories, and what limits them.

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{
    Config, ErrorKind, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode, WatchPathConfig,
    Watcher as _,
};

use rustix::io::Errno;

use super::{disk, hints::Pending};
use crate::adapters::files;

/// What tells of changes in directories; what they hold further down is not part of it.
pub(super) trait Kernel: Send {
    /// Watches directories, anew where it does already: another directory may be at the path by now.
    fn watch(&mut self, directories: &[PathBuf]) -> Vec<(PathBuf, Refusal)>;

    /// Watches directories no longer.
    fn forget(&mut self, directories: &[PathBuf]);
}

/// Why a directory is not watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not there, or may not be read. Whoever lists it learns the same.
    Unreadable,
    /// The kernel gives no more.
    Limit(WatchLimit),
    /// Anything else, in the system's words.
    Failed(String),
}

/// What the kernel limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchLimit {
    /// Watched directories of a user.
    Watches,
    /// Watchers of a user.
    Instances,
}

impl WatchLimit {
    /// The name of its setting.
    pub const fn sysctl(self) -> &'static str {
        match self {
            Self::Watches => "fs.inotify.max_user_watches",
            Self::Instances => "fs.inotify.max_user_instances",
        }
    }

    /// Its present value, if the kernel says it.
    pub fn value(self) -> Option<u64> {
        let path = format!("/proc/sys/{}", self.sysctl().replace('.', "/"));
        files::read_text(Path::new(&path)).ok()?.trim().parse().ok()
    }

    /// A value that is enough for most: what desktop distributions set.
    const fn enough(self) -> u64 {
        match self {
            Self::Watches => 1_048_576,
            Self::Instances => 1024,
        }
    }

    /// The command that raises it.
    pub fn raise(self) -> String {
        let enough = self
            .enough()
            .max(self.value().unwrap_or(0).saturating_mul(2));
        format!("sudo sysctl {}={enough}", self.sysctl())
    }
}

impl fmt::Display for WatchLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sysctl())?;
        match self.value() {
            Some(value) => write!(f, " = {value}"),
            None => Ok(()),
        }
    }
}

/// The kernel's inotify: one instance, which counts against a limit of 128 for each user.
#[derive(Debug)]
pub(super) struct Inotify {
    /// None if there was no instance left.
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl Inotify {
    /// One that tells `pending`; if there is no instance left, one that refuses every directory.
    pub(super) fn new(pending: Arc<Pending>) -> notify::Result<Self> {
        // Without accesses: reading a changed file must not be a hint that it changed.
        let config = Config::default()
            .with_event_kinds(EventKindMask::CORE)
            .with_follow_symlinks(false);
        let watcher = match RecommendedWatcher::new(move |event| pending.note(event), config) {
            Err(error) if is_limit(&error) => None,
            other => Some(other?),
        };
        Ok(Self {
            watcher,
            watched: HashSet::new(),
        })
    }

    /// Watches the directories that it can; those that it could not.
    fn add(&mut self, directories: &[PathBuf]) -> Vec<(PathBuf, Refusal)> {
        let Some(watcher) = &mut self.watcher else {
            return refused(directories.to_vec(), WatchLimit::Instances);
        };
        // A directory that was replaced by a link since it was looked at must not lead elsewhere.
        let settings =
            WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
        let mut operations: Vec<PathOp> = directories
            .iter()
            .map(|directory| PathOp::Watch(directory.clone(), settings.clone()))
            .collect();
        let mut failed = Vec::new();
        while let Err(error) = watcher.update_paths(operations) {
            operations = error.remaining;
            let Some(operation) = error.origin else {
                break;
            };
            let path = operation.as_path().to_owned();
            if is_limit(&error.source) {
                // The others would fare no better, and each would cost a call.
                let rest = operations.iter().map(|rest| rest.as_path().to_owned());
                failed.extend(refused(
                    std::iter::once(path).chain(rest),
                    WatchLimit::Watches,
                ));
                break;
            }
            failed.push((path, Refusal::of(&error.source)));
        }
        failed
    }
}

impl Kernel for Inotify {
    fn watch(&mut self, directories: &[PathBuf]) -> Vec<(PathBuf, Refusal)> {
        // It would take a watch on a path for good that is one on a directory which is gone.
        self.forget(directories);
        let failed = self.add(directories);
        self.watched.extend(directories.iter().cloned());
        for (directory, _) in &failed {
            self.watched.remove(directory);
        }
        failed
    }

    fn forget(&mut self, directories: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut operations: Vec<PathOp> = directories
            .iter()
            .filter(|directory| self.watched.remove(*directory))
            .map(|directory| PathOp::Unwatch(directory.clone()))
            .collect();
        // One that it does not know any more is forgotten already.
        while !operations.is_empty()
            && let Err(error) = watcher.update_paths(operations)
        {
            operations = error.remaining;
        }
    }
}

impl Refusal {
    fn of(error: &notify::Error) -> Self {
        match &error.kind {
            ErrorKind::PathNotFound => Self::Unreadable,
            ErrorKind::Io(cause)
                if disk::is_absence(cause) || cause.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::Unreadable
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn refused(
    directories: impl IntoIterator<Item = PathBuf>,
    limit: WatchLimit,
) -> Vec<(PathBuf, Refusal)> {
    directories
        .into_iter()
        .map(|directory| (directory, Refusal::Limit(limit)))
        .collect()
}

fn is_limit(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(cause) => cause.raw_os_error() == Some(Errno::MFILE.raw_os_error()),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod fake {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// A kernel that tells nothing, gives as many watches as it was told to, and shows them.
    #[derive(Debug, Clone)]
    pub(in crate::adapters::watch) struct Fake {
        pub(in crate::adapters::watch) watched: Arc<Mutex<HashSet<PathBuf>>>,
        pub(in crate::adapters::watch) most: Arc<Mutex<usize>>,
    }

    impl Fake {
        pub(in crate::adapters::watch) fn with_watches(most: usize) -> Self {
            Self {
                watched: Arc::default(),
                most: Arc::new(Mutex::new(most)),
            }
        }

        /// The watched directories below `root`, sorted.
        pub(in crate::adapters::watch) fn below(&self, root: &Path) -> Vec<PathBuf> {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let mut below: Vec<PathBuf> = watched
                .iter()
                .filter_map(|path| Some(path.strip_prefix(root).ok()?.to_owned()))
                .collect();
            below.sort();
            below
        }
    }

    impl Kernel for Fake {
        fn watch(&mut self, directories: &[PathBuf]) -> Vec<(PathBuf, Refusal)> {
            let mut watched = self.watched.lock().unwrap();
            let most = *self.most.lock().unwrap();
            let mut failed = Vec::new();
            for directory in directories {
                watched.remove(directory);
                if watched.len() < most {
                    watched.insert(directory.clone());
                } else {
                    failed.push((directory.clone(), Refusal::Limit(WatchLimit::Watches)));
                }
            }
            failed
        }

        fn forget(&mut self, directories: &[PathBuf]) {
            let mut watched = self.watched.lock().unwrap();
            for directory in directories {
                watched.remove(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_its_setting_its_value_and_what_raises_it() {
        let value = WatchLimit::Watches.value().unwrap();
        assert_eq!(
            WatchLimit::Watches.to_string(),
            format!("fs.inotify.max_user_watches = {value}")
        );
        let raise = WatchLimit::Watches.raise();
        let (_, raised) = raise
            .split_once("sudo sysctl fs.inotify.max_user_watches=")
            .unwrap();
        assert!(raised.parse::<u64>().unwrap() > value);
    }

    #[test]
    fn the_words_of_the_kernel_are_told_apart() {
        let too_many = notify::Error::io(io::Error::from(Errno::MFILE));
        assert!(is_limit(&too_many));
        assert!(is_limit(&notify::Error::new(ErrorKind::MaxFilesWatch)));
        let denied = notify::Error::io(io::ErrorKind::PermissionDenied.into());
        assert!(!is_limit(&denied));
        assert_eq!(Refusal::of(&denied), Refusal::Unreadable);
        assert_eq!(
            Refusal::of(&notify::Error::path_not_found()),
            Refusal::Unreadable
        );
        let other = notify::Error::generic("no memory");
        assert!(matches!(Refusal::of(&other), Refusal::Failed(_)));
    }

    #[tokio::test]
    async fn a_file_that_is_read_is_no_hint() {
        let home = tempfile::tempdir().unwrap();
        let [file, mark] = ["file", "mark"].map(|name| home.path().join(name));
        files::write_shared(&file, b"x").unwrap();
        let pending = Arc::new(Pending::default());
        let mut kernel = Inotify::new(Arc::clone(&pending)).unwrap();
        assert!(kernel.watch(&[home.path().to_owned()]).is_empty());
        disk::read(&file).unwrap();
        disk::list(home.path()).unwrap();
        // Events come in order: one of the reading would be there before this one.
        std::fs::File::create_new(&mark).unwrap();
        pending.span().await;
        assert_eq!(pending.take().paths, [mark].into());
    }

    #[test]
    fn without_an_instance_every_directory_is_refused() {
        let mut kernel = Inotify {
            watcher: None,
            watched: HashSet::new(),
        };
        let refused = kernel.watch(&["/a".into()]);
        let reason = Refusal::Limit(WatchLimit::Instances);
        assert_eq!(refused, [("/a".into(), reason)]);
    }

    #[test]
    fn what_can_be_watched_is_watched_although_something_beside_it_cannot() {
        let home = tempfile::tempdir().unwrap();
        let mut kernel = Inotify::new(Arc::default()).unwrap();
        let gone = home.path().join("gone");
        let all = [gone.clone(), home.path().to_owned()];
        for _ in 0..2 {
            assert_eq!(kernel.watch(&all), [(gone.clone(), Refusal::Unreadable)]);
            assert!(kernel.watched.contains(home.path()));
        }
        kernel.forget(&all);
        assert!(kernel.watched.is_empty());
    }
}
