//! Small files that a reader is given first, and then again with damages.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The files of a corpus below a directory of the repository, sorted.
pub(crate) fn files(repository: &Path, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = repository.join("tests/fixtures/corpus").join(name);
    let entries = fs::read_dir(&directory).expect("a directory of the repository");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<(PathBuf, Vec<u8>)> = paths
        .map(|path| {
            let bytes = read(&path);
            (path, bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", directory.display());
    files
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.expect("a file of the repository");
    bytes
}
