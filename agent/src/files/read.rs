//! Reads a file of a container.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use devenv_agent::protocol::{AgentError, FileProblem, LONGEST_CHUNK};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat},
    io::Errno,
};

use super::tree::{at, joined, kind, open_below, problem_at};

/// Writes the contents of a file to `to`. Returns how many bytes it was.
pub(crate) fn read(root: &OwnedFd, file: &[u8], to: &mut impl Write) -> Result<u64, AgentError> {
    // Without a `/` at its end, which would ask for a directory.
    let path: PathBuf = joined(file, b"")?.components().collect();
    let failed = |error| at("read", &path, error);
    let found = open_below(root, &path, OFlags::PATH, ResolveFlags::NO_MAGICLINKS);
    let found = found.map_err(failed)?;
    if kind(&fstat(&found).map_err(failed)?) != FileType::RegularFile {
        let problem = FileProblem::Other("it is not a file".to_owned());
        return Err(problem_at("read", &path, problem));
    }
    // Only now that it is known what it is: to open a device or a pipe may do something, or wait.
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut from = File::from(openat(CWD, again, flags, Mode::empty()).map_err(failed)?);
    let mut buffer = vec![0; LONGEST_CHUNK];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(Errno::from_io_error(&error).unwrap_or(Errno::IO))),
        };
        let told = to.write_all(&buffer[..count]);
        told.map_err(|_| AgentError::Cancelled)?;
        bytes += count as u64;
    }
}
