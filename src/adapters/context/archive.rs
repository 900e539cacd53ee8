//! The archive that carries a context to the engine, made while it is sent.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::mpsc;

use super::{Context, ContextFile, FileKind};
use crate::adapters::files;

/// How much is handed over at once.
const CHUNK: usize = 256 << 10;
/// How many chunks may wait: together with `CHUNK` the bound on memory.
const WAITING_CHUNKS: usize = 4;

/// Why an archive was not finished.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file is not as it was when the context was looked at.
    #[error("{} changed while it was sent to the engine", .0.display())]
    Changed(PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// An entry cannot be written, or nobody reads.
    #[error("cannot add {} to the archive", path.display())]
    Entry {
        /// The entry.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Context {
    /// The archive as a stream that holds at most about 1 MiB in memory.
    ///
    /// It ends with an error if a file differs from what was hashed, so that no image is tagged with another's hash.
    /// Must be called within a tokio runtime.
    pub fn archive(
        self: &Arc<Self>,
    ) -> impl Stream<Item = Result<Bytes, ArchiveError>> + Send + 'static {
        let (chunk_tx, chunk_rx) = mpsc::channel(WAITING_CHUNKS);
        let context = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut writer = ChunkWriter {
                chunk_tx: chunk_tx.clone(),
                buffer: BytesMut::with_capacity(CHUNK),
            };
            let written = context.write_archive(&mut writer);
            if let Err(error) = written {
                // A reader that is gone needs no word of it.
                let _ = chunk_tx.blocking_send(Err(error));
            }
        });
        futures::stream::unfold(chunk_rx, |mut chunk_rx| async {
            chunk_rx.recv().await.map(|chunk| (chunk, chunk_rx))
        })
    }

    fn write_archive(&self, writer: &mut ChunkWriter) -> Result<(), ArchiveError> {
        let mut archive = tar::Builder::new(writer);
        let hashed = self.contents.get();
        for (index, file) in self.files.iter().enumerate() {
            let expected = hashed.and_then(|contents| contents.get(index).copied().flatten());
            append(&mut archive, file, expected)?;
        }
        let end = || archive.into_inner()?.flush();
        end().map_err(|source| ArchiveError::Entry {
            path: self.directory.clone(),
            source,
        })
    }
}

fn append(
    archive: &mut tar::Builder<&mut ChunkWriter>,
    file: &ContextFile,
    expected: Option<blake3::Hash>,
) -> Result<(), ArchiveError> {
    let at_entry = |source| ArchiveError::Entry {
        path: file.path.clone(),
        source,
    };
    let mut header = tar::Header::new_gnu();
    header.set_mode(file.mode);
    header.set_mtime(file.modified);
    // As docker's own tools do: what is copied belongs to root, whoever built it.
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(file.size());
    match &file.kind {
        FileKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            archive
                .append_data(&mut header, &file.path, io::empty())
                .map_err(at_entry)
        }
        FileKind::Symlink { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive
                .append_link(&mut header, &file.path, target)
                .map_err(at_entry)
        }
        FileKind::File { size } => {
            header.set_entry_type(tar::EntryType::Regular);
            let mut content = Checked {
                file: files::open(&file.absolute)?,
                left: *size,
                hasher: blake3::Hasher::new(),
            };
            match archive.append_data(&mut header, &file.path, &mut content) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Err(ArchiveError::Changed(file.absolute.clone()))
                }
                Err(error) => Err(at_entry(error)),
                Ok(()) if expected.is_some_and(|hash| hash != content.hasher.finalize()) => {
                    Err(ArchiveError::Changed(file.absolute.clone()))
                }
                Ok(()) => Ok(()),
            }
        }
    }
}

/// Reads exactly as much as the header says, and hashes it.
struct Checked {
    file: std::fs::File,
    left: u64,
    hasher: blake3::Hasher,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hands what is written to the stream, in chunks.
struct ChunkWriter {
    chunk_tx: mpsc::Sender<Result<Bytes, ArchiveError>>,
    buffer: BytesMut,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.chunk_tx
            .blocking_send(Ok(chunk))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::TryStreamExt as _;

    use super::*;
    use crate::adapters::context::scan::{
        scan,
        tests::{build, directory},
    };

    async fn archived(context: &Arc<Context>) -> Result<BTreeMap<String, String>, ArchiveError> {
        let chunks: Vec<Bytes> = context.archive().try_collect().await?;
        let whole = chunks.concat();
        let mut entries = BTreeMap::new();
        for entry in tar::Archive::new(&*whole).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                text = format!("-> {}", target.display());
            }
            entries.insert(path, text);
        }
        Ok(entries)
    }

    #[tokio::test]
    async fn an_archive_holds_files_directories_links_and_long_names() {
        let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
        let home = directory(&[
            ("Dockerfile", "FROM scratch"),
            (&long, "content"),
            ("big", &"x".repeat(3 * CHUNK)),
        ]);
        std::os::unix::fs::symlink("../outside", home.path().join("link")).unwrap();
        let context = Arc::new(scan(&build(home.path())).unwrap());
        context.hash().unwrap();
        let entries = archived(&context).await.unwrap();
        assert_eq!(entries["Dockerfile"], "FROM scratch");
        assert_eq!(entries[&long], "content");
        assert_eq!(entries["big"].len(), 3 * CHUNK);
        assert_eq!(entries["link"], "-> ../outside");
    }

    #[tokio::test]
    async fn a_file_that_changes_after_hashing_stops_the_archive() {
        for now in ["2", "shorter", "the very same length!"] {
            let home = directory(&[
                ("Dockerfile", "FROM scratch"),
                ("a", "the very same length."),
            ]);
            let context = Arc::new(scan(&build(home.path())).unwrap());
            context.hash().unwrap();
            files::write_shared(&home.path().join("a"), now.as_bytes()).unwrap();
            let error = archived(&context).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Changed(_)), "{now}: {error}");
        }
    }

    #[tokio::test]
    async fn a_file_of_any_century_is_archived_with_its_time() {
        // A second before 1970, and the year 2040, which 32 bits cannot say.
        for (seconds, told) in [(-1, 0), (2_208_988_800, 2_208_988_800)] {
            let home = directory(&[("Dockerfile", "FROM scratch"), ("a", "1")]);
            let time = rustix::fs::Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            };
            let times = rustix::fs::Timestamps {
                last_access: time,
                last_modification: time,
            };
            let flags = rustix::fs::AtFlags::empty();
            rustix::fs::utimensat(rustix::fs::CWD, home.path().join("a"), &times, flags).unwrap();
            let context = Arc::new(scan(&build(home.path())).unwrap());
            context.hash().unwrap();
            let chunks: Vec<Bytes> = context.archive().try_collect().await.unwrap();
            let whole = chunks.concat();
            let mut archive = tar::Archive::new(&*whole);
            let entries = archive.entries().unwrap().map(Result::unwrap);
            let of_a = entries.filter(|entry| entry.path().unwrap().ends_with("a"));
            let times: Vec<u64> = of_a.map(|entry| entry.header().mtime().unwrap()).collect();
            assert_eq!(times, [told]);
        }
    }
}
