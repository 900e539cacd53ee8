//! Build contexts: which files go to the engine, their hash, and the archive that carries them.
//!
//! Called by `features` (to find the tags of images) and by the docker adapter (to send the archive). It reads
//! files and writes none. Everything here blocks on the disk: call it from a blocking task.

mod archive;
mod hash;
mod ignore;
mod scan;
mod warnings;

use std::path::PathBuf;

pub use archive::ArchiveError;
pub(in crate::adapters) use ignore::Covered;
pub use ignore::{IgnoreRules, InvalidPattern};
pub use scan::{ContextError, ignore_rules, scan};
pub use warnings::ContextWarning;

/// The files of a build, and what else decides the image.
#[derive(Debug)]
pub struct Context {
    /// The context directory.
    directory: PathBuf,
    /// What is sent, sorted by path; parents come before their children.
    files: Vec<ContextFile>,
    /// The Dockerfile's name in the archive.
    dockerfile: String,
    /// The Dockerfile on disk.
    dockerfile_on_disk: PathBuf,
    target: Option<String>,
    args: Vec<(String, String)>,
    /// The hashes of the contents, in the order of `files`; known once the whole was hashed.
    contents: std::sync::OnceLock<Vec<Option<blake3::Hash>>>,
}

/// One entry of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Relative to the context directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// When it was changed last, in seconds since 1970. Not part of the hash.
    pub modified: u64,
    /// On disk.
    pub absolute: PathBuf,
}

/// What an entry of a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File {
        /// Its size in bytes when it was looked at.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link, sent as it is.
    Symlink {
        /// Where it points.
        target: PathBuf,
    },
}

impl Context {
    /// What is sent, sorted by path.
    pub fn files(&self) -> &[ContextFile] {
        &self.files
    }

    /// The directory it was read from.
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// The Dockerfile's name within what is sent.
    pub fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// The Dockerfile on disk.
    pub fn dockerfile_on_disk(&self) -> &std::path::Path {
        &self.dockerfile_on_disk
    }

    /// The stage to build; the last if `None`.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The build arguments by name.
    pub fn args(&self) -> impl Iterator<Item = (&str, &str)> {
        self.args
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(ContextFile::size).sum()
    }
}

impl ContextFile {
    /// Its bytes; 0 for what is no file.
    pub const fn size(&self) -> u64 {
        match self.kind {
            FileKind::File { size } => size,
            FileKind::Directory | FileKind::Symlink { .. } => 0,
        }
    }
}
