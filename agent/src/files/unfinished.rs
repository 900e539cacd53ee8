//! Names of what is being written and has not taken its place.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What the names of files that are being written begin with.
pub(crate) const UNFINISHED: &str = ".devenv-unfinished-";

/// Numbers the files that are being written.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A name that no other file of this process has.
pub(crate) fn unfinished() -> PathBuf {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{UNFINISHED}{}-{number}", std::process::id()).into()
}

/// The process that writes or wrote a file that is not finished; `None` if a name is none of such a file.
pub(crate) fn writer_of(name: &Path) -> Option<u32> {
    let numbers = name.to_str()?.strip_prefix(UNFINISHED)?;
    numbers.split_once('-')?.0.parse().ok()
}
