//! Writes an archive.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
};

use super::{
    Attributes, BLOCK, Bound, Device, Entry, Error, Extended, Kind, LONGEST_MANIFEST, Layout,
    Limits, MANIFEST, Moment, Problem, VolumeId, hash_list,
    header::{Flag, Header},
    order::{Order, bounded},
    output::Output,
    sparse,
};

/// The longest records of a pax header, in bytes.
pub(super) const LONGEST_RECORDS: usize = 1 << 20;

/// Writes an archive, or volumes that are to become a part of one.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: Output<W>,
    order: Order,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Archive,
    Part,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn archive(to: W, manifest: &[u8], limits: Limits) -> Result<Self, Error> {
        let mut writer = Self::new(to, limits, Form::Archive);
        let written = writer.manifest(manifest);
        written.map_err(|problem| problem.at(Some(MANIFEST), writer.output.offset))?;
        Ok(writer)
    }

    /// Begins a part: volumes without a manifest and an end, which [`Self::packed`] puts into an archive.
    pub fn part(to: W, limits: Limits) -> Self {
        Self::new(to, limits, Form::Part)
    }

    fn new(to: W, limits: Limits, form: Form) -> Self {
        Self {
            output: Output::new(to),
            order: Order::new(limits),
            form,
        }
    }

    fn manifest(&mut self, manifest: &[u8]) -> Result<(), Problem> {
        let length = manifest.len() as u64;
        bounded(length, LONGEST_MANIFEST as u64, Bound::Manifest)?;
        let mut header = Vec::new();
        plain(MANIFEST, length).encode(&mut header);
        self.put(&header)?;
        self.put(manifest)?;
        self.pad(length)
    }

    /// Begins a volume. They come in their order.
    pub fn volume(&mut self, volume: &VolumeId) -> Result<VolumeWriter<'_, W>, Error> {
        let begun = self.order.begin(volume);
        let name = volume.member(b"");
        begun.map_err(|problem| problem.at(Some(&name), self.output.offset))?;
        Ok(VolumeWriter {
            writer: self,
            volume: volume.clone(),
            name,
            header: Vec::new(),
        })
    }

    /// Adds a volume that was written as a part, byte by byte. It is not checked; who reads the archive does.
    pub fn packed(&mut self, volume: &VolumeId, from: &mut impl Read) -> Result<(), Error> {
        let copied = self.order.begin(volume).and_then(|()| self.copy(from));
        let name = volume.member(b"");
        copied.map_err(|problem| problem.at(Some(&name), self.output.offset))
    }

    fn copy(&mut self, from: &mut impl Read) -> Result<(), Problem> {
        loop {
            let room = self.output.room(u64::MAX);
            let room = room.map_err(|error| Problem::unwritable(&error))?;
            match from.read(room) {
                Ok(0) => return Ok(()),
                Ok(count) => self.output.took(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Problem::unreadable(&error)),
            };
        }
    }

    /// Ends it. Returns what it was written to.
    pub fn finish(mut self) -> Result<W, Error> {
        let (form, offset) = (self.form, self.output.offset);
        let ended = match form {
            Form::Archive => self.put(&[0; 2 * BLOCK]),
            Form::Part => Ok(()),
        };
        let finished = ended.and_then(|()| {
            let finished = self.output.finish();
            finished.map_err(|error| Problem::unwritable(&error))
        });
        finished.map_err(|problem| problem.at(None, offset))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let put = self.output.put(bytes);
        put.map_err(|error| Problem::unwritable(&error))
    }

    fn pad(&mut self, length: u64) -> Result<(), Problem> {
        let padded = self.output.pad(length);
        padded.map_err(|error| Problem::unwritable(&error))
    }
}

/// Writes a volume.
#[derive(Debug)]
pub struct VolumeWriter<'a, W: Write> {
    writer: &'a mut Writer<W>,
    volume: VolumeId,
    /// The name of its directory.
    name: Vec<u8>,
    /// Used again for each header.
    header: Vec<u8>,
}

/// The contents of what has none.
pub fn nothing(_: u64, _: &mut [u8]) -> io::Result<usize> {
    Ok(0)
}

