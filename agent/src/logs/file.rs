//! The files of a run: how they are called, and their contents.

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use devenv_agent::log_protocol::FileId;
use flate2::read::MultiGzDecoder;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// What the kubelet puts behind the name of a file that it packed.
const PACKED: &str = ".gz";
/// The digits of the time in the name of a file that was rotated, and what else is in it.
const ROTATED: &str = "00000000-000000";

/// A file's place among those of its run, in the order of what they hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It was rotated at this time, as it is written in its name.
    Rotated(String),
    /// It is written to.
    Current,
}

/// The name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) run: u32,
    pub(super) place: Place,
    pub(super) is_packed: bool,
}

impl Name {
    /// What `3.log`, `3.log.20260102-030405` and `3.log.20260102-030405.gz` say; nothing for others.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (run, rest) = text.split_once(".log")?;
        let run = run.parse().ok()?;
        let (rest, is_packed) = match rest.strip_suffix(PACKED) {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let place = match rest.strip_prefix('.') {
            Some(time) => Place::Rotated(is_time(time).then(|| time.to_owned())?),
            None if rest.is_empty() && !is_packed => Place::Current,
            None => return None,
        };
        Some(Self {
            run,
            place,
            is_packed,
        })
    }

    fn text(&self) -> String {
        let packed = if self.is_packed { PACKED } else { "" };
        match &self.place {
            Place::Current => format!("{}.log", self.run),
            Place::Rotated(time) => format!("{}.log.{time}{packed}", self.run),
        }
    }
}

fn is_time(text: &str) -> bool {
    let same_kind = |(have, want): (u8, u8)| have.is_ascii_digit() == want.is_ascii_digit();
    text.len() == ROTATED.len() && text.bytes().zip(ROTATED.bytes()).all(same_kind)
}

/// The files of a run in a directory, in the order of what they hold; none where the directory is gone.
pub(super) fn files_of(directory: &Path, run: u32) -> io::Result<Vec<Name>> {
    let mut names: Vec<Name> = names(directory)?;
    names.retain(|name| name.run == run);
    names.sort_by(|a, b| (&a.place, a.is_packed).cmp(&(&b.place, b.is_packed)));
    // One that is packed right now is there in both forms.
    names.dedup_by(|later, kept| later.place == kept.place);
    Ok(names)
}

/// All files of runs in a directory.
pub(super) fn names(directory: &Path) -> io::Result<Vec<Name>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(Name::read));
    }
    Ok(names)
}

/// An open file of a run.
#[derive(Debug)]
pub(super) struct LogFile {
    contents: Contents,
    /// Whose it is on its file system.
    pub(super) inode: u64,
}

#[derive(Debug)]
enum Contents {
    Plain(File),
    Packed {
        unpacked: Box<MultiGzDecoder<File>>,
        /// What was unpacked and not yet taken.
        ahead: Vec<u8>,
        /// How many bytes were taken.
        taken: u64,
    },
}

impl LogFile {
    /// Opens a file; nothing if it is gone, or none.
    pub(super) fn open(directory: &Path, name: &Name) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(CWD, directory.join(name.text()), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let contents = if name.is_packed {
            Contents::Packed {
                unpacked: Box::new(MultiGzDecoder::new(file)),
                ahead: Vec::new(),
                taken: 0,
            }
        } else {
            Contents::Plain(file)
        };
        Ok(Some(Self {
            contents,
            inode: metadata.ino(),
        }))
    }

    /// Which one it is, as far as it is written.
    pub(super) fn id(&mut self) -> io::Result<FileId> {
        let mut beginning = [0; FileId::LOOKED_AT];
        let count = self.peek(0, &mut beginning)?;
        Ok(FileId::of(&beginning[..count]))
    }

    /// Fills the buffer with what is behind `offset`, and returns how much there was. What is packed is unpacked once:
    /// it cannot be read before an offset that was taken.
    pub(super) fn peek(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.contents {
            Contents::Plain(file) => read_at(file, offset, buffer),
            Contents::Packed {
                unpacked,
                ahead,
                taken,
            } => {
                while *taken < offset {
                    let wanted = usize::try_from(offset - *taken).unwrap_or(usize::MAX);
                    if ahead.is_empty() && !unpack(unpacked, ahead, buffer.len())? {
                        return Ok(0);
                    }
                    let count = wanted.min(ahead.len());
                    ahead.drain(..count);
                    *taken += count as u64;
                }
                let missing = buffer.len().saturating_sub(ahead.len());
                unpack(unpacked, ahead, missing)?;
                let count = buffer.len().min(ahead.len());
                buffer[..count].copy_from_slice(&ahead[..count]);
                Ok(count)
            }
        }
    }

    /// Its length; nothing where it is packed.
    pub(super) fn length(&self) -> io::Result<Option<u64>> {
        match &self.contents {
            Contents::Plain(file) => Ok(Some(file.metadata()?.len())),
            Contents::Packed { .. } => Ok(None),
        }
    }

    /// Whether nobody writes to it for certain: it was removed, or it is packed.
    pub(super) fn is_over(&self) -> io::Result<bool> {
        match &self.contents {
            Contents::Plain(file) => Ok(file.metadata()?.nlink() == 0),
            Contents::Packed { .. } => Ok(true),
        }
    }

    /// Its name, the last one where it has none any more.
    pub(super) fn last_name(&self) -> Option<Name> {
        let Contents::Plain(file) = &self.contents else {
            return None;
        };
        let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        let name = PathBuf::from(link.file_name()?);
        let text = std::str::from_utf8(name.as_os_str().as_bytes()).ok()?;
        Name::read(text.strip_suffix(" (deleted)").unwrap_or(text))
    }
}

fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Unpacks up to so many bytes more; whether there were any.
fn unpack(from: &mut MultiGzDecoder<File>, to: &mut Vec<u8>, count: usize) -> io::Result<bool> {
    Ok(from.take(count as u64).read_to_end(to)? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_run_and_the_order() {
        let read = |text: &str| Name::read(text).map(|name| (name.run, name.place, name.is_packed));
        let rotated = Place::Rotated("20260102-030405".to_owned());
        assert_eq!(read("0.log"), Some((0, Place::Current, false)));
        assert_eq!(
            read("12.log.20260102-030405"),
            Some((12, rotated.clone(), false))
        );
        assert_eq!(
            read("0.log.20260102-030405.gz"),
            Some((0, rotated.clone(), true))
        );
        assert!(rotated < Place::Rotated("20260102-030406".to_owned()));
        assert!(rotated < Place::Current);
        for other in [
            "0.log.20260102-030405.tmp",
            "0.log.gz",
            "0.log.old",
            "x.log",
            "0.txt",
            "0.log20260102-030405",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_written_as_it_was_read() {
        for text in ["0.log", "3.log.20260102-030405", "3.log.20260102-030405.gz"] {
            assert_eq!(Name::read(text).unwrap().text(), text);
        }
    }
}
