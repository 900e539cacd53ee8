//! Changes files of a container: all are written first, then they take their places.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use devenv_agent::protocol::{AgentError, FileChange, FileProblem, LONGEST_CHUNK, read_frame};
use rustix::{
    fs::{Mode, OFlags, RawMode, fchmod, fstat, openat, renameat, symlinkat},
    io::Errno,
};

use super::tree::{Missing, Root, at, give, joined, look, problem_at, remove};

/// What the names of files that are being written begin with.
pub(super) const UNFINISHED: &str = ".devenv-unfinished-";
/// The bits of a mode that are permissions.
pub(super) const PERMISSIONS: RawMode = 0o7777;

/// Numbers the files that are being written.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A change that is ready to take its place.
enum Ready {
    /// What was written beside its place takes it.
    Rename { path: Vec<u8>, from: PathBuf },
    /// A directory is made, or its permissions are set.
    Directory { path: Vec<u8>, mode: RawMode },
    /// What is there goes.
    Absent { path: Vec<u8> },
}

/// Carries out the changes that `records` holds, below `base`: all, or none if they do not come whole. Returns how many.
pub(crate) fn change(
    root: OwnedFd,
    base: &[u8],
    records: &mut impl Read,
) -> Result<u32, AgentError> {
    let mut work = Work {
        root: Root::new(root),
        base,
        ready: Vec::new(),
    };
    let staged = work.stage_all(records);
    let done = staged.and_then(|()| work.commit());
    if done.is_err() {
        work.take_back();
    }
    done
}

struct Work<'a> {
    root: Root,
    base: &'a [u8],
    ready: Vec<Ready>,
}

impl Work<'_> {
    fn stage_all(&mut self, records: &mut impl Read) -> Result<(), AgentError> {
        while let Some(change) = next_change(records)? {
            self.stage(change, records)?;
        }
        Ok(())
    }

    fn stage(&mut self, change: FileChange, records: &mut impl Read) -> Result<(), AgentError> {
        match change {
            FileChange::File {
                path,
                mode,
                size,
                hash,
            } => {
                let from = self.write(&path, mode, size, hash, records)?;
                self.ready.push(Ready::Rename { path, from });
            }
            FileChange::Link { path, target } => {
                let from = unfinished();
                let place = self.root.place(self.base, &path, Missing::Make)?;
                symlinkat(target.as_slice(), place.directory, &from)
                    .map_err(|error| at("link", &place.path, error))?;
                self.ready.push(Ready::Rename { path, from });
            }
            FileChange::Directory { path, mode } => {
                joined(self.base, &path)?;
                self.ready.push(Ready::Directory { path, mode });
            }
            FileChange::Absent { path } => {
                joined(self.base, &path)?;
                self.ready.push(Ready::Absent { path });
            }
        }
        Ok(())
    }

    /// Writes a file beside its place. It belongs to whom the one that is there belongs to, else to its directory's owner.
    fn write(
        &mut self,
        path: &[u8],
        mode: u32,
        size: u64,
        hash: [u8; 32],
        records: &mut impl Read,
    ) -> Result<PathBuf, AgentError> {
        let from = unfinished();
        let place = self.root.place(self.base, path, Missing::Make)?;
        let failed = |error| at("write", &place.path, error);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(place.directory, &from, flags, made_with(mode));
        let mut file = File::from(file.map_err(failed)?);
        let written = copy(records, &mut file, size);
        let settled = written.and_then(|hashed| {
            if hashed != hash {
                return Err(Stopped::Refused(FileProblem::Damaged));
            }
            let owner = match look(place.directory, &place.name)? {
                Some(there) => there,
                None => fstat(place.directory)?,
            };
            // Most are made as they are to be: of a checkout, each call less is ten thousand.
            let made = fstat(&file)?;
            let is_its = (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid);
            if !is_its {
                give(place.directory, &from, &owner)?;
            }
            if !is_its || made.st_mode & PERMISSIONS != mode & PERMISSIONS {
                fchmod(&file, Mode::from_raw_mode(mode & PERMISSIONS))?;
            }
            Ok(())
        });
        settled.map_err(|stopped| {
            let _ = remove(place.directory, &from);
            match stopped {
                Stopped::ByStream => AgentError::Cancelled,
                Stopped::BySystem(error) => failed(error),
                Stopped::Refused(problem) => problem_at("write", &place.path, problem),
            }
        })?;
        Ok(from)
    }

    fn commit(&mut self) -> Result<u32, AgentError> {
        let mut done = 0;
        for ready in std::mem::take(&mut self.ready) {
            let settled = self.settle(&ready);
            if settled.is_err() {
                self.discard(&ready);
            }
            settled?;
            done += 1;
        }
        Ok(done)
    }

    fn settle(&mut self, ready: &Ready) -> Result<(), AgentError> {
        match ready {
            Ready::Rename { path, from } => {
                let place = self.root.place(self.base, path, Missing::Refuse)?;
                let moved = renameat(place.directory, from, place.directory, &place.name);
                match moved {
                    // Something is mounted there: it keeps its file and gets the contents.
                    Err(Errno::BUSY) => overwrite(place.directory, from, &place.name),
                    other => other,
                }
                .map_err(|error| at("write", &place.path, error))
            }
            Ready::Directory { path, mode } => {
                let whole = joined(self.base, path)?;
                let directory = self.root.directory(&whole, Missing::Make)?;
                fchmod(&directory, Mode::from_raw_mode(mode & PERMISSIONS))
                    .map_err(|error| at("make", &whole, error))
            }
            Ready::Absent { path } => {
                let removed = match self.root.place(self.base, path, Missing::Refuse) {
                    Ok(place) => remove(place.directory, &place.name)
                        .map_err(|error| at("remove", &place.path, error)),
                    // What is above it is not there either.
                    Err(AgentError::File {
                        problem: FileProblem::NotThere,
                        ..
                    }) => Ok(()),
                    Err(error) => Err(error),
                };
                // The directory that went may be the one used last.
                self.root.forget();
                removed
            }
        }
    }

    fn take_back(&mut self) {
        for ready in std::mem::take(&mut self.ready) {
            self.discard(&ready);
        }
    }

    /// Removes what was written for a change. Best effort: the request has failed for another reason already.
    fn discard(&mut self, ready: &Ready) {
        if let Ready::Rename { path, from } = ready
            && let Ok(place) = self.root.place(self.base, path, Missing::Refuse)
        {
            let _ = remove(place.directory, from);
        }
    }
}

