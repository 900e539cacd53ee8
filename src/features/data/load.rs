//! Loads datasets: all of one, or nothing.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{
    exchange::{Incoming, Settling, take_place},
    mend::mended,
    prepared,
    restore::{self, check_architecture},
    site::{Site, Store, new_id, owners, volumes},
    snapshots::find,
    step::Loading,
    steps::{Limits, Steps},
};
use crate::{
    domain::{
        DataQuestion, DataStep, Dataset, DatasetChain, Environment, Failure, Failures, InputsHash,
        LoadedDataset, NoticeLevel, ServiceName, Snapshot, SnapshotId, SnapshotName, VolumeRef,
    },
    features::{
        Project,
        restart::{Way, is_deployed, restart},
    },
    report::{DataLoaded, Outbox},
    state::Loaded,
};

/// What is loaded.
#[derive(Debug, Clone)]
pub struct Load {
    /// The dataset, with all below it.
    pub chain: DatasetChain,
    /// The hash of all that they are made of.
    pub hash: InputsHash,
    /// What becomes of it where it was loaded last.
    pub again: Again,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// What becomes of a dataset that was loaded last already, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is loaded once more: the data may have been changed since.
    Load,
    /// Nothing is done.
    Skip,
}

/// What the data is before the first step.
pub(super) enum Base {
    Nothing,
    Snapshot(Box<Snapshot>),
    /// What the dataset came to when it was loaded before: no step is carried out again.
    Prepared(Box<Snapshot>),
}

/// Loads a dataset. The caller holds the lock.
pub async fn load(
    project: &Project,
    wanted: &Load,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<DataLoaded, Failures> {
    let name = &wanted.chain.top.name;
    let report = |steps, took: Duration| DataLoaded {
        environment: project.environment.id.to_string(),
        dataset: Some(name.to_string()),
        steps,
        total_seconds: took.as_secs_f64(),
    };
    let loaded = Loaded::of(&project.paths).map_err(|error| error.failure())?;
    let is_loaded = loaded.is_some_and(|loaded| loaded.dataset.hash == wanted.hash);
    if is_loaded && wanted.again == Again::Skip {
        return Ok(report(0, Duration::ZERO));
    }
    let base = match wanted.chain.snapshot() {
        None => Base::Nothing,
        Some(snapshot) => Base::Snapshot(Box::new(find(project, snapshot)?)),
    };
    let mut site = mended(project, outbox, cancel).await?;
    let limits = Limits::new(cancel, wanted.deadline);
    let mut keep = prepared::name(&site, wanted, &base, outbox).await;
    let found = match &keep {
        Some(kept) => prepared::find(&site, kept).await,
        None => None,
    };
    let base = match found {
        Some(snapshot) => {
            keep = None;
            Base::Prepared(Box::new(snapshot))
        }
        None => base,
    };
    let steps = Steps::begin(outbox, &titles(&wanted.chain, &base, keep.as_ref())).await;
    let dataset = LoadedDataset {
        name: name.clone(),
        hash: wanted.hash.clone(),
    };
    let replacing = Replacing {
        base: &base,
        doing: format!("load the dataset {name}"),
        anew: dependents_of(&wanted.chain, &base),
        dataset: Some(dataset.clone()),
    };
    let work = async |site: &Site<'_>| {
        Box::pin(carry_out(site, &steps, &wanted.chain, &base, &limits)).await?;
        let Some(name) = &keep else { return Ok(()) };
        let keeping = Box::pin(steps.step("prepared", async |progress| {
            let kept = prepared::keep(site, name, &dataset, &limits, progress).await;
            if let Err(failure) = kept {
                // It is loaded all the same.
                let text = format!("the next load takes its steps again: {}", failure.what);
                steps.notice(NoticeLevel::Info, text).await;
            }
            Ok(())
        }));
        Ok(keeping.await?)
    };
    let done = Box::pin(replace(&mut site, &steps, replacing, outbox, &limits, work)).await;
    let done = site.explained(done).await;
    let ((), took) = steps.end(done).await?;
    Ok(report(number_of_steps(&wanted.chain, &base), took))
}

