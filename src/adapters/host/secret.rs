//! Bytes that nobody can guess.

use std::{io::Read as _, path::Path};

use crate::adapters::files::{self, FileError, Operation};

/// Where the kernel gives them.
const SOURCE: &str = "/dev/urandom";

/// Other bytes every time, from the kernel.
pub fn secret() -> Result<[u8; 32], FileError> {
    let path = Path::new(SOURCE);
    let mut bytes = [0; 32];
    let read = files::open(path)?.read_exact(&mut bytes);
    read.map_err(|source| FileError {
        operation: Operation::Read,
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(secret().unwrap(), secret().unwrap());
    }
}
