//! Reads along with the logs that the node keeps of its containers.
//!
//! The runtime writes, the kubelet renames what is long, packs it at the next rotation and removes what is old. Files
//! are held open while they are read, so that none of this loses a line; how far they were read is the client's to
//! know, and nothing is kept here. Where the client is slow, reading waits for it.

#[cfg(test)]
mod corpus_tests;
mod file;
mod run;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use devenv_agent::{
    log_protocol::{LogPosition, LogRecord},
    protocol::{AgentError, frame},
};

use self::tail::{Left, Tail};
use crate::{files::at, listener::Listener};

/// Where the kubelet has the logs of a node's pods.
pub(crate) const DIRECTORY: &str = "/var/log/pods";
/// After how long all is looked at though the kernel told of nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long lines gather after some were read: reading each as it comes would cost as much as writing it.
const GATHER: Duration = Duration::from_millis(20);

/// Tells what the containers of a namespace said after `from`, and what they say, until nobody listens.
pub(crate) fn follow(
    directory: &Path,
    namespace: &str,
    from: Vec<LogPosition>,
    to: &mut impl Listener,
) -> AgentError {
    let mut tail = match Tail::begin(directory, namespace, from) {
        Ok(tail) => tail,
        Err(error) => return at("watch", directory, error),
    };
    match tell_all(&mut tail, to) {
        Ok(never) => match never {},
        Err(_) => AgentError::Cancelled,
    }
}

fn tell_all(tail: &mut Tail, to: &mut impl Listener) -> io::Result<std::convert::Infallible> {
    let mut looked = Instant::now();
    loop {
        let left = tail.round(to)?;
        let pause = match left {
            Left::More => {
                to.wait(None, Duration::ZERO)?;
                continue;
            }
            Left::Nothing => LOOK_AGAIN,
            Left::Until(pause) => pause,
        };
        to.flush()?;
        to.wait(Some(tail.stirs()), pause)?;
        if looked.elapsed() >= LOOK_AGAIN {
            tail.look_at_all();
            looked = Instant::now();
        }
        gather(to)?;
    }
}

/// Lets lines come together. The listener is heard meanwhile.
fn gather(to: &mut impl Listener) -> io::Result<()> {
    let until = Instant::now() + GATHER;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        to.wait(None, left)?;
    }
}

/// Tells one record.
fn tell(to: &mut impl Write, record: &LogRecord) -> io::Result<()> {
    to.write_all(&frame(record)?)
}
