//! What there is of snapshots: finding, listing, verifying and removing them.

use std::path::{Path, PathBuf};

use super::{
    mend::mended,
    site::{NOT_RUNNING, Site, Store, tell, volumes},
    steps::{Limits, Steps},
};
use crate::{
    domain::{
        ExitClass, Failure, Failures, InvalidName, NoticeLevel, Snapshot, SnapshotName, VolumeStore,
    },
    engine::{Progress, remove_directory},
    features::Project,
    report::{
        Outbox, SnapshotEntry, SnapshotList, SnapshotRemoved, SnapshotVerified, UnusableSnapshot,
        VolumeVerified,
    },
    state::{EnvironmentPaths, KeptSnapshot, SnapshotStore, load_volume_store},
};

/// The snapshot of a name; an unknown one is told with those that there are.
pub fn find(project: &Project, name: &SnapshotName) -> Result<Snapshot, Failure> {
    let store = SnapshotStore::of(&project.paths);
    let found = store.find(name).map_err(|error| error.failure())?;
    found.map_or_else(|| Err(unknown(&store, name)), Ok)
}

/// All snapshots that can be used, the newest first.
pub(super) fn all(project: &Project) -> Result<Vec<Snapshot>, Failure> {
    let kept = SnapshotStore::of(&project.paths).list();
    let kept = kept.map_err(|error| error.failure())?;
    let mut all: Vec<Snapshot> = kept
        .into_iter()
        .filter_map(|kept| match kept {
            KeptSnapshot::Good(snapshot) => Some(*snapshot),
            KeptSnapshot::Unusable(..) => None,
        })
        .collect();
    all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.created));
    Ok(all)
}

/// What holds all there is of snapshots; where volumes are in an image, that too.
pub(in crate::features) fn directories(paths: &EnvironmentPaths) -> Vec<PathBuf> {
    let held = paths.volumes().join(Store::Snapshots.directory());
    let image = paths.volume_image();
    let store = image.parent().unwrap_or(&image).to_owned();
    vec![paths.snapshots(), held, store, paths.volume_store()]
}

/// What is no name of a snapshot.
pub(super) fn no_name(error: &InvalidName) -> Failure {
    Failure::new("usage.name", ExitClass::Usage, error.to_string()).help("devenv snapshot list")
}

/// All snapshots, the newest first.
pub fn list(project: &Project) -> Result<SnapshotList, Failure> {
    let kept = SnapshotStore::of(&project.paths).list();
    let (mut snapshots, mut unusable) = (Vec::new(), Vec::new());
    for kept in kept.map_err(|error| error.failure())? {
        match kept {
            KeptSnapshot::Good(snapshot) => snapshots.push(SnapshotEntry::from(&*snapshot)),
            KeptSnapshot::Unusable(name, error) => unusable.push(UnusableSnapshot {
                name: name.to_string(),
                why: error.to_string(),
            }),
        }
    }
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.created));
    Ok(SnapshotList {
        environment: project.environment.id.to_string(),
        snapshots,
        unusable,
    })
}

/// Compares the data of a snapshot with what was saved.
pub async fn verify(
    project: &Project,
    snapshot: &Snapshot,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotVerified, Failures> {
    let site = mended(project, outbox, limits.cancel).await?;
    let title = format!("compare {} with what was saved", snapshot.name);
    let steps = Steps::begin(outbox, &[("verify", title)]).await;
    let verifying = steps.step("verify", async |progress| {
        limits
            .hold(async {
                let agent = site.agent().await?;
                let mut verified = Vec::new();
                for held in &snapshot.volumes {
                    let place = Store::Snapshots.of(&snapshot.id).join(held.of.directory());
                    let hashed = volumes(&agent).hash(&place, tell(progress, &held.of)).await;
                    let problem = match hashed {
                        Ok(hash) if hash.to_string() == held.hash => None,
                        Ok(_) => Some("its files are not what was saved".to_owned()),
                        Err(error) => Some(error.failure().what),
                    };
                    verified.push(VolumeVerified {
                        volume: held.of.to_string(),
                        problem,
                    });
                }
                Ok(verified)
            })
            .await
    });
    let verified = verifying.await;
    let (volumes, _) = steps.end(verified.map_err(Into::into)).await?;
    Ok(SnapshotVerified {
        environment: project.environment.id.to_string(),
        snapshot: snapshot.name.to_string(),
        volumes,
    })
}

/// Removes a snapshot, also one that cannot be used. The caller holds the lock.
pub async fn remove(
    project: &Project,
    name: &SnapshotName,
    outbox: &Outbox,
) -> Result<SnapshotRemoved, Failures> {
    let store = SnapshotStore::of(&project.paths);
    if !store.has(name) {
        return Err(unknown(&store, name).into());
    }
    let found = store.find(name).ok().flatten();
    // From here on it is gone, whenever the rest is broken off.
    store.forget(name).map_err(|error| error.failure())?;
    if let Some(snapshot) = &found {
        let title = format!("remove {name}");
        let steps = Steps::begin(outbox, &[("remove", title)]).await;
        let directory = Store::Snapshots.of(&snapshot.id);
        let removed = steps
            .step("remove", async |progress| {
                remove_data(project, &directory, outbox, progress).await
            })
            .await;
        steps.end(removed.map_err(Into::into)).await?;
    }
    Ok(SnapshotRemoved {
        environment: project.environment.id.to_string(),
        snapshot: name.to_string(),
        bytes: found.map_or(0, |snapshot| snapshot.bytes()),
    })
}

/// Removes a directory, relative to that of all volumes. In an image only the nodes can: where none runs it is left to the
/// next command that works on data.
async fn remove_data(
    project: &Project,
    directory: &Path,
    outbox: &Outbox,
    progress: &Progress,
) -> Result<(), Failure> {
    if load_volume_store(&project.paths)? == Some(VolumeStore::Image) {
        return match Site::of(project, outbox).await {
            Ok(site) => site.remove(directory).await,
            Err(failure) if failure.code.0 == NOT_RUNNING => {
                let text = "its room on the disk is free once the environment runs again";
                outbox.notice(NoticeLevel::Info, text).await;
                Ok(())
            }
            Err(failure) => Err(failure),
        };
    }
    let tools = project.tools().await?;
    let directory = project.paths.volumes().join(directory);
    let note = |text: &str| progress.note(text);
    remove_directory(&tools.docker, &project.helper_images(), &directory, note).await
}

fn unknown(store: &SnapshotStore, name: &SnapshotName) -> Failure {
    let failure = Failure::new(
        "snapshot.unknown",
        ExitClass::Usage,
        format!("there is no snapshot {name}"),
    );
    let kept = store.list().unwrap_or_default();
    let names: Vec<String> = kept
        .iter()
        .map(|kept| match kept {
            KeptSnapshot::Good(snapshot) => snapshot.name.to_string(),
            KeptSnapshot::Unusable(name, _) => name.to_string(),
        })
        .collect();
    if names.is_empty() {
        return failure.help(format!(
            "devenv snapshot save {name}   # makes it of the data as it is"
        ));
    }
    failure
        .help(format!("the snapshots are {}", names.join(", ")))
        .help("devenv snapshot list")
}
