//! What may follow what in an archive, and how much of it: asked by who writes as by who reads.

use std::cmp::Ordering;

use super::{
    Attributes, Bound, Entry, Kind, Problem, VolumeId, hash_list,
    names::{check, is_target, parent},
};

/// All bits that a mode has besides the kind.
const PERMISSIONS: u32 = 0o7777;
/// The largest number of a device that a header holds; those of the system are smaller.
const LARGEST_DEVICE: u32 = 0o777_7777;
/// The longest name of an extended attribute, in bytes.
const LONGEST_EXTENDED: usize = 255;

/// How much there may be of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Contents, with the holes of files, and extended attributes of all members, in bytes.
    pub total: u64,
    /// The length of a file, in bytes.
    pub file: u64,
    /// What is in the volumes.
    pub entries: u64,
    /// Pieces of data in a file with holes.
    pub segments: usize,
    /// What is remembered of a volume until its hash list, in bytes: for a file its path and 80 bytes.
    pub memory: u64,
}

impl Default for Limits {
    /// A terabyte, ten million entries, and 128 MiB of memory: a million files a volume.
    fn default() -> Self {
        Self {
            total: 1 << 40,
            file: 1 << 40,
            entries: 10_000_000,
            segments: 1 << 16,
            memory: 128 << 20,
        }
    }
}

/// What was written or read so far, as far as it decides what may follow.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) limits: Limits,
    total: u64,
    entries: u64,
    volume: Option<VolumeId>,
    /// The path of the volume's last entry, and whether it is a directory.
    last: Option<(Vec<u8>, bool)>,
    pub(super) known: Known,
}

impl Order {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            total: 0,
            entries: 0,
            volume: None,
            last: None,
            known: Known::default(),
        }
    }

    /// Begins a volume.
    pub(super) fn begin(&mut self, volume: &VolumeId) -> Result<(), Problem> {
        if self.volume.as_ref().is_some_and(|last| last >= volume) {
            return Err(Problem::Order);
        }
        self.volume = Some(volume.clone());
        self.last = None;
        self.known = Known::default();
        Ok(())
    }

    /// Takes an entry of the volume, or refuses it.
    pub(super) fn admit(&mut self, entry: &Entry) -> Result<(), Problem> {
        self.place(entry)?;
        plausible(entry)?;
        self.count(entry)?;
        let attributes = match &entry.kind {
            Kind::Symlink { target } if !is_target(target) => return Err(Problem::NoPath),
            Kind::Directory => None,
            Kind::HardLink { target } => {
                let known = self.known.find(target).ok_or(Problem::Target)?;
                if known.attributes != entry.attributes || !entry.extended.is_empty() {
                    return Err(Problem::Unlike);
                }
                None
            }
            _ => Some(entry.attributes),
        };
        if let Some(attributes) = attributes {
            self.known.add(&entry.path, attributes);
            let most = self.limits.memory;
            bounded(self.known.memory(), most, Bound::Memory)?;
        }
        let is_directory = entry.kind == Kind::Directory;
        match &mut self.last {
            Some((path, was_directory)) => {
                path.clear();
                path.extend_from_slice(&entry.path);
                *was_directory = is_directory;
            }
            None => self.last = Some((entry.path.clone(), is_directory)),
        }
        Ok(())
    }

    /// Refuses an entry that does not follow the last.
    fn place(&self, entry: &Entry) -> Result<(), Problem> {
        let Some((last, is_directory)) = &self.last else {
            // The volume itself comes first.
            let is_top = entry.path.is_empty() && entry.kind == Kind::Directory;
            return if is_top {
                Ok(())
            } else {
                Err(Problem::NoDirectory)
            };
        };
        let (directory, name) = parent(&entry.path).ok_or(Problem::Order)?;
        check(&entry.path).map_err(Problem::Name)?;
        if *is_directory && last == directory {
            return Ok(());
        }
        // Open are those above the last entry.
        match below(last, directory) {
            Some(before) if before < name => Ok(()),
            Some(_) => Err(Problem::Order),
            None => Err(Problem::NoDirectory),
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<(), Problem> {
        self.entries += 1;
        bounded(self.entries, self.limits.entries, Bound::Entries)?;
        let size = match &entry.kind {
            Kind::File(layout) => {
                let pieces = layout.data().len();
                bounded(pieces as u64, self.limits.segments as u64, Bound::Segments)?;
                layout.size()
            }
            _ => 0,
        };
        bounded(size, self.limits.file, Bound::File)?;
        let extended = entry.extended.iter();
        let extended = extended.map(|(name, value)| (name.len() + value.len()) as u64);
        let more = size.saturating_add(extended.sum());
        self.total = self.total.saturating_add(more);
        bounded(self.total, self.limits.total, Bound::Total)
    }

    /// Refuses the end of a volume of which there is nothing.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match self.last {
            Some(_) => Ok(()),
            None => Err(Problem::NoDirectory),
        }
    }
}

