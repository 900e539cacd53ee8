//! The terminal of a container that has one.

use std::io::{self, Stdin};

use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::{
    process::{Signal, getpgrp},
    termios::{tcgetpgrp, tcsetpgrp},
};

use super::child::Group;

/// What standard input is to the init.
#[derive(Debug)]
pub(super) enum Terminal {
    /// The terminal that the container was given: who may read from it is for the init to say.
    Own(Stdin),
    /// No terminal, or one that somebody else rules over.
    Other,
}

impl Terminal {
    /// Looks at standard input.
    pub(super) fn find() -> Self {
        let stdin = io::stdin();
        match tcgetpgrp(&stdin) {
            Ok(foreground) if foreground == getpgrp() => Self::Own(stdin),
            _ => Self::Other,
        }
    }

    /// Lets a service read from it and set its modes: in its background, both would stop the service.
    pub(super) fn give_to(&self, group: Group) {
        let Self::Own(stdin) = self else { return };
        // From its second start on the init itself is in the background, and changes nothing unless this is blocked.
        let from_background = SigSet::from(Blocked::SIGTTOU);
        let _ = from_background.thread_block();
        let _ = tcsetpgrp(stdin, group.leader());
        let _ = from_background.thread_unblock();
        // It may have been faster and be stopped already.
        group.signal_all(Signal::CONT);
    }
}
