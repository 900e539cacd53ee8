//! Directories under names that are no volume's: copies that are not complete, and volumes that are being removed.
//!
//! Whoever works at one holds a lock on it, which a killed process gives up. Nodes share the volumes of an environment
//! and do not see each other's processes, so that the number in a name says nothing here.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, Mode, RenameFlags, flock, fremovexattr, mkdirat, renameat_with},
    io::Errno,
};

use super::place::Place;
use crate::files::{children, look, open_directory, remove, unfinished, writer_of};

/// How long those may go on writing to what is removed who are being ended.
const WRITERS_END_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A directory beside a place, which the present process works at.
pub(super) struct Temporary {
    pub(super) name: PathBuf,
    /// Holds the lock.
    pub(super) fd: OwnedFd,
}

impl Temporary {
    /// An empty one, which nobody but its owner may look into.
    pub(super) fn make(place: &Place) -> Result<Self, Errno> {
        loop {
            let name = unfinished();
            match mkdirat(&place.directory, &name, Mode::RWXU) {
                Err(Errno::EXIST) => continue,
                made => made?,
            }
            match begin(place, &name) {
                Ok(Some(fd)) => return Ok(Self { name, fd }),
                Ok(None) => {}
                Err(error) => {
                    let _ = remove(&place.directory, &name);
                    return Err(error);
                }
            }
        }
    }

    /// Gives the directory at a place such a name.
    pub(super) fn of(place: &Place) -> Result<Self, Errno> {
        let fd = open_directory(&place.directory, &place.name)?;
        // One that is in use may be locked by its user: then nobody takes it for left behind either.
        let _ = lock(&fd);
        loop {
            let name = unfinished();
            let (directory, only_free) = (&place.directory, RenameFlags::NOREPLACE);
            match renameat_with(directory, &place.name, directory, &name, only_free) {
                Err(Errno::EXIST) => {}
                renamed => return renamed.map(|()| Self { name, fd }),
            }
        }
    }

    /// Gives it the name of the place beside which it was made, where nothing may be.
    pub(super) fn take_place(&self, place: &Place) -> Result<(), Errno> {
        let (directory, only_free) = (&place.directory, RenameFlags::NOREPLACE);
        renameat_with(directory, &self.name, directory, &place.name, only_free)
    }

    /// Removes it with all that is in it. Who is just being ended may still write to it for a moment.
    pub(super) fn remove(&self, place: &Place) -> Result<(), Errno> {
        let begun = Instant::now();
        loop {
            match remove(&place.directory, &self.name) {
                Err(Errno::NOTEMPTY) if begun.elapsed() < WRITERS_END_WITHIN => sleep(LOOK_AGAIN),
                removed => return removed,
            }
        }
    }
}

/// Opens and locks a new one; `None` if somebody has taken it for left behind before it was locked.
fn begin(place: &Place, name: &Path) -> Result<Option<OwnedFd>, Errno> {
    let fd = match open_directory(&place.directory, name) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    match lock(&fd) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    if look(&place.directory, name)?.is_none() {
        return Ok(None);
    }
    disinherit(&fd)?;
    Ok(Some(fd))
}

/// Removes what those who were killed have left beside a place. Best effort: it is in nobody's way.
pub(super) fn sweep(place: &Place) {
    let names = children(&place.directory).unwrap_or_default();
    for name in names.iter().filter(|name| writer_of(name).is_some()) {
        if let Ok(fd) = open_directory(&place.directory, name)
            && lock(&fd).is_ok()
        {
            let _ = remove(&place.directory, name);
        }
    }
}

/// Takes away the rights that a new directory has from the one above, and would give to all that is made in it.
fn disinherit(fd: &OwnedFd) -> Result<(), Errno> {
    for rights in ["system.posix_acl_default", "system.posix_acl_access"] {
        match fremovexattr(fd, rights) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn lock(fd: &OwnedFd) -> Result<(), Errno> {
    flock(fd, FlockOperation::NonBlockingLockExclusive)
}
