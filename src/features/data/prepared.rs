//! What datasets came to, kept so that the next load of the same carries out no step again.
//!
//! It is the data of all volumes after the steps and checks of a load, kept as a snapshot is, in a place of its own: the
//! user neither sees nor removes it. It counts only for the same dataset with the same services, by all that they are
//! made of; what does not is the first to go.

use jiff::Timestamp;

use super::{
    load::{Base, Load},
    save::{at_rest, draft, hash, measure, of_volumes},
    site::{Site, Store, new_id, volumes, volumes_of},
    steps::Limits,
};
use crate::{
    adapters::files,
    domain::{
        DataAction, DatasetChain, Environment, Failure, InputsHash, LoadedDataset, Maker,
        ServiceName, Snapshot, SnapshotName,
    },
    engine::Progress,
    features::{Project, desire::desire},
    report::Outbox,
    state::{KeptSnapshot, SnapshotStore},
};

/// How many are kept, the newest.
const KEPT: usize = 3;
/// How many hexadecimal digits of a hash make a name.
const DIGITS: usize = 32;

/// The name under which it is kept what a dataset comes to; `None` where nothing is: its steps change more than
/// volumes, or what the services are made of cannot be told.
pub(super) async fn name(
    project: &Project,
    wanted: &Load,
    base: &Base,
    outbox: &Outbox,
) -> Option<SnapshotName> {
    let environment = &project.environment;
    if !changes_only_volumes(environment, &wanted.chain) {
        return None;
    }
    let services: Vec<ServiceName> = environment.services.keys().cloned().collect();
    let desired = desire(environment, &services, outbox).await.ok()?;
    let mut made_of = vec![
        wanted.hash.as_str().to_owned(),
        std::env::consts::ARCH.to_owned(),
    ];
    if let Base::Snapshot(snapshot) = base {
        made_of.push(snapshot.id.to_string());
    }
    for (service, release) in &desired.releases {
        made_of.push(format!("{service} {}", release.inputs.as_str()));
    }
    let hash = InputsHash::of(made_of.join("\n").as_bytes());
    let digits = hash.as_str().get(..DIGITS)?;
    format!("dataset-{digits}").parse().ok()
}

/// Whether all that the steps of a dataset change is kept by volumes. A request is for what the services make of it.
fn changes_only_volumes(environment: &Environment, chain: &DatasetChain) -> bool {
    let has_volumes = |name: &ServiceName| {
        let service = environment.services.get(name);
        let workload = service.and_then(|service| service.workload());
        workload.is_some_and(|workload| !workload.volumes.is_empty())
    };
    let mut steps = chain.iter().flat_map(|dataset| &dataset.steps);
    steps.all(|step| matches!(step.action, DataAction::Http(_)) || has_volumes(&step.service))
}

/// What is kept under a name, if it is whole and holds all volumes that there are.
pub(super) async fn find(site: &Site<'_>, name: &SnapshotName) -> Option<Snapshot> {
    let snapshot = store(site.project).find(name).ok().flatten()?;
    let known = volumes_of(&site.project.environment, &[]);
    let there = site.with_data(known).await.ok()?;
    if !there
        .iter()
        .all(|of| snapshot.volumes.iter().any(|held| held.of == *of))
    {
        return None;
    }
    let agent = site.agent().await.ok()?;
    let directory = Store::Prepared.of(&snapshot.id);
    for held in &snapshot.volumes {
        let place = directory.join(held.of.directory());
        let measured = volumes(&agent).measure(&place).await.ok()?;
        if (measured.files, measured.bytes) != (held.files, held.bytes) {
            return None;
        }
    }
    Some(snapshot)
}

/// Keeps under a name what a dataset came to. The oldest beyond those that are kept go.
pub(super) async fn keep(
    site: &Site<'_>,
    name: &SnapshotName,
    dataset: &LoadedDataset,
    limits: &Limits<'_>,
    progress: &Progress,
) -> Result<(), Failure> {
    let saving = of_volumes(site, &[]).await?;
    let id = new_id(name);
    let directory = Store::Prepared.of(&id);
    let created = Timestamp::now();
    let keeping = async {
        limits.hold(measure(site, &saving, progress)).await?;
        site.make_room(&directory, &saving).await?;
        let drafts = limits.hold(draft(site, &saving, &directory, progress));
        let (copied, _) = at_rest(site, drafts.await?, limits, progress).await?;
        let held = limits.hold(hash(site, &directory, copied, progress));
        let snapshot = Snapshot {
            name: name.clone(),
            id,
            created,
            note: None,
            project: site.project.environment.project.clone(),
            branch: None,
            dataset: Some(dataset.clone()),
            maker: Maker::Devenv,
            sanitized: None,
            devenv: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            volumes: held.await?,
        };
        forget(site, name).await?;
        let described = files::create_private_dir(&site.project.paths.prepared());
        let kept = described.and_then(|()| store(site.project).keep(&snapshot));
        kept.map_err(|error| error.failure())
    };
    let kept = keeping.await;
    if kept.is_err() {
        // What cannot be removed now is removed by the next command: why it failed says more.
        let _ = site.remove(&directory).await;
        return kept;
    }
    forget_oldest(site).await
}

async fn forget_oldest(site: &Site<'_>) -> Result<(), Failure> {
    let kept = store(site.project).list();
    let kept = kept.map_err(|error| error.failure())?;
    let mut good: Vec<Snapshot> = Vec::new();
    for kept in kept {
        match kept {
            KeptSnapshot::Good(snapshot) => good.push(*snapshot),
            KeptSnapshot::Unusable(name, _) => forget(site, &name).await?,
        }
    }
    good.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.created));
    for snapshot in good.iter().skip(KEPT) {
        forget(site, &snapshot.name).await?;
    }
    Ok(())
}

/// Makes what is under a name be there no more.
async fn forget(site: &Site<'_>, name: &SnapshotName) -> Result<(), Failure> {
    let store = store(site.project);
    if !store.has(name) {
        return Ok(());
    }
    let found = store.find(name).ok().flatten();
    // From here on it is gone, whenever the rest is broken off.
    store.forget(name).map_err(|error| error.failure())?;
    match found {
        Some(snapshot) => site.remove(&Store::Prepared.of(&snapshot.id)).await,
        None => Ok(()),
    }
}

fn store(project: &Project) -> SnapshotStore {
    SnapshotStore::prepared(&project.paths)
}
