//! Restores what rules leave of a snapshot: what they replace is never the environment's data.

use super::{
    super::{
        exchange::{Incoming, Settling, take_place},
        mend::mended,
        restore::{self, check_architecture, nothing},
        site::{Site, Store},
        steps::{Limits, Steps},
    },
    Made, Work, check, titles,
};
use crate::{
    domain::{Failure, Failures, SanitizeRules, ServiceName, Snapshot, SnapshotId, VolumeRef},
    features::Project,
    report::{Outbox, SanitizedData, SnapshotRestored},
};

/// The step that copies what is kept as it is.
const KEPT: &str = "kept";

/// Has what rules leave of a snapshot take the place of what is there. The caller holds the lock.
///
/// The data of services that the rules do not name stays what it is.
pub async fn restore_sanitized(
    project: &Project,
    snapshot: &Snapshot,
    rules: &SanitizeRules,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotRestored, Failures> {
    check(rules, snapshot, &project.environment)?;
    check_architecture(snapshot)?;
    let mut site = mended(project, outbox, limits.cancel).await?;
    let kept: Vec<ServiceName> = rules.keep.iter().map(|kept| kept.what.clone()).collect();
    let mut kept = of_services(&site, &kept).await?;
    kept.retain(|of| snapshot.volumes.iter().any(|held| held.of == *of));
    let changed: Vec<ServiceName> = rules.services.keys().cloned().collect();
    let mut volumes = of_services(&site, &changed).await?;
    volumes.extend(kept.iter().cloned());
    if volumes.is_empty() {
        return Err(nothing(snapshot).into());
    }
    let steps = Steps::begin(outbox, &all_titles(rules, &kept)).await;
    let done = async {
        let (id, report) =
            Box::pin(prepare(&site, &steps, (snapshot, rules), &kept, limits)).await?;
        let incoming = Incoming {
            id,
            doing: format!("restore the snapshot {}, sanitised", snapshot.name),
            volumes: volumes.clone(),
            // What is left of one is another.
            dataset: None,
        };
        let settling = Settling {
            outbox,
            cancel: limits.cancel,
            deadline: limits.left(),
        };
        let entering = take_place(&mut site, &steps, &incoming, &settling, async |_| Ok(()));
        Box::pin(entering).await?;
        Ok(report)
    };
    let done = done.await;
    let done = site.explained(done).await;
    let (report, took) = steps.end(done).await?;
    Ok(SnapshotRestored {
        environment: project.environment.id.to_string(),
        snapshot: snapshot.into(),
        restored: volumes.iter().map(ToString::to_string).collect(),
        sanitized: Some(report),
        total_seconds: took.as_secs_f64(),
    })
}

/// The volumes of services; none if none is named.
async fn of_services(site: &Site<'_>, services: &[ServiceName]) -> Result<Vec<VolumeRef>, Failure> {
    match services {
        [] => Ok(Vec::new()),
        named => site.volumes_of(named).await,
    }
}

fn all_titles(rules: &SanitizeRules, kept: &[VolumeRef]) -> Vec<(String, String)> {
    let mut titles = titles(rules);
    let mut add = |id: &str, title: &str| titles.push((id.to_owned(), title.to_owned()));
    if !kept.is_empty() {
        add(KEPT, "copy the data that is kept as it is");
    }
    add("exchange", "put it into its place");
    add("keep", "remove the data from before");
    titles
}

/// Makes the data, in the directory of the id that is returned; what it was made of is gone then.
async fn prepare(
    site: &Site<'_>,
    steps: &Steps<'_>,
    (snapshot, rules): (&Snapshot, &SanitizeRules),
    kept: &[VolumeRef],
    limits: &Limits<'_>,
) -> Result<(SnapshotId, SanitizedData), Failures> {
    let work = Work::new(site, snapshot, rules, limits)?;
    let made = async {
        let Made { report, .. } = work.make(steps).await?;
        if !kept.is_empty() {
            let copying = async |progress: &_| {
                let directory = Store::Exchange.of(&work.to);
                site.make_room(&directory, kept).await?;
                let from = Store::Snapshots.of(&snapshot.id);
                let copying = restore::copy(site, (snapshot, &from), kept, &work.to, progress);
                limits.hold(copying).await
            };
            let copied: Result<(), Failure> = steps.step(KEPT, copying).await;
            copied?;
        }
        Ok(report)
    };
    let made: Result<SanitizedData, Failures> = made.await;
    let gone = match &made {
        Ok(_) => &[&work.from][..],
        Err(_) => &[&work.from, &work.to],
    };
    work.tidy(gone, steps).await;
    Ok((work.to.clone(), made?))
}
