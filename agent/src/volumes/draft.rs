//! A copy of a directory that others write to: made while they do, and brought up to date once nobody does any more.
//!
//! What was copied in between is found by what the kernel says of it: its inode, and the time at which anything of it was
//! changed last, which nobody can set. A moment has a certain length there, in which more may be changed; and the pages
//! of a file that is mapped into memory may be written to without a word until they are on disk. So all is written to disk
//! first, and what was changed shortly before that, or after it, is copied again.

use std::{
    cmp::Ordering,
    collections::VecDeque,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use devenv_agent::{protocol::AgentError, volume_protocol::Copied};
use rustix::{
    fs::{FileType, Stat, syncfs},
    io::Errno,
};

use super::{
    copy::Copy,
    place::Tree,
    progress::{Progress, Stopped},
    walk::{Found, Visitor, walk},
};
use crate::files::{kind, open_directory, remove};

/// The longest moment of a file system that counts more finely than in seconds: a tick of the clock that is read for it.
const MOMENT: Duration = Duration::from_millis(100);

/// The longest moment of one that counts whole seconds.
const LONG_MOMENT: Duration = Duration::from_secs(2);

/// A copy that was made while others wrote.
pub(super) struct Draft<'a> {
    copy: Copy<'a>,
    drafted: Drafted,
    /// What was changed a moment before was on disk, and is in the draft if it is as it was seen.
    settled: Settled,
}

/// What was copied of a directory.
#[derive(Default)]
struct Drafted {
    /// The directory; `None` if it was made for what comes later.
    seen: Option<Seen>,
    /// What is in it, in the order of the names.
    below: VecDeque<(PathBuf, What)>,
}

enum What {
    Directory(Drafted),
    Other(Seen),
}

/// Which file something was, and when it was changed last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Seen {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: (
                stat.st_ctime,
                stat.st_ctime_nsec.try_into().unwrap_or(i64::MAX),
            ),
        }
    }

    /// From when on any change has a later time than the one it was seen with, since 1970.
    fn told_from(&self) -> Duration {
        let (seconds, nanoseconds) = self.changed;
        let changed = Duration::new(
            seconds.try_into().unwrap_or(0),
            nanoseconds.try_into().unwrap_or(0),
        );
        // Nothing finer than a second is known of it.
        let is_whole = nanoseconds == 0;
        changed + if is_whole { LONG_MOMENT } else { MOMENT }
    }
}

/// When nothing was written to disk or copied yet, since 1970.
#[derive(Clone, Copy)]
pub(super) struct Settled(pub(super) Duration);

impl Settled {
    /// What is, before anything is written to disk or copied.
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.unwrap_or_default())
    }

    /// Whether something is for certain what was seen.
    fn holds(self, seen: Seen, stat: &Stat) -> bool {
        seen == Seen::of(stat) && seen.told_from() < self.0
    }
}

/// Copies all that is in a directory into another. Who writes to it meanwhile may see to it that something is left out or
/// is not of one moment.
pub(super) fn make<'a>(
    tree: &Tree,
    copy: Copy<'a>,
    top: &OwnedFd,
    settled: Settled,
    progress: &Progress,
) -> Result<Draft<'a>, AgentError> {
    let written = syncfs(&tree.fd).map_err(Stopped::from);
    written.map_err(|stopped| stopped.at("write to disk", &tree.whole))?;
    let mut first = First {
        copy,
        // The directory itself is made like the original when it is complete.
        open: vec![(PathBuf::new(), Drafted::default())],
    };
    walk(tree, &mut first, top, progress)?;
    let drafted = first.open.pop().map(|(_, drafted)| drafted);
    Ok(Draft {
        copy: first.copy,
        drafted: drafted.unwrap_or_default(),
        settled,
    })
}

impl Draft<'_> {
    /// Makes the draft a copy of what is there now, to which nobody writes.
    pub(super) fn complete(
        self,
        tree: &Tree,
        top: OwnedFd,
        progress: &Progress,
    ) -> Result<Copied, AgentError> {
        let mut second = Second {
            copy: self.copy.counted_anew(),
            settled: self.settled,
            open: vec![Open::of(self.drafted)],
        };
        walk(tree, &mut second, &top, progress)?;
        let left = tree
            .now()
            .and_then(|stat| second.leave(&tree.fd, &stat, top));
        left.map_err(|stopped| stopped.at(Copy::DOING, &tree.whole))?;
        Ok(second.copy.copied())
    }
}

/// Copies everything, and notes what it was like before.
struct First<'a> {
    copy: Copy<'a>,
    /// The directories that the walk is in, from the top, and what was copied of them.
    open: Vec<(PathBuf, Drafted)>,
}

impl First<'_> {
    fn note(&mut self, name: &Path, what: What) {
        if let Some((_, above)) = self.open.last_mut() {
            above.below.push_back((name.to_owned(), what));
        }
    }
}

