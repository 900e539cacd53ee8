//! A file beside its place, until it is complete.

use std::{
    fs::{self, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::geteuid,
};
use tempfile::NamedTempFile;

/// Begins its name.
const PREFIX: &str = ".devenv-";
/// Ends its name.
const SUFFIX: &str = ".unfinished";
/// The letters and digits between them: more than anybody types.
const LETTERS: usize = 12;

/// Begins a file in a directory. This process holds it locked, so that nobody takes it for one that was left.
///
/// What writers that were killed left in the directory goes first.
pub(super) fn begin(directory: &Path, mode: u32) -> io::Result<NamedTempFile> {
    remove_left(directory);
    loop {
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .rand_bytes(LETTERS)
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        match file.as_file().try_lock() {
            // One who removes what was left may have come between: then it has no name any more.
            Ok(()) if file.as_file().metadata()?.nlink() == 0 => {}
            Err(TryLockError::WouldBlock) => {}
            // A file system without locks: nobody there can tell it from one that was left, and nobody removes it.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Removes what nobody holds; what cannot be removed stays.
fn remove_left(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_name(&entry.file_name().to_string_lossy())) {
        let _ = remove_if_left(&entry.path());
    }
}

fn is_name(name: &str) -> bool {
    let letters = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    letters.is_some_and(|letters| {
        letters.len() == LETTERS && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "part of the wrapper around the file system"
)]
fn remove_if_left(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: fs::File = openat(CWD, path, flags, Mode::empty())?.into();
    let about = file.metadata()?;
    if about.is_file() && about.uid() == geteuid().as_raw() && file.try_lock().is_ok() {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::adapters::files;

    #[test]
    fn what_a_killed_writer_left_goes_and_what_another_one_writes_stays() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let left = ".devenv-0123456789ab.unfinished";
        fs::File::create(at(left)).unwrap();
        let others = [
            ".devenv-config",
            ".devenv-0123456789a.unfinished",
            ".devenv-0123456789-b.unfinished",
            "devenv-0123456789ab.unfinished",
        ];
        for name in others {
            fs::File::create(at(name)).unwrap();
        }
        let link = ".devenv-link56789abc.unfinished";
        symlink(at(others[0]), at(link)).unwrap();
        let writing = begin(home.path(), 0o600).unwrap();
        let second = begin(home.path(), 0o600).unwrap();
        assert!(files::exists(writing.path()) && files::exists(second.path()));
        assert!(!files::exists(&at(left)));
        assert!(others.iter().all(|name| files::exists(&at(name))));
        assert!(files::exists(&at(link)));
    }
}
