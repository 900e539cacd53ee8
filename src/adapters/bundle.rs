//! A handful of small files as one file: a tar archive, compressed with zstd, for the user alone.

use std::{
    io::{self, Write},
    path::Path,
};

use jiff::Timestamp;

use super::files::{FileError, NewFile, Operation};

/// As good as it gets without being slow: it is some hundred kilobytes.
const LEVEL: i32 = 9;
/// The rights of what is in it, once it is unpacked.
const MODE: u32 = 0o600;

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundledFile {
    /// Its path within the archive.
    pub path: String,
    /// All of it.
    pub contents: Vec<u8>,
}

/// Writes the files below `directory` of an archive, in their order; returns the archive's length in bytes.
pub fn write(
    archive: NewFile,
    path: &Path,
    directory: &str,
    files: &[BundledFile],
    now: Timestamp,
) -> Result<u64, FileError> {
    packed(archive.as_file(), directory, files, now).map_err(|source| FileError {
        operation: Operation::Write,
        path: path.to_owned(),
        source,
    })?;
    archive.keep()
}

fn packed(
    file: impl Write,
    directory: &str,
    files: &[BundledFile],
    now: Timestamp,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(file, LEVEL)?);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.contents.len() as u64);
        header.set_mode(MODE);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
        let path = format!("{directory}/{}", file.path);
        archive.append_data(&mut header, path, &*file.contents)?;
    }
    archive.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::adapters::files;

    #[test]
    fn what_was_written_is_read_back_by_anybody_who_has_tar_and_zstd() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.tar.zst");
        let file = |path: &str, contents: &[u8]| BundledFile {
            path: path.to_owned(),
            contents: contents.to_owned(),
        };
        let written = [file("about.txt", b"all"), file("logs/web.log", b"")];
        let archive = NewFile::beside(&path).unwrap();
        let bytes = write(archive, &path, "shop", &written, Timestamp::now()).unwrap();
        let packed = files::read(&path).unwrap();
        assert_eq!(packed.len() as u64, bytes);
        let plain = zstd::decode_all(&*packed).unwrap();
        let mut archive = tar::Archive::new(&*plain);
        let read: Vec<(String, String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, text, entry.header().mode().unwrap())
            })
            .collect();
        let expected = [("shop/about.txt", "all"), ("shop/logs/web.log", "")];
        let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned(), MODE));
        assert_eq!(read, expected);
        assert!(NewFile::beside(&path).is_err(), "nothing is overwritten");
    }
}