impl<W: Write> VolumeWriter<'_, W> {
    /// Adds what is no hard link. `read` gives what there is from an offset of a file on; it is asked for its data alone.
    pub fn add(
        &mut self,
        entry: &Entry,
        read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> Result<(), Error> {
        let added = self.try_add(entry, read);
        added.map_err(|problem| self.failed(&entry.path, problem))
    }

    /// Adds another name of something that was added, by its first path.
    pub fn link(&mut self, path: &[u8], first: &[u8]) -> Result<(), Error> {
        let attributes = self.writer.order.known.attributes(first);
        let attributes = attributes.ok_or_else(|| self.failed(path, Problem::Target))?;
        let link = Entry {
            path: path.to_vec(),
            kind: Kind::HardLink {
                target: first.to_vec(),
            },
            attributes,
            extended: Extended::new(),
        };
        self.add(&link, nothing)
    }

    /// Ends the volume with its hash list.
    pub fn end(mut self) -> Result<(), Error> {
        let ended = self.writer.order.end().and_then(|()| self.hash_list());
        let name = self.volume.hash_list();
        ended.map_err(|problem| problem.at(Some(&name), self.writer.output.offset))
    }

    fn try_add(
        &mut self,
        entry: &Entry,
        read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> Result<(), Problem> {
        self.writer.order.admit(entry)?;
        self.header.clear();
        let (header, map) = header(&self.volume, entry);
        header.encode(&mut self.header);
        if self.header.len() > LONGEST_RECORDS + 2 * BLOCK {
            let most = LONGEST_RECORDS as u64;
            bounded(header.records_length() as u64, most, Bound::Records)?;
        }
        self.header.extend_from_slice(&map);
        let size = header.size;
        self.writer.put(&self.header)?;
        if let Kind::File(layout) = &entry.kind {
            let hash = self.contents(layout, read)?;
            self.writer.order.known.hashed(&hash);
            self.writer.pad(size)?;
        }
        Ok(())
    }

    fn contents(
        &mut self,
        layout: &Layout,
        mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> Result<blake3::Hash, Problem> {
        let mut hash = FileHash::new();
        let output = &mut self.writer.output;
        for piece in layout.data() {
            hash.hole(piece.at);
            let mut at = piece.at;
            while at < piece.end() {
                let room = output.room(piece.end() - at);
                let room = room.map_err(|error| Problem::unwritable(&error))?;
                let count = match read(at, room) {
                    Ok(0) => return Err(Problem::Shorter),
                    Ok(count) => count.min(room.len()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Problem::File(error.to_string())),
                };
                hash.data(output.took(count));
                at += count as u64;
            }
        }
        Ok(hash.end(layout.size()))
    }

    fn hash_list(&mut self) -> Result<(), Problem> {
        let writer = &mut *self.writer;
        let length = writer.order.known.list_length(&self.name);
        self.header.clear();
        plain(&self.volume.hash_list(), length).encode(&mut self.header);
        writer.put(&self.header)?;
        let mut line = Vec::new();
        for index in 0..writer.order.known.count() {
            if let Some((path, hash)) = writer.order.known.with_contents(index) {
                hash_list::line(hash, &self.name, path, &mut line);
                writer.put(&line)?;
            }
        }
        writer.pad(length)
    }

    fn failed(&self, path: &[u8], problem: Problem) -> Error {
        let name = self.volume.member(path);
        problem.at(Some(&name), self.writer.output.offset)
    }
}

/// The BLAKE3 of a file with its holes.
#[derive(Debug)]
pub(super) struct FileHash {
    hasher: blake3::Hasher,
    at: u64,
}

/// What holes are hashed with.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl FileHash {
    pub(super) fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            at: 0,
        }
    }

    /// Takes a hole up to an offset.
    pub(super) fn hole(&mut self, end: u64) {
        while self.at < end {
            let now = (end - self.at).min(ZEROS.len() as u64);
            // As many as there are at most.
            self.data(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())]);
        }
    }

    pub(super) fn data(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.at += data.len() as u64;
    }

    pub(super) fn end(mut self, size: u64) -> blake3::Hash {
        self.hole(size);
        self.hasher.finalize()
    }
}

/// The header of an entry, and the map that follows it if it has holes.
pub(super) fn header<'a>(volume: &VolumeId, entry: &'a Entry) -> (Header<'a>, Vec<u8>) {
    let mut name = volume.member(&entry.path);
    let none = Device { major: 0, minor: 0 };
    let (flag, target, device) = match &entry.kind {
        Kind::Directory => (Flag::Directory, Cow::Borrowed(&b""[..]), none),
        Kind::File(_) => (Flag::File, Cow::Borrowed(&b""[..]), none),
        Kind::Symlink { target } => (Flag::Symlink, Cow::Borrowed(&target[..]), none),
        Kind::HardLink { target } => (Flag::HardLink, Cow::Owned(volume.member(target)), none),
        Kind::Pipe => (Flag::Pipe, Cow::Borrowed(&b""[..]), none),
        Kind::CharacterDevice(device) => (Flag::CharacterDevice, Cow::Borrowed(&b""[..]), *device),
        Kind::BlockDevice(device) => (Flag::BlockDevice, Cow::Borrowed(&b""[..]), *device),
    };
    if flag == Flag::Directory && !name.ends_with(b"/") {
        name.push(b'/');
    }
    let (size, real_size, map) = match &entry.kind {
        Kind::File(layout) if layout.is_whole() => (layout.size(), None, Vec::new()),
        Kind::File(layout) => {
            let map = sparse::map(layout);
            let size = map.len() as u64 + layout.stored();
            (size, Some(layout.size()), map)
        }
        _ => (0, None, Vec::new()),
    };
    let header = Header {
        flag,
        name: Cow::Owned(name),
        target,
        attributes: entry.attributes,
        size,
        real_size,
        device,
        extended: Cow::Borrowed(&entry.extended),
    };
    (header, map)
}

/// The header of a file that is of the archive itself.
pub(super) fn plain(name: &[u8], size: u64) -> Header<'_> {
    Header {
        flag: Flag::File,
        name: Cow::Borrowed(name),
        target: Cow::Borrowed(b""),
        attributes: Attributes {
            mode: 0o644,
            user: 0,
            group: 0,
            modified: Moment {
                seconds: 0,
                nanoseconds: 0,
            },
        },
        size,
        real_size: None,
        device: Device { major: 0, minor: 0 },
        extended: Cow::Owned(Extended::new()),
    }
}
