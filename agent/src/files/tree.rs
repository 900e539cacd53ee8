//! Directories below the root of a container.

use std::{
    ffi::CStr,
    ffi::OsStr,
    os::fd::{AsFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use devenv_agent::protocol::{AgentError, FileProblem};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Stat, Uid, chownat,
        fstat, mkdirat, openat, openat2, statat, unlinkat,
    },
    io::Errno,
};

/// The bits of a mode that are permissions.
pub(crate) const PERMISSIONS: RawMode = 0o7777;
/// How often a path is resolved anew while somebody moves directories in it.
const PATIENCE: usize = 100;

/// The root of a container, and the directory in it that was used last.
pub(super) struct Root {
    fd: OwnedFd,
    last: Option<(PathBuf, OwnedFd)>,
}

/// Whether a directory that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

/// A path in a container: its directory and its name in it.
pub(super) struct Place<'a> {
    pub(super) directory: &'a OwnedFd,
    pub(super) name: PathBuf,
}

impl Root {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, last: None }
    }

    /// The place of an absolute path; its directory is there or made.
    pub(super) fn place(&mut self, path: &Path, missing: Missing) -> Result<Place<'_>, AgentError> {
        let refused = |problem| problem_at("use", path, problem);
        let parent = path.parent().ok_or_else(|| refused(FileProblem::Path))?;
        let name = path.file_name().ok_or_else(|| refused(FileProblem::Path))?;
        if self.last.as_ref().is_none_or(|(last, _)| *last != parent) {
            let directory = self.directory(parent, missing)?;
            self.last = Some((parent.to_owned(), directory));
        }
        match &self.last {
            Some((_, directory)) => Ok(Place {
                directory,
                name: PathBuf::from(name),
            }),
            None => Err(refused(FileProblem::Path)),
        }
    }

    /// Forgets the directory used last: something at its path may be another now.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// A directory by its absolute path.
    pub(super) fn directory(&self, path: &Path, missing: Missing) -> Result<OwnedFd, AgentError> {
        match self.resolve(path) {
            Err(Errno::NOENT) if missing == Missing::Make => self.make(path),
            other => other.map_err(|error| at("open", path, error)),
        }
    }

    fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        open_below(&self.fd, path, flags, ResolveFlags::NO_MAGICLINKS)
    }

    /// Makes a directory and those above it; each belongs to whom the one above it belongs to.
    fn make(&self, path: &Path) -> Result<OwnedFd, AgentError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(problem_at("make", path, FileProblem::Path));
        };
        let above = self.directory(parent, Missing::Make)?;
        match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                let owner = fstat(&above).map_err(|error| at("look at", parent, error))?;
                give(&above, Path::new(name), &owner).map_err(|error| at("make", path, error))?;
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(at("make", path, error)),
        }
        self.resolve(path).map_err(|error| at("open", path, error))
    }
}

/// Opens what is at a path below a root, out of which nothing leads.
pub(crate) fn open_below(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    within: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    open_within(root, path, flags, within | ResolveFlags::IN_ROOT)
}

/// Opens what is at a path as far as it may be resolved.
pub(crate) fn open_within(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    within: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    for _ in 0..PATIENCE {
        match openat2(&root, path, flags, Mode::empty(), within) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

/// Gives what is at `name` to the owner of something else.
pub(super) fn give(directory: impl AsFd, name: &Path, owner: &Stat) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    chownat(
        directory,
        name,
        Some(user),
        Some(group),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

/// Removes what is at `name` with all below it; nothing there is fine. Links are removed, not followed.
pub(crate) fn remove(directory: impl AsFd, name: &Path) -> Result<(), Errno> {
    match unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        // It is said before anybody looked whether there is something.
        Err(Errno::ROFS) if look(&directory, name)?.is_none() => return Ok(()),
        other => return other,
    }
    let inner = open_directory(&directory, name)?;
    for child in children(&inner)? {
        remove(&inner, &child)?;
    }
    match unlinkat(&directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// The names in a directory, sorted.
pub(crate) fn children(directory: &OwnedFd) -> Result<Vec<PathBuf>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
        }
    }
    names.sort();
    // What is made anew while they are read may come twice.
    names.dedup();
    Ok(names)
}

/// Opens a directory that is no link.
pub(crate) fn open_directory(directory: impl AsFd, name: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

/// What is at `name`, links not followed; `None` if nothing is.
pub(crate) fn look(directory: impl AsFd, name: &Path) -> Result<Option<Stat>, Errno> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What kind of thing a `stat` speaks of.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// `base` and `path` together: absolute, and made of names alone.
pub(crate) fn joined(base: &[u8], path: &[u8]) -> Result<PathBuf, AgentError> {
    let (base, path) = (
        Path::new(OsStr::from_bytes(base)),
        Path::new(OsStr::from_bytes(path)),
    );
    let is_plain = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    let whole = base.join(path);
    if base.is_absolute() && path.is_relative() && is_plain(base) && is_plain(path) {
        Ok(whole)
    } else {
        Err(problem_at("use", &whole, FileProblem::Path))
    }
}

/// The error of a call of the system about a path.
pub(crate) fn at(doing: &str, path: &Path, error: Errno) -> AgentError {
    let problem = match error {
        Errno::ROFS => FileProblem::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => FileProblem::NoSpace,
        Errno::NOENT | Errno::NOTDIR => FileProblem::NotThere,
        Errno::EXIST => FileProblem::Exists,
        other => FileProblem::Other(std::io::Error::from(other).to_string()),
    };
    problem_at(doing, path, problem)
}

/// The error of a path.
pub(crate) fn problem_at(doing: &str, path: &Path, problem: FileProblem) -> AgentError {
    AgentError::File {
        doing: doing.to_owned(),
        path: path.as_os_str().as_bytes().to_vec(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_its_base_or_refused() {
        let whole = joined(b"/app", b"src/a.py").unwrap();
        assert_eq!(whole, Path::new("/app/src/a.py"));
        for (base, path) in [
            ("/app", "../x"),
            ("/app", "/x"),
            ("app", "x"),
            ("/app/..", "x"),
            ("/app", "a/../../x"),
        ] {
            assert!(
                joined(base.as_bytes(), path.as_bytes()).is_err(),
                "{base} {path}"
            );
        }
    }
}
