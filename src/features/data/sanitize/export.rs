//! Writes what rules leave of a snapshot to a file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    super::{
        archive,
        mend::mended,
        site::{Store, new_id},
        steps::{Limits, Steps},
    },
    Made, Work, check, titles,
};
use crate::{
    adapters::files,
    domain::{Failures, SanitizeRules, Sanitized, Snapshot, SnapshotVolume, VolumeRef},
    features::Project,
    report::{Outbox, SanitizedData, SnapshotExported},
};

/// Writes what rules leave of a snapshot to a file that is not there yet. The caller holds the lock.
pub async fn export_sanitized(
    project: &Project,
    snapshot: &Snapshot,
    rules: &SanitizeRules,
    file: &Path,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotExported, Failures> {
    check(rules, snapshot, &project.environment)?;
    // Found out now rather than after all the work; what is begun is dropped again.
    files::NewFile::beside(file).map_err(|error| error.failure())?;
    let site = mended(project, outbox, limits.cancel).await?;
    let mut titles = titles(rules);
    titles.push((
        "export".to_owned(),
        format!("write it to {}", file.display()),
    ));
    let steps = Steps::begin(outbox, &titles).await;
    let work = Work::new(&site, snapshot, rules, limits)?;
    let ended = Box::pin(write(&work, &steps, file)).await;
    let ended = site.explained(ended).await;
    work.tidy(&[&work.from, &work.to], &steps).await;
    let ((bytes, sanitized, report), took) = steps.end(ended).await?;
    Ok(SnapshotExported {
        environment: project.environment.id.to_string(),
        snapshot: (&sanitized).into(),
        sanitized: Some(report),
        file: file.display().to_string(),
        bytes,
        total_seconds: took.as_secs_f64(),
    })
}

async fn write(
    work: &Work<'_>,
    steps: &Steps<'_>,
    file: &Path,
) -> Result<(u64, Snapshot, SanitizedData), Failures> {
    let Made { fresh, report } = work.make(steps).await?;
    let (sanitized, places) = result(work, fresh);
    let bytes = steps
        .step("export", async |progress| {
            let writing = archive::write(work.site, &sanitized, &places, file, progress);
            work.limits.hold(writing).await
        })
        .await?;
    Ok((bytes, sanitized, report))
}

/// The snapshot that is exported, and where each of its volumes lies.
fn result(work: &Work<'_>, fresh: Vec<SnapshotVolume>) -> (Snapshot, BTreeMap<VolumeRef, PathBuf>) {
    let mut places = BTreeMap::new();
    for volume in &fresh {
        let place = Store::Exchange.of(&work.to).join(volume.of.directory());
        places.insert(volume.of.clone(), place);
    }
    let mut volumes = fresh;
    let kept = work.kept();
    let is_kept = |volume: &&SnapshotVolume| kept.contains(&volume.of.service);
    for volume in work.snapshot.volumes.iter().filter(is_kept) {
        let place = Store::Snapshots
            .of(&work.snapshot.id)
            .join(volume.of.directory());
        if places.insert(volume.of.clone(), place).is_none() {
            volumes.push(volume.clone());
        }
    }
    let sanitized = Snapshot {
        id: new_id(&work.to),
        // It may say anything about the data.
        note: None,
        sanitized: Some(Sanitized {
            at: Timestamp::now(),
            left_out: work.left_out(),
            changed: work.rules.services.keys().cloned().collect(),
            kept,
        }),
        volumes,
        ..work.snapshot.clone()
    };
    (sanitized, places)
}
