//! How far a request is, told while a thread of its own works at it.

use std::{
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use devenv_agent::{
    protocol::{AgentError, frame},
    volume_protocol,
};
use rustix::io::Errno;

use crate::{files::at, listener::Listener};

/// How often it is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is done, and whether anybody still wants it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    files: AtomicU64,
    bytes: AtomicU64,
    is_unwanted: AtomicBool,
}

/// Why a piece of work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nobody wants it any more.
    Unwanted,
    /// The system refused.
    BySystem(Errno),
}

impl Progress {
    /// Counts what is done.
    pub(super) fn add(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Fails once nobody wants what is done. To be called wherever it can be broken off.
    pub(super) fn check(&self) -> Result<(), Stopped> {
        if self.is_unwanted.load(Ordering::Relaxed) {
            Err(Stopped::Unwanted)
        } else {
            Ok(())
        }
    }

    pub(super) fn so_far(&self) -> volume_protocol::Progress {
        volume_protocol::Progress {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn give_up(&self) {
        self.is_unwanted.store(true, Ordering::Relaxed);
    }
}

impl Stopped {
    /// The error of a request.
    pub(super) fn at(self, doing: &str, path: &Path) -> AgentError {
        match self {
            Self::Unwanted => AgentError::Cancelled,
            Self::BySystem(error) => at(doing, path, error),
        }
    }
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::BySystem(error)
    }
}

/// Does `work` and tells the listener how far it is, though a single call of the system take minutes: silence would
/// be taken for a fault.
pub(super) fn told<T: Send>(
    listener: &mut impl Listener,
    work: impl FnOnce(&Progress) -> Result<T, AgentError> + Send,
) -> Result<T, AgentError> {
    let progress = Progress::default();
    // Nothing is written: the end of the work closes one end, which wakes who waits at the other.
    let (working, stirs) = UnixStream::pair().map_err(|error| {
        let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        at("work in", Path::new("/"), error)
    })?;
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let done = work(&progress);
            drop(working);
            done
        });
        let mut told = Instant::now();
        while !worker.is_finished() {
            let left = TELL_EVERY.saturating_sub(told.elapsed());
            let mut heard = listener.wait(Some(stirs.as_fd()), left);
            if heard.is_ok() && told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                heard = tell(listener, progress.so_far());
            }
            if heard.is_err() {
                progress.give_up();
                break;
            }
        }
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn tell(listener: &mut impl Listener, so_far: volume_protocol::Progress) -> std::io::Result<()> {
    listener.write_all(&frame(&so_far)?)?;
    listener.flush()
}
