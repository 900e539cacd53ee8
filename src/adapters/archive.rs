//! Archives of snapshots as files of this machine: compressed, for the user alone, and read to their end before
//! anything of them is used.
//!
//! A file is one zstd frame, and behind it a frame that zstd skips, with the BLAKE3 of all before it: of a compressed
//! stream some bits mean nothing, and the manifest in it is told by no other hash.
//!
//! What an archive consists of is `devenv_agent::archive`'s business. Everything here blocks: it belongs on a thread of
//! its own.

use std::{
    io::{self, BufWriter, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
pub use devenv_agent::archive::VolumeId;
use devenv_agent::archive::{Error, Limits, Member, Problem, Reader, Totals, Writer};
use tokio::sync::mpsc::{Receiver, Sender};
use zstd::{Decoder, Encoder};

use super::files::{self, FileError, Operation};
use crate::domain::{ExitClass, Failure};

/// As fast as the disk on two processors; more costs far more time than it saves space.
const LEVEL: i32 = 1;
/// How much is read and written in one go, in bytes.
const PIECE: usize = 256 * 1024;
/// The largest window of a compressed stream that is accepted, as a power of two: how much memory reading takes.
const LARGEST_WINDOW: u32 = 27;

/// What the frame begins with that zstd skips: its number, of the sixteen that there are, and its length.
const SEAL: [u8; 8] = [0x5d, 0x2a, 0x4d, 0x18, 32, 0, 0, 0];
/// The length of that frame, in bytes.
const SEAL_LENGTH: u64 = 40;

/// What is wrong with an archive, or with the file that it is in.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive is not one, or is damaged.
    #[error("{} cannot be used", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Error,
    },
    /// The file is no archive, or not what was written.
    #[error("{} is not a file as devenv exported it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What tells that.
        sign: &'static str,
    },
    /// What should go into it did not come.
    #[error("{} could not be written", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Error,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ArchiveError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Refused { path, source } => {
                Failure::new("archive.refused", ExitClass::Data, self.to_string())
                    .because(source.to_string())
                    .help("get the file again: it was damaged, or cut off, on its way")
                    .help(format!(
                        "zstd --test {}   # finds the same where that is installed",
                        path.display()
                    ))
            }
            Self::Damaged { sign, .. } => {
                Failure::new("archive.refused", ExitClass::Data, self.to_string())
                    .because(*sign)
                    .help("get the file again: it was damaged, or cut off, on its way")
            }
            Self::NotWritten { source, .. } => {
                Failure::new("archive.not-written", ExitClass::Data, self.to_string())
                    .because(source.to_string())
                    .help("look at the disk: df -h")
            }
            Self::File(error) => error.failure(),
        }
    }
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some of it.
    Bytes(Bytes),
    /// All of it has come: a stream that ends without this was broken off.
    End,
}

/// A volume on its way into an archive.
#[derive(Debug)]
pub struct Part {
    /// Which.
    pub volume: VolumeId,
    /// What an agent packed.
    pub pieces: Receiver<Piece>,
}

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its manifest.
    pub manifest: Vec<u8>,
    /// Its volumes, in order.
    pub volumes: Vec<(VolumeId, Totals)>,
}

/// Writes an archive of `parts`, which come in the order of their names, to a file that is not there yet; returns how
/// long it is, in bytes. It is there whole or not at all. Mode 0600.
pub fn write(path: &Path, manifest: &[u8], mut parts: Receiver<Part>) -> Result<u64, ArchiveError> {
    let failed = |source| ArchiveError::NotWritten {
        path: path.to_owned(),
        source,
    };
    let file = files::NewFile::beside(path)?;
    let (to, hash) = hashed(file.as_file());
    let compressed = compressor(to).map_err(|error| file_error(path, error))?;
    let mut writer = Writer::archive(compressed, manifest, Limits::default()).map_err(failed)?;
    while let Some(part) = parts.blocking_recv() {
        let Part { volume, pieces } = part;
        let mut pieces = Pieces::new(pieces);
        writer.packed(&volume, &mut pieces).map_err(failed)?;
    }
    let compressed = writer.finish().map_err(failed)?;
    let ended = compressed.finish().and_then(|mut buffer| buffer.flush());
    let sealed = ended.and_then(|()| {
        let mut file = file.as_file();
        file.write_all(&SEAL)?;
        file.write_all(hash.finish().as_bytes())
    });
    sealed.map_err(|error| file_error(path, error))?;
    Ok(file.keep()?)
}

fn compressor<W: Write>(to: W) -> io::Result<Encoder<'static, BufWriter<W>>> {
    let buffer = BufWriter::with_capacity(PIECE, to);
    let mut encoder = Encoder::new(buffer, LEVEL)?;
    encoder.include_checksum(true)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
    Ok(encoder)
}

