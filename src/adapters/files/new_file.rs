//! A file that is written piece by piece.

use std::{
    fs, io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat, open},
    io::Errno,
};

use super::{FileError, Operation, PRIVATE_FILE, directory_of, error::At as _, exists, unfinished};

/// A file that is written piece by piece, and is there only once it is complete. Mode 0600.
#[derive(Debug)]
pub struct NewFile {
    written: Written,
    path: PathBuf,
}

/// What is written to until then.
#[derive(Debug)]
enum Written {
    /// A file without a name: it goes with whoever writes it, also if they are killed.
    Nameless(fs::File),
    /// One of another name, where the file system has no others.
    Beside(tempfile::NamedTempFile),
}

impl Written {
    fn of(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match open(directory, flags, Mode::from_raw_mode(PRIVATE_FILE)) {
            Ok(file) => Ok(Self::Nameless(file.into())),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::beside(directory),
            Err(error) => Err(error.into()),
        }
    }

    fn beside(directory: &Path) -> io::Result<Self> {
        unfinished::begin(directory, PRIVATE_FILE).map(Self::Beside)
    }

    fn file(&self) -> &fs::File {
        match self {
            Self::Nameless(file) => file,
            Self::Beside(file) => file.as_file(),
        }
    }

    /// Gives it a name that nothing has.
    fn name(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Nameless(file) => {
                let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
                Ok(())
            }
            Self::Beside(file) => {
                let kept = file.persist_noclobber(path);
                kept.map(|_| ()).map_err(|error| error.error)
            }
        }
    }
}

impl NewFile {
    /// Begins a file that is to be at `path`, where nothing is.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        if exists(path) {
            return Err(taken()).at(Operation::Write, path);
        }
        let written = Written::of(directory_of(path)).at(Operation::Write, path)?;
        let path = path.to_owned();
        Ok(Self { written, path })
    }

    /// What is written to.
    pub fn as_file(&self) -> &fs::File {
        self.written.file()
    }

    /// Has it in its place, on disk; returns its length in bytes. What came there meanwhile is not overwritten.
    pub fn keep(self) -> Result<u64, FileError> {
        let Self { written, path } = self;
        let keep = || -> io::Result<u64> {
            written.file().sync_all()?;
            let length = written.file().metadata()?.len();
            written.name(&path)?;
            fs::File::open(directory_of(&path))?.sync_all()?;
            Ok(length)
        };
        keep().at(Operation::Write, &path)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::adapters::files;

    fn write(path: &Path, written: io::Result<Written>) -> Result<u64, FileError> {
        let path = path.to_owned();
        let new = NewFile {
            written: written.unwrap(),
            path,
        };
        new.as_file().write_all(b"all of it").unwrap();
        new.keep()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all_and_takes_nobodys_place() {
        let home = tempfile::tempdir().unwrap();
        let of = [Written::of, Written::beside];
        for (number, of) in of.into_iter().enumerate() {
            let path = home.path().join(number.to_string());
            assert_eq!(write(&path, of(home.path())).unwrap(), 9);
            assert_eq!(files::read_text(&path).unwrap(), "all of it");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let again = write(&path, of(home.path())).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            drop(of(home.path()));
            assert_eq!(files::list(home.path()).unwrap().len(), number + 1);
        }
    }

    #[test]
    fn nothing_of_one_that_is_not_kept_is_ever_seen() {
        let home = tempfile::tempdir().unwrap();
        let new = NewFile::beside(&home.path().join("archive")).unwrap();
        new.as_file().write_all(b"half").unwrap();
        if matches!(new.written, Written::Nameless(_)) {
            assert!(files::list(home.path()).unwrap().is_empty());
        }
        drop(new);
        assert!(files::list(home.path()).unwrap().is_empty());
    }
}
