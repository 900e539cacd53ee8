//! Copies a directory: under a temporary name first, so that it is there whole or not at all.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Instant,
};

use devenv_agent::{
    protocol::AgentError,
    volume_protocol::{Copied, Settled},
};
use rustix::{
    fs::{FileType, Mode, Stat, mkdirat, mknodat, readlinkat, symlinkat, syncfs},
    io::Errno,
};

use super::{
    attributes::{Belongings, Handle, Owner},
    contents::{Contents, open_file},
    made::{link, make_file},
    measure::length,
    place::{Place, Root, Tree},
    progress::{Progress, Stopped},
    temporary::{Temporary, sweep},
    walk::{Found, Visitor, walk},
};
use crate::files::{kind, open_directory};

/// Copies a directory to where nothing is.
pub(super) fn copy(
    root: &Root,
    from: &[u8],
    to: &[u8],
    settled: Settled,
    progress: &Progress,
) -> Result<Copied, AgentError> {
    let began = Instant::now();
    let (tree, place) = (root.tree(from)?, root.place(to)?);
    if place.whole.starts_with(&tree.whole) {
        let text = format!("a copy of {} within it", tree.whole.display());
        return Err(AgentError::Protocol(text));
    }
    place.refuse_taken(DOING)?;
    sweep(&place);
    let made = Temporary::make(&place).map_err(|error| place.failed(DOING, error))?;
    let copied = fill(&tree, &made, progress).and_then(|copied| {
        finish(&place, &made, settled, progress)?;
        Ok(copied)
    });
    if copied.is_err() {
        // What cannot be removed now is left to the next sweep: why it failed says more.
        let _ = made.remove(&place);
    }
    let copied = copied?;
    if settled == Settled::AtOnce {
        place.settle(DOING)?;
    }
    Ok(Copied {
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..copied
    })
}

const DOING: &str = "copy to";

/// Copies all that is in a directory into another, which is made like it.
fn fill(tree: &Tree, made: &Temporary, progress: &Progress) -> Result<Copied, AgentError> {
    let mut copy = Copy {
        progress,
        contents: Contents::new(progress),
        top: &made.fd,
        linked: HashMap::new(),
        files: 0,
        bytes: 0,
        sockets: 0,
    };
    let top = open_directory(&made.fd, Path::new("."));
    let top = top.map_err(|error| Stopped::from(error).at(Copy::DOING, &tree.whole))?;
    walk(tree, &mut copy, &top, progress)?;
    let left = copy.leave(&tree.fd, &tree.stat, top);
    left.map_err(|stopped| stopped.at(Copy::DOING, &tree.whole))?;
    Ok(Copied {
        means: copy.contents.means(),
        files: copy.files,
        bytes: copy.bytes,
        sockets: copy.sockets,
        took_ms: 0,
    })
}

/// Has a complete copy in its place, and on disk before that if it is to be at once.
fn finish(
    place: &Place,
    made: &Temporary,
    settled: Settled,
    progress: &Progress,
) -> Result<(), AgentError> {
    let finished = || {
        if settled == Settled::AtOnce {
            // One call for all, where one for each file would take minutes.
            syncfs(&made.fd)?;
        }
        progress.check()?;
        Ok(made.take_place(place)?)
    };
    finished().map_err(|stopped: Stopped| stopped.at(DOING, &place.whole))
}

struct Copy<'a> {
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

impl Copy<'_> {
    /// Makes a file with the contents and all that belongs to another. Returns whether that was there.
    fn file(&mut self, found: &Found<'_>, above: &OwnedFd) -> Result<bool, Stopped> {
        // What is read and what it is like are of the same file, whoever puts another in its place.
        let Some((from, stat)) = open_file(found.directory, found.name)? else {
            return Ok(false);
        };
        let to = make_file(above, found.name)?;
        self.contents.transfer(&from, &stat, &to)?;
        Belongings::of(&Owner::Open(&from), &stat)?.give(&Owner::Open(&to))?;
        self.bytes += length(&stat);
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
            if stat.st_nlink > 1 {
                let first = self.linked.entry(file);
                first.or_insert_with(|| found.path.to_owned());
            }
            self.files += 1;
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
