//! Which snapshots stay, and which go.

use std::time::Duration;

use jiff::Timestamp;

use super::{Memory, Snapshot};

/// Which snapshots stay: those that no bound is against. Without any bound all do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many, the newest.
    pub keep: Option<usize>,
    /// Those that are younger.
    pub older_than: Option<Duration>,
    /// As many of the newest as hold no more together.
    pub max_size: Option<Memory>,
}

/// What is against a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// There are as many newer ones as are kept.
    Number,
    /// It is too old.
    Age,
    /// With those that are newer it holds too much.
    Size,
}

/// Snapshots, divided by a retention; the newest of both comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Divided {
    /// Those that stay.
    pub kept: Vec<Snapshot>,
    /// Those that go, each with all that is against it.
    pub gone: Vec<(Snapshot, Vec<Bound>)>,
}

impl Retention {
    /// Whether no bound is set.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These bounds, and those of `other` that are not set here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            keep: self.keep.or(other.keep),
            older_than: self.older_than.or(other.older_than),
            max_size: self.max_size.or(other.max_size),
        }
    }

    /// What stays and what goes of snapshots, the newest of which comes first.
    pub fn divide(&self, snapshots: Vec<Snapshot>, now: Timestamp) -> Divided {
        let mut size = 0;
        let mut divided = Divided::default();
        for snapshot in snapshots {
            size += snapshot.bytes();
            let age = Duration::try_from(now.duration_since(snapshot.created)).unwrap_or_default();
            let against = [
                (
                    Bound::Number,
                    self.keep.is_some_and(|most| divided.kept.len() >= most),
                ),
                (
                    Bound::Age,
                    self.older_than.is_some_and(|oldest| age > oldest),
                ),
                (
                    Bound::Size,
                    self.max_size.is_some_and(|most| size > most.bytes()),
                ),
            ];
            let against = against.into_iter().filter(|(_, is_against)| *is_against);
            let against: Vec<Bound> = against.map(|(bound, _)| bound).collect();
            if against.is_empty() {
                divided.kept.push(snapshot);
            } else {
                divided.gone.push((snapshot, against));
            }
        }
        divided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;

    const NOW: i64 = 1_790_000_000;

    /// A snapshot of so many hours ago that holds 100 bytes.
    fn of_hours_ago(hours: i64) -> Snapshot {
        let mut snapshot = snapshot(&format!("hours-{hours}"));
        snapshot.created = Timestamp::from_second(NOW - hours * 3600).unwrap();
        snapshot.volumes[0].bytes = 100;
        snapshot
    }

    fn gone(retention: Retention) -> Vec<(String, Vec<Bound>)> {
        let snapshots = [1, 10, 100].map(of_hours_ago).to_vec();
        let divided = retention.divide(snapshots, Timestamp::from_second(NOW).unwrap());
        assert_eq!(divided.kept.len() + divided.gone.len(), 3);
        let gone = divided.gone.into_iter();
        gone.map(|(snapshot, against)| (snapshot.name.to_string(), against))
            .collect()
    }

    #[test]
    fn the_oldest_go_by_number_by_age_and_by_size_and_it_is_told_by_which() {
        let none = Retention::default();
        let is = |name: &str, against: &[Bound]| (name.to_owned(), against.to_vec());
        assert_eq!(gone(none), []);
        let two = Retention {
            keep: Some(2),
            ..none
        };
        assert_eq!(gone(two), [is("hours-100", &[Bound::Number])]);
        let of_today = Retention {
            older_than: Some(Duration::from_hours(5)),
            ..none
        };
        let by_age = [
            is("hours-10", &[Bound::Age]),
            is("hours-100", &[Bound::Age]),
        ];
        assert_eq!(gone(of_today), by_age);
        let small = Retention {
            max_size: Some(Memory::from_bytes(199)),
            ..none
        };
        let by_size = [
            is("hours-10", &[Bound::Size]),
            is("hours-100", &[Bound::Size]),
        ];
        assert_eq!(gone(small), by_size);
        let both = Retention {
            keep: Some(1),
            ..small
        };
        let by_both = ["hours-10", "hours-100"].map(|name| is(name, &[Bound::Number, Bound::Size]));
        assert_eq!(gone(both), by_both);
    }

    #[test]
    fn bounds_that_are_not_set_are_those_that_lie_under_them() {
        let over = Retention {
            keep: Some(2),
            ..Retention::default()
        };
        let under = Retention {
            keep: Some(5),
            older_than: Some(Duration::from_hours(1)),
            max_size: None,
        };
        let both = over.or(under);
        assert_eq!((both.keep, both.older_than), (Some(2), under.older_than));
        assert!(!both.is_none() && Retention::default().is_none());
    }
}
