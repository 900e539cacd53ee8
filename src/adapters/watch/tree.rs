//! What is known of one tree, and how it differs from the disk.
//!
//! Every directory is watched before it is listed: what is made before the watch is in the list, what is made after
//! it is a hint.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ChangeKind, Notice, WatchError, Watched,
    disk::{self, Contents, Found, Listing, Trust},
    rules::{Form, Rules, Scope, Verdict},
};

/// What is known of a path.
#[derive(Debug)]
enum Known {
    /// The rules for what it holds.
    Directory(Arc<Scope>),
    File(Contents),
    Link {
        target: PathBuf,
    },
    Special,
    /// A file that this user may not read.
    Unreadable,
    /// A file of more than [`disk::LARGEST`] bytes.
    TooLarge,
}

/// How deep to look at a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// At all below it.
    All,
    /// At its entries, and all below those that are new.
    Entries,
}

/// Whether rules were read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum RulesRead {
    #[default]
    AsBefore,
    Changed,
}

/// How a tree differs from what was known of it.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// By path relative to the root.
    pub(super) changes: BTreeMap<PathBuf, ChangeKind>,
    pub(super) notices: Vec<Notice>,
    /// Absolute paths of directories that hold nothing of interest any more.
    pub(super) forgotten: Vec<PathBuf>,
    pub(super) rules: RulesRead,
}

/// Asks for watches on directories, given by absolute paths.
pub(super) type Watch<'a> = dyn FnMut(&[PathBuf]) + 'a;

/// One tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    rules: Rules,
    /// By path relative to the root, which is the empty path and always there.
    known: BTreeMap<PathBuf, Known>,
    /// The directories of which was told that they cannot be listed.
    unlistable: HashSet<PathBuf>,
}

impl Tree {
    /// The tree at a directory, of which nothing is known yet.
    pub(super) fn new(watched: Watched) -> Result<Self, WatchError> {
        let rules = Rules::new(watched.root.clone(), watched.ignore)?;
        let top = Known::Directory(Arc::new(rules.top(None)));
        Ok(Self {
            root: watched.root,
            rules,
            known: BTreeMap::from([(PathBuf::new(), top)]),
            unlistable: HashSet::new(),
        })
    }

    /// Absolute.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is a directory that is watched, by its absolute path.
    pub(super) fn holds(&self, directory: &Path) -> bool {
        let path = directory.strip_prefix(&self.root);
        path.is_ok_and(|path| matches!(self.known.get(path), Some(Known::Directory(_))))
    }