/// Empties all volumes, as they were before the first `up`, and starts the services anew. The caller holds the lock.
pub(super) async fn empty(
    project: &Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<DataLoaded, Failures> {
    let mut site = mended(project, outbox, cancel).await?;
    let steps = Steps::begin(outbox, &frame("make empty volumes", Vec::new())).await;
    let limits = Limits::new(cancel, deadline);
    let replacing = Replacing {
        base: &Base::Nothing,
        doing: "empty the volumes".to_owned(),
        anew: Dependents::StartAnew,
        dataset: None,
    };
    let work = async |_: &Site<'_>| Ok(());
    let done = Box::pin(replace(&mut site, &steps, replacing, outbox, &limits, work)).await;
    let done = site.explained(done).await;
    let ((), took) = steps.end(done).await?;
    Ok(DataLoaded {
        environment: project.environment.id.to_string(),
        dataset: None,
        steps: 0,
        total_seconds: took.as_secs_f64(),
    })
}

/// What becomes of the services that are built on those whose data is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependents {
    /// They are started anew.
    StartAnew,
    /// They go on.
    GoOn,
}

/// What they made at their start, such as tables, is to be made anew where nothing is kept. What they remember of the
/// data from before, such as connections, would be in the way of their answers where checks ask them.
fn dependents_of(chain: &DatasetChain, base: &Base) -> Dependents {
    let mut checks = chain.iter().flat_map(|dataset| &dataset.checks);
    let asks_them = checks.any(|check| matches!(check.question, DataQuestion::Http(_)));
    match base {
        Base::Nothing => Dependents::StartAnew,
        Base::Prepared(_) if asks_them => Dependents::StartAnew,
        Base::Prepared(_) | Base::Snapshot(_) => Dependents::GoOn,
    }
}

/// Data that takes the place of all there is.
struct Replacing<'a> {
    base: &'a Base,
    doing: String,
    anew: Dependents,
    dataset: Option<LoadedDataset>,
}

/// Has a base take the place of all data, and does `work` on it.
async fn replace(
    site: &mut Site<'_>,
    steps: &Steps<'_>,
    replacing: Replacing<'_>,
    outbox: &Outbox,
    limits: &Limits<'_>,
    work: impl AsyncFnOnce(&Site<'_>) -> Result<(), Failures>,
) -> Result<(), Failures> {
    let id = new_id(&replacing.doing);
    let directory = Store::Exchange.of(&id);
    let prepared = steps
        .step("prepare", async |progress| {
            let replaced = replaced(site, replacing.base).await?;
            site.make_room(&directory, &replaced).await?;
            let preparing = async {
                match replacing.base {
                    Base::Nothing => make_empty(site, &replaced, &id).await,
                    Base::Snapshot(snapshot) => {
                        check_architecture(snapshot)?;
                        let from = Store::Snapshots.of(&snapshot.id);
                        restore::copy(site, (snapshot, &from), &replaced, &id, progress).await
                    }
                    Base::Prepared(snapshot) => {
                        let from = Store::Prepared.of(&snapshot.id);
                        restore::copy(site, (snapshot, &from), &replaced, &id, progress).await
                    }
                }
            };
            limits.hold(preparing).await?;
            Ok(replaced)
        })
        .await;
    let replaced = match prepared {
        Ok(replaced) => replaced,
        Err(failure) => {
            // What cannot be removed now is removed by the next command: why it failed says more.
            let _ = site.remove(&directory).await;
            return Err(failure.into());
        }
    };
    let began = Instant::now();
    let settling = Settling {
        outbox,
        cancel: limits.cancel,
        deadline: limits.left(),
    };
    let incoming = Incoming {
        id,
        doing: replacing.doing,
        volumes: replaced,
        dataset: replacing.dataset,
    };
    let owners = owners(&incoming.volumes);
    let anew = replacing.anew;
    take_place(site, steps, &incoming, &settling, async |site| {
        if anew == Dependents::StartAnew {
            let left = limits.deadline.saturating_sub(began.elapsed());
            start_dependents(site, &owners, outbox, limits.cancel, left).await?;
        }
        work(site).await
    })
    .await
}

/// The volumes whose data is replaced: those that hold data, or of which the snapshot does.
async fn replaced(site: &Site<'_>, base: &Base) -> Result<Vec<VolumeRef>, Failure> {
    let mut volumes = site.volumes_of(&[]).await?;
    match base {
        Base::Snapshot(snapshot) | Base::Prepared(snapshot) => {
            volumes.retain(|volume| snapshot.volumes.iter().any(|held| held.of == *volume));
            Ok(volumes)
        }
        Base::Nothing => site.with_data(volumes).await,
    }
}

async fn make_empty(
    site: &Site<'_>,
    replaced: &[VolumeRef],
    id: &SnapshotId,
) -> Result<(), Failure> {
    let agent = site.agent().await?;
    for volume in replaced {
        let place = Store::Exchange.of(id).join(volume.directory());
        let made = volumes(&agent).make(&place).await;
        made.map_err(|error| error.failure())?;
    }
    Ok(())
}

/// Starts the services anew that are built on those whose data was emptied.
async fn start_dependents(
    site: &Site<'_>,
    owners: &[ServiceName],
    outbox: &Outbox,
    cancel: &CancellationToken,
    within: Duration,
) -> Result<(), Failures> {
    let mut services = dependents(&site.project.environment, owners);
    services.retain(|service| is_deployed(&site.sight.observed, service));
    if services.is_empty() {
        return Ok(());
    }
    let restarting = restart(
        site.project,
        &services,
        Way::Fastest,
        outbox,
        cancel,
        within,
    );
    restarting.await.map(|_| ())
}

/// The services that depend on others, transitively, without these.
fn dependents(environment: &Environment, owners: &[ServiceName]) -> Vec<ServiceName> {
    let mut found: Vec<ServiceName> = owners.to_vec();
    let mut from = 0;
    while from < found.len() {
        let known = found[from].clone();
        from += 1;
        let services = environment.services.values();
        let more = services.filter(|service| service.depends_on.contains(&known));
        for service in more {
            if !found.contains(&service.name) {
                found.push(service.name.clone());
            }
        }
    }
    found.split_off(owners.len())
}

/// Carries out all steps that the data is still without, and asks what must hold.
async fn carry_out(
    site: &Site<'_>,
    steps: &Steps<'_>,
    chain: &DatasetChain,
    base: &Base,
    limits: &Limits<'_>,
) -> Result<(), Failures> {
    for dataset in chain.iter() {
        let loading = Loading { site, dataset };
        for (number, step) in steps_of(dataset, base).iter().enumerate() {
            let id = step_id(dataset, number);
            let working = Box::pin(loading.step(step));
            steps
                .step(&id, async |_| limits.hold(working).await)
                .await?;
        }
        for (number, check) in dataset.checks.iter().enumerate() {
            let id = check_id(dataset, number);
            let asking = Box::pin(loading.check(check));
            steps.step(&id, async |_| limits.hold(asking).await).await?;
        }
    }
    Ok(())
}

/// The steps of a dataset that data is still without.
fn steps_of<'a>(dataset: &'a Dataset, base: &Base) -> &'a [DataStep] {
    match base {
        Base::Prepared(_) => &[],
        Base::Nothing | Base::Snapshot(_) => &dataset.steps,
    }
}

