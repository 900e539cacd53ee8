//! The one seam through which pure rooms read a project's files.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::InputsHash;

/// Reads files of a project. Implemented by `adapters::files`, and by a map of texts in tests.
///
/// Paths are relative to the project directory or absolute.
pub trait ProjectFiles {
    /// The text of a regular file, which must be UTF-8.
    ///
    /// What else can be opened is [`io::ErrorKind::InvalidInput`]: a pipe waits for who writes, a device may never end.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// How long a file is, in bytes, without reading it.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Whether a directory is there.
    fn is_directory(&self, path: &Path) -> bool;
    /// Whether a regular file is there.
    fn is_file(&self, path: &Path) -> bool;
    /// The names of what is in a directory, sorted; names that are not UTF-8 are left out.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// The files that match a pattern such as `k8s/*.yaml`, sorted; empty if none does.
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;
}

/// What a path leads to, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// Looks at files of any size and content, those of datasets.
///
/// Paths are relative to the project directory or absolute.
pub trait DataFiles: ProjectFiles {
    /// What a path leads to; the last part of the path is not followed if it is a link.
    fn kind(&self, path: &Path) -> io::Result<FileKind>;
    /// The names of all that is in a directory, sorted.
    fn entries(&self, directory: &Path) -> io::Result<Vec<OsString>>;
    /// The hash of a file's bytes.
    fn digest(&self, file: &Path) -> io::Result<InputsHash>;
}
