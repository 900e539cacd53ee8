//! The archive of a snapshot: one tar stream with a manifest and the contents of volumes.
//!
//! Written by the agents, which see the volumes, and by devenv, which puts what they write together; read by both.
//! Nothing here touches a file system. Compression is the business of who moves the stream.
//!
//! # Form
//!
//! Members, in this order:
//!
//! 1. `snapshot.json`, the manifest: bytes that mean nothing here, at most [`LONGEST_MANIFEST`].
//! 2. For each volume, in the order of (service, volume): `volumes/<service>/<volume>/` and all below it, depth first,
//!    the names of a directory in the order of their bytes; and then its hash list, `hashes/<service>/<volume>`: what
//!    `b3sum` says of each file with contents, in the order of the members, with their paths in the archive. `b3sum
//!    --check` reads it where the archive was extracted.
//! 3. Two blocks of zeros, and nothing after them.
//!
//! A file with several names is a file at the first of them and a hard link to that at the others, with the same mode,
//! owner and time. Sockets are left out.
//!
//! # Encoding
//!
//! There is one encoding for every member. The reader encodes what it understood anew and refuses a member whose bytes
//! are others, so that no other program can understand something else.
//!
//! - POSIX ustar headers. Numbers are octal, as wide as the field but for the final NUL; the checksum is six digits,
//!   NUL, space. Owners are numbers. Directories end with `/`. A name of more than 100 bytes is split at the last other
//!   `/` within its first 156 bytes, if that leaves at most 100. The manifest and hash lists are of mode 0644, owner 0, time 0.
//! - What does not fit is in a pax header before (`x`). Its name is `PaxHeaders/` and the BLAKE3 (in hex) of its records
//!   and the header after them, as nothing else tells of damage to those; its other fields are as those of a hash
//!   list. Its records, each only where it is needed, in this order: `hdrcharset=BINARY` (a path is no
//!   UTF-8), `path`, `linkpath`, `size`, `uid`, `gid`, `mtime` (nanoseconds, or outside of 33 bits; no final zeros),
//!   `GNU.sparse.major=1`, `GNU.sparse.minor=0`, `GNU.sparse.realsize`, and `SCHILY.xattr.<name>` in the order of the
//!   names, with `%` and `=` in them as `%25` and `%3D`. The field of the header is then zero, `PaxHeaders/name` or
//!   `PaxHeaders/target`; that for the time holds the whole seconds if they fit.
//! - A file with holes is GNU's sparse format 1.0: its contents begin with a map in decimal lines (how many, then offset
//!   and length of each piece of data), filled up to a block, and go on with the data. Pieces are not empty and do not
//!   touch; a hole at the end is told by an empty piece there.

mod entry;
mod error;
mod hash_list;
mod header;
mod names;
mod order;
mod output;
mod parse;
mod reader;
mod source;
mod sparse;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::{Attributes, Device, Entry, Extended, Kind, Layout, Moment, Segment, VolumeId};
pub use error::{Bound, Error, Failure, NameProblem, Problem, Unpacked};
pub use order::Limits;
pub use reader::{Chunk, Member, Reader, Totals};
pub use writer::{VolumeWriter, Writer, nothing};

/// The longest manifest, in bytes.
pub const LONGEST_MANIFEST: usize = 1 << 20;

/// The unit of a tar stream, in bytes.
const BLOCK: usize = 512;
/// The name of the manifest.
const MANIFEST: &[u8] = b"snapshot.json";
/// Where volumes are in an archive.
const VOLUMES: &[u8] = b"volumes/";
/// Where hash lists are in an archive.
const HASHES: &[u8] = b"hashes/";

/// How many bytes fill contents of a length up to a block.
fn padding(length: u64) -> usize {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}
