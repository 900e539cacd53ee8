//! What is in an archive.

use std::{collections::BTreeMap, fmt};

use super::{HASHES, VOLUMES};

/// A volume: the service that it belongs to, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId {
    service: String,
    volume: String,
}

/// The longest name of a service or a volume, in bytes.
const LONGEST_LABEL: usize = 63;

impl VolumeId {
    /// `None` unless both are labels: lower-case letters, digits and `-`, which is neither first nor last.
    pub fn new(service: &[u8], volume: &[u8]) -> Option<Self> {
        Some(Self {
            service: label(service)?,
            volume: label(volume)?,
        })
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The name of the volume, which is unique in the service.
    pub fn volume(&self) -> &str {
        &self.volume
    }

    /// The name in an archive of the volume itself or, with a path, of what is in it.
    pub(super) fn member(&self, path: &[u8]) -> Vec<u8> {
        let mut name = self.below(VOLUMES);
        name.push(b'/');
        name.extend_from_slice(path);
        name
    }

    /// The name of the hash list.
    pub(super) fn hash_list(&self) -> Vec<u8> {
        self.below(HASHES)
    }

    fn below(&self, directory: &[u8]) -> Vec<u8> {
        [
            directory,
            self.service.as_bytes(),
            b"/",
            self.volume.as_bytes(),
        ]
        .concat()
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.volume)
    }
}

fn label(text: &[u8]) -> Option<String> {
    let is_inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_label = (1..=LONGEST_LABEL).contains(&text.len())
        && text.iter().all(is_inner)
        && !text.starts_with(b"-")
        && !text.ends_with(b"-");
    let text = is_label.then(|| text.to_vec())?;
    String::from_utf8(text).ok()
}

/// Extended attributes: values by names.
pub type Extended = BTreeMap<Vec<u8>, Vec<u8>>;

/// Something in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the volume, empty for its directory itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its mode, owner and time.
    pub attributes: Attributes,
    /// Empty for a hard link.
    pub extended: Extended,
}

/// What something in a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file; its contents follow.
    File(Layout),
    /// A symbolic link.
    Symlink {
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// Another name of something before it in the same volume.
    HardLink {
        /// The first name of that, relative to the volume.
        target: Vec<u8>,
    },
    /// A named pipe.
    Pipe,
    /// A character device.
    CharacterDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

/// The number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// What drives it.
    pub major: u32,
    /// Which of those that are driven so.
    pub minor: u32,
}

/// What everything has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The owner's group.
    pub group: u32,
    /// When the contents were changed last.
    pub modified: Moment,
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after that, less than a second.
    pub nanoseconds: u32,
}

/// Where in a file its data is. All else are holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    size: u64,
    data: Vec<Segment>,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub at: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Segment {
    /// Where it ends.
    pub const fn end(self) -> u64 {
        self.at.saturating_add(self.length)
    }
}

impl Layout {
    /// A file without holes.
    pub fn whole(size: u64) -> Self {
        let all = Segment {
            at: 0,
            length: size,
        };
        let data = if size == 0 { Vec::new() } else { vec![all] };
        Self { size, data }
    }

    /// A file of a size with data only there. `None` unless the pieces are in order, not empty, in the file, and do not
    /// touch.
    pub fn sparse(size: u64, data: Vec<Segment>) -> Option<Self> {
        let mut earliest = Some(0);
        for piece in &data {
            let end = piece.at.checked_add(piece.length)?;
            let is_apart = earliest.is_some_and(|earliest| piece.at >= earliest);
            if !is_apart || piece.length == 0 || end > size {
                return None;
            }
            earliest = end.checked_add(1);
        }
        Some(Self { size, data })
    }

    /// How long the file is with its holes, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The pieces with data.
    pub fn data(&self) -> &[Segment] {
        &self.data
    }

    /// How much data it has, in bytes.
    pub fn stored(&self) -> u64 {
        self.data.iter().map(|piece| piece.length).sum()
    }

    /// Whether it has no hole.
    pub fn is_whole(&self) -> bool {
        self.stored() == self.size
    }
}
