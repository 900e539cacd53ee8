//! Files that somebody else named, below a directory of this machine.
//!
//! Neither their names nor what is there already is trusted: no link below the directory is followed, and a path that
//! leads out of it is refused.

use std::{
    fs,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};

use super::{FileError, Operation, create_dir, error::At as _};

/// What new directories may be used for, before the user's mask.
const DIRECTORY: Mode = Mode::from_raw_mode(0o777);
/// The same of files.
const FILE: Mode = Mode::from_raw_mode(0o666);
/// The same of programs.
const PROGRAM: Mode = Mode::from_raw_mode(0o777);

/// Numbers the files that are being written.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A directory below which files arrive.
#[derive(Debug)]
pub struct Landing {
    directory: OwnedFd,
    path: PathBuf,
}

/// A file that arrives: it takes its place once it is whole, and is gone if it is dropped before.
#[derive(Debug)]
pub struct LandingFile {
    directory: OwnedFd,
    file: fs::File,
    unfinished: Option<String>,
    name: PathBuf,
    path: PathBuf,
}

impl Landing {
    /// The directory at `path`, which the user named: it is made where it is not there, and may be a link.
    pub fn at(path: &Path) -> Result<Self, FileError> {
        create_dir(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty());
        Ok(Self {
            directory: directory
                .map_err(io::Error::from)
                .at(Operation::List, path)?,
            path: path.to_owned(),
        })
    }

    /// Has a directory below it, with those above.
    pub fn directory(&self, path: &Path) -> Result<(), FileError> {
        self.open(path)
            .map(drop)
            .at(Operation::CreateDirectory, &self.path.join(path))
    }

    /// Begins a file below it; its directory is made. What is there stays until it is whole.
    pub fn file(&self, path: &Path, is_program: bool) -> Result<LandingFile, FileError> {
        let whole = self.path.join(path);
        let begin = || -> io::Result<LandingFile> {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let directory = self.open(path.parent().unwrap_or(Path::new("")))?;
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let unfinished = format!(".devenv-{}-{number}", std::process::id());
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = if is_program { PROGRAM } else { FILE };
            let file = openat(&directory, &unfinished, flags, mode)?;
            Ok(LandingFile {
                directory,
                file: file.into(),
                unfinished: Some(unfinished),
                name: name.into(),
                path: whole.clone(),
            })
        };
        begin().at(Operation::Write, &whole)
    }

    /// A directory below it, made where it is not there, one name after another: none may be a link.
    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut directory = self.directory.try_clone()?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            match mkdirat(&directory, name, DIRECTORY) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = openat(&directory, name, flags, Mode::empty())?;
        }
        Ok(directory)
    }
}

impl LandingFile {
    /// Where it is going to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds to its end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).at(Operation::Write, &self.path)
    }

    /// Has it take its place: that of a file or a link that is there, at one moment.
    pub fn keep(mut self) -> Result<(), FileError> {
        let Some(unfinished) = &self.unfinished else {
            return Ok(());
        };
        let (from, to) = (&self.directory, &self.directory);
        renameat(from, unfinished, to, &self.name)
            .map_err(io::Error::from)
            .at(Operation::Write, &self.path)?;
        self.unfinished = None;
        Ok(())
    }
}

impl Drop for LandingFile {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // Best effort: it is in nobody's way.
            let _ = unlinkat(&self.directory, unfinished, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Stage(tempfile::TempDir);

    impl Stage {
        /// `outside` is not below `in`.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("outside")).unwrap();
            fs::write(directory.path().join("outside/kept"), "kept").unwrap();
            Self(directory)
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn landing(&self) -> Landing {
            Landing::at(&self.at("in")).unwrap()
        }

        fn put(&self, path: &str, text: &str) -> Result<(), FileError> {
            let mut file = self.landing().file(Path::new(path), false)?;
            file.write(text.as_bytes())?;
            file.keep()
        }

        /// Nothing outside was touched, and nothing is left over.
        fn is_clean(&self) -> bool {
            let outside: Vec<_> = super::super::list(&self.at("outside")).unwrap();
            let inside = super::super::files_below(&self.at("in")).unwrap();
            let mut inside = inside.iter();
            outside == [self.at("outside/kept")]
                && fs::read(&outside[0]).unwrap() == b"kept"
                && !inside.any(|path| path.to_string_lossy().contains(".devenv-"))
        }
    }

    #[test]
    fn files_take_their_places_with_their_directories() {
        let stage = Stage::new();
        stage.put("deep/er/file", "one").unwrap();
        stage.put("deep/er/file", "two").unwrap();
        assert_eq!(fs::read(stage.at("in/deep/er/file")).unwrap(), b"two");
        stage.landing().directory(Path::new("empty/one")).unwrap();
        assert!(stage.at("in/empty/one").is_dir());
        let program = stage.landing().file(Path::new("run"), true).unwrap();
        program.keep().unwrap();
        let mode = |name: &str| fs::metadata(stage.at(name)).unwrap().permissions().mode();
        assert_eq!(mode("in/run") & 0o100, 0o100);
        assert_eq!(mode("in/deep/er/file") & 0o111, 0);
        assert!(stage.is_clean());
    }

    #[test]
    fn a_file_that_does_not_come_whole_leaves_what_was_there() {
        let stage = Stage::new();
        stage.put("file", "old").unwrap();
        let mut file = stage.landing().file(Path::new("file"), false).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(stage.at("in/file")).unwrap(), b"old");
        assert!(stage.is_clean());
    }

    #[test]
    fn no_name_leads_out() {
        let stage = Stage::new();
        for path in [
            "../outside/kept",
            "a/../../outside/kept",
            "/outside/kept",
            "..",
            "",
        ] {
            assert!(stage.put(path, "bad").is_err(), "{path}");
        }
        assert!(stage.landing().directory(Path::new("../new")).is_err());
        assert!(!stage.at("new").exists());
        assert!(stage.is_clean());
    }

    #[test]
    fn no_link_is_followed_that_is_there_already() {
        let stage = Stage::new();
        let _ = stage.landing();
        symlink("../outside", stage.at("in/directory")).unwrap();
        symlink("../outside/kept", stage.at("in/file")).unwrap();
        for path in ["directory/kept", "directory/new/file"] {
            assert!(stage.put(path, "bad").is_err(), "{path}");
        }
        assert!(stage.landing().directory(Path::new("directory")).is_err());
        stage.put("file", "good").unwrap();
        let file = fs::symlink_metadata(stage.at("in/file")).unwrap();
        assert!(file.is_file(), "the link is replaced, not written through");
        assert!(stage.is_clean());
    }
}
