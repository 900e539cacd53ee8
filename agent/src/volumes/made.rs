//! What is made in a directory that becomes a volume: files, and further names of them.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, linkat, openat},
    io::Errno,
};

use crate::files::open_within;

/// Makes a file where nothing is, for nobody but its owner.
pub(super) fn make_file(above: &OwnedFd, name: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::RUSR | Mode::WUSR)
}

/// What was made under a path below `top`; a link is not followed.
pub(super) fn made_at(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    open_within(top, path, OFlags::PATH | OFlags::NOFOLLOW, within)
}

/// Makes another name of something below `top` that was made under its first.
pub(super) fn link(top: &OwnedFd, first: &Path, above: &OwnedFd, name: &Path) -> Result<(), Errno> {
    let first_name = first.file_name().ok_or(Errno::INVAL)?;
    let directory = match first.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let directory = open_within(top, directory, OFlags::PATH, within)?;
    linkat(directory, first_name, above, name, AtFlags::empty())
}
