//! Who reads what an answer sends before it is complete.

use std::{
    io::{self, Write},
    os::fd::BorrowedFd,
    time::Duration,
};

/// Who reads what is told.
pub(crate) trait Listener: Write {
    /// Waits until `stirs` can be read, the listener says something, or the time is over; fails once nobody listens.
    fn wait(&mut self, stirs: Option<BorrowedFd<'_>>, at_most: Duration) -> io::Result<()>;

    /// Whether the listener has said all that belongs to the request.
    fn has_ended(&self) -> bool;
}
