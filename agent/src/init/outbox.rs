//! Answers that are given or promised but not yet written: the init does not end before they are.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a client that does not read can hold up the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts answers from when they are given until they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unwritten: Mutex<usize>,
    written: Condvar,
}

impl Shared {
    fn unwritten(&self) -> MutexGuard<'_, usize> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// An answer is given, or promised; it counts until what is returned is dropped.
    pub(super) fn given(&self) -> Unwritten {
        *self.0.unwritten() += 1;
        Unwritten(self.clone())
    }

    /// Waits until every answer is written, not for long.
    pub(super) fn wait(&self) {
        let are_left = |unwritten: &mut usize| *unwritten > 0;
        // All are written, or nobody reads them: either way there is nothing left to do.
        let _ = self
            .0
            .written
            .wait_timeout_while(self.0.unwritten(), PATIENCE, are_left);
    }
}

/// An answer that was given. It is written, or nobody wants it, when this is dropped.
#[derive(Debug)]
pub(super) struct Unwritten(Outbox);

impl Drop for Unwritten {
    fn drop(&mut self) {
        *self.0.0.unwritten() -= 1;
        self.0.0.written.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Instant};

    use super::*;

    #[test]
    fn the_end_waits_for_an_answer_that_is_being_written() {
        let outbox = Outbox::default();
        let unwritten = outbox.given();
        let (waits, waiting) = mpsc::channel();
        let writer = thread::spawn(move || {
            waiting.recv().unwrap();
            drop(unwritten);
        });
        let begun = Instant::now();
        waits.send(()).unwrap();
        outbox.wait();
        assert_eq!(*outbox.0.unwritten(), 0);
        assert!(begun.elapsed() < PATIENCE);
        writer.join().unwrap();
    }

    #[test]
    fn the_end_does_not_wait_forever_for_a_client_that_does_not_read() {
        let outbox = Outbox::default();
        let _unwritten = outbox.given();
        outbox.wait();
        assert_eq!(*outbox.0.unwritten(), 1);
    }
}
