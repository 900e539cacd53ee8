//! What is asked of an agent about volumes: directories of the node's file system, which snapshots are made of.
//!
//! Every path is relative to the root of the request and made of names alone; no link in it is followed.

use serde::{Deserialize, Serialize};

/// What is asked about volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How much is in a directory.
    Measure {
        /// The directory.
        path: Vec<u8>,
    },
    /// Makes a directory a copy of another, with all that is in it and belongs to it; it is there whole, or not at all.
    /// Sockets, which belong to whom listens, are left out.
    Copy {
        /// The directory that is copied.
        from: Vec<u8>,
        /// The copy. Nothing may be there; the directory above it is.
        to: Vec<u8>,
        /// Whether anybody writes to the directory.
        source: Source,
    },
    /// Who a directory is, and where.
    Look {
        /// The path; nothing there is fine.
        path: Vec<u8>,
    },
    /// Makes a directory that root alone may enter, and those above it that are not there; one that is there is fine.
    Prepare {
        /// The directory.
        path: Vec<u8>,
    },
    /// Has on disk what was written to the file system of the root.
    Sync,
    /// How much room there is in the file system of the root.
    Space,
    /// Makes an empty directory, root's, which all may enter: what Kubernetes makes of a volume that is not there.
    Make {
        /// The directory. Nothing may be there; the directory above it is.
        path: Vec<u8>,
    },
    /// The hash of a directory: see [`TreeHash`].
    Hash {
        /// The directory.
        path: Vec<u8>,
    },
    /// Has two directories take each other's places at one moment.
    Exchange {
        /// One of them.
        one: Vec<u8>,
        /// The other.
        other: Vec<u8>,
    },
    /// Gives a directory another path, at which nothing may be.
    Rename {
        /// Its path.
        from: Vec<u8>,
        /// Its path afterwards.
        to: Vec<u8>,
    },
    /// Removes what is at a path with all below it; nothing there is fine. It goes at one moment, whenever it is broken
    /// off; what is left of it then goes with the next removal or copy in its place's directory.
    Remove {
        /// The path.
        path: Vec<u8>,
    },
}

/// What is answered about volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Measure`].
    Measured(Measured),
    /// To [`Request::Copy`].
    Copied(Copied),
    /// To [`Request::Look`]: the number of its inode, if it is there.
    Looked(Option<u64>),
    /// To [`Request::Prepare`].
    Prepared,
    /// To [`Request::Sync`].
    Synced,
    /// To [`Request::Space`].
    Space(Space),
    /// To [`Request::Make`].
    Made,
    /// To [`Request::Hash`].
    Hashed(TreeHash),
    /// To [`Request::Exchange`].
    Exchanged,
    /// To [`Request::Rename`].
    Renamed,
    /// To [`Request::Remove`].
    Removed,
}

/// How far a request is. It is told at most ten times a second, from the first tenth on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files that are done, links and the like among them.
    pub files: u64,
    /// Bytes of files that are done.
    pub bytes: u64,
    /// The draft of a copy is made: what follows waits for the request's end.
    pub is_drafted: bool,
}

/// Whether anybody writes to a directory that is copied, file after file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Nobody does. The copy is on disk before it is answered.
    AtRest,
    /// Others do, until the request's [`End`](crate::protocol::ToAgent::End) comes: nobody may after it. A draft is made
    /// before, and a [`Progress`] says that it is; what has changed since is copied after it. The copy is on
    /// disk after the next [`Request::Sync`], so that who is made to stand for it stands no longer than necessary.
    InUse,
}

/// How much room there is in a file system, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// What can be written.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// How much is in a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Names of all that is no directory: a file with two hard links counts twice.
    pub files: u64,
    /// Directories, with itself.
    pub directories: u64,
    /// The lengths of all files together; one with several hard links counts once.
    pub bytes: u64,
    /// What they take of the disk, counted in the same way.
    pub allocated: u64,
}

/// What a copy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// How contents came.
    pub means: Means,
    /// Names of all that is no directory and was copied.
    pub files: u64,
    /// The lengths of the files together; one with several hard links counts once.
    pub bytes: u64,
    /// Sockets that were left out.
    pub sockets: u64,
    /// How long it took, in milliseconds; from a draft on, only what came after it.
    pub took_ms: u64,
}

/// How the contents of a copy came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Means {
    /// All share their blocks with the original, until one of the two is written to.
    Cloned,
    /// Some or all were written.
    Copied,
}

/// The BLAKE3 of a directory, the same for a copy of it and another after any change that a service could notice, apart
/// from times and extended attributes.
///
/// Hashed (in BLAKE3's mode for deriving keys, with [`TreeHash::CONTEXT`]) is one record for the directory itself and
/// for everything below it but sockets, depth first, the names of a directory in the order of their bytes. All numbers
/// are little endian. A record is
///
/// - the length of the path relative to the directory, 8 bytes, and the path, empty for the directory itself;
/// - one byte for the kind: `f` for a file, `d` a directory, `l` a symbolic link, `p` a pipe, `c` and `b` devices;
/// - the permission bits with setuid, setgid and sticky, the user, the group: 4 bytes each;
/// - for a file the BLAKE3 of its contents (32 bytes); for a link the length of its target (8 bytes) and the target;
///   for a device its major and minor number (4 bytes each).
///
/// A file with several hard links is hashed at each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// What the hash is of, for BLAKE3.
    pub const CONTEXT: &str = "devenv volume 2026-01-01 tree v1";
}

impl std::fmt::Display for TreeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