/// The rights that a file is made with, before it belongs to whom it is to: those that are meant for its group alone are
/// not the present one's.
const fn made_with(mode: RawMode) -> Mode {
    let (group, others) = (mode >> 3 & 0o7, mode & 0o7);
    if group == others {
        Mode::from_raw_mode(mode & 0o777)
    } else {
        Mode::from_raw_mode(0o600)
    }
}

/// Why a file was not written.
enum Stopped {
    ByStream,
    BySystem(Errno),
    Refused(FileProblem),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::BySystem(error)
    }
}

/// The next change of a stream; `None` at its end.
fn next_change(records: &mut impl Read) -> Result<Option<FileChange>, AgentError> {
    read_frame(records).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            AgentError::Protocol(error.to_string())
        }
        _ => AgentError::Cancelled,
    })
}

/// Copies `size` bytes and returns their BLAKE3.
fn copy(from: &mut impl Read, to: &mut File, size: u64) -> Result<[u8; 32], Stopped> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; LONGEST_CHUNK];
    let mut left = size;
    while left > 0 {
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = match from.read(&mut buffer[..most]) {
            Ok(0) | Err(_) => return Err(Stopped::ByStream),
            Ok(count) => count,
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(|error| {
            Stopped::BySystem(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })?;
        left -= count as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Puts the contents of one file into another that stays the same file.
fn overwrite(directory: &OwnedFd, from: &Path, to: &Path) -> Result<(), Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = openat(directory, from, flags | OFlags::RDONLY, Mode::empty())?;
    let target = openat(
        directory,
        to,
        flags | OFlags::WRONLY | OFlags::TRUNC,
        Mode::empty(),
    )?;
    io::copy(&mut File::from(source), &mut File::from(target))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    remove(directory, from)
}

fn unfinished() -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{UNFINISHED}{}-{number}", std::process::id()).into()
}

/// Whether a name is one of a file that was being written.
pub(super) fn is_unfinished(name: &Path) -> bool {
    name.as_os_str()
        .as_bytes()
        .starts_with(UNFINISHED.as_bytes())
}
