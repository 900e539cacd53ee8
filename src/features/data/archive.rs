//! Snapshots as files for other machines: exported, checked and imported.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::spawn_blocking,
};

use super::{
    mend::mended,
    restore::check_architecture,
    site::{Site, Store, new_id, tell, volumes},
    steps::{Limits, Steps},
};
use crate::{
    adapters::{
        agent::{AgentFailure, pack, unpack},
        archive::{self, ArchiveError, Checked, Part, Piece, VolumeId},
        host,
    },
    domain::{
        CopyMeans, ExitClass, Failure, Failures, Maker, NoticeLevel, Snapshot, SnapshotName,
        VolumeRef,
    },
    engine::Progress,
    features::Project,
    plan::VOLUMES_IN_NODE,
    report::{Outbox, SnapshotExported, SnapshotImported, SnapshotVerified, VolumeVerified},
    state::{SnapshotStore, describe, understand},
};

/// How many pieces of a stream may wait for who takes them.
const PIECES_WAITING: usize = 64;

/// Writes a snapshot to a file that is not there yet. The caller holds the lock.
pub async fn export(
    project: &Project,
    snapshot: &Snapshot,
    file: &Path,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotExported, Failures> {
    let site = mended(project, outbox, limits.cancel).await?;
    let title = format!("write {} to {}", snapshot.name, file.display());
    let steps = Steps::begin(outbox, &[("export", title)]).await;
    let exporting = steps.step("export", async |progress| {
        let places = places_of(snapshot);
        let writing = write(&site, snapshot, &places, file, progress);
        limits.hold(writing).await
    });
    let exported = exporting.await.map_err(Into::into);
    let (bytes, took) = steps.end(site.explained(exported).await).await?;
    Ok(SnapshotExported {
        environment: project.environment.id.to_string(),
        snapshot: snapshot.into(),
        sanitized: None,
        file: file.display().to_string(),
        bytes,
        total_seconds: took.as_secs_f64(),
    })
}

/// Where the volumes of a snapshot lie.
fn places_of(snapshot: &Snapshot) -> BTreeMap<VolumeRef, PathBuf> {
    let directory = Store::Snapshots.of(&snapshot.id);
    let held = snapshot.volumes.iter().map(|volume| &volume.of);
    held.map(|of| (of.clone(), directory.join(of.directory())))
        .collect()
}

/// Writes a file of what `snapshot` describes, whose volumes lie at `places`; returns how long it is, in bytes.
pub(super) async fn write(
    site: &Site<'_>,
    snapshot: &Snapshot,
    places: &BTreeMap<VolumeRef, PathBuf>,
    file: &Path,
    progress: &Progress,
) -> Result<u64, Failure> {
    // So that the node has the agent.
    site.agent().await?;
    let (parts, receiver) = channel(1);
    let (path, manifest) = (file.to_owned(), describe(snapshot));
    let writing = spawn_blocking(move || archive::write(&path, &manifest, receiver));
    // Dropped when it is done or broken off: then the writer ends.
    let packed = pack_all(site, places, parts, progress).await;
    let written = ended(writing.await)?;
    // A writer that fails says more than a stream that it does not take.
    let bytes = written.map_err(|error| match &packed {
        Err(failure) => failure.clone(),
        Ok(()) => error.failure(),
    })?;
    packed?;
    Ok(bytes)
}

async fn pack_all(
    site: &Site<'_>,
    places: &BTreeMap<VolumeRef, PathBuf>,
    parts: Sender<Part>,
    progress: &Progress,
) -> Result<(), Failure> {
    let node = site.project.environment.id.cluster().server_container();
    for (of, path) in places {
        progress.note(of.to_string());
        let volume = id_of(of)?;
        let (pieces, receiver) = channel(PIECES_WAITING);
        let part = Part {
            volume: volume.clone(),
            pieces: receiver,
        };
        if parts.send(part).await.is_err() {
            // The writer says why.
            return Ok(());
        }
        let place = (Path::new(VOLUMES_IN_NODE), path.as_path());
        let packed = pack(&site.tools.docker, &node, place, &volume, pieces).await;
        packed.map_err(|error| error.failure())?;
    }
    Ok(())
}

fn id_of(volume: &VolumeRef) -> Result<VolumeId, Failure> {
    let id = VolumeId::new(
        volume.service.as_str().as_bytes(),
        volume.volume.as_str().as_bytes(),
    );
    id.ok_or_else(|| {
        let what = format!("no archive can hold a volume of the name {volume}");
        Failure::new("archive.refused", ExitClass::Data, what)
            .help("give the volume another name in devenv.yaml")
    })
}

/// Makes a snapshot of a file that was exported, by the name that it had there or another. The caller holds the lock.
pub async fn import(
    project: &Project,
    file: &Path,
    name: Option<SnapshotName>,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotImported, Failures> {
    let steps = Steps::begin(
        outbox,
        &[
            ("check", format!("check {}", file.display())),
            ("unpack", "unpack it".to_owned()),
            ("hash", "compare it with what was saved".to_owned()),
        ],
    )
    .await;
    let imported = Box::pin(all(project, file, name, &steps, outbox, limits)).await;
    let (snapshot, took) = steps.end(imported).await?;
    Ok(SnapshotImported {
        environment: project.environment.id.to_string(),
        snapshot: (&snapshot).into(),
        total_seconds: took.as_secs_f64(),
    })
}

async fn all(
    project: &Project,
    file: &Path,
    name: Option<SnapshotName>,
    steps: &Steps<'_>,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<Snapshot, Failures> {
    let store = SnapshotStore::of(&project.paths);
    let from = steps
        .step("check", async |progress| {
            let snapshot = limits.hold(checked(project, file, progress)).await?;
            check_architecture(&snapshot)?;
            Ok(snapshot)
        })
        .await?;
    let name = name.unwrap_or_else(|| from.name.clone());
    if store.has(&name) {
        return Err(taken(&name, file).into());
    }
    let site = mended(project, outbox, limits.cancel).await?;
    if from.project != project.environment.project {
        let text = format!("it is of another project, {}", from.project);
        steps.notice(NoticeLevel::Warning, text).await;
    }
    let mut snapshot = Snapshot {
        id: new_id(&name),
        name,
        maker: Maker::User,
        ..from
    };
    for held in &mut snapshot.volumes {
        held.means = CopyMeans::Copied;
    }
    let directory = Store::Snapshots.of(&snapshot.id);
    let filled = async {
        steps
            .step("unpack", async |_| {
                site.room(snapshot.bytes()).await?;
                limits.hold(unpack_all(&site, file, &directory)).await
            })
            .await?;
        steps
            .step("hash", async |progress| {
                limits.hold(compare(&site, &snapshot, file, progress)).await
            })
            .await?;
        store.keep(&snapshot).map_err(|error| error.failure())
    };
    let filled = filled.await;
    if let Err(failure) = filled {
        // What cannot be removed now is removed by the next command: why it failed says more.
        let _ = site.remove(&directory).await;
        return Err(failure.into());
    }
    Ok(snapshot)
}

/// Reads a file to its end: the snapshot that it holds, whole.
async fn checked(project: &Project, file: &Path, progress: &Progress) -> Result<Snapshot, Failure> {
    let space = host::space(&project.paths.volumes()).map_err(|error| error.failure())?;
    let checked = check(file, space.free.bytes(), progress).await?;
    let snapshot = understand(&checked.manifest, file).map_err(|error| error.failure())?;
    let mut described: Vec<(String, u64, u64)> = snapshot
        .volumes
        .iter()
        .map(|held| (held.of.to_string(), held.files, held.bytes))
        .collect();
    described.sort();
    let found = checked.volumes.iter();
    let found = found.map(|(volume, totals)| (volume.to_string(), totals.files, totals.bytes));
    if described.into_iter().ne(found) {
        return Err(other_contents(file));
    }
    Ok(snapshot)
}

async fn check(file: &Path, room: u64, progress: &Progress) -> Result<Checked, Failure> {
    let (path, progress) = (file.to_owned(), progress.clone());
    let checking = spawn_blocking(move || {
        let mut said = 0;
        archive::check(&path, room, |bytes| {
            let mebibytes = bytes >> 20;
            if mebibytes != said {
                said = mebibytes;
                progress.note(format!("{mebibytes} MiB"));
            }
        })
    });
    ended(checking.await)?.map_err(|error| error.failure())
}

async fn unpack_all(site: &Site<'_>, file: &Path, directory: &Path) -> Result<(), Failure> {
    // So that the node has the agent.
    site.agent().await?;
    site.make_place(directory).await?;
    let node = site.project.environment.id.cluster().server_container();
    let (pieces, receiver): (Sender<Piece>, Receiver<Piece>) = channel(PIECES_WAITING);
    let path = file.to_owned();
    let sending = spawn_blocking(move || archive::send(&path, &pieces));
    let place = (Path::new(VOLUMES_IN_NODE), directory);
    let unpacked: Result<_, AgentFailure> =
        unpack(&site.tools.docker, &node, place, receiver).await;
    let sent: Result<(), ArchiveError> = ended(sending.await)?;
    sent.map_err(|error| error.failure())?;
    unpacked.map(|_| ()).map_err(|error| error.failure())
}

/// Compares what was unpacked with what the manifest says.
async fn compare(
    site: &Site<'_>,
    snapshot: &Snapshot,
    file: &Path,
    progress: &Progress,
) -> Result<(), Failure> {
    let agent = site.agent().await?;
    for held in &snapshot.volumes {
        let place = Store::Snapshots.of(&snapshot.id).join(held.of.directory());
        let hashed = volumes(&agent).hash(&place, tell(progress, &held.of)).await;
        let hash = hashed.map_err(|error| error.failure())?;
        if hash.to_string() != held.hash {
            return Err(other_contents(file).because(format!("{} is not what was saved", held.of)));
        }
    }
    Ok(())
}

/// Reads a file that was exported to its end.
pub async fn verify_file(
    project: &Project,
    file: &Path,
    outbox: &Outbox,
    limits: &Limits<'_>,
) -> Result<SnapshotVerified, Failures> {
    let title = format!("read {} to its end", file.display());
    let steps = Steps::begin(outbox, &[("verify", title)]).await;
    let verifying = steps.step("verify", async |progress| {
        let checked = limits.hold(check(file, u64::MAX, progress)).await?;
        understand(&checked.manifest, file).map_err(|error| error.failure())?;
        Ok(checked.volumes)
    });
    let verified = verifying.await;
    let (volumes, _) = steps.end(verified.map_err(Into::into)).await?;
    let volumes = volumes.iter().map(|(volume, _)| VolumeVerified {
        volume: volume.to_string(),
        problem: None,
    });
    Ok(SnapshotVerified {
        environment: project.environment.id.to_string(),
        snapshot: file.display().to_string(),
        volumes: volumes.collect(),
    })
}

/// What a thread of its own came to.
fn ended<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Failure> {
    joined.map_err(|error| {
        let what = "reading or writing an archive broke off".to_owned();
        Failure::new("run.inconsistent", ExitClass::Internal, what).caused_by(&error)
    })
}

fn taken(name: &SnapshotName, file: &Path) -> Failure {
    Failure::new(
        "snapshot.exists",
        ExitClass::Usage,
        format!("there is a snapshot {name} already"),
    )
    .help(format!(
        "devenv snapshot import {} --name ANOTHER",
        file.display()
    ))
}

fn other_contents(file: &Path) -> Failure {
    Failure::new(
        "archive.other-contents",
        ExitClass::Data,
        format!("what {} holds is not what it says", file.display()),
    )
    .help("export it again where it comes from")
}
