//! Restores snapshots.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    exchange::{Incoming, Settling, take_place},
    mend::mended,
    save::words,
    site::{Site, Store, new_id, tell, volumes},
    steps::{Limits, Steps},
};
use crate::{
    domain::{
        ExitClass, Failure, Failures, NoticeLevel, ServiceName, Snapshot, SnapshotId, VolumeRef,
    },
    engine::Progress,
    features::Project,
    report::{Outbox, SnapshotRestored},
};

/// Has the data of a snapshot take the place of what is there. The caller holds the lock.
///
/// Of the services that are named; of all that it holds if none is.
pub async fn restore(
    project: &Project,
    snapshot: &Snapshot,
    services: &[ServiceName],
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<SnapshotRestored, Failures> {
    check_architecture(snapshot)?;
    let mut site = mended(project, outbox, cancel).await?;
    let restoring = of_volumes(&site, snapshot, services, outbox).await?;
    let steps = Steps::begin(
        outbox,
        &[
            (
                "copy",
                format!("copy {} from {}", words(&restoring), snapshot.name),
            ),
            ("exchange", "put it into its place".to_owned()),
            ("keep", "remove the data from before".to_owned()),
        ],
    )
    .await;
    let settling = Settling {
        outbox,
        cancel,
        deadline,
    };
    let done = all(&mut site, &steps, snapshot, &restoring, &settling).await;
    let done = site.explained(done).await;
    let ((), took) = steps.end(done).await?;
    Ok(SnapshotRestored {
        environment: project.environment.id.to_string(),
        snapshot: snapshot.into(),
        restored: restoring.iter().map(ToString::to_string).collect(),
        sanitized: None,
        total_seconds: took.as_secs_f64(),
    })
}

async fn all(
    site: &mut Site<'_>,
    steps: &Steps<'_>,
    snapshot: &Snapshot,
    restoring: &[VolumeRef],
    settling: &Settling<'_>,
) -> Result<(), Failures> {
    let id = new_id(&snapshot.id);
    let directory = Store::Exchange.of(&id);
    let limits = Limits::new(settling.cancel, settling.deadline);
    let copied = steps.step("copy", async |progress| {
        site.make_room(&directory, restoring).await?;
        let from = Store::Snapshots.of(&snapshot.id);
        let copying = copy(site, (snapshot, &from), restoring, &id, progress);
        limits.hold(copying).await
    });
    let copied = copied.await;
    if let Err(failure) = copied {
        // What cannot be removed now is removed by the next command: why it failed says more.
        let _ = site.remove(&directory).await;
        return Err(failure.into());
    }
    let incoming = Incoming {
        id,
        doing: format!("restore the snapshot {}", snapshot.name),
        volumes: restoring.to_vec(),
        dataset: snapshot.dataset.clone(),
    };
    take_place(site, steps, &incoming, settling, async |_| Ok(())).await
}

/// Copies the data of a snapshot, which is in a directory relative to that of all volumes, to where it can take the
/// place of what is there.
pub(super) async fn copy(
    site: &Site<'_>,
    (snapshot, from): (&Snapshot, &Path),
    restoring: &[VolumeRef],
    id: &SnapshotId,
    progress: &Progress,
) -> Result<(), Failure> {
    let agent = site.agent().await?;
    let volumes = volumes(&agent);
    let mut needed = 0;
    for volume in restoring {
        let measured = volumes.measure(&from.join(volume.directory())).await;
        let measured = measured.map_err(|error| incomplete(snapshot, volume, &error.failure()))?;
        let held = snapshot.volumes.iter().find(|held| held.of == *volume);
        if held.is_some_and(|held| (held.files, held.bytes) != (measured.files, measured.bytes)) {
            return Err(changed(snapshot, volume));
        }
        needed += measured.allocated;
    }
    site.room(needed).await?;
    let to = Store::Exchange.of(id);
    for volume in restoring {
        let place = volume.directory();
        let told = tell(progress, volume);
        let (from, to) = (from.join(&place), to.join(&place));
        let copied = volumes.copy(&from, &to, told).await;
        copied.map_err(|error| error.failure())?;
    }
    Ok(())
}

/// The volumes that are restored; what the services do not have any more is told and left out.
async fn of_volumes(
    site: &Site<'_>,
    snapshot: &Snapshot,
    services: &[ServiceName],
    outbox: &Outbox,
) -> Result<Vec<VolumeRef>, Failure> {
    let known = site.volumes_of(services).await?;
    let held = snapshot.volumes.iter().map(|volume| &volume.of);
    let wanted = held.filter(|of| services.is_empty() || services.contains(&of.service));
    let (mut restoring, mut unknown) = (Vec::new(), Vec::new());
    for of in wanted {
        if known.contains(of) {
            restoring.push(of.clone());
        } else {
            unknown.push(of.to_string());
        }
    }
    if restoring.is_empty() {
        return Err(nothing(snapshot));
    }
    if !unknown.is_empty() {
        let text = format!(
            "left out, as the services have no such volumes now: {}",
            unknown.join(", ")
        );
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    Ok(restoring)
}

pub(super) fn nothing(snapshot: &Snapshot) -> Failure {
    let services: Vec<&str> = snapshot
        .services()
        .iter()
        .map(|name| name.as_str())
        .collect();
    Failure::new(
        "snapshot.nothing-to-restore",
        ExitClass::Data,
        format!(
            "the snapshot {} holds nothing of these services",
            snapshot.name
        ),
    )
    .because(format!("it holds the data of {}", services.join(", ")))
    .help(format!("devenv snapshot show {}", snapshot.name))
}

pub(super) fn check_architecture(snapshot: &Snapshot) -> Result<(), Failure> {
    let here = std::env::consts::ARCH;
    if snapshot.architecture == here {
        return Ok(());
    }
    Err(Failure::new(
        "snapshot.other-architecture",
        ExitClass::Data,
        format!(
            "the snapshot {} is of another architecture; nothing was changed",
            snapshot.name
        ),
    )
    .because(format!(
        "it was made on {}, and this machine is {here}: databases do not read each other's files",
        snapshot.architecture
    ))
    .help("load the data by a dataset instead"))
}

fn incomplete(snapshot: &Snapshot, volume: &VolumeRef, why: &Failure) -> Failure {
    changed(snapshot, volume).because(why.what.clone())
}

fn changed(snapshot: &Snapshot, volume: &VolumeRef) -> Failure {
    let name = &snapshot.name;
    Failure::new(
        "snapshot.not-as-saved",
        ExitClass::Data,
        format!(
            "the data of {volume} in the snapshot {name} is not what was saved; nothing was changed"
        ),
    )
    .help(format!(
        "devenv snapshot verify {name}   # says what else is wrong"
    ))
    .help(format!("devenv snapshot remove {name}"))
}
