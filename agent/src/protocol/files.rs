//! What is said about the files of a container.

use serde::{Deserialize, Serialize};

/// One change. Its path is relative to the base of the request, without `..`.
///
/// In the chunks of a request each change is its length (4 bytes, little endian) and its encoding; the contents of a
/// file follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChange {
    /// A file with these contents; its directories are made.
    File {
        /// Its path.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// The number of bytes that follow.
        size: u64,
        /// The BLAKE3 of the contents.
        hash: [u8; 32],
    },
    /// A symbolic link; its directories are made.
    Link {
        /// Its path.
        path: Vec<u8>,
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// A directory; those above it are made.
    Directory {
        /// Its path.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing is there afterwards; a directory goes with all below it.
    Absent {
        /// Its path.
        path: Vec<u8>,
    },
}

/// Something below a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path, relative to the directory.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A file.
    File {
        /// Its permission bits.
        mode: u32,
        /// The BLAKE3 of its contents.
        hash: [u8; 32],
    },
    /// A symbolic link.
    Link {
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
    /// A device, a socket or a pipe.
    Special,
}
