//! Files of a corpus that are made by a test.

use std::{fs, path::Path};

/// Checks that a file of a corpus is what it would be now; with `UPDATE_GENERATED=1` it is written anew instead.
pub(crate) fn keep_up_to_date(repository: &Path, path: &str, bytes: &[u8]) {
    let path = repository.join("tests/fixtures/corpus").join(path);
    if std::env::vars().any(|(name, _)| name == "UPDATE_GENERATED") {
        fs::write(&path, bytes).expect("a file of the repository");
    }
    let is_known = fs::read(&path).is_ok_and(|there| there == bytes);
    assert!(is_known, "out of date: {}", path.display());
}
