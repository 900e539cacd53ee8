//! How far a request is, told while a thread of its own works at it.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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
    is_drafted: AtomicBool,
    is_at_rest: Mutex<bool>,
    /// Rings when either has become of it that who waits for rest waits for.
    rest: Condvar,
    /// Written to when something has to be told at once.
    teller: Option<UnixStream>,
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
            is_drafted: self.is_drafted.load(Ordering::Relaxed),
        }
    }

    pub(super) fn give_up(&self) {
        let _held = self.is_at_rest.lock();
        self.is_unwanted.store(true, Ordering::Relaxed);
        self.rest.notify_all();
    }

    /// Says that a draft is made, and waits until nobody writes any more to what it is of.
    pub(super) fn wait_for_rest(&self) -> Result<(), Stopped> {
        self.is_drafted.store(true, Ordering::Relaxed);
        self.stir();
        let is_at_rest = self
            .is_at_rest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self.rest.wait_while(is_at_rest, |is_at_rest| {
            !*is_at_rest && self.check().is_ok()
        });
        drop(waited);
        self.check()
    }

    /// Wakes who tells. A full stream wakes already.
    fn stir(&self) {
        if let Some(mut teller) = self.teller.as_ref() {
            let _ = teller.write(&[1]);
        }
    }

    /// Nobody writes any more.
    pub(super) fn come_to_rest(&self) {
        *self
            .is_at_rest
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.rest.notify_all();
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
    let (teller, stirs) = pair().map_err(|error| {
        let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        at("work in", Path::new("/"), error)
    })?;
    let progress = Progress {
        teller: Some(teller),
        ..Progress::default()
    };
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let done = work(&progress);
            is_done.store(true, Ordering::Relaxed);
            progress.stir();
            done
        });
        let mut told = Instant::now();
        let mut has_told_of_draft = false;
        // A worker that panics says nothing.
        while !is_done.load(Ordering::Relaxed) && !worker.is_finished() {
            let left = TELL_EVERY.saturating_sub(told.elapsed());
            let mut heard = listener.wait(Some(stirs.as_fd()), left);
            while matches!((&stirs).read(&mut [0; 16]), Ok(1..)) {}
            if heard.is_ok() && listener.has_ended() {
                progress.come_to_rest();
            }
            let so_far = progress.so_far();
            if heard.is_ok()
                && (told.elapsed() >= TELL_EVERY || so_far.is_drafted != has_told_of_draft)
            {
                told = Instant::now();
                has_told_of_draft = so_far.is_drafted;
                heard = tell(listener, so_far);
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

/// Two ends of which none waits for the other.
fn pair() -> std::io::Result<(UnixStream, UnixStream)> {
    let (one, other) = UnixStream::pair()?;
    for end in [&one, &other] {
        end.set_nonblocking(true)?;
    }
    Ok((one, other))
}

fn tell(listener: &mut impl Listener, so_far: volume_protocol::Progress) -> std::io::Result<()> {
    listener.write_all(&frame(&so_far)?)?;
    listener.flush()
}