/// Reads an archive to its end, which holds at most `room` bytes: all of it is as it was written, or it is refused.
/// `told` hears how many bytes of contents were read.
pub fn check(path: &Path, room: u64, mut told: impl FnMut(u64)) -> Result<Checked, ArchiveError> {
    let refused = |source| ArchiveError::Refused {
        path: path.to_owned(),
        source,
    };
    let limits = Limits {
        total: room,
        file: room,
        ..Limits::default()
    };
    let (from, hash, sealed) = open(path)?;
    let mut reader = Reader::new(from, limits);
    let (mut manifest, mut volumes, mut now, mut bytes) = (Vec::new(), Vec::new(), None, 0);
    while let Some(member) = reader.member().map_err(refused)? {
        match member {
            Member::Manifest(text) => manifest = text,
            Member::Volume(volume) => now = Some(volume),
            Member::Entry(_) => {
                while let Some(chunk) = reader.chunk().map_err(refused)? {
                    bytes += chunk.bytes.len() as u64;
                    told(bytes);
                }
            }
            Member::End(totals) => volumes.extend(now.take().map(|volume| (volume, totals))),
        }
    }
    if hash.finish().as_bytes() != &sealed {
        return Err(damaged(path, "its hash is another than the one at its end"));
    }
    Ok(Checked { manifest, volumes })
}

/// Sends all of an archive, uncompressed; ends early where nobody listens any more.
pub fn send(path: &Path, to: &Sender<Piece>) -> Result<(), ArchiveError> {
    let (mut from, ..) = open(path)?;
    loop {
        let mut piece = vec![0; PIECE];
        let count = from.read(&mut piece).map_err(|error| {
            let problem = Problem::Unreadable(error.to_string());
            ArchiveError::Refused {
                path: path.to_owned(),
                source: Error {
                    problem,
                    member: None,
                    offset: 0,
                },
            }
        })?;
        piece.truncate(count);
        let piece = match count {
            0 => Piece::End,
            _ => Piece::Bytes(piece.into()),
        };
        let is_last = piece == Piece::End;
        if to.blocking_send(piece).is_err() || is_last {
            return Ok(());
        }
    }
}

/// What is in a file, the hash of what was read of it, and the hash that it should have.
fn open(path: &Path) -> Result<(impl Read, Hash, [u8; 32]), ArchiveError> {
    let read_error = |source| FileError {
        operation: Operation::Read,
        path: path.to_owned(),
        source,
    };
    let mut file = files::open(path)?;
    let length = file.seek(SeekFrom::End(0)).map_err(read_error)?;
    let contents = length.checked_sub(SEAL_LENGTH);
    let contents = contents.ok_or_else(|| damaged(path, "it is too short"))?;
    let mut seal = [0; SEAL.len()];
    let mut sealed = [0; 32];
    let mut ends = || -> io::Result<()> {
        file.seek(SeekFrom::Start(contents))?;
        file.read_exact(&mut seal)?;
        file.read_exact(&mut sealed)?;
        file.rewind()
    };
    ends().map_err(read_error)?;
    if seal != SEAL {
        return Err(damaged(
            path,
            "what exported files end with is not at its end",
        ));
    }
    let (from, hash) = hashed(file.take(contents));
    let mut decoder = Decoder::new(from).map_err(|error| file_error(path, error))?;
    let limited = decoder.window_log_max(LARGEST_WINDOW);
    limited.map_err(|error| file_error(path, error))?;
    Ok((decoder, hash, sealed))
}

fn damaged(path: &Path, sign: &'static str) -> ArchiveError {
    ArchiveError::Damaged {
        path: path.to_owned(),
        sign,
    }
}

/// The hash of all that went through a stream so far.
#[derive(Clone, Default)]
struct Hash(Arc<Mutex<blake3::Hasher>>);

impl Hash {
    fn update(&self, bytes: &[u8]) {
        let mut hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.update(bytes);
    }

    fn finish(&self) -> blake3::Hash {
        let hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.finalize()
    }
}

/// A stream, and the hash of what goes through it.
fn hashed<S>(stream: S) -> (Hashed<S>, Hash) {
    let hash = Hash::default();
    let of = hash.clone();
    (Hashed { stream, hash }, of)
}

