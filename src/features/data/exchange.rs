//! New data takes the place of the old, and is taken out again where the services do not come up with it.
//!
//! Everything is prepared beside the volumes while the services run. Then they are stopped where they stand and the
//! directories change places. A container holds the directory that it was started with: it is given the other (see
//! [`stay`](super::stay)), or its pod is replaced. The old data is kept until the new is verified. A record says how far
//! it was, so that the next command can put back what was broken off anywhere.

use std::time::Duration;

use futures::future::join;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    site::{Containers, Site, Store, owners, volumes},
    stay::{remount, stand_by, start, until_all_ready},
    steps::Steps,
};
use crate::{
    domain::{
        Desired, EventKind, ExitClass, Failure, Failures, LoadedDataset, NoticeLevel, RunChange,
        ServiceName, SnapshotId, VolumeRef,
    },
    features::{
        process::Process,
        up::{completed, run},
    },
    plan,
    report::Outbox,
    state::{Before, ExchangeRecord, Exchanged, Loaded},
};

/// How long the services may stand while directories change places.
const STANDS_AT_MOST: Duration = Duration::from_secs(30);

/// Data that is prepared to take the place of other.
pub(super) struct Incoming {
    /// Names the directory in which it is, of [`Store::Exchange`].
    pub(super) id: SnapshotId,
    /// What is being done, such as `restore the snapshot before`.
    pub(super) doing: String,
    /// Its volumes.
    pub(super) volumes: Vec<VolumeRef>,
    /// The dataset that it is then.
    pub(super) dataset: Option<LoadedDataset>,
}

/// How the services are brought up again.
pub(super) struct Settling<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Duration,
}

/// Has the data take its place, waits until the services are ready with it, and does `work` with them; then the data
/// from before goes. Where any of that does not succeed it is put back.
///
/// The steps `exchange` and `keep` must be among those that were begun.
pub(super) async fn take_place(
    site: &mut Site<'_>,
    steps: &Steps<'_>,
    incoming: &Incoming,
    settling: &Settling<'_>,
    work: impl AsyncFnOnce(&Site<'_>) -> Result<(), Failures>,
) -> Result<(), Failures> {
    let record = match begin(site, incoming).await {
        Ok(record) => record,
        Err(failure) => {
            // What cannot be removed now is removed by the next command: why it failed says more.
            let _ = site.remove(&Store::Exchange.of(&incoming.id)).await;
            return Err(failure.into());
        }
    };
    // From here on it is not broken off by a Ctrl-C, but put back: it takes a moment.
    let exchanged = enter(site, steps, &record, settling).await;
    let done = match exchanged {
        Ok(()) => work(site).await,
        Err(failures) => Err(failures),
    };
    // Before there is room again by what is put back.
    if let Err(failures) = site.explained(done).await {
        let text = format!(
            "the data from before is put back: it did not work to {}",
            record.doing
        );
        steps.notice(NoticeLevel::Warning, text).await;
        let put_back = put_back(site, &record, settling).await;
        return Err(match put_back {
            Ok(()) => failures,
            Err(others) => both(failures, &others),
        });
    }
    steps
        .step("keep", async |_| {
            let paths = &site.project.paths;
            ExchangeRecord::settle(paths).map_err(|error| error.failure())?;
            note(site, incoming, steps).await;
            let change = RunChange::Data {
                done: incoming.doing.clone(),
            };
            settling.outbox.event(EventKind::Changed { change }).await;
            site.remove(&Store::Exchange.of(&incoming.id)).await
        })
        .await?;
    Ok(())
}

/// Writes down what is needed to put back what is there now. Nobody knows from then on what was loaded last.
async fn begin(site: &Site<'_>, incoming: &Incoming) -> Result<ExchangeRecord, Failure> {
    let record = record(site, incoming).await?;
    let paths = &site.project.paths;
    record.save(paths).map_err(|error| error.failure())?;
    Loaded::forget(paths).map_err(|error| error.failure())?;
    Ok(record)
}

/// Notes which dataset the data is now. It is there all the same where that cannot be noted.
async fn note(site: &Site<'_>, incoming: &Incoming, steps: &Steps<'_>) {
    let loaded = incoming.dataset.clone().map(|dataset| Loaded {
        dataset,
        at: Timestamp::now(),
    });
    let Some(Err(error)) = loaded.map(|loaded| loaded.note(&site.project.paths)) else {
        return;
    };
    let text = format!("it is not known later which dataset was loaded: {error}");
    steps.notice(NoticeLevel::Warning, text).await;
}

/// Exchanges the data, and waits until the services are ready with the new.
async fn enter(
    site: &mut Site<'_>,
    steps: &Steps<'_>,
    record: &ExchangeRecord,
    settling: &Settling<'_>,
) -> Result<(), Failures> {
    let swapped = steps
        .step("exchange", async |_| {
            swap(site, record, Direction::In, settling).await
        })
        .await?;
    match settle(site, swapped, "its data was exchanged", settling).await? {
        Pods::AsBefore => Ok(()),
        Pods::Others => Ok(site.look_again(settling.outbox).await?),
    }
}

/// Puts the data from before an exchange into its place again, removes the other, and waits until the services are
/// ready.
pub(super) async fn put_back(
    site: &mut Site<'_>,
    record: &ExchangeRecord,
    settling: &Settling<'_>,
) -> Result<(), Failures> {
    site.look_again(settling.outbox).await?;
    let swapped = swap(site, record, Direction::Out, settling).await?;
    let paths = &site.project.paths;
    if let Some(loaded) = &record.loaded {
        // It can be lost: then nobody knows.
        let _ = loaded.note(paths);
    }
    ExchangeRecord::settle(paths).map_err(|error| error.failure())?;
    site.remove(&Store::Exchange.of(&record.id)).await?;
    settle(site, swapped, "its data was put back", settling).await?;
    Ok(())
}

/// Which way data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// The new into its place.
    In,
    /// And out of it again.
    Out,
}

