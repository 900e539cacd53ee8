//! Writes a volume as a part of an archive.

use std::{
    collections::HashMap,
    io::Write,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use devenv_agent::archive::{
    Attributes, Device, Entry, Error, Extended, Failure, Kind, Layout, Limits, Moment, Segment,
    VolumeId, VolumeWriter, Writer, nothing,
};
use rustix::{
    fs::{FileType, SeekFrom, Stat, fstat, major, minor, readlinkat, seek},
    io::{Errno, pread},
};

use super::{
    attributes::{Handle, Owner},
    contents::open_file,
    measure::{allocated, length},
    place::Root,
    progress::{Progress, Stopped},
    walk::{Found, Visitor, walk},
};
use crate::files::{PERMISSIONS, kind};

/// Writes the volume at a path. Nobody should write to it meanwhile: files are read one after another.
pub(super) fn pack(
    root: &Root,
    path: &[u8],
    volume: &VolumeId,
    limits: Limits,
    to: impl Write,
) -> Result<(), Failure> {
    let tree = root.tree(path)?;
    let mut writer = Writer::part(to, limits);
    let mut pack = Pack {
        volume: writer.volume(volume)?,
        segments: limits.segments,
        first_names: HashMap::new(),
        refused: None,
    };
    let packed = match pack.directory(Path::new(""), &tree.fd, &tree.stat) {
        Ok(()) => walk(&tree, &mut pack, &(), &Progress::default()),
        Err(stopped) => Err(stopped.at(Pack::<Vec<u8>>::DOING, &tree.whole)),
    };
    if let Some(refused) = pack.refused {
        return Err(refused.into());
    }
    packed?;
    pack.volume.end()?;
    writer.finish()?;
    Ok(())
}

struct Pack<'a, W: Write> {
    volume: VolumeWriter<'a, W>,
    /// How many pieces a file with holes has at most.
    segments: usize,
    /// Files with several hard links that were written, and their paths.
    first_names: HashMap<(u64, u64), Vec<u8>>,
    /// Why the archive takes no more.
    refused: Option<Error>,
}

impl<W: Write> Pack<'_, W> {
    fn directory(&mut self, path: &Path, directory: &OwnedFd, stat: &Stat) -> Result<(), Stopped> {
        let extended = Owner::Open(directory).extended()?;
        let entry = entry(path, Kind::Directory, stat, extended);
        let added = self.volume.add(&entry, nothing);
        self.taken(added)
    }

    fn file(&mut self, found: &Found<'_>) -> Result<bool, Stopped> {
        let Some((file, stat)) = open_file(found.directory, found.name)? else {
            return Ok(false);
        };
        let layout = layout(&file, &stat, self.segments)?;
        let extended = Owner::Open(&file).extended()?;
        let entry = entry(found.path, Kind::File(layout), &stat, extended);
        let added = self.volume.add(&entry, |at, room| {
            pread(&file, room, at).map_err(std::io::Error::from)
        });
        self.taken(added)?;
        Ok(true)
    }

    /// Writes what cannot be opened.
    fn special(&mut self, found: &Found<'_>) -> Result<bool, Stopped> {
        let file_type = kind(found.stat);
        let held = match Handle::new(found.directory, found.name, file_type) {
            Err(Errno::NOENT) => return Ok(false),
            held => held?,
        };
        let stat = held.stat;
        let device = Device {
            major: major(stat.st_rdev),
            minor: minor(stat.st_rdev),
        };
        let kind = match file_type {
            FileType::Symlink => Kind::Symlink {
                target: readlinkat(held.fd(), "", Vec::new())?.into_bytes(),
            },
            FileType::Fifo => Kind::Pipe,
            FileType::CharacterDevice => Kind::CharacterDevice(device),
            FileType::BlockDevice => Kind::BlockDevice(device),
            _ => return Err(Errno::INVAL.into()),
        };
        let extended = Owner::Named(held).extended()?;
        let added = self
            .volume
            .add(&entry(found.path, kind, &stat, extended), nothing);
        self.taken(added)?;
        Ok(true)
    }

    /// Ends the walk if the archive refuses.
    fn taken(&mut self, added: Result<(), Error>) -> Result<(), Stopped> {
        added.map_err(|error| {
            self.refused = Some(error);
            Stopped::Unwanted
        })
    }
}

impl<W: Write> Visitor for Pack<'_, W> {
    const DOING: &'static str = "pack";
    type Within = ();

    fn enter(&mut self, found: &Found<'_>, inner: &OwnedFd, (): &()) -> Result<(), Stopped> {
        // What is open may be another than what was found.
        self.directory(found.path, inner, &fstat(inner)?)
    }

    fn leave(&mut self, _: &OwnedFd, _: &Stat, (): ()) -> Result<(), Stopped> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>, (): &()) -> Result<(), Stopped> {
        let stat = found.stat;
        let path = found.path.as_os_str().as_bytes();
        let file = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.first_names.get(&file) {
            let added = self.volume.link(path, first);
            return self.taken(added);
        }
        let is_there = match kind(stat) {
            FileType::Socket => false,
            FileType::RegularFile => self.file(found)?,
            _ => self.special(found)?,
        };
        if is_there && stat.st_nlink > 1 {
            self.first_names.insert(file, path.to_vec());
        }
        Ok(())
    }
}

fn entry(
    path: &Path,
    kind: Kind,
    stat: &Stat,
    extended: Vec<(std::ffi::CString, Vec<u8>)>,
) -> Entry {
    let extended = extended.into_iter();
    Entry {
        path: path.as_os_str().as_bytes().to_vec(),
        kind,
        attributes: Attributes {
            mode: stat.st_mode & PERMISSIONS,
            user: stat.st_uid,
            group: stat.st_gid,
            modified: Moment {
                seconds: stat.st_mtime,
                nanoseconds: stat.st_mtime_nsec.try_into().unwrap_or(0),
            },
        },
        extended: extended
            .map(|(name, value)| (name.into_bytes(), value))
            .collect::<Extended>(),
    }
}

/// Where in a file its data is. Behind the last piece that there may be, holes are data too.
fn layout(file: &OwnedFd, stat: &Stat, most: usize) -> Result<Layout, Errno> {
    let size = length(stat);
    if allocated(stat) >= size {
        return Ok(Layout::whole(size));
    }
    let mut data = Vec::new();
    let mut at = 0;
    while at < size {
        let begin = match seek(file, SeekFrom::Data(at)) {
            Ok(begin) => begin.min(size),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error),
        };
        if begin == size {
            break;
        }
        at = if data.len() + 1 < most {
            seek(file, SeekFrom::Hole(begin))?.clamp(begin, size)
        } else {
            size
        };
        data.push(Segment {
            at: begin,
            length: at - begin,
        });
    }
    // What somebody writes to meanwhile may tell pieces that touch.
    Layout::sparse(size, data).ok_or(Errno::STALE)
}
