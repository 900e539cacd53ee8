//! Lists what is below a directory of a container, with the hashes of the contents.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use devenv_agent::protocol::{AgentError, Entry, EntryKind, frame};
use rustix::{
    fs::{FileType, Mode, OFlags, RawMode, Stat, openat, readlinkat},
    io::Errno,
};

use crate::processes;

use super::{
    tree::{Missing, PERMISSIONS, Root, at, children, joined, kind, look, open_directory, remove},
    unfinished::writer_of,
};

/// Writes an entry for everything below `directory` to `to`, in the order of the paths; for a file one without a path.
/// Returns how many. What an agent was writing that was killed is removed.
pub(crate) fn list(
    root: OwnedFd,
    directory: &[u8],
    to: &mut impl Write,
) -> Result<u32, AgentError> {
    let base = joined(directory, b"")?;
    let mut walk = Walk {
        base: &base,
        to,
        count: 0,
    };
    let mut root = Root::new(root);
    match file(&mut root, &base)? {
        Some(found) => walk.tell(Path::new(""), found)?,
        None => walk.directory(&root.directory(&base, Missing::Refuse)?, Path::new(""))?,
    }
    Ok(walk.count)
}

/// What is at `path`, if it is a file.
fn file(root: &mut Root, path: &Path) -> Result<Option<EntryKind>, AgentError> {
    let Ok(place) = root.place(path, Missing::Refuse) else {
        // The root itself, or nothing.
        return Ok(None);
    };
    let failed = |error| at("read", path, error);
    match look(place.directory, &place.name).map_err(failed)? {
        Some(stat) if kind(&stat) == FileType::RegularFile => {
            entry(place.directory, &place.name, &stat).map_err(failed)
        }
        _ => Ok(None),
    }
}

struct Walk<'a, W> {
    base: &'a Path,
    to: &'a mut W,
    count: u32,
}

impl<W: Write> Walk<'_, W> {
    fn directory(&mut self, directory: &OwnedFd, path: &Path) -> Result<(), AgentError> {
        let failed = |path: &Path, error| at("read", path, error);
        let names = children(directory).map_err(|error| failed(&self.base.join(path), error))?;
        for name in &names {
            if let Some(writer) = writer_of(name) {
                // Best effort: it is in nobody's way. Agents of other nodes do not reach the same containers.
                if processes::stat(writer).is_none() {
                    let _ = remove(directory, name);
                }
                continue;
            }
            let path = path.join(name);
            let whole = self.base.join(&path);
            // What is gone meanwhile is not there.
            let Some(stat) = look(directory, name).map_err(|error| failed(&whole, error))? else {
                continue;
            };
            let found = entry(directory, name, &stat).map_err(|error| failed(&whole, error))?;
            let Some(found) = found else { continue };
            let is_directory = matches!(found, EntryKind::Directory { .. });
            self.tell(&path, found)?;
            if is_directory {
                match open_directory(directory, name) {
                    Ok(inner) => self.directory(&inner, &path)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(failed(&whole, error)),
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, path: &Path, kind: EntryKind) -> Result<(), AgentError> {
        let path = path.as_os_str().as_bytes().to_vec();
        let record = frame(&Entry { path, kind });
        let told = record.and_then(|record| self.to.write_all(&record));
        told.map_err(|_| AgentError::Cancelled)?;
        self.count += 1;
        Ok(())
    }
}

/// What is at `name`; `None` if it is gone.
fn entry(directory: &OwnedFd, name: &Path, stat: &Stat) -> Result<Option<EntryKind>, Errno> {
    let mode: RawMode = stat.st_mode & PERMISSIONS;
    let found = match kind(stat) {
        FileType::RegularFile => hash(directory, name).map(|hash| EntryKind::File { mode, hash }),
        FileType::Symlink => {
            readlinkat(directory, name, Vec::new()).map(|target| EntryKind::Link {
                target: target.into_bytes(),
            })
        }
        FileType::Directory => Ok(EntryKind::Directory { mode }),
        _ => Ok(EntryKind::Special),
    };
    match found {
        Ok(entry) => Ok(Some(entry)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn hash(directory: &OwnedFd, name: &Path) -> Result<[u8; 32], Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::empty())?);
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file, &mut hasher)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(*hasher.finalize().as_bytes())
}
