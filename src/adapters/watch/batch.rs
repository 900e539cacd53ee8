//! When a batch of hints is complete.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    checkout::Checkouts,
    hints::{Hints, Pending, Span},
};

/// A batch is complete when nothing came for this long: the events of one save are less than a millisecond apart.
/// Other tools wait 200 ms to 1 s here, which is the largest fixed part of what an edit costs them.
const QUIET: Duration = Duration::from_millis(10);
/// And at the latest this long after its first hint: a log in the tree must not hold everything else back.
const LONGEST: Duration = Duration::from_millis(100);
/// How long a checkout is waited for that changes nothing any more, and how long altogether: what is seen in its
/// middle is a tree that nobody wants to run.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_CHECKOUT: Duration = Duration::from_mins(2);
/// How often its lock is looked at meanwhile. Nobody tells of it: `.git` is not watched.
const LOOK: Duration = Duration::from_millis(10);

/// Hints that are looked at together.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) hints: Hints,
    /// When the first of them came, or of those before them in the same checkout.
    pub(super) first: Instant,
    /// Whether what they lead to may be told.
    pub(super) course: Course,
}

/// How far what happens has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It is over.
    Complete,
    /// A checkout goes on: the files may be read, but not told of.
    Checkout(Underway),
}

/// A checkout that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Underway {
    first: Instant,
    /// When it was last seen to change something.
    last: Instant,
}

/// The next hints, after those that came so far in the `course` of things. Waits as long as there are none; nothing is
/// lost if it is dropped.
pub(super) async fn next(pending: &Pending, course: Course, checkouts: &mut Checkouts) -> Together {
    match course {
        Course::Complete => {
            let Span { first, last } = pending.span().await;
            settle_from(pending, first).await;
            let underway = Underway { first, last };
            take(pending, underway, checkouts.is_under_way())
        }
        Course::Checkout(underway) => in_checkout(pending, underway, checkouts).await,
    }
}

/// More of a checkout, or its end.
async fn in_checkout(
    pending: &Pending,
    mut underway: Underway,
    checkouts: &mut Checkouts,
) -> Together {
    loop {
        if let Some(span) = pending.gathered_in() {
            underway.last = span.last;
            if span.first.elapsed() >= LONGEST {
                return take(pending, underway, true);
            }
        }
        if underway.last.elapsed() >= PATIENCE || underway.first.elapsed() >= LONGEST_CHECKOUT {
            checkouts.give_up();
        }
        if !checkouts.is_under_way() {
            // Its last changes may still be on the way here, or its next step may begin: a rebase has many.
            settle_from(pending, Instant::now()).await;
            if !checkouts.is_under_way() {
                return take(pending, underway, false);
            }
        }
        sleep(LOOK).await;
    }
}

fn take(pending: &Pending, underway: Underway, is_under_way: bool) -> Together {
    Together {
        hints: pending.take(),
        first: underway.first,
        course: if is_under_way {
            Course::Checkout(underway)
        } else {
            Course::Complete
        },
    }
}

/// Waits until nothing came for a while after `start`, but not too long.
async fn settle_from(pending: &Pending, start: Instant) {
    loop {
        let last = pending
            .gathered_in()
            .map_or(start, |span| span.last.max(start));
        let end = (last + QUIET).min(start + LONGEST);
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "the tests change files as other programs do"
    )]

    use std::{path::Path, sync::Arc};

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Hints at the given milliseconds, and when the batch was complete.
    async fn complete_after(moments: &[u64], checkouts: &mut Checkouts) -> (Duration, usize) {
        let pending = Arc::new(Pending::default());
        let start = Instant::now();
        let moments = moments.to_owned();
        let sender = tokio::spawn({
            let pending = Arc::clone(&pending);
            async move {
                for moment in moments {
                    sleep_until(start + MILLISECOND * u32::try_from(moment).unwrap()).await;
                    pending.hint(format!("/{moment}").into());
                }
            }
        });
        let (mut course, mut paths) = (Course::Complete, 0);
        let first = loop {
            let together = next(&pending, course, checkouts).await;
            paths += together.hints.paths.len();
            course = together.course;
            if course == Course::Complete {
                break together.first;
            }
        };
        sender.abort();
        (first.elapsed(), paths)
    }

    fn in_a_repository() -> (tempfile::TempDir, Checkouts) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".git")).unwrap();
        let checkouts = Checkouts::around([home.path()]);
        (home, checkouts)
    }

    fn lock(home: &Path) -> std::path::PathBuf {
        home.join(".git/index.lock")
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_hint_waits_only_until_it_is_quiet() {
        let complete = complete_after(&[3], &mut Checkouts::around([])).await;
        assert_eq!(complete, (QUIET, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn hints_close_together_are_one_batch() {
        let complete = complete_after(&[0, 5, 12, 40], &mut Checkouts::around([])).await;
        assert_eq!(complete, (MILLISECOND * 22, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn hints_without_end_are_cut_into_batches() {
        let moments: Vec<u64> = (0..300).collect();
        let (after, count) = complete_after(&moments, &mut Checkouts::around([])).await;
        assert_eq!(after, LONGEST);
        assert!((100..=101).contains(&count), "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkout_is_waited_for() {
        let (home, mut checkouts) = in_a_repository();
        let lock = lock(home.path());
        std::fs::write(&lock, "").unwrap();
        tokio::spawn(async move {
            sleep(MILLISECOND * 3005).await;
            std::fs::rename(&lock, lock.with_file_name("index")).unwrap();
        });
        let (after, count) = complete_after(&[0, 2000, 3001], &mut checkouts).await;
        assert!(after >= MILLISECOND * 3015, "{after:?}");
        assert!(after < MILLISECOND * 3200, "{after:?}");
        assert_eq!(count, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkout_that_takes_long_is_waited_for_as_long_as_it_changes_something() {
        let (home, mut checkouts) = in_a_repository();
        let lock = lock(home.path());
        std::fs::write(&lock, "").unwrap();
        tokio::spawn(async move {
            sleep(MILLISECOND * 25_005).await;
            std::fs::rename(&lock, lock.with_file_name("index")).unwrap();
        });
        let (after, count) = complete_after(&[0, 9000, 17_000, 25_000], &mut checkouts).await;
        assert!(after >= MILLISECOND * 25_015, "{after:?}");
        assert_eq!(count, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_stays_is_waited_for_once() {
        let (home, mut checkouts) = in_a_repository();
        std::fs::write(lock(home.path()), "").unwrap();
        let (after, _) = complete_after(&[0], &mut checkouts).await;
        assert!(after >= PATIENCE && after < PATIENCE + LONGEST, "{after:?}");
        let (after, _) = complete_after(&[0], &mut checkouts).await;
        assert_eq!(after, QUIET);
        // Another checkout has another lock.
        std::fs::remove_file(lock(home.path())).unwrap();
        std::fs::write(home.path().join("taken"), "").unwrap();
        std::fs::write(lock(home.path()), "more").unwrap();
        let (after, _) = complete_after(&[0], &mut checkouts).await;
        assert!(after >= PATIENCE, "{after:?}");
    }
}
