//! What belongs to a file besides its contents: owner, group, extended attributes, mode and times.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, fchmod,
        fchown, fgetxattr, flistxattr, flistxattr_query, fsetxattr, futimens, lgetxattr,
        llistxattr, llistxattr_query, lsetxattr, utimensat,
    },
    io::Errno,
};

use crate::files::{PERMISSIONS, give, kind};

/// The longest list of names of extended attributes and the longest value, in bytes, as the kernel limits them.
const LONGEST: usize = 64 * 1024;

/// Gives an open file or directory what belongs to another. The times come last: everything else changes them.
pub(super) fn give_open(from: &OwnedFd, stat: &Stat, to: &OwnedFd) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchown(to, Some(user), Some(group))?;
    Extended::Open(from).copy(&Extended::Open(to))?;
    // A new owner takes setuid away.
    fchmod(to, mode(stat))?;
    futimens(to, &times(stat))
}

/// The same for what cannot be opened, such as a link.
pub(super) fn give_named(
    from: &OwnedFd,
    name: &Path,
    stat: &Stat,
    to: &OwnedFd,
) -> Result<(), Errno> {
    give(to, name, stat)?;
    Extended::named(from, name).copy(&Extended::named(to, name))?;
    if kind(stat) != FileType::Symlink {
        chmodat(to, name, mode(stat), AtFlags::empty())?;
    }
    utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
}

const fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & PERMISSIONS)
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

/// Whose extended attributes.
enum Extended<'a> {
    Open(&'a OwnedFd),
    /// A path that leads through an open directory; the calls have no form with a directory and a name.
    Named(PathBuf),
}

impl<'a> Extended<'a> {
    fn named(directory: &OwnedFd, name: &Path) -> Self {
        let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Self::Named(Path::new(&directory).join(name))
    }

    fn copy(&self, to: &Extended<'a>) -> Result<(), Errno> {
        match self.names_length() {
            // The file system has none at all, or this one has none.
            Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(()),
            other => other?,
        };
        let mut names = vec![0; LONGEST];
        let mut value = vec![0; LONGEST];
        let length = self.names(&mut names)?;
        for name in names[..length].split_inclusive(|byte| *byte == 0) {
            let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::IO)?;
            match self.get(name, &mut value) {
                Ok(length) => to.set(name, &value[..length])?,
                // Gone meanwhile.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn names_length(&self) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => flistxattr_query(file),
            Self::Named(path) => llistxattr_query(path),
        }
    }

    fn names(&self, names: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => flistxattr(file, names),
            Self::Named(path) => llistxattr(path, names),
        }
    }

    fn get(&self, name: &CStr, value: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(file) => fgetxattr(file, name, value),
            Self::Named(path) => lgetxattr(path, name, value),
        }
    }

    fn set(&self, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(file) => fsetxattr(file, name, value, XattrFlags::empty()),
            Self::Named(path) => lsetxattr(path, name, value, XattrFlags::empty()),
        }
    }
}
