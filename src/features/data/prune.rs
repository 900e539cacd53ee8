//! Removes snapshots that nobody needs any more, by their number, their age and their size.

use jiff::Timestamp;

use super::snapshots::{all, remove};
use crate::{
    domain::{Bound, Failures, Maker, NoticeLevel, Retention, Snapshot},
    features::Project,
    report::{Outbox, PrunedSnapshot, RetentionBound, SnapshotPruned},
};

/// How many of those are kept that devenv made by itself, where nothing is said.
const OWN_KEPT: usize = 3;

/// Whether something is done, or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// It is done.
    Real,
    /// It is said what would be done.
    DryRun,
}

impl Project {
    /// Which snapshots stay: what the manifest says, else the settings of this machine.
    pub fn retention(&self) -> Retention {
        self.environment
            .snapshots
            .or(self.settings.snapshots.retention())
    }
}

/// Removes the snapshots of a project that a retention is against. The caller holds the lock.
pub async fn prune(
    project: &Project,
    retention: Retention,
    pruning: Pruning,
    outbox: &Outbox,
) -> Result<SnapshotPruned, Failures> {
    let divided = retention.divide(all(project)?, Timestamp::now());
    if pruning == Pruning::Real {
        for (snapshot, _) in &divided.gone {
            remove(project, &snapshot.name, outbox).await?;
        }
    }
    let removed = divided
        .gone
        .iter()
        .map(|(snapshot, against)| PrunedSnapshot {
            snapshot: snapshot.into(),
            because: against.iter().map(|bound| told(*bound)).collect(),
        });
    Ok(SnapshotPruned {
        environment: project.environment.id.to_string(),
        dry_run: pruning == Pruning::DryRun,
        removed: removed.collect(),
        kept: divided.kept.len(),
    })
}

const fn told(bound: Bound) -> RetentionBound {
    match bound {
        Bound::Number => RetentionBound::Keep,
        Bound::Age => RetentionBound::OlderThan,
        Bound::Size => RetentionBound::MaxSize,
    }
}

/// Removes snapshots that devenv made by itself and that the project's retention is against; never the newest, and none
/// that somebody gave a name. One that cannot be removed is told about. The caller holds the lock.
pub async fn prune_own(project: &Project, outbox: &Outbox) -> Result<(), Failures> {
    for snapshot in outlived(all(project)?, project.retention(), Timestamp::now()) {
        if let Err(failures) = remove(project, &snapshot.name, outbox).await {
            let why: Vec<&str> = failures.iter().map(|it| it.what.as_str()).collect();
            let text = format!("{} is not removed: {}", snapshot.name, why.join("; "));
            outbox.notice(NoticeLevel::Warning, text).await;
        }
    }
    Ok(())
}

/// Those of devenv's own that go.
fn outlived(mut snapshots: Vec<Snapshot>, retention: Retention, now: Timestamp) -> Vec<Snapshot> {
    snapshots.retain(|snapshot| snapshot.maker == Maker::Devenv);
    let newest = snapshots.first().map(|snapshot| snapshot.name.clone());
    let few = Retention {
        keep: Some(OWN_KEPT),
        ..Retention::default()
    };
    let gone = retention.or(few).divide(snapshots, now).gone.into_iter();
    gone.map(|(snapshot, _)| snapshot)
        .filter(|snapshot| Some(&snapshot.name) != newest.as_ref())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Memory, testing::snapshot};

    fn made_by(maker: Maker, number: i64) -> Snapshot {
        let mut snapshot = snapshot(&format!("{maker:?}-{number}").to_lowercase());
        snapshot.maker = maker;
        snapshot.created = Timestamp::from_second(number).unwrap();
        snapshot
    }

    #[test]
    fn what_somebody_named_stays_and_of_devenvs_own_the_newest() {
        let mut snapshots = Vec::new();
        for number in (1..=5).rev() {
            snapshots.push(made_by(Maker::User, number));
            snapshots.push(made_by(Maker::Devenv, number));
        }
        let now = Timestamp::from_second(10).unwrap();
        let gone = |retention| {
            let gone = outlived(snapshots.clone(), retention, now).into_iter();
            gone.map(|snapshot| snapshot.name.to_string())
                .collect::<Vec<_>>()
        };
        let none = Retention::default();
        assert_eq!(gone(none), ["devenv-2", "devenv-1"]);
        let keep = Some(4);
        assert_eq!(gone(Retention { keep, ..none }), ["devenv-1"]);
        let max_size = Some(Memory::from_bytes(1));
        let of_size = gone(Retention { max_size, ..none });
        assert_eq!(of_size, ["devenv-4", "devenv-3", "devenv-2", "devenv-1"]);
    }
}
