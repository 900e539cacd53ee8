//! Removes snapshots that nobody needs any more, by their number, their age and their size.

use std::time::Duration;

use jiff::Timestamp;

use super::snapshots::{all, remove};
use crate::{
    domain::{Failures, Memory, Snapshot},
    features::Project,
    report::{Outbox, SnapshotEntry, SnapshotPruned},
};

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

/// Whether something is done, or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// It is done.
    Real,
    /// It is said what would be done.
    DryRun,
}

/// Removes the snapshots of a project that a retention is against. The caller holds the lock.
pub async fn prune(
    project: &Project,
    retention: Retention,
    pruning: Pruning,
    outbox: &Outbox,
) -> Result<SnapshotPruned, Failures> {
    let all = all(project)?;
    let (kept, gone) = divide(all, retention, Timestamp::now());
    if pruning == Pruning::Real {
        for snapshot in &gone {
            remove(project, &snapshot.name, outbox).await?;
        }
    }
    Ok(SnapshotPruned {
        environment: project.environment.id.to_string(),
        dry_run: pruning == Pruning::DryRun,
        removed: gone.iter().map(SnapshotEntry::from).collect(),
        kept: kept.len(),
    })
}

/// What stays and what goes of snapshots, the newest of which comes first.
fn divide(
    snapshots: Vec<Snapshot>,
    retention: Retention,
    now: Timestamp,
) -> (Vec<Snapshot>, Vec<Snapshot>) {
    let mut size = 0;
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for snapshot in snapshots {
        size += snapshot.bytes();
        let age = Duration::try_from(now.duration_since(snapshot.created)).unwrap_or_default();
        let stays = retention.keep.is_none_or(|most| kept.len() < most)
            && retention.older_than.is_none_or(|oldest| age <= oldest)
            && retention.max_size.is_none_or(|most| size <= most.bytes());
        if stays {
            kept.push(snapshot);
        } else {
            gone.push(snapshot);
        }
    }
    (kept, gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CopyMeans, SnapshotId, SnapshotVolume, VolumeRef};

    const NOW: i64 = 1_790_000_000;

    /// A snapshot of so many hours ago that holds so many bytes.
    fn snapshot(hours: i64, bytes: u64) -> Snapshot {
        let name = format!("hours-{hours}");
        Snapshot {
            name: name.parse().unwrap(),
            id: SnapshotId::new(&name),
            created: Timestamp::from_second(NOW - hours * 3600).unwrap(),
            note: None,
            project: "shop".parse().unwrap(),
            branch: None,
            dataset: None,
            devenv: "0.1.0".to_owned(),
            architecture: "x86_64".to_owned(),
            sanitized: None,
            volumes: vec![SnapshotVolume {
                of: VolumeRef {
                    service: "postgres".parse().unwrap(),
                    volume: "data".parse().unwrap(),
                },
                files: 1,
                bytes,
                hash: String::new(),
                means: CopyMeans::Copied,
            }],
        }
    }

    fn gone(retention: Retention) -> Vec<String> {
        let snapshots = vec![snapshot(1, 100), snapshot(10, 100), snapshot(100, 100)];
        let now = Timestamp::from_second(NOW).unwrap();
        let (_, gone) = divide(snapshots, retention, now);
        gone.iter()
            .map(|snapshot| snapshot.name.to_string())
            .collect()
    }

    #[test]
    fn the_oldest_go_by_number_by_age_and_by_size() {
        let none = Retention::default();
        assert_eq!(gone(none), [] as [&str; 0]);
        let two = Retention {
            keep: Some(2),
            ..none
        };
        assert_eq!(gone(two), ["hours-100"]);
        let of_today = Retention {
            older_than: Some(Duration::from_hours(5)),
            ..none
        };
        assert_eq!(gone(of_today), ["hours-10", "hours-100"]);
        let small = Retention {
            max_size: Some(Memory::from_bytes(199)),
            ..none
        };
        assert_eq!(gone(small), ["hours-10", "hours-100"]);
        let both = Retention {
            keep: Some(1),
            ..small
        };
        assert_eq!(gone(both), ["hours-10", "hours-100"]);
    }
}
