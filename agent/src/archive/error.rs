//! What is wrong with an archive, and what comes of working at one.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::protocol::AgentError;

/// What is wrong with an archive, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// The member at fault, if that is known; bytes that are no text are written `\xff`.
    pub member: Option<String>,
    /// Where in the archive it was seen, in bytes.
    pub offset: u64,
}

/// What is wrong with an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// The stream that it comes from fails.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The stream that it goes to fails.
    #[error("it cannot be written: {0}")]
    Unwritable(String),
    /// A file that is to be written into it cannot be read.
    #[error("the file cannot be read: {0}")]
    File(String),
    /// A file that is to be written into it became shorter meanwhile.
    #[error("the file became shorter while it was read")]
    Shorter,
    /// It ends too early.
    #[error("the archive is cut off")]
    Truncated,
    /// Something comes after its end.
    #[error("something follows the end of the archive")]
    Trailing,
    /// It does not begin with a manifest.
    #[error("the archive does not begin with a manifest")]
    NoManifest,
    /// The checksum of a header is wrong.
    #[error("the checksum of the header is wrong")]
    Checksum,
    /// No such kind of member belongs into an archive.
    #[error("no member of the kind `{}` belongs into an archive", .0.escape_ascii())]
    Kind(u8),
    /// A header is not as devenv writes it.
    #[error("the header is not as devenv writes it")]
    NotCanonical,
    /// What fills a member up to a block is not zero.
    #[error("what fills up its last block is not zero")]
    Padding,
    /// No such member belongs where it is.
    #[error("no such member belongs there")]
    Unexpected,
    /// A name or a path is refused.
    #[error("its name is refused: {0}")]
    Name(NameProblem),
    /// A member, or a volume, is there twice or too late.
    #[error("it is there twice or not in order")]
    Order,
    /// What it would be in is no directory of the archive.
    #[error("what it would be in is no directory of the archive")]
    NoDirectory,
    /// The target of a hard link is nothing before it in the same volume.
    #[error("a hard link to what is not before it in the same volume")]
    Target,
    /// A hard link is not like what it is a name of.
    #[error("a hard link with another mode, owner or time than what it is a name of")]
    Unlike,
    /// The target of a symbolic link is none.
    #[error("a symbolic link to no path")]
    NoPath,
    /// A mode, owner, time, device or extended attribute is one that nothing can have.
    #[error("a mode, owner, time, device or extended attribute that nothing can have")]
    Attributes,
    /// Where the data of a file with holes is, is not as devenv writes it.
    #[error("the map of its holes is not as devenv writes it")]
    Holes,
    /// The contents are others than the hash list says.
    #[error("its contents are not those that the hash list tells")]
    Damaged,
    /// The hash list speaks of other files than those of its volume.
    #[error("the hash list is not that of the files before it")]
    HashList,
    /// No hash list follows a volume.
    #[error("no hash list follows the volume")]
    NoHashList,
    /// It is larger than it may be.
    #[error("more than {most} {bound}")]
    TooMuch {
        /// Of what.
        bound: Bound,
        /// How much there may be.
        most: u64,
    },
}

/// What there may be only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Contents and extended attributes of all members.
    #[error("bytes in all")]
    Total,
    /// The length of a file.
    #[error("bytes of one file")]
    File,
    /// What is in the volumes.
    #[error("entries")]
    Entries,
    /// Pieces of data in a file with holes.
    #[error("pieces of a file with holes")]
    Segments,
    /// What is remembered of a volume until its hash list.
    #[error("bytes of names and hashes of a volume")]
    Memory,
    /// The records of a pax header.
    #[error("bytes in the extended header of a member")]
    Records,
    /// The manifest.
    #[error("bytes in the manifest")]
    Manifest,
}

/// Why a name or a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NameProblem {
    /// It is absolute, ends with `/`, or has nothing between two of them.
    #[error("an empty part")]
    Empty,
    /// It has a part `.` or `..`.
    #[error("a part `.` or `..`")]
    Dots,
    /// It has a NUL.
    #[error("a NUL")]
    Nul,
    /// A part of it is longer than 255 bytes.
    #[error("a part of more than 255 bytes")]
    LongPart,
    /// It is longer than 4096 bytes.
    #[error("more than 4096 bytes")]
    Long,
    /// It is deeper than 256 directories.
    #[error("more than 256 directories deep")]
    Deep,
    /// The service or the volume has no name that one may have.
    #[error("no volume can have it")]
    Volume,
}

impl Problem {
    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }

    pub(super) fn unwritable(error: &io::Error) -> Self {
        Self::Unwritable(error.to_string())
    }

    /// Where it was seen.
    pub(super) fn at(self, member: Option<&[u8]>, offset: u64) -> Error {
        Error {
            problem: self,
            member: member.map(readable),
            offset,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "{member}: ")?;
        }
        write!(f, "{} (at byte {})", self.problem, self.offset)
    }
}

impl std::error::Error for Error {}

/// Bytes as text from which they can be told.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

/// Why packing or unpacking failed: what `devenv-agent pack` and `unpack` say on standard error, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The archive is wrong or does not arrive.
    #[error("the archive is refused: {0}")]
    Archive(Error),
    /// The node refused.
    #[error(transparent)]
    Node(AgentError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::Node(error)
    }
}

/// A volume that was unpacked: `devenv-agent unpack` tells a list of them on standard output, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The service.
    pub service: String,
    /// The name of the volume.
    pub volume: String,
    /// All that is no directory: a file with two names counts twice.
    pub files: u64,
    /// The lengths of the files together; one with several names counts once.
    pub bytes: u64,
}
