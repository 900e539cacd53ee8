//! How the containers of a service stand: the same as this machine, behind it, or not able to be.

use std::time::{Duration, Instant};

use crate::features::process::Process;

/// The first wait before a container that could not be adopted is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A process and how its container stands.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) process: Process,
    pub(super) standing: Standing,
}

/// Whether a container is the same as the files of this machine.
#[derive(Debug)]
pub(super) enum Standing {
    /// As far as anybody knows.
    Same,
    /// It must be made so.
    Behind {
        since: Instant,
        pause: Duration,
        again: Instant,
        is_told: bool,
    },
    /// It cannot be: it takes no files at one of the places. The next edit may be another's.
    Refused,
}

impl Standing {
    /// It was not looked at yet.
    pub(super) fn behind() -> Self {
        let now = Instant::now();
        Self::Behind {
            since: now,
            pause: FIRST_PAUSE,
            again: now,
            is_told: false,
        }
    }
}
