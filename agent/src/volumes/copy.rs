//! Copies a directory: under a temporary name first, so that it is there whole or not at all.

use std::{
    collections::{HashMap, hash_map::Entry},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Instant,
};

use devenv_agent::{
    protocol::AgentError,
    volume_protocol::{Copied, Source},
};
use rustix::{
    fs::{FileType, Mode, Stat, fstat, mkdirat, mknodat, readlinkat, symlinkat, syncfs},
    io::Errno,
};

use super::{
    attributes::{Belongings, Handle, Owner},
    contents::{Contents, open_file},
    draft::{self, Settled},
    made::{link, made_at, make_file},
    measure::length,
    place::{Place, Root, Tree},
    progress::{Progress, Stopped},
    temporary::{Temporary, sweep},
    walk::{Found, Visitor, walk},
};
use crate::files::{kind, look, open_directory};

/// Copies a directory to where nothing is.
pub(super) fn copy(
    root: &Root,
    from: &[u8],
    to: &[u8],
    source: Source,
    progress: &Progress,
) -> Result<Copied, AgentError> {
    let how = match source {
        Source::AtRest => How::AtOnce,
        Source::InUse => How::ByDraft(Settled::now()),
    };
    copy_in(root, (from, to), how, progress)
}

/// How a copy is made.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// All at once, and on disk before it takes its place.
    AtOnce,
    /// Twice: the second time only what may not be as it was the first time.
    ByDraft(Settled),
}

pub(super) fn copy_in(
    root: &Root,
    (from, to): (&[u8], &[u8]),
    how: How,
    progress: &Progress,
) -> Result<Copied, AgentError> {
    let (tree, place) = (root.tree(from)?, root.place(to)?);
    if place.whole.starts_with(&tree.whole) {
        let text = format!("a copy of {} within it", tree.whole.display());
        return Err(AgentError::Protocol(text));
    }
    place.refuse_taken(DOING)?;
    sweep(&place);
    let made = Temporary::make(&place).map_err(|error| place.failed(DOING, error))?;
    let copied = fill(&tree, &made, how, progress).and_then(|copied| {
        finish(&place, &made, how, progress)?;
        Ok(copied)
    });
    if copied.is_err() {
        // What cannot be removed now is left to the next sweep: why it failed says more.
        let _ = made.remove(&place);
    }
    let (copied, began) = copied?;
    if let How::AtOnce = how {
        place.settle(DOING)?;
    }
    Ok(Copied {
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..copied
    })
}

const DOING: &str = "copy to";

/// Copies all that is in a directory into another, which is made like it. Returns also when nobody wrote to it any more.
fn fill(
    tree: &Tree,
    made: &Temporary,
    how: How,
    progress: &Progress,
) -> Result<(Copied, Instant), AgentError> {
    let copy = Copy::to(&made.fd, progress);
    let top = open_directory(&made.fd, Path::new("."));
    let top = top.map_err(|error| Stopped::from(error).at(Copy::DOING, &tree.whole))?;
    match how {
        How::AtOnce => {
            let began = Instant::now();
            Ok((all(tree, copy, top, progress)?, began))
        }
        How::ByDraft(settled) => {
            let drafted = draft::make(tree, copy, &top, settled, progress)?;
            let stopped = progress.wait_for_rest();
            stopped.map_err(|stopped| stopped.at(Copy::DOING, &tree.whole))?;
            let began = Instant::now();
            Ok((drafted.complete(tree, top, progress)?, began))
        }
    }
}

fn all(
    tree: &Tree,
    mut copy: Copy<'_>,
    top: OwnedFd,
    progress: &Progress,
) -> Result<Copied, AgentError> {
    walk(tree, &mut copy, &top, progress)?;
    let left = copy.leave(&tree.fd, &tree.stat, top);
    left.map_err(|stopped| stopped.at(Copy::DOING, &tree.whole))?;
    Ok(copy.copied())
}

/// Has a complete copy in its place, and on disk before that where nobody stands for it.
fn finish(
    place: &Place,
    made: &Temporary,
    how: How,
    progress: &Progress,
) -> Result<(), AgentError> {
    let finished = || {
        if let How::AtOnce = how {
            // One call for all, where one for each file would take minutes.
            syncfs(&made.fd)?;
        }
        progress.check()?;
        Ok(made.take_place(place)?)
    };
    finished().map_err(|stopped: Stopped| stopped.at(DOING, &place.whole))
}

/// Copies what is found.
pub(super) struct Copy<'a> {
    progress: &'a Progress,
    contents: Contents<'a>,
    /// The directory that becomes the copy.
    top: &'a OwnedFd,
    /// Files with several hard links that were copied, and where in the copy.
    linked: HashMap<(u64, u64), PathBuf>,
    files: u64,
    bytes: u64,
    sockets: u64,
}

