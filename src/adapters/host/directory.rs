//! Where the process was started.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The working directory, or `chosen` seen from it: absolute, without symbolic links.
pub fn working_directory(chosen: Option<&Path>) -> io::Result<PathBuf> {
    let current = std::env::current_dir()?;
    let directory = current.join(chosen.unwrap_or_else(|| Path::new("")));
    let canonical = directory.canonicalize()?;
    if canonical.is_dir() {
        Ok(canonical)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_working_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = working_directory(Some(file.path())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
