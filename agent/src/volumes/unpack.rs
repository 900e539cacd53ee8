//! Makes the volumes of an archive: under a temporary name first, so that they are there all and whole or not at all.

use std::{
    ffi::{CString, OsStr},
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use devenv_agent::archive::{
    Device, Entry, Failure, Kind, Layout, Limits, Member, Reader, Totals, Unpacked, VolumeId,
};
use rustix::{
    fs::{
        FileType, Mode, Timespec, Timestamps, UTIME_OMIT, ftruncate, makedev, mkdirat, mknodat,
        symlinkat, syncfs,
    },
    io::Errno,
};

use super::{
    attributes::{Belongings, Handle, Owner},
    contents::write_at,
    made::{link, make_file},
    place::{Place, Root},
    temporary::{Temporary, sweep},
};
use crate::files::{at, open_directory};

const DOING: &str = "unpack to";

/// Makes `<service>/<volume>` in a directory at a path where nothing is. At any failure nothing is left there.
pub(super) fn unpack(
    root: &Root,
    path: &[u8],
    from: impl Read,
    limits: Limits,
) -> Result<Vec<Unpacked>, Failure> {
    let place = root.place(path)?;
    place.refuse_taken(DOING)?;
    sweep(&place);
    let made = Temporary::make(&place).map_err(|error| place.failed(DOING, error))?;
    let unpacked = fill(&place, &made, from, limits).and_then(|volumes| {
        let settled = syncfs(&made.fd).and_then(|()| made.take_place(&place));
        settled.map_err(|error| place.failed(DOING, error))?;
        Ok(volumes)
    });
    if unpacked.is_err() {
        // What cannot be removed now is left to the next sweep: why it failed says more.
        let _ = made.remove(&place);
    }
    let unpacked = unpacked?;
    place.settle(DOING)?;
    Ok(unpacked)
}

/// Makes all volumes in a directory.
fn fill(
    place: &Place,
    made: &Temporary,
    from: impl Read,
    limits: Limits,
) -> Result<Vec<Unpacked>, Failure> {
    let mut reader = Reader::new(from, limits);
    let mut unpack = Unpack {
        top: &made.fd,
        whole: &place.whole,
        service: None,
        volume: None,
        open: Vec::new(),
    };
    let mut volumes = Vec::new();
    while let Some(member) = reader.member()? {
        match member {
            Member::Manifest(_) => {}
            Member::Volume(volume) => unpack.begin(volume)?,
            Member::Entry(entry) => unpack.make(&entry, &mut reader)?,
            Member::End(totals) => volumes.extend(unpack.end(totals)?),
        }
    }
    Ok(volumes)
}

struct Unpack<'a> {
    /// The directory in which all is made.
    top: &'a OwnedFd,
    /// Where that will be, to be told.
    whole: &'a Path,
    /// The service whose directory was made last.
    service: Option<(String, OwnedFd)>,
    volume: Option<VolumeId>,
    /// The volume and the directories in it down to the last entry.
    open: Vec<Open>,
}

/// A directory that is being filled.
struct Open {
    fd: OwnedFd,
    /// Where it is, to be told.
    path: Vec<u8>,
    /// What it gets once nothing is made in it any more.
    belongings: Belongings,
}

