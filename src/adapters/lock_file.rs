//! A file that one process at a time holds.
//!
//! Called by `state`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::files::{FileError, Operation};

/// Only the user may read and write.
const MODE: u32 = 0o600;
/// Where the kernel tells who holds what.
const LOCKS: &str = "/proc/locks";
/// How long until a directory's lock is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A file that this process holds locked. The kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    path: PathBuf,
}

impl LockedFile {
    /// Replaces what the file says about its holder.
    pub fn describe(&mut self, text: &str) -> Result<(), FileError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(&mut self.file).map_err(failed(&self.path, Operation::Write))
    }

    /// Whether it is the file that `path` names now.
    fn is_at(&self, path: &Path) -> bool {
        let (Ok(own), Ok(named)) = (self.file.metadata(), std::fs::symlink_metadata(path)) else {
            return false;
        };
        (own.dev(), own.ino()) == (named.dev(), named.ino())
    }
}

impl Drop for LockedFile {
    /// What the file says of its holder holds no longer.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}

/// What the file says of the one who holds it, or of one who was killed; nothing if nobody does. Takes no lock.
pub fn said_of_holder(path: &Path) -> Option<String> {
    let text = super::files::read_text_if_there(path).ok()??;
    (!text.is_empty()).then_some(text)
}

/// A directory that this process holds among those that ask for it. The kernel frees it when the process ends, however it
/// ends; nothing is written.
#[derive(Debug)]
pub struct LockedDirectory {
    _directory: File,
}

/// What came of waiting for the lock of a directory.
#[derive(Debug)]
pub enum DirectoryLock {
    /// This process holds it.
    Locked(LockedDirectory),
    /// Another one did all the while.
    Held,
    /// Its file system knows no locks.
    Unsupported,
}

/// Locks a directory; waits for as long as `patience` while another process holds it.
pub async fn lock_directory(path: &Path, patience: Duration) -> Result<DirectoryLock, FileError> {
    let began = Instant::now();
    let directory = File::open(path).map_err(failed(path, Operation::Read))?;
    loop {
        match directory.try_lock() {
            Ok(()) => {
                return Ok(DirectoryLock::Locked(LockedDirectory {
                    _directory: directory,
                }));
            }
            Err(TryLockError::Error(_)) => return Ok(DirectoryLock::Unsupported),
            Err(TryLockError::WouldBlock) if began.elapsed() < patience => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(TryLockError::WouldBlock) => return Ok(DirectoryLock::Held),
        }
    }
}

/// Whether the process of an id holds a file, as the kernel knows. Takes no lock.
///
/// The id alone says nothing: after its process was killed, or the machine started anew, another one has it.
pub fn is_held_by(path: &Path, pid: u32) -> bool {
    let Ok(file) = std::fs::symlink_metadata(path) else {
        return false;
    };
    match super::files::read_text(Path::new(LOCKS)) {
        Ok(locks) => locks
            .lines()
            .filter_map(flock)
            .any(|(by, inode)| (by, inode) == (pid, file.ino())),
        Err(_) => super::process::is_alive(pid),
    }
}

/// The process and the inode of a line such as `2: FLOCK  ADVISORY  WRITE 30456 fe:00:1254481 0 EOF`.
fn flock(line: &str) -> Option<(u32, u64)> {
    let mut words = line.split_whitespace().skip(1);
    // The number of the device is not that of the file on every file system.
    (words.next()? == "FLOCK").then_some(())?;
    let pid = words.nth(2)?.parse().ok()?;
    let (_, inode) = words.next()?.rsplit_once(':')?;
    Some((pid, inode.parse().ok()?))
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// This process holds it now.
    Held(LockedFile),
    /// Another one holds it and said this about itself.
    Busy(String),
}

/// Asks for the lock of a file once, without waiting. The file is made if needed; a link is refused.
pub fn try_lock(path: &Path) -> Result<LockAttempt, FileError> {
    loop {
        let attempt = try_lock_once(path)?;
        match &attempt {
            // Its holder may have removed it before it let go: then another may lock a new one.
            LockAttempt::Held(held) if !held.is_at(path) => {}
            _ => return Ok(attempt),
        }
    }
}

fn try_lock_once(path: &Path) -> Result<LockAttempt, FileError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed(path, Operation::Write))?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Held(LockedFile {
            file,
            path: path.to_owned(),
        })),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)
                .map_err(failed(path, Operation::Read))?;
            Ok(LockAttempt::Busy(text))
        }
        Err(TryLockError::Error(error)) => Err(failed(path, Operation::Lock)(error)),
    }
}

fn failed(path: &Path, operation: Operation) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_other_learns_who() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let LockAttempt::Held(mut file) = try_lock(&path).unwrap() else {
            panic!("nobody holds it");
        };
        file.describe("me").unwrap();
        assert!(matches!(try_lock(&path).unwrap(), LockAttempt::Busy(who) if who == "me"));
        drop(file);
        assert!(matches!(try_lock(&path).unwrap(), LockAttempt::Held(_)));
    }

    #[tokio::test]
    async fn a_directory_is_waited_for_until_the_other_one_has_done() {
        let root = tempfile::tempdir().unwrap();
        let locked = lock_directory(root.path(), Duration::ZERO).await.unwrap();
        assert!(matches!(locked, DirectoryLock::Locked(_)));
        let second = lock_directory(root.path(), Duration::ZERO).await.unwrap();
        assert!(matches!(second, DirectoryLock::Held), "{second:?}");
        let waiting = lock_directory(root.path(), Duration::from_mins(1));
        let letting_go = async { drop(locked) };
        let (third, ()) = tokio::join!(waiting, letting_go);
        assert!(matches!(third.unwrap(), DirectoryLock::Locked(_)));
    }

    #[test]
    fn who_holds_it_is_known_without_asking_for_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let own = std::process::id();
        assert!(!is_held_by(&path, own));
        let LockAttempt::Held(file) = try_lock(&path).unwrap() else {
            panic!("nobody holds it");
        };
        assert!(is_held_by(&path, own));
        assert!(!is_held_by(&path, 1));
        drop(file);
        assert!(!is_held_by(&path, own));
    }

    #[test]
    fn the_kernels_lines_are_understood() {
        let line = "2: FLOCK  ADVISORY  WRITE 30456 fe:00:1254481 0 EOF";
        assert_eq!(flock(line), Some((30456, 1_254_481)));
        assert_eq!(flock(&line.replace("FLOCK ", "POSIX ")), None);
        // One who waits for it holds nothing.
        assert_eq!(flock(&line.replace("FLOCK", "-> FLOCK")), None);
        assert_eq!(flock(""), None);
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_no_lock() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let LockAttempt::Held(held) = try_lock(&path).unwrap() else {
            panic!("nobody holds it");
        };
        assert!(held.is_at(&path));
        std::fs::rename(&path, root.path().join("gone")).unwrap();
        assert!(!held.is_at(&path));
        assert!(matches!(try_lock(&path).unwrap(), LockAttempt::Held(_)));
        assert!(!held.is_at(&path));
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("lock");
        std::os::unix::fs::symlink(root.path().join("victim"), &link).unwrap();
        assert!(try_lock(&link).is_err());
        assert!(!root.path().join("victim").exists());
    }
}
