//! `devenv-agent pack` and `unpack`: volumes go into an archive, and come out of one.
//!
//! What fails ends with 1 and a [`Failure`] as one line of JSON on standard error. That only what was asked for comes
//! on standard output, whole or cut off, is why these are commands and not requests.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    process::ExitCode,
};

use devenv_agent::{
    archive::{Failure, Limits, VolumeId},
    protocol::AgentError,
};
use rustix::{io::Errno, pipe::fcntl_setpipe_size};
use serde::Serialize;

use super::place::Root;
use crate::not_begun;

const PACK_USAGE: &str = "usage: devenv-agent pack ROOT PATH SERVICE VOLUME";
const UNPACK_USAGE: &str = "usage: devenv-agent unpack ROOT PATH";
/// How much a pipe of ours holds, in bytes: both sides work while it fills and empties.
const PIPE: usize = 1 << 20;

/// Runs `devenv-agent pack`: writes a volume, which lies at a path below a root, to standard output as a part of an
/// archive.
pub(crate) fn pack(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some([root, path, service, volume]) = exactly(arguments) else {
        return not_begun(PACK_USAGE);
    };
    let Some(volume) = VolumeId::new(service.as_bytes(), volume.as_bytes()) else {
        return not_begun("no service or no volume can have that name");
    };
    let packed = Root::open(root.as_bytes()).map_err(Failure::from);
    end(packed.and_then(|root| {
        let to = wide(io::stdout().as_fd())?;
        super::pack::pack(&root, path.as_bytes(), &volume, Limits::default(), to)
    }))
}

/// Runs `devenv-agent unpack`: makes a directory at a path below a root, where nothing is, and in it the directories
/// `<service>/<volume>` of the archive on standard input; all, on disk, or nothing. They are told on standard output. The
/// directory and those of the services are for nobody but their owner.
pub(crate) fn unpack(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some([root, path]) = exactly(arguments) else {
        return not_begun(UNPACK_USAGE);
    };
    let unpacked = Root::open(root.as_bytes()).map_err(Failure::from);
    end(unpacked.and_then(|root| {
        let from = wide(io::stdin().as_fd())?;
        let volumes = super::unpack::unpack(&root, path.as_bytes(), from, Limits::default())?;
        // Nobody may be there to hear it, which changes nothing of what was done.
        let _ = say(&mut io::stdout(), &volumes);
        Ok(())
    }))
}

fn exactly<const COUNT: usize>(
    arguments: impl Iterator<Item = OsString>,
) -> Option<[OsString; COUNT]> {
    let arguments: Vec<_> = arguments.take(COUNT + 1).collect();
    arguments.try_into().ok()
}

/// A stream without anything gathered between it and us; a pipe is made wider.
fn wide(stream: BorrowedFd<'_>) -> Result<File, Failure> {
    // Others need not be pipes, and of pipes some may not grow.
    let _ = fcntl_setpipe_size(stream, PIPE);
    let stream = stream.try_clone_to_owned().map_err(|error| {
        let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        AgentError::Protocol(format!("standard input or output: {error}"))
    })?;
    Ok(File::from(stream))
}

fn end(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = say(&mut io::stderr(), &failure);
            ExitCode::FAILURE
        }
    }
}

/// Says something as one line of JSON.
fn say(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}