/// What has the data from after an exchange.
#[derive(Default)]
struct Swapped {
    /// Services that were started anew in their containers.
    stayed: Vec<Process>,
    /// Services some of whose pods are others.
    replaced: Vec<ServiceName>,
}

/// Whether the pods of services are those that they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pods {
    AsBefore,
    Others,
}

/// Has the directories change places that have not yet, while all their services stand, and starts these anew: in their
/// containers where that can be, else in other pods.
async fn swap(
    site: &Site<'_>,
    record: &ExchangeRecord,
    direction: Direction,
    settling: &Settling<'_>,
) -> Result<Swapped, Failure> {
    let of: Vec<&VolumeRef> = record
        .volumes
        .iter()
        .map(|exchanged| &exchanged.of)
        .collect();
    let services = owners(of.iter().copied());
    let containers = Containers::running(&site.pods_now(&services).await?);
    let agent = site.agent().await?;
    let staying = stand_by(site, &services, STANDS_AT_MOST).await;
    let frozen = site.freeze(&containers, STANDS_AT_MOST).await?;
    let mut moved = false;
    for exchanged in &record.volumes {
        let is_in = is_in(site, exchanged).await?;
        if is_in == (direction == Direction::In) {
            continue;
        }
        let place = exchanged.of.directory();
        let aside = Store::Exchange.of(&record.id).join(&place);
        let volumes = volumes(&agent);
        let done = match (exchanged.before, direction) {
            (Before::Data, _) => volumes.exchange(&aside, &place).await,
            (Before::Nothing, Direction::In) => volumes.rename(&aside, &place).await,
            (Before::Nothing, Direction::Out) => volumes.rename(&place, &aside).await,
        };
        done.map_err(|error| error.failure())?;
        moved = true;
    }
    if !moved && direction == Direction::In {
        return Ok(Swapped::default());
    }
    // They still have the directories that they were started with, and must write nothing more to them.
    site.kill(&containers.without(&staying)).await?;
    let held = remount(site, staying, &of, settling).await?;
    drop(frozen);
    let (stayed, pods) = join(start(site, held, settling), site.pods_now(&services)).await;
    // Also pods that were made since the services were looked at: whoever is made from now on has the right ones.
    let mut others = pods?;
    others.retain(|pod| stayed.iter().all(|process| process.pod != pod.name));
    let names: Vec<String> = others.iter().map(|pod| pod.name.clone()).collect();
    let deleted = site.cluster()?.delete_pods_now(&names).await;
    deleted.map_err(|error| error.failure())?;
    let mut replaced = services;
    replaced.retain(|service| {
        let has_other = others.iter().any(|pod| pod.service == *service);
        has_other || stayed.iter().all(|process| process.service != *service)
    });
    Ok(Swapped { stayed, replaced })
}

