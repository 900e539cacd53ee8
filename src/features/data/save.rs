//! Makes snapshots: everything stands for a moment, while the data is copied.

use std::{path::Path, time::Duration};

use futures::future::try_join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    mend::mended,
    quiesce::{quiesce, resume},
    site::{Containers, Site, Store, new_id, owners, tell, volumes},
    steps::{Limits, Steps},
};
use crate::{
    adapters::{
        agent::{Copied, Draft, Means},
        git,
    },
    domain::{
        CopyMeans, ExitClass, Failure, Failures, LoadedDataset, Maker, NoticeLevel, ServiceName,
        Snapshot, SnapshotName, SnapshotVolume, VolumeRef,
    },
    engine::Progress,
    features::Project,
    report::{Outbox, SnapshotSaved},
    state::{Loaded, SnapshotStore},
};

/// What is to be saved.
#[derive(Debug, Clone)]
pub struct Save {
    /// The name of the snapshot, which no other has.
    pub name: SnapshotName,
    /// The services whose data is saved; all if none is named.
    pub services: Vec<ServiceName>,
    /// What is written about it.
    pub note: Option<String>,
    /// Who makes it.
    pub maker: Maker,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// Makes a snapshot. The caller holds the lock.
pub async fn save(
    project: &Project,
    wanted: &Save,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<SnapshotSaved, Failures> {
    let store = SnapshotStore::of(&project.paths);
    if store.has(&wanted.name) {
        return Err(exists(&wanted.name).into());
    }
    let site = mended(project, outbox, cancel).await?;
    let saving = of_volumes(&site, &wanted.services).await?;
    tell_left_out(&site, outbox).await?;
    let steps = Steps::begin(
        outbox,
        &[
            ("measure", format!("measure {}", words(&saving))),
            ("draft", "copy it while everything runs".to_owned()),
            (
                "copy",
                "copy what changed since, while everything stands".to_owned(),
            ),
            ("hash", "hash the copy".to_owned()),
        ],
    )
    .await;
    let limits = Limits::new(cancel, wanted.deadline);
    let ended = Box::pin(all(&site, &steps, wanted, &saving, &limits)).await;
    let ended = site.explained(ended.map_err(Into::into)).await;
    let (saved, took) = steps.end(ended).await?;
    Ok(SnapshotSaved {
        environment: project.environment.id.to_string(),
        stood_seconds: saved.stood.as_secs_f64(),
        total_seconds: took.as_secs_f64(),
        snapshot: (&saved.snapshot).into(),
    })
}

struct Saved {
    snapshot: Snapshot,
    stood: Duration,
}

async fn all(
    site: &Site<'_>,
    steps: &Steps<'_>,
    wanted: &Save,
    saving: &[VolumeRef],
    limits: &Limits<'_>,
) -> Result<Saved, Failure> {
    let created = Timestamp::now();
    let id = new_id(&wanted.name);
    let directory = Store::Snapshots.of(&id);
    steps
        .step("measure", async |progress| {
            limits.hold(measure(site, saving, progress)).await
        })
        .await?;
    let filled = async {
        let drafts = steps
            .step("draft", async |progress| {
                site.make_room(&directory, saving).await?;
                let drafting = draft(site, saving, &directory, progress);
                limits.hold(drafting).await
            })
            .await?;
        let (copied, stood) = steps
            .step("copy", async |progress| {
                at_rest(site, drafts, limits, progress).await
            })
            .await?;
        let held = steps
            .step("hash", async |progress| {
                limits.hold(hash(site, &directory, copied, progress)).await
            })
            .await?;
        let snapshot = Snapshot {
            name: wanted.name.clone(),
            id: id.clone(),
            created,
            note: wanted.note.clone(),
            project: site.project.environment.project.clone(),
            branch: git::branch(&site.project.environment.directory),
            dataset: loaded(site.project)?,
            devenv: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            maker: wanted.maker,
            sanitized: None,
            volumes: held,
        };
        let kept = SnapshotStore::of(&site.project.paths).keep(&snapshot);
        kept.map_err(|error| error.failure())?;
        Ok(Saved { snapshot, stood })
    };
    let saved = filled.await;
    if saved.is_err() {
        // What cannot be removed now is removed by the next command: why it failed says more.
        let _ = site.remove(&directory).await;
    }
    saved
}

/// Which dataset was loaded last.
fn loaded(project: &Project) -> Result<Option<LoadedDataset>, Failure> {
    let loaded = Loaded::of(&project.paths).map_err(|error| error.failure())?;
    Ok(loaded.map(|loaded| loaded.dataset))
}

/// Refuses what would fill the disk.
pub(super) async fn measure(
    site: &Site<'_>,
    saving: &[VolumeRef],
    progress: &Progress,
) -> Result<(), Failure> {
    let agent = site.agent().await?;
    let mut needed = 0;
    for volume in saving {
        progress.note(volume.to_string());
        let measured = volumes(&agent).measure(&volume.directory()).await;
        needed += measured.map_err(|error| error.failure())?.allocated;
    }
    site.room(needed).await
}

/// Copies the volumes into a directory, relative to that of all volumes, while their services go on.
pub(super) async fn draft(
    site: &Site<'_>,
    saving: &[VolumeRef],
    directory: &Path,
    progress: &Progress,
) -> Result<Vec<(VolumeRef, Draft)>, Failure> {
    let agent = site.agent().await?;
    let mut drafts = Vec::new();
    for volume in saving {
        let (from, to) = (volume.directory(), directory.join(volume.directory()));
        let told = tell(progress, volume);
        let draft = volumes(&agent).draft(&from, &to, told).await;
        drafts.push((volume.clone(), draft.map_err(|error| error.failure())?));
    }
    Ok(drafts)
}

/// Makes copies complete while the services that ask for it are at rest.
pub(super) async fn at_rest(
    site: &Site<'_>,
    drafts: Vec<(VolumeRef, Draft)>,
    limits: &Limits<'_>,
    progress: &Progress,
) -> Result<(Vec<(VolumeRef, Copied)>, Duration), Failure> {
    let resting = quiesce(site, progress).await;
    let copied = match &resting {
        Ok(()) => limits.hold(complete(site, drafts, limits.left())).await,
        Err(failure) => Err(failure.clone()),
    };
    // Whatever became of it, and also those that came to rest where another did not.
    let resumed = resume(site, progress).await;
    let copied = copied?;
    resumed.map(|()| copied)
}

/// Makes copies complete while all services of the volumes stand; returns how long they stood.
async fn complete(
    site: &Site<'_>,
    drafts: Vec<(VolumeRef, Draft)>,
    at_most: Duration,
) -> Result<(Vec<(VolumeRef, Copied)>, Duration), Failure> {
    let agent = site.agent().await?;
    let saving: Vec<VolumeRef> = drafts.iter().map(|(volume, _)| volume.clone()).collect();
    // What is on disk already need not be written while they stand.
    let synced = volumes(&agent).sync().await;
    synced.map_err(|error| error.failure())?;
    // Containers may have come and gone while the copies were made.
    let containers = Containers::running(&site.pods_now(&owners(&saving)).await?);
    let frozen = site.freeze(&containers, at_most).await?;
    let completing = drafts.into_iter().map(|(volume, draft)| async {
        let copied = draft.complete().await;
        Ok((volume, copied.map_err(|error| error.failure())?))
    });
    let copied = try_join_all(completing).await?;
    let mut stood = Duration::ZERO;
    for frozen in frozen {
        let thawed = frozen.thaw().await.map_err(|error| error.failure())?;
        stood = stood.max(thawed);
    }
    let synced = volumes(&agent).sync().await;
    synced.map_err(|error| error.failure())?;
    Ok((copied, stood))
}

/// A volume whose data was written to some directory.
pub(super) struct Written {
    pub(super) of: VolumeRef,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) means: CopyMeans,
}

impl From<(VolumeRef, Copied)> for Written {
    fn from((of, copied): (VolumeRef, Copied)) -> Self {
        Self {
            of,
            files: copied.files,
            bytes: copied.bytes,
            means: match copied.means {
                Means::Cloned => CopyMeans::Cloned,
                Means::Copied => CopyMeans::Copied,
            },
        }
    }
}

/// Hashes what was written to a directory, relative to that of all volumes.
pub(super) async fn hash(
    site: &Site<'_>,
    directory: &Path,
    written: Vec<impl Into<Written>>,
    progress: &Progress,
) -> Result<Vec<SnapshotVolume>, Failure> {
    let agent = site.agent().await?;
    let mut held = Vec::new();
    for written in written {
        let Written {
            of,
            files,
            bytes,
            means,
        } = written.into();
        let place = directory.join(of.directory());
        let hashed = volumes(&agent).hash(&place, tell(progress, &of)).await;
        held.push(SnapshotVolume {
            files,
            bytes,
            hash: hashed.map_err(|error| error.failure())?.to_string(),
            means,
            of,
        });
    }
    Ok(held)
}

/// The volumes of services that hold data.
pub(super) async fn of_volumes(
    site: &Site<'_>,
    services: &[ServiceName],
) -> Result<Vec<VolumeRef>, Failure> {
    let volumes = site.with_data(site.volumes_of(services).await?).await?;
    if volumes.is_empty() {
        let failure = Failure::new(
            "snapshot.no-volumes",
            ExitClass::Data,
            "there is no data of which a snapshot could be made",
        );
        return Err(match services {
            [] => failure
                .because("no service of the environment has a volume with data")
                .help("give a service `volumes` in devenv.yaml, then: devenv up"),
            named => {
                let named: Vec<&str> = named.iter().map(AsRef::as_ref).collect();
                failure
                    .because(format!("{} has no volume with data", named.join(", ")))
                    .help("devenv snapshot save NAME   # the data of all services")
            }
        });
    }
    Ok(volumes)
}

/// Says which data there is besides that no snapshot can hold.
async fn tell_left_out(site: &Site<'_>, outbox: &Outbox) -> Result<(), Failure> {
    let claims = site.claims_not_kept().await?;
    if !claims.is_empty() {
        let text = format!(
            "not in the snapshot, as the cluster keeps their data itself: the claims {}",
            claims.join(", ")
        );
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    Ok(())
}

pub(super) fn words(volumes: &[VolumeRef]) -> String {
    let services = owners(volumes);
    let names: Vec<&str> = services.iter().map(AsRef::as_ref).collect();
    format!("the data of {}", names.join(", "))
}

fn exists(name: &SnapshotName) -> Failure {
    Failure::new(
        "snapshot.exists",
        ExitClass::Usage,
        format!("there is a snapshot {name} already"),
    )
    .help(format!("devenv snapshot show {name}"))
    .help("choose another name, or remove it first: devenv snapshot remove NAME")
}
