//! Changes files of a container: all are written first, then they take their places.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use devenv_agent::protocol::{AgentError, FileChange, FileProblem, LONGEST_CHUNK, read_frame};
use rustix::{
    fs::{FileType, Mode, OFlags, RawMode, Stat, fchmod, fstat, openat, renameat, symlinkat},
    io::Errno,
};

use super::{
    owner::Ids,
    tree::{Missing, PERMISSIONS, Root, at, joined, kind, look, problem_at, remove},
    unfinished::unfinished,
};

/// A change that is ready to take its place. Paths are whole.
enum Ready {
    /// What was written elsewhere, beside its place as a rule, takes it.
    Rename { to: PathBuf, from: PathBuf },
    /// A directory is made, or its permissions are set.
    Directory { path: PathBuf, mode: RawMode },
    /// What is there goes.
    Absent { path: PathBuf },
}

/// Carries out the changes that `records` holds, below `base`: all, or none if they do not come whole. Returns how many.
pub(crate) fn change(
    root: OwnedFd,
    base: &[u8],
    owner: Option<Ids>,
    records: &mut impl Read,
) -> Result<u32, AgentError> {
    let mut work = Work {
        root: Root::new(root),
        base,
        owner,
        ready: Vec::new(),
        gone: BTreeSet::new(),
    };
    let staged = work.stage_all(records);
    let done = staged.and_then(|count| work.commit().map(|()| count));
    if done.is_err() {
        work.take_back();
    }
    done
}

struct Work<'a> {
    root: Root,
    base: &'a [u8],
    /// Whose what is named becomes, where that is said.
    owner: Option<Ids>,
    ready: Vec<Ready>,
    /// What will have gone: nothing can be written below it until then.
    gone: BTreeSet<PathBuf>,
}

