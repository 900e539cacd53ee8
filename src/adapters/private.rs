//! Files that belong to the user alone: directories 0700, files 0600, whatever the umask.
//!
//! Called by `state`. Every error names its path.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A private file or directory that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}", path = path.display())]
pub struct PrivateFileError {
    action: &'static str,
    /// Which file or directory.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl PrivateFileError {
    /// For `map_err`: what was done to which path.
    fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// Makes `path` and what is missing above it; an existing directory keeps its contents and becomes private.
pub fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(DIRECTORY_MODE)))
        .map_err(PrivateFileError::of("create the directory", path))
}

/// The text of a file; `None` if there is no such file.
#[expect(clippy::disallowed_methods, reason = "the error names the path here")]
pub fn read(path: &Path) -> Result<Option<String>, PrivateFileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PrivateFileError::of("read", path)(error)),
    }
}

/// Replaces a file in one move: a reader sees the old text or the new one, also after a crash.
pub fn replace(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    // A temporary file is 0600 from the start.
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(PrivateFileError::of("write", path))
}

/// Opens a new file for appending; one that is there already is an error.
pub fn create_log(path: &Path) -> Result<File, PrivateFileError> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(PrivateFileError::of("create", path))
}

/// Renames a file within its directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), PrivateFileError> {
    fs::rename(from, to).map_err(PrivateFileError::of("rename", from))
}

/// Removes a file; one that is not there is no error.
#[expect(clippy::disallowed_methods, reason = "the error names the path here")]
pub fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PrivateFileError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// The files of a directory, sorted by name; none if the directory is not there.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>, PrivateFileError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(PrivateFileError::of("list", directory)(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(PrivateFileError::of("list", directory))?;
    paths.sort();
    Ok(paths)
}

/// A file that this process holds locked. The kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    path: PathBuf,
}

impl LockedFile {
    /// Replaces what the file says about its holder.
    pub fn describe(&mut self, text: &str) -> Result<(), PrivateFileError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(&mut self.file).map_err(PrivateFileError::of("write", &self.path))
    }
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
pub fn try_lock(path: &Path) -> Result<LockAttempt, PrivateFileError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(PrivateFileError::of("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Held(LockedFile {
            file,
            path: path.to_owned(),
        })),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)
                .map_err(PrivateFileError::of("read", path))?;
            Ok(LockAttempt::Busy(text))
        }
        Err(TryLockError::Error(error)) => Err(PrivateFileError::of("lock", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_and_files_belong_to_the_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        create_directory(&directory).unwrap();
        replace(&directory.join("record"), "x").unwrap();
        create_log(&directory.join("log")).unwrap();
        assert_eq!(mode(&root.path().join("a")), DIRECTORY_MODE);
        assert_eq!(mode(&directory), DIRECTORY_MODE);
        assert_eq!(mode(&directory.join("record")), FILE_MODE);
        assert_eq!(mode(&directory.join("log")), FILE_MODE);
    }

    #[test]
    fn a_directory_that_was_open_to_others_is_closed() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        create_directory(root.path()).unwrap();
        assert_eq!(mode(root.path()), DIRECTORY_MODE);
    }

    #[test]
    fn a_missing_file_is_no_text_and_a_directory_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        assert!(read(&root.path().join("none")).unwrap().is_none());
        let error = read(root.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&root.path().display().to_string())
        );
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