impl Visitor for First<'_> {
    const DOING: &'static str = Copy::DOING;
    const IN_USE: bool = true;
    type Within = OwnedFd;

    fn enter(
        &mut self,
        found: &Found<'_>,
        inner: &OwnedFd,
        above: &OwnedFd,
    ) -> Result<OwnedFd, Stopped> {
        let drafted = Drafted {
            seen: Some(Seen::of(found.stat)),
            below: VecDeque::new(),
        };
        self.open.push((found.name.to_owned(), drafted));
        self.copy.enter(found, inner, above)
    }

    fn leave(&mut self, inner: &OwnedFd, stat: &Stat, within: OwnedFd) -> Result<(), Stopped> {
        self.copy.leave(inner, stat, within)?;
        if let Some((name, drafted)) = self.open.pop() {
            self.note(&name, What::Directory(drafted));
        }
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<(), Stopped> {
        match self.copy.visit(found, above) {
            // Something else has its name now.
            Err(Stopped::BySystem(Errno::STALE | Errno::LOOP | Errno::ISDIR | Errno::NXIO)) => {
                Ok(remove(above, found.name)?)
            }
            Ok(()) => {
                if kind(found.stat) != FileType::Socket {
                    self.note(found.name, What::Other(Seen::of(found.stat)));
                }
                Ok(())
            }
            failed => failed,
        }
    }
}

/// Copies what is not in the draft as it is now, and removes what is not there any more.
struct Second<'a> {
    copy: Copy<'a>,
    settled: Settled,
    /// The directories that the walk is in, from the top.
    open: Vec<Open>,
}

/// A directory of the draft.
struct Open {
    drafted: Drafted,
    /// Whether something of it is made like the original, which changes its times.
    is_changed: bool,
}

impl Open {
    const fn of(drafted: Drafted) -> Self {
        Self {
            drafted,
            is_changed: false,
        }
    }

    /// What the draft has at a name. Those before it, which are not there any more, are removed.
    fn take(&mut self, name: &Path, to: &OwnedFd) -> Result<Option<What>, Errno> {
        while let Some((drafted, what)) = self.drafted.below.pop_front() {
            match drafted.as_os_str().cmp(name.as_os_str()) {
                Ordering::Less => self.remove(&drafted, to)?,
                Ordering::Equal => return Ok(Some(what)),
                Ordering::Greater => {
                    self.drafted.below.push_front((drafted, what));
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    fn remove(&mut self, name: &Path, from: &OwnedFd) -> Result<(), Errno> {
        self.is_changed = true;
        remove(from, name)
    }
}

impl Second<'_> {
    /// What the draft has where the walk is.
    fn take(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<Option<What>, Errno> {
        match self.open.last_mut() {
            Some(open) => open.take(found.name, above),
            None => Ok(None),
        }
    }

    /// Makes place for what is there now.
    fn replace(
        &mut self,
        was: Option<&What>,
        found: &Found<'_>,
        above: &OwnedFd,
    ) -> Result<(), Errno> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        open.is_changed = true;
        was.map_or(Ok(()), |_| open.remove(found.name, above))
    }
}

impl Visitor for Second<'_> {
    const DOING: &'static str = Copy::DOING;
    type Within = OwnedFd;

    fn enter(
        &mut self,
        found: &Found<'_>,
        inner: &OwnedFd,
        above: &OwnedFd,
    ) -> Result<OwnedFd, Stopped> {
        match self.take(found, above)? {
            Some(What::Directory(drafted)) => {
                self.open.push(Open::of(drafted));
                Ok(open_directory(above, found.name)?)
            }
            other => {
                self.replace(other.as_ref(), found, above)?;
                self.open.push(Open::of(Drafted::default()));
                self.copy.enter(found, inner, above)
            }
        }
    }

    fn leave(&mut self, inner: &OwnedFd, stat: &Stat, within: OwnedFd) -> Result<(), Stopped> {
        let Some(mut open) = self.open.pop() else {
            return Ok(());
        };
        while let Some((name, _)) = open.drafted.below.pop_front() {
            open.remove(&name, &within)?;
        }
        let seen = open.drafted.seen;
        let is_as_drafted = seen.is_some_and(|seen| self.settled.holds(seen, stat));
        if open.is_changed || !is_as_drafted {
            self.copy.leave(inner, stat, within)?;
        }
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<(), Stopped> {
        let was = self.take(found, above)?;
        if let Some(What::Other(seen)) = &was
            && self.settled.holds(*seen, found.stat)
            // One of its hard links may have come by a directory's new name.
            && self.copy.is_linked(found, above)?
        {
            self.copy.count(found);
            return Ok(());
        }
        self.replace(was.as_ref(), found, above)?;
        self.copy.visit(found, above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_whole_seconds_are_told_apart_after_two_of_them() {
        let told_from = |changed| {
            let (device, inode) = (0, 0);
            let seen = Seen {
                device,
                inode,
                changed,
            };
            seen.told_from()
        };
        assert_eq!(told_from((10, 0)), Duration::from_secs(12));
        assert_eq!(told_from((10, 1_000_000)), Duration::from_millis(10_101));
        assert_eq!(told_from((-5, 0)), Duration::from_secs(2));
    }
}