impl Work<'_> {
    fn stage_all(&mut self, records: &mut impl Read) -> Result<u32, AgentError> {
        let mut count = 0;
        while let Some(change) = next_change(records)? {
            self.stage(change, records)?;
            count += 1;
        }
        Ok(count)
    }

    fn stage(&mut self, change: FileChange, records: &mut impl Read) -> Result<(), AgentError> {
        match change {
            FileChange::File {
                path,
                mode,
                size,
                hash,
            } => {
                let to = joined(self.base, &path)?;
                self.write(to, mode, size, hash, records)?;
            }
            FileChange::Link { path, target } => {
                let to = joined(self.base, &path)?;
                let there = self.now_at(&to, Missing::Make)?;
                let from = self.beside(&to);
                let place = self.root.place(&from, Missing::Make)?;
                symlinkat(target.as_slice(), place.directory, &place.name)
                    .map_err(|error| at("link", &to, error))?;
                self.take_over(to, from, there.as_ref());
            }
            FileChange::Directory { path, mode } => {
                let path = joined(self.base, &path)?;
                let there = self.now_at(&path, Missing::Refuse)?;
                if there.is_some_and(|there| kind(&there) != FileType::Directory) {
                    self.clear(path.clone());
                }
                self.ready.push(Ready::Directory { path, mode });
            }
            FileChange::Absent { path } => {
                let path = joined(self.base, &path)?;
                self.clear(path);
            }
        }
        Ok(())
    }

    /// Writes a file beside its place. Where no owner is said it belongs to whom the one that is there belongs to, else to
    /// its directory's owner.
    fn write(
        &mut self,
        to: PathBuf,
        mode: u32,
        size: u64,
        hash: [u8; 32],
        records: &mut impl Read,
    ) -> Result<(), AgentError> {
        let there = self.now_at(&to, Missing::Make)?;
        let from = self.beside(&to);
        let said = self.owner;
        let place = self.root.place(&from, Missing::Make)?;
        let failed = |error| at("write", &to, error);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(place.directory, &place.name, flags, made_with(mode));
        let mut file = File::from(file.map_err(failed)?);
        let written = copy(records, &mut file, size);
        let settled = written.and_then(|hashed| {
            if hashed != hash {
                return Err(Stopped::Refused(FileProblem::Damaged));
            }
            let owner = match (said, there) {
                (Some(said), _) => said,
                (None, Some(there)) => Ids::of(&there),
                (None, None) => Ids::of(&fstat(place.directory)?),
            };
            // Most are made as they are to be: of a checkout, each call less is ten thousand.
            let made = fstat(&file)?;
            let is_its = Ids::of(&made) == owner;
            if !is_its {
                owner.take(&file)?;
            }
            if !is_its || made.st_mode & PERMISSIONS != mode & PERMISSIONS {
                fchmod(&file, Mode::from_raw_mode(mode & PERMISSIONS))?;
            }
            Ok(())
        });
        settled.map_err(|stopped| {
            let _ = remove(place.directory, &place.name);
            match stopped {
                Stopped::ByStream => AgentError::Cancelled,
                Stopped::BySystem(error) => failed(error),
                Stopped::Refused(problem) => problem_at("write", &to, problem),
            }
        })?;
        self.take_over(to, from, there.as_ref());
        Ok(())
    }

    /// What is at a path and stays there until it is replaced.
    fn now_at(&mut self, path: &Path, missing: Missing) -> Result<Option<Stat>, AgentError> {
        if path.parent().is_none() || self.goes_with(path).is_some() {
            return Ok(None);
        }
        match self.root.place(path, missing) {
            Ok(place) => {
                look(place.directory, &place.name).map_err(|error| at("look at", path, error))
            }
            Err(error) if missing == Missing::Refuse && is_not_there(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where something is written that is to be at a path: in its directory, or above the outermost that will have gone.
    fn beside(&self, path: &Path) -> PathBuf {
        self.goes_with(path)
            .unwrap_or(path)
            .with_file_name(unfinished())
    }

    /// The outermost of what will have gone that a path is or lies in.
    fn goes_with<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        if self.gone.is_empty() {
            return None;
        }
        let above = path.ancestors();
        above.filter(|above| self.gone.contains(*above)).last()
    }

    /// Has what is at a path go.
    fn clear(&mut self, path: PathBuf) {
        self.gone.insert(path.clone());
        self.ready.push(Ready::Absent { path });
    }

    /// Has what was written take its place, where there may be something.
    fn take_over(&mut self, to: PathBuf, from: PathBuf, there: Option<&Stat>) {
        // A rename replaces anything else.
        if there.is_some_and(|there| kind(there) == FileType::Directory) {
            self.clear(to.clone());
        }
        self.ready.push(Ready::Rename { to, from });
    }

    fn commit(&mut self) -> Result<(), AgentError> {
        for ready in std::mem::take(&mut self.ready) {
            let settled = self.settle(&ready);
            if settled.is_err() {
                self.discard(&ready);
            }
            settled?;
        }
        Ok(())
    }

    fn settle(&mut self, ready: &Ready) -> Result<(), AgentError> {
        match ready {
            Ready::Rename { to, from } => {
                let above = from.parent().unwrap_or(Path::new("/"));
                let elsewhere = if to.parent() == Some(above) {
                    None
                } else {
                    Some(self.root.directory(above, Missing::Refuse)?)
                };
                let place = self.root.place(to, Missing::Make)?;
                let name = Path::new(from.file_name().unwrap_or_default());
                let directory = elsewhere.as_ref().unwrap_or(place.directory);
                let moved = renameat(directory, name, place.directory, &place.name);
                match moved {
                    // Something is mounted there: it keeps its file and gets the contents.
                    Err(Errno::BUSY) => overwrite(place.directory, name, &place.name),
                    other => other,
                }
                .map_err(|error| at("write", to, error))
            }
            Ready::Directory { path, mode } => {
                let directory = self.root.directory(path, Missing::Make)?;
                let given = self.owner.map_or(Ok(()), |owner| owner.take(&directory));
                given
                    .and_then(|()| fchmod(&directory, Mode::from_raw_mode(mode & PERMISSIONS)))
                    .map_err(|error| at("make", path, error))
            }
            Ready::Absent { path } => {
                let removed = match self.root.place(path, Missing::Refuse) {
                    Ok(place) => remove(place.directory, &place.name)
                        .map_err(|error| at("remove", path, error)),
                    // What is above it is not there either.
                    Err(error) if is_not_there(&error) => Ok(()),
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
        if let Ready::Rename { from, .. } = ready
            && let Ok(place) = self.root.place(from, Missing::Refuse)
        {
            let _ = remove(place.directory, &place.name);
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

/// Whether an error says that there is nothing at a path.
const fn is_not_there(error: &AgentError) -> bool {
    matches!(
        error,
        AgentError::File {
            problem: FileProblem::NotThere,
            ..
        }
    )
}
