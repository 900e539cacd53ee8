//! How a member is announced: its ustar header and, if it needs one, a pax header before it.

use std::borrow::Cow;

use super::{Attributes, BLOCK, Device, Extended, Moment, padding};

/// What a header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) flag: Flag,
    /// With its final `/` if it is a directory's.
    pub(super) name: Cow<'a, [u8]>,
    /// The target of a link.
    pub(super) target: Cow<'a, [u8]>,
    pub(super) attributes: Attributes,
    /// How many bytes of contents follow.
    pub(super) size: u64,
    /// The length of a file with holes.
    pub(super) real_size: Option<u64>,
    pub(super) device: Device,
    pub(super) extended: Cow<'a, Extended>,
}

/// What kind of member it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    File = b'0' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
    CharacterDevice = b'3' as isize,
    BlockDevice = b'4' as isize,
    Directory = b'5' as isize,
    Pipe = b'6' as isize,
}

impl Flag {
    pub(super) const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            b'0' => Self::File,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::CharacterDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Pipe,
            _ => return None,
        })
    }
}

/// The flag of a pax header.
pub(super) const PAX: u8 = b'x';
/// What the name of a pax header begins with.
const PAX_NAME: &[u8] = b"PaxHeaders/";
/// The names that stand for what is in a pax header.
const NAME_IN_PAX: &[u8] = b"PaxHeaders/name";
const TARGET_IN_PAX: &[u8] = b"PaxHeaders/target";

pub(super) const CHARSET: &[u8] = b"hdrcharset";
pub(super) const PATH: &[u8] = b"path";
pub(super) const TARGET: &[u8] = b"linkpath";
pub(super) const SIZE: &[u8] = b"size";
pub(super) const USER: &[u8] = b"uid";
pub(super) const GROUP: &[u8] = b"gid";
pub(super) const MODIFIED: &[u8] = b"mtime";
const SPARSE_MAJOR: &[u8] = b"GNU.sparse.major";
const SPARSE_MINOR: &[u8] = b"GNU.sparse.minor";
pub(super) const REAL_SIZE: &[u8] = b"GNU.sparse.realsize";
pub(super) const EXTENDED: &[u8] = b"SCHILY.xattr.";

/// A field of a header: its first byte and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field(pub(super) usize, pub(super) usize);

impl Field {
    pub(super) const NAME: Self = Self(0, 100);
    pub(super) const MODE: Self = Self(100, 8);
    pub(super) const USER: Self = Self(108, 8);
    pub(super) const GROUP: Self = Self(116, 8);
    pub(super) const SIZE: Self = Self(124, 12);
    pub(super) const MODIFIED: Self = Self(136, 12);
    pub(super) const CHECKSUM: Self = Self(148, 8);
    pub(super) const FLAG: Self = Self(156, 1);
    pub(super) const TARGET: Self = Self(157, 100);
    const MAGIC: Self = Self(257, 8);
    pub(super) const MAJOR: Self = Self(329, 8);
    pub(super) const MINOR: Self = Self(337, 8);
    pub(super) const PREFIX: Self = Self(345, 155);

    pub(super) fn of(self, block: &[u8; BLOCK]) -> &[u8] {
        &block[self.0..self.0 + self.1]
    }

    fn put(self, block: &mut [u8; BLOCK], bytes: &[u8]) {
        block[self.0..self.0 + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a number in octal, if it fits.
    fn put_number(self, block: &mut [u8; BLOCK], number: u64) {
        let mut left = number;
        for digit in block[self.0..self.0 + self.1 - 1].iter_mut().rev() {
            *digit = b'0' + (left & 7) as u8;
            left >>= 3;
        }
    }

    /// Whether it can hold a number.
    const fn fits(self, number: u64) -> bool {
        number >> (3 * (self.1 - 1)) == 0
    }
}

impl Header<'_> {
    /// Appends the header, as it is written.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let begins = to.len();
        // The records' own header is known only once they are.
        to.resize(begins + BLOCK, 0);
        let fields = Fields::of(self);
        fields.records(to);
        let length = to.len() - begins - BLOCK;
        let block = fields.block();
        if length == 0 {
            to.truncate(begins);
        } else {
            let hash = blake3::Hasher::new()
                .update(&to[begins + BLOCK..])
                .update(&block)
                .finalize();
            let header = pax_header(length as u64, &hash);
            to[begins..begins + BLOCK].copy_from_slice(&header);
            to.resize(to.len() + padding(length as u64), 0);
        }
        to.extend_from_slice(&block);
    }