struct Hashed<S> {
    stream: S,
    hash: Hash,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(room)?;
        self.hash.update(&room[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn file_error(path: &Path, source: io::Error) -> FileError {
    FileError {
        operation: Operation::Write,
        path: path.to_owned(),
        source,
    }
}

/// Pieces as something to read.
struct Pieces {
    from: Receiver<Piece>,
    now: Bytes,
    has_ended: bool,
}

impl Pieces {
    const fn new(from: Receiver<Piece>) -> Self {
        Self {
            from,
            now: Bytes::new(),
            has_ended: false,
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() && !self.has_ended {
            match self.from.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.now = bytes,
                Some(Piece::End) => self.has_ended = true,
                None => return Err(io::Error::other("what should go into it was broken off")),
            }
        }
        let count = room.len().min(self.now.len());
        room[..count].copy_from_slice(&self.now.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use devenv_agent::archive::{Attributes, Entry, Extended, Kind, Layout, Moment, nothing};
    use tokio::sync::mpsc::channel;

    use super::*;

    const TEXT: &[u8] = b"what is in the file";

    fn volume() -> VolumeId {
        VolumeId::new(b"postgres", b"data").unwrap()
    }

    /// What an agent packs of a volume with one file.
    fn packed() -> Vec<u8> {
        packed_with(TEXT)
    }

    fn packed_with(contents: &[u8]) -> Vec<u8> {
        let attributes = Attributes {
            mode: 0o700,
            user: 1,
            group: 1,
            modified: Moment {
                seconds: 1,
                nanoseconds: 0,
            },
        };
        let entry = |path: &[u8], kind| Entry {
            path: path.to_vec(),
            kind,
            attributes,
            extended: Extended::new(),
        };
        let mut writer = Writer::part(Vec::new(), Limits::default());
        let mut volume = writer.volume(&volume()).unwrap();
        volume.add(&entry(b"", Kind::Directory), nothing).unwrap();
        let file = entry(b"file", Kind::File(Layout::whole(contents.len() as u64)));
        volume
            .add(&file, |at, room| {
                let rest = &contents[usize::try_from(at).unwrap()..];
                let count = rest.len().min(room.len());
                room[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            })
            .unwrap();
        volume.end().unwrap();
        writer.finish().unwrap()
    }

    fn written(path: &Path, pieces: Vec<Piece>) -> Result<u64, ArchiveError> {
        let (parts, receiver) = channel(1);
        let (sender, pieces_receiver) = channel(pieces.len().max(1));
        for piece in pieces {
            sender.blocking_send(piece).unwrap();
        }
        drop(sender);
        let part = Part {
            volume: volume(),
            pieces: pieces_receiver,
        };
        parts.blocking_send(part).unwrap();
        drop(parts);
        write(path, b"{}", receiver)
    }

    #[test]
    fn what_is_written_is_read_and_sent_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        let length = written(&path, vec![Piece::Bytes(packed().into()), Piece::End]).unwrap();
        assert_eq!(files::read(&path).unwrap().len() as u64, length);
        let checked = check(&path, 1 << 20, |_| {}).unwrap();
        assert_eq!(checked.manifest, b"{}");
        let totals = Totals {
            files: 1,
            bytes: TEXT.len() as u64,
        };
        assert_eq!(checked.volumes, [(volume(), totals)]);
        let (to, mut from) = channel(100);
        send(&path, &to).unwrap();
        drop(to);
        let mut sent = Vec::new();
        while let Some(Piece::Bytes(bytes)) = from.blocking_recv() {
            sent.extend_from_slice(&bytes);
        }
        let mut reader = Reader::new(&sent[..], Limits::default());
        assert_eq!(
            reader.member().unwrap(),
            Some(Member::Manifest(b"{}".to_vec()))
        );
    }

    #[test]
    fn what_is_broken_off_leaves_no_file_and_none_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        let broken = written(&path, vec![Piece::Bytes(packed().into())]).unwrap_err();
        assert_eq!(broken.failure().code.0, "archive.not-written");
        assert!(files::list(home.path()).unwrap().is_empty());
        files::write_private(&path, b"mine").unwrap();
        let taken = written(&path, vec![Piece::Bytes(packed().into()), Piece::End]).unwrap_err();
        assert_eq!(taken.failure().code.0, "files.exists");
        assert_eq!(files::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        written(&path, vec![Piece::Bytes(packed().into()), Piece::End]).unwrap();
        let good = files::read(&path).unwrap();
        let is_refused = |bytes: &[u8]| {
            let other = home.path().join("other");
            files::write_private(&other, bytes).unwrap();
            check(&other, 1 << 20, |_| {}).is_err()
        };
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(is_refused(&bad), "bit {at} of {}", good.len() * 8);
        }
        for length in 0..good.len() {
            assert!(is_refused(&good[..length]), "{length} of {}", good.len());
        }
    }

    #[test]
    fn a_thousand_flipped_bits_of_a_long_file_are_found() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        let mut number: u64 = 0x5eed;
        let mut next = || {
            // xorshift
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            number
        };
        // What cannot be compressed, so that a bit in the file is one of the contents.
        let contents: Vec<u8> = (0..20_000).map(|_| next().to_le_bytes()[0]).collect();
        let packed = packed_with(&contents);
        written(&path, vec![Piece::Bytes(packed.into()), Piece::End]).unwrap();
        let good = files::read(&path).unwrap();
        assert!(good.len() > contents.len());
        let found = (0..1000).filter(|_| {
            let bit = usize::try_from(next() % (good.len() as u64 * 8)).unwrap();
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let other = home.path().join("other");
            files::write_private(&other, &bad).unwrap();
            check(&other, 1 << 20, |_| {}).is_err()
        });
        assert_eq!(found.count(), 1000);
    }

    #[test]
    fn more_than_there_is_room_for_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        written(&path, vec![Piece::Bytes(packed().into()), Piece::End]).unwrap();
        assert!(check(&path, 3, |_| {}).is_err());
    }
}
