//! A file that is written piece by piece.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{At as _, FileError, Operation, PRIVATE_FILE, directory_of, exists};

/// A file that is written piece by piece, and is there only once it is complete. Mode 0600.
#[derive(Debug)]
pub struct NewFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that is to be at `path`, where nothing is.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        if exists(path) {
            return Err(taken()).at(Operation::Write, path);
        }
        let directory = directory_of(path);
        let file = tempfile::Builder::new()
            .prefix(".devenv-")
            .permissions(fs::Permissions::from_mode(PRIVATE_FILE))
            .tempfile_in(directory)
            .at(Operation::Write, path)?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// What is written to.
    pub fn as_file(&self) -> &fs::File {
        self.file.as_file()
    }

    /// Has it in its place, on disk; returns its length in bytes. What came there meanwhile is not overwritten.
    pub fn keep(self) -> Result<u64, FileError> {
        let Self { file, path } = self;
        let keep = || -> io::Result<u64> {
            file.as_file().sync_all()?;
            let length = file.as_file().metadata()?.len();
            file.persist_noclobber(&path).map_err(|error| error.error)?;
            fs::File::open(directory_of(&path))?.sync_all()?;
            Ok(length)
        };
        keep().at(Operation::Write, &path)
    }
}