impl Unpack<'_> {
    fn begin(&mut self, volume: VolumeId) -> Result<(), Failure> {
        let is_there = |(made, _): &(String, OwnedFd)| made == volume.service();
        if !self.service.as_ref().is_some_and(is_there) {
            let name = Path::new(volume.service());
            let made = make_directory(self.top, name);
            let made = made.map_err(|error| at(DOING, &self.whole.join(name), error))?;
            self.service = Some((volume.service().to_owned(), made));
        }
        self.volume = Some(volume);
        Ok(())
    }

    fn end(&mut self, totals: Totals) -> Result<Option<Unpacked>, Failure> {
        self.close(0)?;
        Ok(self.volume.take().map(|volume| Unpacked {
            service: volume.service().to_owned(),
            volume: volume.volume().to_owned(),
            files: totals.files,
            bytes: totals.bytes,
        }))
    }

    fn make(&mut self, entry: &Entry, reader: &mut Reader<impl Read>) -> Result<(), Failure> {
        // The reader has seen to it that what is above the entry was made last.
        let depth = match &entry.path[..] {
            b"" => 0,
            path => path.split(|byte| *byte == b'/').count(),
        };
        self.close(depth)?;
        match &entry.kind {
            Kind::Directory => {
                let fd = self.told(&entry.path, self.directory(&entry.path))?;
                self.open.push(Open {
                    fd,
                    path: entry.path.clone(),
                    belongings: belongings(entry),
                });
            }
            Kind::File(layout) => self.file(entry, layout, reader)?,
            _ => self.told(&entry.path, self.special(entry))?,
        }
        Ok(())
    }

    fn directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            let volume = self.volume.as_ref().ok_or(Errno::INVAL)?;
            let (_, service) = self.service.as_ref().ok_or(Errno::INVAL)?;
            return make_directory(service, Path::new(volume.volume()));
        }
        make_directory(self.above()?, name(path)?)
    }

    fn file(
        &self,
        entry: &Entry,
        layout: &Layout,
        reader: &mut Reader<impl Read>,
    ) -> Result<(), Failure> {
        let made = name(&entry.path).and_then(|name| make_file(self.above()?, name));
        let file = self.told(&entry.path, made)?;
        while let Some(chunk) = reader.chunk()? {
            self.told(&entry.path, write_at(&file, chunk.bytes, chunk.at))?;
        }
        let finished = || {
            if !layout.is_whole() {
                // What ends with a hole is as long all the same.
                ftruncate(&file, layout.size())?;
            }
            belongings(entry).give(&Owner::Open(&file))
        };
        self.told(&entry.path, finished())
    }

    /// Makes what has no contents and is no directory.
    fn special(&self, entry: &Entry) -> Result<(), Errno> {
        let (above, name) = (self.above()?, name(&entry.path)?);
        let none = Device { major: 0, minor: 0 };
        let (kind, device) = match &entry.kind {
            Kind::HardLink { target } => {
                let volume = self.open.first().ok_or(Errno::INVAL)?;
                return link(
                    &volume.fd,
                    Path::new(OsStr::from_bytes(target)),
                    above,
                    name,
                );
            }
            Kind::Symlink { target } => {
                symlinkat(&target[..], above, name)?;
                let link = Handle::new(above, name, FileType::Symlink)?;
                return belongings(entry).give(&Owner::Named(link));
            }
            Kind::Pipe => (FileType::Fifo, none),
            Kind::CharacterDevice(device) => (FileType::CharacterDevice, *device),
            Kind::BlockDevice(device) => (FileType::BlockDevice, *device),
            Kind::Directory | Kind::File(_) => return Err(Errno::INVAL),
        };
        let device = makedev(device.major, device.minor);
        mknodat(above, name, kind, Mode::empty(), device)?;
        belongings(entry).give(&Owner::Named(Handle::new(above, name, kind)?))
    }

    /// The directory in which the next entry is.
    fn above(&self) -> Result<&OwnedFd, Errno> {
        let above = self.open.last().ok_or(Errno::INVAL)?;
        Ok(&above.fd)
    }

    /// Leaves directories until so many are open. They get what belongs to them now that nothing more is made in them.
    fn close(&mut self, depth: usize) -> Result<(), Failure> {
        while self.open.len() > depth {
            if let Some(left) = self.open.pop() {
                let given = left.belongings.give(&Owner::Open(&left.fd));
                self.told(&left.path, given)?;
            }
        }
        Ok(())
    }

    fn told<T>(&self, path: &[u8], done: Result<T, Errno>) -> Result<T, Failure> {
        done.map_err(|error| {
            let mut whole = self.whole.to_owned();
            if let Some(volume) = &self.volume {
                whole.extend([volume.service(), volume.volume()]);
            }
            if !path.is_empty() {
                whole.push(OsStr::from_bytes(path));
            }
            at(DOING, &whole, error).into()
        })
    }
}

fn make_directory(above: &OwnedFd, name: &Path) -> Result<OwnedFd, Errno> {
    mkdirat(above, name, Mode::RWXU)?;
    open_directory(above, name)
}

/// The last name of a path.
fn name(path: &[u8]) -> Result<&Path, Errno> {
    let path = Path::new(OsStr::from_bytes(path));
    path.file_name().map(Path::new).ok_or(Errno::INVAL)
}

fn belongings(entry: &Entry) -> Belongings {
    let attributes = entry.attributes;
    let modified = attributes.modified;
    let extended = entry.extended.iter();
    Belongings {
        user: attributes.user,
        group: attributes.group,
        mode: Mode::from_raw_mode(attributes.mode),
        times: Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: modified.seconds,
                tv_nsec: modified.nanoseconds.into(),
            },
        },
        extended: extended
            // The reader has seen to it that no name has a NUL.
            .filter_map(|(name, value)| Some((CString::new(&name[..]).ok()?, value.clone())))
            .collect(),
    }
}
