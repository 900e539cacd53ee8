//! What belongs to a file besides its contents: owner, group, extended attributes, mode and times.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
        chmodat, chownat, fchmod, fchown, fgetxattr, flistxattr, flistxattr_query, fsetxattr,
        fstat, futimens, getxattr, listxattr, listxattr_query, openat, setxattr, utimensat,
    },
    io::Errno,
};

use crate::files::{PERMISSIONS, kind};

/// The longest list of names of extended attributes and the longest value, in bytes, as the kernel limits them.
const LONGEST: usize = 64 * 1024;

/// What a file has besides its contents.
pub(super) struct Belongings {
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) mode: Mode,
    pub(super) times: Timestamps,
    pub(super) extended: Vec<(CString, Vec<u8>)>,
}

/// A file that has such.
pub(super) enum Owner<'a> {
    /// An open file or directory.
    Open(&'a OwnedFd),
    /// What cannot be opened to be read, such as a link.
    Named(Handle),
}

/// Holds something that may be a link, a pipe or a device, whatever gets its name meanwhile.
pub(super) struct Handle {
    fd: OwnedFd,
    /// Leads to it and no further; most calls of the system want a path.
    path: PathBuf,
    pub(super) stat: Stat,
}

impl Handle {
    /// Holds what is at a name. Another kind of thing than was expected is refused.
    pub(super) fn new(directory: &OwnedFd, name: &Path, expected: FileType) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(directory, name, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        if kind(&stat) != expected {
            return Err(Errno::STALE);
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd()).into();
        Ok(Self { fd, path, stat })
    }

    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

impl Belongings {
    /// Those of a file.
    pub(super) fn of(owner: &Owner<'_>, stat: &Stat) -> Result<Self, Errno> {
        Ok(Self {
            user: stat.st_uid,
            group: stat.st_gid,
            mode: Mode::from_raw_mode(stat.st_mode & PERMISSIONS),
            times: times(stat),
            extended: owner.extended()?,
        })
    }

    /// Gives them to a file. The times come last: everything else changes them.
    pub(super) fn give(&self, to: &Owner<'_>) -> Result<(), Errno> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        to.change_owner(user, group)?;
        for (name, value) in &self.extended {
            to.set(name, value)?;
        }
        // A new owner takes setuid away.
        to.change_mode(self.mode)?;
        to.change_times(&self.times)
    }
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: stat.st_atime_nsec.try_into().unwrap_or(0),
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec.try_into().unwrap_or(0),
        },
    }
}

impl Owner<'_> {
    /// All extended attributes.
    pub(super) fn extended(&self) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
        let mut all = Vec::new();
        match self.names_length() {
            // The file system has none at all, or this one has none.
            Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(all),
            other => other?,
        };
        let mut names = vec![0; LONGEST];
        let mut value = vec![0; LONGEST];
        let length = self.names(&mut names)?;
        for name in names[..length].split_inclusive(|byte| *byte == 0) {
            let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::IO)?;
            match self.get(name, &mut value) {
                Ok(length) => all.push((name.to_owned(), value[..length].to_vec())),
                // Gone meanwhile.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn names_length(&self) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => flistxattr_query(file),
            Self::Named(handle) => listxattr_query(&handle.path),
        }
    }

    fn names(&self, names: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => flistxattr(file, names),
            Self::Named(handle) => listxattr(&handle.path, names),
        }
    }

    fn get(&self, name: &CStr, value: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => fgetxattr(file, name, value),
            Self::Named(handle) => getxattr(&handle.path, name, value),
        }
    }

    fn set(&self, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(file) => fsetxattr(file, name, value, XattrFlags::empty()),
            Self::Named(handle) => setxattr(&handle.path, name, value, XattrFlags::empty()),
        }
    }

    fn change_owner(&self, user: Uid, group: Gid) -> Result<(), Errno> {
        match self {
            Self::Open(file) => fchown(file, Some(user), Some(group)),
            Self::Named(handle) => {
                chownat(&handle.fd, "", Some(user), Some(group), AtFlags::EMPTY_PATH)
            }
        }
    }

    fn change_mode(&self, mode: Mode) -> Result<(), Errno> {
        match self {
            Self::Open(file) => fchmod(file, mode),
            // Links have none.
            Self::Named(handle) if kind(&handle.stat) == FileType::Symlink => Ok(()),
            Self::Named(handle) => chmodat(CWD, &handle.path, mode, AtFlags::empty()),
        }
    }

    fn change_times(&self, times: &Timestamps) -> Result<(), Errno> {
        match self {
            Self::Open(file) => futimens(file, times),
            Self::Named(handle) => utimensat(CWD, &handle.path, times, AtFlags::empty()),
        }
    }
}