fn number_of_steps(chain: &DatasetChain, base: &Base) -> usize {
    let steps = chain.iter().map(|dataset| steps_of(dataset, base).len());
    steps.sum()
}

fn step_id(dataset: &Dataset, number: usize) -> String {
    format!("{}-step-{}", dataset.name, number + 1)
}

fn check_id(dataset: &Dataset, number: usize) -> String {
    format!("{}-check-{}", dataset.name, number + 1)
}

/// What is going to be done, by id.
fn titles(chain: &DatasetChain, base: &Base, keep: Option<&SnapshotName>) -> Vec<(String, String)> {
    let mut titles = Vec::new();
    for dataset in chain.iter() {
        let name = &dataset.name;
        for (number, step) in steps_of(dataset, base).iter().enumerate() {
            let title = format!("{name}: {} into {}", step.title(), step.service);
            titles.push((step_id(dataset, number), title));
        }
        for (number, check) in dataset.checks.iter().enumerate() {
            let title = format!("{name}: check {} of {}", check.title(), check.service);
            titles.push((check_id(dataset, number), title));
        }
    }
    let kept = "keep what it came to for the next time";
    titles.extend(keep.map(|_| ("prepared".to_owned(), kept.to_owned())));
    let first = match base {
        Base::Nothing => "make empty volumes".to_owned(),
        Base::Snapshot(snapshot) => format!("copy the snapshot {}", snapshot.name),
        Base::Prepared(_) => "copy what it came to before".to_owned(),
    };
    frame(&first, titles)
}

fn frame(first: &str, inner: Vec<(String, String)>) -> Vec<(String, String)> {
    let step = |id: &str, title: &str| (id.to_owned(), title.to_owned());
    let before = [
        step("prepare", first),
        step("exchange", "put them into their place"),
    ];
    let after = [step("keep", "remove the data from before")];
    before.into_iter().chain(inner).chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{environment, name};

    #[test]
    fn services_built_on_those_with_data_are_found_through_others() {
        let environment = environment(&[
            ("postgres", &[]),
            ("order", &["postgres"]),
            ("gateway", &["order"]),
            ("mail", &[]),
        ]);
        assert_eq!(
            dependents(&environment, &[name("postgres")]),
            [name("order"), name("gateway")]
        );
    }
}