    /// How long the records are before it, in bytes.
    pub(super) fn records_length(&self) -> usize {
        let mut records = Vec::new();
        Fields::of(self).records(&mut records);
        records.len()
    }
}

/// A header, and which of its fields cannot hold what they should.
struct Fields<'a> {
    header: &'a Header<'a>,
    /// The name in two parts, where it fits.
    name: Option<(&'a [u8], &'a [u8])>,
    target: Option<&'a [u8]>,
    size: Option<u64>,
    user: Option<u64>,
    group: Option<u64>,
    seconds: Option<u64>,
}

impl<'a> Fields<'a> {
    fn of(header: &'a Header<'a>) -> Self {
        let Attributes {
            user,
            group,
            modified,
            ..
        } = header.attributes;
        let seconds = u64::try_from(modified.seconds).ok();
        let fitting = |field: Field, number: u64| field.fits(number).then_some(number);
        let target: &[u8] = &header.target;
        let target_fits = target.len() <= Field::TARGET.1 && is_text(target);
        Self {
            header,
            name: divided(&header.name),
            target: target_fits.then_some(target),
            size: fitting(Field::SIZE, header.size),
            user: fitting(Field::USER, user.into()),
            group: fitting(Field::GROUP, group.into()),
            seconds: seconds.and_then(|seconds| fitting(Field::MODIFIED, seconds)),
        }
    }

    /// Appends the records of what the fields cannot hold.
    fn records(&self, to: &mut Vec<u8>) {
        let header = self.header;
        let Attributes {
            user,
            group,
            modified,
            ..
        } = header.attributes;
        if !is_text(&header.name) || !is_text(&header.target) {
            record(to, CHARSET, b"BINARY");
        }
        if self.name.is_none() {
            record(to, PATH, &header.name);
        }
        if self.target.is_none() {
            record(to, TARGET, &header.target);
        }
        if self.size.is_none() {
            record(to, SIZE, header.size.to_string().as_bytes());
        }
        if self.user.is_none() {
            record(to, USER, user.to_string().as_bytes());
        }
        if self.group.is_none() {
            record(to, GROUP, group.to_string().as_bytes());
        }
        if self.seconds.is_none() || modified.nanoseconds != 0 {
            record(to, MODIFIED, modified.to_string().as_bytes());
        }
        if let Some(size) = header.real_size {
            record(to, SPARSE_MAJOR, b"1");
            record(to, SPARSE_MINOR, b"0");
            record(to, REAL_SIZE, size.to_string().as_bytes());
        }
        for (name, value) in header.extended.iter() {
            record(to, &[EXTENDED, &escaped(name)].concat(), value);
        }
    }

    fn block(&self) -> [u8; BLOCK] {
        let header = self.header;
        let mut block = [0; BLOCK];
        let (prefix, name) = self.name.unwrap_or((b"", NAME_IN_PAX));
        Field::NAME.put(&mut block, name);
        Field::PREFIX.put(&mut block, prefix);
        Field::TARGET.put(&mut block, self.target.unwrap_or(TARGET_IN_PAX));
        for (field, number) in [
            (Field::MODE, header.attributes.mode.into()),
            (Field::USER, self.user.unwrap_or(0)),
            (Field::GROUP, self.group.unwrap_or(0)),
            (Field::SIZE, self.size.unwrap_or(0)),
            (Field::MODIFIED, self.seconds.unwrap_or(0)),
            (Field::MAJOR, header.device.major.into()),
            (Field::MINOR, header.device.minor.into()),
        ] {
            field.put_number(&mut block, number);
        }
        seal(&mut block, header.flag as u8);
        block
    }
}

