//! Changes on their way to an agent.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use devenv_agent::protocol::{FileChange, LONGEST_CHUNK};
use tokio::{fs::File, io::AsyncReadExt as _, task::JoinHandle};

use super::{AgentFailure, connection::Asked};

/// Files up to this size, in bytes, are read at once: they are hashed and sent as they were at one moment.
const READ_AT_ONCE: u64 = 8 << 20;
/// Files up to this size, in bytes, are read together with others: a hop to another thread for each takes longer than
/// to read it.
const READ_TOGETHER: u64 = 256 * 1024;
/// How many changes are looked at together.
pub(super) const TOGETHER: usize = 64;

/// A change of a file in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path, relative to the base of the request; bytes as on disk.
    pub path: Vec<u8>,
    /// What is there afterwards.
    pub content: Content,
}

/// What is at a path after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file with the contents that a file of this machine has when it is sent.
    File {
        /// The file on this machine.
        from: PathBuf,
        /// Its permission bits in the container.
        mode: u32,
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
    /// Nothing.
    Absent,
}

/// What was read of a change's file before its turn came.
#[derive(Debug)]
pub(super) enum Early {
    /// Nothing: it is large, or there is no file to read.
    Nothing,
    /// All of it.
    Contents(Vec<u8>),
    /// It cannot be read.
    Failed(std::io::Error),
}

/// Begins to read the small files of changes, and goes on while nobody waits for it.
pub(super) fn read_early(changes: &[Change]) -> JoinHandle<Vec<Early>> {
    let files = changes.iter().map(|change| match &change.content {
        Content::File { from, .. } => Some(from.clone()),
        Content::Link { .. } | Content::Directory { .. } | Content::Absent => None,
    });
    let files: Vec<Option<PathBuf>> = files.collect();
    tokio::task::spawn_blocking(move || files.into_iter().map(early).collect())
}

fn early(file: Option<PathBuf>) -> Early {
    let read = |path: PathBuf| {
        let mut file = std::fs::File::open(path)?;
        if file.metadata()?.len() > READ_TOGETHER {
            return Ok(Early::Nothing);
        }
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        Ok(Early::Contents(contents))
    };
    file.map_or(Early::Nothing, |path| {
        read(path).unwrap_or_else(Early::Failed)
    })
}

impl Change {
    /// Sends the change and, for a file, its contents, of which some may have been read.
    pub(super) async fn send(
        &self,
        early: Early,
        outgoing: &mut Outgoing,
        asked: &mut Asked,
    ) -> Result<(), AgentFailure> {
        let path = self.path.clone();
        let change = match &self.content {
            Content::File { from, mode } => {
                return match early {
                    Early::Contents(contents) => {
                        self.send_contents(*mode, &contents, outgoing, asked).await
                    }
                    Early::Nothing => self.send_file(from, *mode, outgoing, asked).await,
                    Early::Failed(source) => Err(AgentFailure::Local {
                        path: from.clone(),
                        source,
                    }),
                };
            }
            Content::Link { target } => FileChange::Link {
                path,
                target: target.clone(),
            },
            Content::Directory { mode } => FileChange::Directory { path, mode: *mode },
            Content::Absent => FileChange::Absent { path },
        };
        outgoing.record(&change, asked).await
    }

    async fn send_file(
        &self,
        from: &Path,
        mode: u32,
        outgoing: &mut Outgoing,
        asked: &mut Asked,
    ) -> Result<(), AgentFailure> {
        let failed = |source| AgentFailure::Local {
            path: from.to_owned(),
            source,
        };
        let mut file = File::open(from).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        if size <= READ_AT_ONCE {
            let mut contents = Vec::new();
            file.read_to_end(&mut contents).await.map_err(failed)?;
            return self.send_contents(mode, &contents, outgoing, asked).await;
        }
        // Read twice. One that changes meanwhile is refused by its hash, and comes again with its next change.
        let hash = hash(from, size).await.map_err(failed)?;
        outgoing.record(&self.head(mode, size, hash), asked).await?;
        let mut left = file.take(size);
        let mut buffer = vec![0; LONGEST_CHUNK];
        let mut sent = 0;
        loop {
            let count = left.read(&mut buffer).await.map_err(failed)?;
            if count == 0 {
                break;
            }
            sent += count as u64;
            outgoing.bytes(&buffer[..count], asked).await?;
        }
        // What was cut meanwhile is filled up, to be refused as a whole.
        while sent < size {
            let count = buffer
                .len()
                .min(usize::try_from(size - sent).unwrap_or(usize::MAX));
            outgoing.bytes(&buffer[..count], asked).await?;
            sent += count as u64;
        }
        Ok(())
    }
}

impl Change {
    async fn send_contents(
        &self,
        mode: u32,
        contents: &[u8],
        outgoing: &mut Outgoing,
        asked: &mut Asked,
    ) -> Result<(), AgentFailure> {
        let head = self.head(mode, contents.len() as u64, blake3::hash(contents));
        outgoing.record(&head, asked).await?;
        outgoing.bytes(contents, asked).await
    }

    fn head(&self, mode: u32, size: u64, hash: blake3::Hash) -> FileChange {
        FileChange::File {
            path: self.path.clone(),
            mode,
            size,
            hash: *hash.as_bytes(),
        }
    }
}

/// The BLAKE3 of the first `size` bytes of a file.
async fn hash(path: &Path, size: u64) -> std::io::Result<blake3::Hash> {
    let mut file = File::open(path).await?.take(size);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; LONGEST_CHUNK];
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..count]);
    }
}

/// Bytes gathered into chunks.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    chunk: Vec<u8>,
}

impl Outgoing {
    async fn record(&mut self, change: &FileChange, asked: &mut Asked) -> Result<(), AgentFailure> {
        let record = asked.record(change)?;
        self.bytes(&record, asked).await
    }

    async fn bytes(&mut self, mut bytes: &[u8], asked: &mut Asked) -> Result<(), AgentFailure> {
        while !bytes.is_empty() {
            let count = bytes.len().min(LONGEST_CHUNK - self.chunk.len());
            self.chunk.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.chunk.len() == LONGEST_CHUNK {
                asked.send(std::mem::take(&mut self.chunk)).await?;
            }
        }
        Ok(())
    }

    /// Sends what is left.
    pub(super) async fn flush(&mut self, asked: &mut Asked) -> Result<(), AgentFailure> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        asked.send(std::mem::take(&mut self.chunk)).await
    }
}
