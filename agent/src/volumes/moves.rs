//! Directories that change places, change names or go, each at one moment.

use devenv_agent::protocol::{AgentError, FileProblem};
use rustix::{
    fs::{AtFlags, Mode, RenameFlags, chmodat, mkdirat, renameat_with, unlinkat},
    io::Errno,
};

use super::{
    place::{Place, Root},
    temporary::{Temporary, sweep},
};
use crate::files::kind;

/// Has two directories take each other's places.
pub(super) fn exchange(root: &Root, one: &[u8], other: &[u8]) -> Result<(), AgentError> {
    let (one, other) = (root.place(one)?, root.place(other)?);
    for place in [&one, &other] {
        place.refuse_no_directory("exchange")?;
    }
    moved("exchange", &one, &other, RenameFlags::EXCHANGE)
}

/// Gives a directory another path, at which nothing is.
pub(super) fn rename(root: &Root, from: &[u8], to: &[u8]) -> Result<(), AgentError> {
    let (from, to) = (root.place(from)?, root.place(to)?);
    from.refuse_no_directory("rename")?;
    to.refuse_taken("rename to")?;
    moved("rename to", &from, &to, RenameFlags::NOREPLACE)
}

/// Has a directory with those above it.
pub(super) fn prepare(root: &Root, path: &[u8]) -> Result<(), AgentError> {
    const DOING: &str = "make";
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    for end in ends.map(|(at, _)| at).chain([path.len()]) {
        let place = root.place(&path[..end])?;
        match mkdirat(&place.directory, &place.name, Mode::RWXU) {
            Err(Errno::EXIST) => place.refuse_no_directory(DOING)?,
            made => {
                made.map_err(|error| place.failed(DOING, error))?;
                place.settle(DOING)?;
            }
        }
    }
    Ok(())
}

/// Makes an empty directory.
pub(super) fn make(root: &Root, path: &[u8]) -> Result<(), AgentError> {
    const DOING: &str = "make";
    let place = root.place(path)?;
    let failed = |error| place.failed(DOING, error);
    mkdirat(&place.directory, &place.name, Mode::RWXU).map_err(failed)?;
    // Whatever the umask.
    let all_write = Mode::RWXU | Mode::RWXG | Mode::RWXO;
    chmodat(&place.directory, &place.name, all_write, AtFlags::empty()).map_err(failed)?;
    place.settle(DOING)
}

/// Removes what is at a path, if anything is.
pub(super) fn remove(root: &Root, path: &[u8]) -> Result<(), AgentError> {
    const DOING: &str = "remove";
    let place = match root.place(path) {
        // What it would be in is not there either.
        Err(AgentError::File {
            problem: FileProblem::NotThere,
            ..
        }) => return Ok(()),
        place => place?,
    };
    sweep(&place);
    let failed = |error| place.failed(DOING, error);
    match place.look()? {
        None => return Ok(()),
        Some(stat) if kind(&stat).is_dir() => {
            let gone = Temporary::of(&place).map_err(failed)?;
            // It is gone before it is removed, though the machine stop meanwhile.
            place.settle(DOING)?;
            gone.remove(&place).map_err(failed)?;
        }
        Some(_) => unlinkat(&place.directory, &place.name, AtFlags::empty()).map_err(failed)?,
    }
    place.settle(DOING)
}

fn moved(doing: &str, from: &Place, to: &Place, how: RenameFlags) -> Result<(), AgentError> {
    renameat_with(&from.directory, &from.name, &to.directory, &to.name, how)
        .map_err(|error| to.failed(doing, error))?;
    from.settle(doing)?;
    to.settle(doing)
}
