//! Images of a file system that shares blocks between files: files of the host that the nodes mount.
//!
//! Called by the engine before a cluster is made. The image is made here, of a template, by a user without any rights;
//! mounting it is the business of the agent in a node. See docs/decisions/0013.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{fs::ioctl_ficlone, io::Errno};

use super::files::{FileError, NewFile, Operation};

/// An empty XFS of 256 GiB: its size, and what is not zero in it, each with its place and its length. Made by
/// `scripts/volume-image.sh`.
const TEMPLATE: &[u8] = include_bytes!("template.zst");

/// What a new one takes of the disk at most, in bytes.
const NEW_AT_MOST: u64 = 256 << 10;
/// The unit in which the system says that.
const BLOCK: u64 = 512;

/// Makes an image where none is. It takes the room of what is written to it, and is there whole or not at all.
pub fn create(image: &Path) -> Result<(), FileError> {
    let new = NewFile::beside(image)?;
    let filled = fill(new.as_file());
    filled.map_err(|source| not_written(image, source))?;
    new.keep().map(|_| ())
}

/// Whether nothing was ever on an image: not even mounted, as that is written down in it.
pub fn is_new(image: &Path) -> Result<bool, FileError> {
    let about = std::fs::metadata(image).map_err(|source| FileError {
        operation: Operation::Read,
        path: image.to_owned(),
        source,
    })?;
    Ok(about.blocks() * BLOCK < NEW_AT_MOST)
}

fn fill(image: &File) -> io::Result<()> {
    let mut template = zstd::Decoder::new(TEMPLATE)?;
    image.set_len(number(&mut template)?)?;
    let mut place = [0; 8];
    loop {
        match template.read(&mut place[..1])? {
            0 => return Ok(()),
            _ => template.read_exact(&mut place[1..])?,
        }
        let mut length = [0; 4];
        template.read_exact(&mut length)?;
        let mut piece = vec![0; u32::from_le_bytes(length) as usize];
        template.read_exact(&mut piece)?;
        image.write_all_at(&piece, u64::from_le_bytes(place))?;
    }
}

fn not_written(path: &Path, source: io::Error) -> FileError {
    FileError {
        operation: Operation::Write,
        path: path.to_owned(),
        source,
    }
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Whether two files of a directory can share their blocks: tried, as no other answer can be trusted.
pub fn shares_blocks(directory: &Path) -> Result<bool, FileError> {
    let failed = |source| not_written(directory, source);
    let mut from = tempfile::tempfile_in(directory).map_err(failed)?;
    io::Write::write_all(&mut from, &[1; 4096]).map_err(failed)?;
    let to = tempfile::tempfile_in(directory).map_err(failed)?;
    match ioctl_ficlone(&to, &from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
            Ok(false)
        }
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_file_system_that_takes_no_room_yet() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("volumes.xfs");
        create(&image).unwrap();
        let made = File::options().read(true).write(true).open(&image).unwrap();
        let about = made.metadata().unwrap();
        assert_eq!(about.len(), 256 << 30);
        assert_eq!(about.mode() & 0o777, 0o600);
        assert!(is_new(&image).unwrap());
        for number in 0..NEW_AT_MOST / 4096 {
            made.write_all_at(&[1; 4096], (number + 1) << 20).unwrap();
        }
        assert!(!is_new(&image).unwrap());
        // The superblock, and the last copy of it.
        let mut magic = [0; 4];
        for place in [0, 192 << 30] {
            made.read_exact_at(&mut magic, place).unwrap();
            assert_eq!(&magic, b"XFSB");
        }
    }

    #[test]
    fn whether_blocks_are_shared_is_said_of_every_directory_that_can_be_written_to() {
        let directory = tempfile::tempdir().unwrap();
        shares_blocks(directory.path()).unwrap();
        assert!(shares_blocks(&directory.path().join("none")).is_err());
    }
}
