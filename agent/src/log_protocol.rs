//! Logs of containers, as the agent tells them: records in the chunks of an answer.
//!
//! Each record is its length (4 bytes, little endian) and its encoding. A stream is one run of a container. It is read
//! file by file: what is written to is renamed when it is long, and goes on in a new one.

use serde::{Deserialize, Serialize};

/// A run of a container: each start is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// The pod's name.
    pub pod: String,
    /// The pod's uid, which no other has.
    pub uid: String,
    /// The container's name in the pod.
    pub container: String,
    /// How often it had been started before.
    pub run: u32,
}

/// A file of a run, told from its others by its first line: a name changes when the file is rotated, an inode when it
/// is packed, and a device when the node is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub u64);

impl FileId {
    /// How much of a first line is looked at, in bytes.
    pub const LOOKED_AT: usize = 256;

    /// The file that begins with these bytes: all of its first line, or as much as is looked at.
    pub fn of(beginning: &[u8]) -> Self {
        let beginning = &beginning[..beginning.len().min(Self::LOOKED_AT)];
        let end = beginning.iter().position(|byte| *byte == b'\n');
        let first = &beginning[..end.unwrap_or(beginning.len())];
        let hash = *blake3::hash(first).as_bytes();
        Self(
            hash.first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        )
    }
}

/// How far a run was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The run.
    pub run: RunId,
    /// The file that was read last.
    pub file: FileId,
    /// The byte behind the last that was read.
    pub offset: u64,
}

/// What is told of the logs of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogRecord {
    /// A run is read; the stream is its name from here on.
    Opened {
        /// The stream.
        stream: u32,
        /// The run.
        run: RunId,
    },
    /// What follows on the stream is of this file: its first, or the next after a rotation.
    File {
        /// The stream.
        stream: u32,
        /// The file.
        file: FileId,
    },
    /// Lines as the runtime wrote them: whole ones, except at the end of a file that ends in the middle of one.
    Lines {
        /// The stream.
        stream: u32,
        /// The byte of the file behind the last of these.
        offset: u64,
        /// The lines, each with its end.
        bytes: Vec<u8>,
    },
    /// Something was removed before it was read.
    Lost {
        /// The stream.
        stream: u32,
        /// How many bytes, where that is known.
        bytes: Option<u64>,
    },
    /// The run's files are gone: nothing more comes on the stream.
    Ended {
        /// The stream.
        stream: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_line_however_much_follows() {
        let known = FileId::of(b"2026 stdout F one\n");
        assert_eq!(FileId::of(b"2026 stdout F one\n2026 more\n"), known);
        assert_ne!(FileId::of(b"2027 stdout F one\n"), known);
        let long = [b'x'; 1000];
        assert_eq!(FileId::of(&long[..FileId::LOOKED_AT]), FileId::of(&long));
    }
}