    /// The absolute paths of its directories.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let directories = self
            .known
            .iter()
            .filter(|(_, known)| matches!(known, Known::Directory(_)));
        directories.map(|(path, _)| self.root.join(path)).collect()
    }

    /// Looks at everything again.
    pub(super) fn rescan(&mut self, watch: &mut Watch<'_>) -> Difference {
        let mut difference = Difference::default();
        self.survey(vec![(PathBuf::new(), Depth::All)], watch, &mut difference);
        difference
    }

    /// Looks at the entries of directories, given by absolute paths, that nobody tells of.
    pub(super) fn look_at<'a>(
        &mut self,
        directories: impl IntoIterator<Item = &'a PathBuf>,
        watch: &mut Watch<'_>,
    ) -> Difference {
        let level = directories
            .into_iter()
            .filter(|directory| self.holds(directory))
            .filter_map(|directory| directory.strip_prefix(&self.root).ok())
            .map(|path| (path.to_owned(), Depth::Entries))
            .collect();
        let mut difference = Difference::default();
        self.survey(level, watch, &mut difference);
        difference
    }

    /// Looks at paths, sorted and relative to the root, where something may have changed.
    pub(super) fn touched(
        &mut self,
        paths: impl IntoIterator<Item = PathBuf>,
        watch: &mut Watch<'_>,
    ) -> Difference {
        let mut difference = Difference::default();
        let mut sound = HashSet::new();
        let mut surveys: Vec<PathBuf> = Vec::new();
        let mut unread = Vec::new();
        for path in paths {
            let path = self.outermost_changed(path, &mut sound);
            // Paths come sorted: what is below a directory that is looked at anyway follows it.
            if surveys.last().is_some_and(|above| path.starts_with(above)) {
                continue;
            }
            if path.file_name() == Some(OsStr::new(disk::GITIGNORE))
                && let Some(directory) = self.with_other_rules(&path)
            {
                difference.rules = RulesRead::Changed;
                surveys.push(directory);
                continue;
            }
            match self.look(&path, &mut difference) {
                Next::Nothing => {}
                Next::Read => unread.push(path),
                Next::List => surveys.push(path),
            }
        }
        self.read(unread, &mut difference);
        let level = surveys.into_iter().map(|path| (path, Depth::All));
        self.survey(level.collect(), watch, &mut difference);
        difference
    }

    /// `path`, or the outermost directory above it that is no longer what it was: no hint of it came yet.
    fn outermost_changed(&self, path: PathBuf, sound: &mut HashSet<PathBuf>) -> PathBuf {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for directory in above {
            if directory.as_os_str().is_empty() || sound.contains(directory) {
                continue;
            }
            let is_known = matches!(self.known.get(directory), Some(Known::Directory(_)));
            let is_there = matches!(disk::look(&self.root.join(directory)), Ok(Found::Directory));
            if !is_known || !is_there {
                return directory.to_owned();
            }
            sound.insert(directory.to_owned());
        }
        path
    }

    /// The directory whose rules a file has, if it says others than those that are known.
    fn with_other_rules(&self, file: &Path) -> Option<PathBuf> {
        let directory = file.parent()?;
        let Some(Known::Directory(scope)) = self.known.get(directory) else {
            return None;
        };
        let text = disk::rules_at(&self.root.join(file));
        (!scope.is_of(text.as_deref())).then(|| directory.to_owned())
    }

    /// Looks at one path, whose directory is known.
    fn look(&mut self, path: &Path, difference: &mut Difference) -> Next {
        if path.as_os_str().is_empty() {
            return Next::List;
        }
        let Some(Known::Directory(scope)) = path.parent().and_then(|above| self.known.get(above))
        else {
            return Next::Nothing;
        };
        let scope = Arc::clone(scope);
        match disk::look(&self.root.join(path)) {
            Ok(found) => self.meet(path, found, &scope, difference),
            Err(error) => {
                self.unreadable(path, &error, difference);
                Next::Nothing
            }
        }
    }

    /// Lists directories and all that is to be listed below them, one level after the other.
    fn survey(
        &mut self,
        mut level: Vec<(PathBuf, Depth)>,
        watch: &mut Watch<'_>,
        difference: &mut Difference,
    ) {
        while !level.is_empty() {
            let absolute: Vec<PathBuf> =
                level.iter().map(|(path, _)| self.root.join(path)).collect();
            watch(&absolute);
            let listings = disk::in_parallel(&absolute, |path| disk::list(path));
            let mut next = Vec::new();
            let mut unread = Vec::new();
            for ((path, depth), listing) in level.into_iter().zip(listings) {
                match listing {
                    Ok(listing) => {
                        self.unlistable.remove(&path);
                        let depth =
                            self.take_rules(&path, listing.rules.clone(), depth, difference);
                        let entries = self.merge(&path, listing, difference);
                        next.extend(entries.list.into_iter().filter_map(|(path, age)| {
                            (depth == Depth::All || age == Age::New).then_some((path, Depth::All))
                        }));
                        unread.extend(entries.read);
                    }
                    Err(error) => self.unlisted(&path, &error, difference),
                }
            }
            self.read(unread, difference);
            level = next;
        }
    }

    /// Takes the rules of a directory; how deep they make it necessary to look.
    fn take_rules(
        &mut self,
        path: &Path,
        text: Option<Vec<u8>>,
        depth: Depth,
        difference: &mut Difference,
    ) -> Depth {
        let Some(Known::Directory(before)) = self.known.get(path) else {
            return depth;
        };
        let is_same = before.is_of(text.as_deref());
        if is_same && depth == Depth::Entries {
            return depth;
        }
        // The rules further out may be others too.
        let scope = match path.parent().and_then(|above| self.known.get(above)) {
            Some(Known::Directory(outer)) => self.rules.below(outer, path, text),
            _ => self.rules.top(text),
        };
        if !is_same && depth == Depth::Entries {
            difference.rules = RulesRead::Changed;
        }
        self.known
            .insert(path.to_owned(), Known::Directory(Arc::new(scope)));
        Depth::All
    }

    /// Compares a directory with what is known of it.
    fn merge(&mut self, path: &Path, listing: Listing, difference: &mut Difference) -> Entries {
        let mut entries = Entries::default();
        let Some(Known::Directory(scope)) = self.known.get(path) else {
            return entries;
        };
        let scope = Arc::clone(scope);
        let present: HashSet<&OsStr> = listing.entries.iter().map(|(name, _)| &**name).collect();
        for gone in self.children(path) {
            if gone.file_name().is_none_or(|name| !present.contains(name)) {
                self.remove(&gone, difference);
            }
        }
        for (name, found) in listing.entries {
            let child = path.join(name);
            let age = match self.known.get(&child) {
                Some(Known::Directory(_)) => Age::Known,
                _ => Age::New,
            };
            match self.meet(&child, found, &scope, difference) {
                Next::Nothing => {}
                Next::Read => entries.read.push(child),
                Next::List => entries.list.push((child, age)),
            }
        }
        entries
    }

    /// Compares what was found at a path with what is known of it.
    fn meet(
        &mut self,
        path: &Path,
        found: Found,
        scope: &Arc<Scope>,
        difference: &mut Difference,
    ) -> Next {
        let form = match found {
            Found::Absent => {
                self.remove(path, difference);
                return Next::Nothing;
            }
            Found::Directory => Form::Directory,
            Found::File { .. } | Found::Link { .. } | Found::Special => Form::Other,
        };
        if self.rules.verdict(scope, path, form) == Verdict::Ignored {
            self.leave_out(path, &found, difference);
            return Next::Nothing;
        }
        match (self.known.get(path), found) {
            (Some(Known::Directory(_)), Found::Directory) => return Next::List,
            (_, Found::Directory) => {
                let rules = Known::Directory(Arc::clone(scope));
                self.put(path, rules, ChangeKind::Directory, difference);
                return Next::List;
            }
            (Some(Known::File(known)), Found::File { stamp, mode })
                if known.stamp == stamp && known.mode == mode && known.trust == Trust::Proves => {}
            (_, Found::File { stamp, .. }) if stamp.size() > disk::LARGEST => {
                self.too_large(path, stamp.size(), difference);
            }
            (_, Found::File { .. }) => return Next::Read,
            (Some(Known::Link { target: known }), Found::Link { target }) if *known == target => {}
            (_, Found::Link { target }) => {
                let change = ChangeKind::Link {
                    target: target.clone(),
                };
                self.put(path, Known::Link { target }, change, difference);
            }
            (Some(Known::Special), Found::Special) | (_, Found::Absent) => {}
            (_, Found::Special) => {
                self.put(path, Known::Special, ChangeKind::Special, difference);
            }
        }
        Next::Nothing
    }

    /// Reads files that may have other contents than known.
    fn read(&mut self, paths: Vec<PathBuf>, difference: &mut Difference) {
        let contents = disk::in_parallel(&paths, |path| disk::read(&self.root.join(path)));
        for (path, contents) in paths.into_iter().zip(contents) {
            match contents {
                // It grew while it was read.
                Ok(Some(contents)) if contents.stamp.size() > disk::LARGEST => {
                    self.too_large(&path, contents.stamp.size(), difference);
                }
                Ok(Some(contents)) => self.take_contents(&path, contents, difference),
                // It became something else since it was looked at: of that there is another hint.
                Ok(None) => {}
                Err(error) if disk::is_absence(&error) => self.remove(&path, difference),
                Err(error) => self.unreadable(&path, &error, difference),
            }
        }
    }

    fn take_contents(&mut self, path: &Path, contents: Contents, difference: &mut Difference) {
        if let Some(Known::File(known)) = self.known.get_mut(path)
            && known.hash == contents.hash
            && known.mode == contents.mode
        {
            *known = contents;
            return;
        }
        let change = ChangeKind::File {
            mode: contents.mode,
            size: contents.stamp.size(),
            hash: contents.hash,
        };
        self.put(path, Known::File(contents), change, difference);
    }

    /// Takes something new at a path; what was known below it is gone.
    fn put(&mut self, path: &Path, known: Known, change: ChangeKind, difference: &mut Difference) {
        if matches!(self.known.get(path), Some(Known::Directory(_))) {
            self.remove(path, difference);
        }
        self.known.insert(path.to_owned(), known);
        difference.changes.insert(path.to_owned(), change);
    }

    /// Takes everything at and below a path as removed.
    fn remove(&mut self, path: &Path, difference: &mut Difference) {
        for (path, known) in self.cut(path, difference) {
            match known {
                // Nobody took it over.
                Known::Special => {
                    difference.changes.remove(&path);
                }
                Known::Directory(_)
                | Known::File(_)
                | Known::Link { .. }
                | Known::Unreadable
                | Known::TooLarge => {
                    difference.changes.insert(path, ChangeKind::Removed);
                }
            }
        }
    }

    /// Knows nothing any more of a path that rules leave out now. If it is still what it was, nothing was removed.
    fn leave_out(&mut self, path: &Path, found: &Found, difference: &mut Difference) {
        let is_still_there = matches!(
            (self.known.get(path), found),
            (Some(Known::Directory(_)), Found::Directory)
                | (
                    Some(Known::File(_) | Known::Unreadable | Known::TooLarge),
                    Found::File { .. }
                )
                | (Some(Known::Link { .. }), Found::Link { .. })
        );
        if is_still_there {
            self.cut(path, difference);
        } else {
            self.remove(path, difference);
        }
    }

    /// Takes out what is known at and below a path.
    fn cut(&mut self, path: &Path, difference: &mut Difference) -> Vec<(PathBuf, Known)> {
        let paths: Vec<PathBuf> = self.below(path).cloned().collect();
        let mut taken = Vec::with_capacity(paths.len());
        for path in paths {
            let Some(known) = self.known.remove(&path) else {
                continue;
            };
            if matches!(known, Known::Directory(_)) {
                self.unlistable.remove(&path);
                difference.forgotten.push(self.root.join(&path));
            }
            taken.push((path, known));
        }
        taken
    }

    /// The known paths at and below a path; never the root.
    fn below(&self, path: &Path) -> impl Iterator<Item = &PathBuf> {
        self.known
            .range(path.to_owned()..)
            .map(|(known, _)| known)
            .take_while(move |known| known.starts_with(path))
            .filter(|known| !known.as_os_str().is_empty())
    }

    /// The known entries of a directory.
    fn children(&self, directory: &Path) -> Vec<PathBuf> {
        self.below(directory)
            .filter(|path| path.parent() == Some(directory))
            .cloned()
            .collect()
    }

    /// A path that cannot be looked at or read: what is known of it stays, unless it is a file.
    fn unreadable(&mut self, path: &Path, error: &io::Error, difference: &mut Difference) {
        match self.known.get(path) {
            // Links are not followed; of what is there now there is another hint.
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return,
            Some(Known::Unreadable) => return,
            Some(Known::Directory(_)) if !self.unlistable.insert(path.to_owned()) => return,
            Some(Known::Directory(_)) => {}
            _ => {
                self.known.insert(path.to_owned(), Known::Unreadable);
            }
        }
        difference.notices.push(Notice::Unreadable {
            path: self.root.join(path),
            reason: error.to_string(),
        });
    }

    /// A file that nobody waits for: copying it would hold up every edit after it.
    fn too_large(&mut self, path: &Path, bytes: u64, difference: &mut Difference) {
        match self.known.get(path) {
            Some(Known::TooLarge) => return,
            Some(Known::Directory(_)) => self.remove(path, difference),
            _ => {}
        }
        self.known.insert(path.to_owned(), Known::TooLarge);
        difference.notices.push(Notice::TooLarge {
            path: self.root.join(path),
            bytes,
        });
    }

    /// A directory that could not be listed.
    fn unlisted(&mut self, path: &Path, error: &io::Error, difference: &mut Difference) {
        if path.as_os_str().is_empty() && disk::is_absence(error) {
            // That the root is gone says nothing about what it held: see `Forest`.
        } else if disk::is_absence(error) {
            self.remove(path, difference);
        } else {
            self.unreadable(path, error, difference);
        }
    }
}

/// What else to do for a path that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    Read,
    List,
}

/// Whether a directory was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Known,
    New,
}

/// What of a directory's entries is to be looked into.
#[derive(Debug, Default)]
struct Entries {
    read: Vec<PathBuf>,
    list: Vec<(PathBuf, Age)>,
}

#[cfg(test)]
impl Tree {
    /// What is known, in words that can be compared with the disk.
    pub(super) fn told(&self) -> BTreeMap<PathBuf, String> {
        let told = self.known.iter().map(|(path, known)| {
            let text = match known {
                Known::Directory(_) => "directory".to_owned(),
                Known::File(contents) => format!("{:o} {}", contents.mode, contents.hash),
                Known::Link { target } => format!("link {}", target.display()),
                Known::Special => "special".to_owned(),
                Known::Unreadable => "unreadable".to_owned(),
                Known::TooLarge => "too large".to_owned(),
            };
            (path.clone(), text)
        });
        told.collect()
    }
}