/// Whether the new data of a volume is in its place.
async fn is_in(site: &Site<'_>, exchanged: &Exchanged) -> Result<bool, Failure> {
    let there = site.inode(&exchanged.of.directory()).await?;
    Ok(there == Some(exchanged.incoming))
}

/// Waits until services are ready.
async fn settle(
    site: &Site<'_>,
    swapped: Swapped,
    why: &str,
    settling: &Settling<'_>,
) -> Result<Pods, Failures> {
    let Swapped { stayed, replaced } = swapped;
    let mut services = until_all_ready(site, &stayed, settling).await?;
    services.extend(replaced);
    services.sort();
    services.dedup();
    wait_for_pods(site, &services, why, settling).await?;
    Ok(match services.as_slice() {
        [] => Pods::AsBefore,
        _ => Pods::Others,
    })
}

/// Waits until Kubernetes says of services that they are ready.
async fn wait_for_pods(
    site: &Site<'_>,
    services: &[ServiceName],
    why: &str,
    settling: &Settling<'_>,
) -> Result<(), Failures> {
    let project = site.project;
    let observed = &site.sight.observed;
    let deployed: Vec<ServiceName> = services
        .iter()
        .filter(|name| observed.workloads.iter().any(|w| &w.service == *name))
        .cloned()
        .collect();
    if deployed.is_empty() {
        return Ok(());
    }
    let record = project.record(settling.outbox).await?;
    let world = project.world(Desired::default(), site.tools.clone(), record.as_ref());
    let plan = plan::settle(&project.environment, &deployed, why);
    let Settling {
        outbox,
        cancel,
        deadline,
    } = settling;
    completed(run(&plan, &world, outbox, cancel, *deadline).await).map(|_| ())
}

/// What is to be known to put back what is there now.
async fn record(site: &Site<'_>, incoming: &Incoming) -> Result<ExchangeRecord, Failure> {
    let mut exchanged = Vec::new();
    for of in &incoming.volumes {
        let place = of.directory();
        let aside = Store::Exchange.of(&incoming.id).join(&place);
        let before = match site.inode(&place).await? {
            Some(_) => Before::Data,
            None => Before::Nothing,
        };
        let incoming = site.inode(&aside).await?.ok_or_else(|| lost(of))?;
        exchanged.push(Exchanged {
            of: of.clone(),
            incoming,
            before,
        });
    }
    let loaded = Loaded::of(&site.project.paths).map_err(|error| error.failure())?;
    Ok(ExchangeRecord {
        id: incoming.id.clone(),
        doing: incoming.doing.clone(),
        volumes: exchanged,
        loaded,
    })
}

fn lost(volume: &VolumeRef) -> Failure {
    Failure::new(
        "data.lost",
        ExitClass::Data,
        format!("the data prepared for {volume} is gone; nothing was changed"),
    )
    .because("somebody removed it from the environment's data directory")
    .help("run the same command again")
}

/// All of both, the first first.
fn both(failures: Failures, others: &Failures) -> Failures {
    let all = failures.iter().chain(others.iter()).cloned().collect();
    Failures::from_list(all).unwrap_or(failures)
}