/// Refuses attributes that nothing can have.
fn plausible(entry: &Entry) -> Result<(), Problem> {
    let Attributes {
        mode,
        user,
        group,
        modified,
    } = entry.attributes;
    let is_device = match entry.kind {
        Kind::CharacterDevice(device) | Kind::BlockDevice(device) => {
            device.major <= LARGEST_DEVICE && device.minor <= LARGEST_DEVICE
        }
        _ => true,
    };
    let is_name =
        |name: &Vec<u8>| (1..=LONGEST_EXTENDED).contains(&name.len()) && !name.contains(&0);
    let is_plausible = mode <= PERMISSIONS
        && user != u32::MAX
        && group != u32::MAX
        && modified.nanoseconds < 1_000_000_000
        && is_device
        && entry.extended.keys().all(is_name);
    if is_plausible {
        Ok(())
    } else {
        Err(Problem::Attributes)
    }
}

/// The name directly below a directory in a path that leads through it.
fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(directory)?;
    let rest = if directory.is_empty() {
        rest
    } else {
        rest.strip_prefix(b"/")?
    };
    let name = rest.split(|byte| *byte == b'/').next()?;
    (!name.is_empty()).then_some(name)
}

pub(super) fn bounded(value: u64, most: u64, bound: Bound) -> Result<(), Problem> {
    if value > most {
        return Err(Problem::TooMuch { bound, most });
    }
    Ok(())
}

/// What of a volume is remembered: all first names of what is no directory, in their order.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Their paths, one after another.
    paths: Vec<u8>,
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    /// Where its path ends.
    path_end: usize,
    attributes: Attributes,
    /// The BLAKE3 of its contents, if it has some.
    contents: Option<[u8; 32]>,
}

impl Known {
    fn add(&mut self, path: &[u8], attributes: Attributes) {
        self.paths.extend_from_slice(path);
        self.files.push(File {
            path_end: self.paths.len(),
            attributes,
            contents: None,
        });
    }

    /// Remembers the hash of the last one's contents.
    pub(super) fn hashed(&mut self, hash: &blake3::Hash) {
        if let Some(last) = self.files.last_mut() {
            last.contents = Some(*hash.as_bytes());
        }
    }

    fn memory(&self) -> u64 {
        (self.paths.len() + self.files.len() * size_of::<File>()) as u64
    }

    fn path(&self, index: usize) -> &[u8] {
        let begin = match index {
            0 => 0,
            after => self.files[after - 1].path_end,
        };
        &self.paths[begin..self.files[index].path_end]
    }

    /// The attributes that something has.
    pub(super) fn attributes(&self, path: &[u8]) -> Option<Attributes> {
        self.find(path).map(|file| file.attributes)
    }

    fn find(&self, path: &[u8]) -> Option<&File> {
        let (mut low, mut high) = (0, self.files.len());
        while low < high {
            let middle = low.midpoint(high);
            match compare(self.path(middle), path) {
                Ordering::Equal => return Some(&self.files[middle]),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Paths and hashes of what has contents, by its number.
    pub(super) fn with_contents(&self, index: usize) -> Option<(&[u8], &[u8; 32])> {
        let hash = self.files.get(index)?.contents.as_ref()?;
        Some((self.path(index), hash))
    }

    pub(super) const fn count(&self) -> usize {
        self.files.len()
    }

    /// How long the hash list is, in bytes.
    pub(super) fn list_length(&self, volume: &[u8]) -> u64 {
        let mut line = Vec::new();
        let files = (0..self.files.len()).filter_map(|index| self.with_contents(index));
        files
            .map(|(path, hash)| {
                hash_list::line(hash, volume, path, &mut line);
                line.len() as u64
            })
            .sum()
    }
}

/// Depth first: a directory, what is in it, and only then other names that begin as it does.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    // No name has a NUL.
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.iter().map(rank).cmp(other.iter().map(rank))
}