/// The header of records, named by the hash of them and of the header that follows.
fn pax_header(length: u64, hash: &blake3::Hash) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let name = [PAX_NAME, hash.to_hex().as_bytes()].concat();
    Field::NAME.put(&mut block, &name);
    let zeros = [Field::USER, Field::GROUP, Field::MODIFIED, Field::MAJOR];
    for field in zeros.into_iter().chain([Field::MINOR]) {
        field.put_number(&mut block, 0);
    }
    Field::MODE.put_number(&mut block, 0o644);
    Field::SIZE.put_number(&mut block, length);
    seal(&mut block, PAX);
    block
}

/// Writes what a header has whatever it tells, the checksum last.
fn seal(block: &mut [u8; BLOCK], flag: u8) {
    Field::FLAG.put(block, &[flag]);
    Field::MAGIC.put(block, b"ustar\x0000");
    let sum = checksum(block);
    // Six digits and a NUL, and then a space, as it has been from the beginning.
    Field(Field::CHECKSUM.0, 7).put_number(block, sum);
    Field::CHECKSUM.put_last(block, b' ');
}

impl Field {
    fn put_last(self, block: &mut [u8; BLOCK], byte: u8) {
        block[self.0 + self.1 - 1] = byte;
    }
}

/// The sum of a header's bytes, with spaces where the sum itself is.
pub(super) fn checksum(block: &[u8; BLOCK]) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let Field(at, length) = Field::CHECKSUM;
    sum(&block[..at]) + u64::from(b' ') * length as u64 + sum(&block[at + length..])
}

/// A name as it is in a header: its directory and the rest. `None` if it does not fit.
fn divided(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !is_text(name) {
        return None;
    }
    if name.len() <= Field::NAME.1 {
        return Some((b"", name));
    }
    // The final `/` of a directory divides nothing.
    let most = (name.len() - 1).min(Field::PREFIX.1 + 1);
    let at = name[..most].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..at], &name[at + 1..]);
    let fits = !prefix.is_empty() && (1..=Field::NAME.1).contains(&rest.len());
    fits.then_some((prefix, rest))
}

const fn is_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok()
}

/// Appends `<length> <key>=<value>\n`, where the length is that of all of it.
fn record(to: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + b" =\n".len();
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    to.extend_from_slice(length.to_string().as_bytes());
    to.push(b' ');
    to.extend_from_slice(key);
    to.push(b'=');
    to.extend_from_slice(value);
    to.push(b'\n');
}

const fn digits(number: usize) -> usize {
    match number.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
}

/// The name of an extended attribute in a key, which ends at the first `=`.
fn escaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| matches!(byte, b'%' | b'=')) {
        return Cow::Borrowed(name);
    }
    let mut escaped = Vec::with_capacity(name.len() + 2);
    for byte in name {
        match byte {
            b'%' => escaped.extend_from_slice(b"%25"),
            b'=' => escaped.extend_from_slice(b"%3D"),
            other => escaped.push(*other),
        }
    }
    Cow::Owned(escaped)
}

impl std::fmt::Display for Moment {
    /// Decimal seconds without final zeros, such as `-0.5`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SECOND: i128 = 1_000_000_000;
        let all = i128::from(self.seconds) * SECOND + i128::from(self.nanoseconds);
        let (sign, all) = (if all < 0 { "-" } else { "" }, all.unsigned_abs());
        let second = SECOND.unsigned_abs();
        let (seconds, nanoseconds) = (all / second, all % second);
        write!(f, "{sign}{seconds}")?;
        if nanoseconds != 0 {
            let fraction = format!("{nanoseconds:09}");
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        Ok(())
    }
}
