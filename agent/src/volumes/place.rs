//! Paths below the root of a request.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use devenv_agent::{
    protocol::{AgentError, FileProblem},
    volume_protocol::Space,
};
use rustix::{
    fs::{CWD, OFlags, ResolveFlags, Stat, fstat, fstatvfs, fsync, syncfs},
    io::Errno,
};

use super::progress::Stopped;
use crate::files::{at, joined, kind, look, open_within, problem_at, writer_of};

/// A directory of the node, in which the paths of a request are.
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// A path: its directory and its name in it.
pub(super) struct Place {
    pub(super) directory: OwnedFd,
    pub(super) name: PathBuf,
    /// The path in the node, to be told.
    pub(super) whole: PathBuf,
}

/// A directory that is there.
pub(super) struct Tree {
    pub(super) fd: OwnedFd,
    pub(super) stat: Stat,
    /// The path in the node, to be told.
    pub(super) whole: PathBuf,
}

impl Root {
    pub(super) fn open(path: &[u8]) -> Result<Self, AgentError> {
        let path = joined(path, b"")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = open_within(CWD, &path, flags, ResolveFlags::NO_MAGICLINKS)
            .map_err(|error| at("open", &path, error))?;
        Ok(Self { fd, path })
    }

    /// The inode of what is at a path, if anything is.
    pub(super) fn look(&self, path: &[u8]) -> Result<Option<u64>, AgentError> {
        let place = match self.place(path) {
            // What it would be in is not there either.
            Err(AgentError::File {
                problem: FileProblem::NotThere,
                ..
            }) => return Ok(None),
            place => place?,
        };
        Ok(place.look()?.map(|stat| stat.st_ino))
    }

    /// Has all on disk that was written.
    pub(super) fn sync(&self) -> Result<(), AgentError> {
        syncfs(&self.fd).map_err(|error| at("write to disk", &self.path, error))
    }

    /// How much room there is.
    pub(super) fn space(&self) -> Result<Space, AgentError> {
        let stat = fstatvfs(&self.fd).map_err(|error| at("look at", &self.path, error))?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    /// The place of a path. Its directory is there; what it names need not be.
    pub(super) fn place(&self, path: &[u8]) -> Result<Place, AgentError> {
        let whole = joined(self.path.as_os_str().as_encoded_bytes(), path)?;
        let refused = || problem_at("use", &whole, FileProblem::Path);
        let below = whole.strip_prefix(&self.path).map_err(|_| refused())?;
        let name = below.file_name().map(PathBuf::from).ok_or_else(refused)?;
        // What has such a name may be taken for what was left behind.
        if below
            .components()
            .any(|name| writer_of(name.as_ref()).is_some())
        {
            return Err(refused());
        }
        let parent = below.parent().unwrap_or(Path::new(""));
        let directory = self
            .resolve(parent)
            .map_err(|error| at("open", &self.path.join(parent), error))?;
        Ok(Place {
            directory,
            name,
            whole,
        })
    }

    /// A directory.
    pub(super) fn tree(&self, path: &[u8]) -> Result<Tree, AgentError> {
        let Place { whole, .. } = self.place(path)?;
        let below = whole.strip_prefix(&self.path).unwrap_or(&whole);
        let failed = |error| at("open", &whole, error);
        let fd = self.resolve(below).map_err(failed)?;
        let stat = fstat(&fd).map_err(failed)?;
        Ok(Tree { fd, stat, whole })
    }

    fn resolve(&self, below: &Path) -> Result<OwnedFd, Errno> {
        let within =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let path = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
        };
        open_within(&self.fd, path, flags, within)
    }
}

impl Tree {
    /// What it is like now.
    pub(super) fn now(&self) -> Result<Stat, Stopped> {
        Ok(fstat(&self.fd)?)
    }
}

impl Place {
    /// What is there.
    pub(super) fn look(&self) -> Result<Option<Stat>, AgentError> {
        look(&self.directory, &self.name).map_err(|error| self.failed("look at", error))
    }

    /// Refuses a place that is taken.
    pub(super) fn refuse_taken(&self, doing: &str) -> Result<(), AgentError> {
        match self.look()? {
            None => Ok(()),
            Some(_) => Err(self.failed(doing, Errno::EXIST)),
        }
    }

    /// Refuses a place where no directory is.
    pub(super) fn refuse_no_directory(&self, doing: &str) -> Result<(), AgentError> {
        match self.look()? {
            Some(stat) if kind(&stat).is_dir() => Ok(()),
            _ => Err(self.failed(doing, Errno::NOENT)),
        }
    }

    /// Has the names of the directory on disk.
    pub(super) fn settle(&self, doing: &str) -> Result<(), AgentError> {
        match fsync(&self.directory) {
            // Of directories, some file systems do not have it.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(self.failed(doing, error)),
        }
    }

    pub(super) fn failed(&self, doing: &str, error: Errno) -> AgentError {
        at(doing, &self.whole, error)
    }
}