impl<'a> Copy<'a> {
    fn to(top: &'a OwnedFd, progress: &'a Progress) -> Self {
        Self {
            progress,
            contents: Contents::new(progress),
            top,
            linked: HashMap::new(),
            files: 0,
            bytes: 0,
            sockets: 0,
        }
    }

    /// The same copy, in which nothing is counted yet.
    pub(super) fn counted_anew(self) -> Self {
        Self {
            linked: HashMap::new(),
            files: 0,
            bytes: 0,
            sockets: 0,
            ..self
        }
    }

    /// Whether what the copy has at a name is a hard link of what it has of the same file already, if anything.
    pub(super) fn is_linked(&self, found: &Found<'_>, above: &OwnedFd) -> Result<bool, Errno> {
        let Found { name, stat, .. } = *found;
        if stat.st_nlink < 2 {
            return Ok(true);
        }
        let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)) else {
            return Ok(true);
        };
        let first = fstat(made_at(self.top, first)?)?;
        let here = look(above, name)?;
        Ok(here.is_some_and(|here| here.st_ino == first.st_ino))
    }

    /// Counts something that is in the copy.
    pub(super) fn count(&mut self, found: &Found<'_>) {
        let stat = found.stat;
        let mut is_first = true;
        if stat.st_nlink > 1 {
            match self.linked.entry((stat.st_dev, stat.st_ino)) {
                Entry::Occupied(_) => is_first = false,
                Entry::Vacant(free) => {
                    free.insert(found.path.to_owned());
                }
            }
        }
        if is_first && kind(stat).is_file() {
            self.bytes += length(stat);
        }
        self.files += 1;
    }

    /// What it came to.
    pub(super) fn copied(&self) -> Copied {
        Copied {
            means: self.contents.means(),
            files: self.files,
            bytes: self.bytes,
            sockets: self.sockets,
            took_ms: 0,
        }
    }

    /// Makes a file with the contents and all that belongs to another. Returns whether that was there.
    fn file(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<bool, Stopped> {
        // What is read and what it is like are of the same file, whoever puts another in its place.
        let Some((from, stat)) = open_file(found.directory, found.name)? else {
            return Ok(false);
        };
        let to = make_file(above, found.name)?;
        self.contents.transfer(&from, &stat, &to)?;
        Belongings::of(&Owner::Open(&from), &stat)?.give(&Owner::Open(&to))?;
        Ok(true)
    }
}

impl Visitor for Copy<'_> {
    const DOING: &'static str = "copy";
    /// The directory of the copy.
    type Within = OwnedFd;

    fn enter(
        &mut self,
        found: &Found<'_>,
        _: &OwnedFd,
        above: &OwnedFd,
    ) -> Result<OwnedFd, Stopped> {
        mkdirat(above, found.name, Mode::RWXU)?;
        Ok(open_directory(above, found.name)?)
    }

    fn leave(&mut self, inner: &OwnedFd, stat: &Stat, within: OwnedFd) -> Result<(), Stopped> {
        Ok(Belongings::of(&Owner::Open(inner), stat)?.give(&Owner::Open(&within))?)
    }

    fn visit(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<(), Stopped> {
        let stat = found.stat;
        let kind = kind(stat);
        if kind == FileType::Socket {
            self.sockets += 1;
            return Ok(());
        }
        let file = (stat.st_dev, stat.st_ino);
        let is_there = if let Some(first) = self.linked.get(&file) {
            link(self.top, first, above, found.name)?;
            true
        } else if kind == FileType::RegularFile {
            self.file(found, above)?
        } else {
            special(found, above)?
        };
        if is_there {
            self.count(found);
            self.progress.add(1, 0);
        }
        Ok(())
    }
}

/// Makes what cannot be opened.
fn special(found: &Found<'_>, above: &OwnedFd) -> Result<bool, Stopped> {
    let Found {
        directory,
        name,
        stat,
        ..
    } = *found;
    let kind = kind(stat);
    let from = match Handle::new(directory, name, kind) {
        Err(Errno::NOENT) => return Ok(false),
        held => held?,
    };
    if kind == FileType::Symlink {
        symlinkat(readlinkat(from.fd(), "", Vec::new())?, above, name)?;
    } else {
        mknodat(above, name, kind, Mode::empty(), from.stat.st_rdev)?;
    }
    let stat = from.stat;
    let belongings = Belongings::of(&Owner::Named(from), &stat)?;
    belongings.give(&Owner::Named(Handle::new(above, name, kind)?))?;
    Ok(true)
}
