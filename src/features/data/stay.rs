//! Containers that stay while the data of their services is exchanged: their processes are killed, the new directories
//! are mounted in the places of the old, and devenv's init starts the services anew.
//!
//! It is the fast way, for pods of one container that devenv's init runs. Whatever else there is, or does not work,
//! has its pod replaced: a container that is made later has what is at the paths of its volumes then.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::{
    exchange::Settling,
    site::{Containers, Site},
    steps::Steps,
};
use crate::{
    adapters::agent::{AgentError, AgentFailure, MountedAt, Refusal, Remounted},
    domain::{Failure, Failures, NoticeLevel, ServiceName, VolumeRef},
    features::process::{Awaited, NotReady, Process, not_ready, pods_of, until_ready},
    plan::VOLUMES_IN_NODE,
};

/// How long an init holds a service that was killed: somebody is about to start it.
const HELD_AT_MOST: Duration = Duration::from_secs(10);
/// How long the kubelet does not notice that a service does not answer: then it may tell others for a while that it is
/// not ready, though it is.
const UNNOTICED: Duration = Duration::from_millis(1500);

/// A container whose init holds its service, and has the new data mounted.
pub(super) struct Held {
    process: Process,
    remounted: Remounted,
}

/// Has the inits stand by that run services, which are to be killed within a time; gives the processes of these. The
/// others have their pods replaced.
pub(super) async fn stand_by(
    site: &Site<'_>,
    services: &[ServiceName],
    within: Duration,
) -> Vec<Process> {
    let pods = services
        .iter()
        .flat_map(|service| pods_of(service, &site.sight.observed.pods));
    // Others in a pod may have mounted the same.
    let alone = pods.filter(|pod| pod.containers.len() == 1);
    let asking = alone.filter_map(Process::of).map(|process| async move {
        let agent = site.agents.of(&process.node).await.ok()?;
        let stands_by = agent.stand_by(&process.container, within, HELD_AT_MOST);
        let stands_by = stands_by.await;
        stands_by.is_ok().then_some(process)
    });
    join_all(asking).await.into_iter().flatten().collect()
}

/// Kills the services of containers that stand, and mounts the directories at the paths of volumes in them. Those in
/// which that does not work are killed whole; why is told.
pub(super) async fn remount(
    site: &Site<'_>,
    processes: Vec<Process>,
    volumes: &[&VolumeRef],
    settling: &Settling<'_>,
) -> Result<Vec<Held>, Failure> {
    let remounting = processes.into_iter().map(|process| async move {
        let remounted = remount_one(site, &process, volumes).await;
        (process, remounted)
    });
    let (mut held, mut failed) = (Vec::new(), Vec::new());
    for (process, remounted) in join_all(remounting).await {
        match remounted {
            Ok(remounted) => held.push(Held { process, remounted }),
            Err(error) => {
                tell(&process, &error, settling).await;
                failed.push(process);
            }
        }
    }
    site.kill(&Containers::of(&failed)).await?;
    Ok(held)
}

async fn remount_one(
    site: &Site<'_>,
    process: &Process,
    volumes: &[&VolumeRef],
) -> Result<Remounted, AgentFailure> {
    let service = site.project.environment.services.get(&process.service);
    let mounted = service.and_then(|service| service.workload());
    let mounted = mounted.map(|workload| workload.volumes.as_slice());
    let places: Vec<(&Path, PathBuf)> = mounted
        .unwrap_or_default()
        .iter()
        .filter_map(|volume| {
            let is_its = |of: &&&VolumeRef| {
                of.service == process.service && of.volume.as_str() == volume.name
            };
            let of = volumes.iter().find(is_its)?;
            Some((Path::new(&volume.path), of.directory()))
        })
        .collect();
    let mounted = places.iter().map(|(at, directory)| MountedAt {
        at,
        root: Path::new(VOLUMES_IN_NODE),
        directory,
    });
    let mounted: Vec<MountedAt<'_>> = mounted.collect();
    let agent = site.agents.of(&process.node).await?;
    agent.remount(&process.container, &mounted).await
}

async fn tell(process: &Process, error: &AgentFailure, settling: &Settling<'_>) {
    let text = format!("the pod of {} is replaced: {error}", process.service);
    settling.outbox.notice(NoticeLevel::Info, text).await;
}

/// Starts the services of containers that go on; gives those whose service runs.
pub(super) async fn start(
    site: &Site<'_>,
    held: Vec<Held>,
    settling: &Settling<'_>,
) -> Vec<Process> {
    let starting = held
        .into_iter()
        .map(|Held { process, remounted }| async move {
            let starting = async {
                let agent = site.agents.of(&process.node).await?;
                agent.start_remounted(&process.container, remounted).await
            };
            match starting.await {
                Ok(()) => Some(process),
                Err(error) => {
                    tell(&process, &error, settling).await;
                    None
                }
            }
        });
    join_all(starting).await.into_iter().flatten().collect()
}

/// Waits until services that were started in their containers are ready. Gives those of which Kubernetes still has to
/// say it: where a container ended all the same, and is replaced, and what it holds for not ready.
pub(super) async fn until_all_ready(
    site: &Site<'_>,
    processes: &[Process],
    settling: &Settling<'_>,
) -> Result<Vec<ServiceName>, Failures> {
    if processes.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<&str> = processes.iter().map(|it| it.service.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let title = format!("wait until {} ready", are(&names));
    let steps = Steps::begin(settling.outbox, &[("ready", title)]).await;
    let ready = steps
        .step("ready", async |_| {
            let asking = join_all(
                processes
                    .iter()
                    .map(|it| until_one_ready(site, it, settling)),
            );
            let answered = settling.cancel.run_until_cancelled(asking).await;
            let answered = answered.ok_or_else(Failure::interrupted)?;
            let unsettled = answered.into_iter().filter_map(Result::transpose);
            unsettled.collect::<Result<Vec<ServiceName>, Failure>>()
        })
        .await;
    let (unsettled, _) = steps.end(ready.map_err(Into::into)).await?;
    Ok(unsettled)
}

fn are(names: &[&str]) -> String {
    match names {
        [one] => format!("{one} is"),
        [first @ .., last] => format!("{} and {last} are", first.join(", ")),
        [] => String::new(),
    }
}

async fn until_one_ready(
    site: &Site<'_>,
    process: &Process,
    settling: &Settling<'_>,
) -> Result<Option<ServiceName>, Failure> {
    let name = &process.service;
    let Some(service) = site.project.environment.services.get(name) else {
        return Ok(Some(name.clone()));
    };
    let mut awaited = Awaited::of(service);
    awaited.within = awaited.within.min(settling.deadline);
    let began = Instant::now();
    match until_ready(&site.agents, process, &awaited).await {
        Ok(()) => {
            let mut pods = pods_of(name, &site.sight.observed.pods);
            let was_ready = pods.any(|pod| pod.name == process.pod && pod.ready);
            let is_known = was_ready && began.elapsed() < UNNOTICED;
            Ok((!is_known).then(|| name.clone()))
        }
        Err(NotReady::NotAsked(error)) if has_ended(&error) => {
            // Why is for the cluster to say, of the pod that follows.
            let pods = [process.pod.clone()];
            let deleted = site.cluster()?.delete_pods_now(&pods).await;
            deleted.map_err(|error| error.failure())?;
            Ok(Some(name.clone()))
        }
        Err(why) => Err(not_ready(process, awaited.within, why)),
    }
}

/// Whether the container has ended in which something was asked.
fn has_ended(error: &AgentFailure) -> bool {
    use AgentError::{InitEnded, NoContainer, NoInit};
    matches!(
        error,
        AgentFailure::Refused(NoContainer(_) | NoInit(_) | InitEnded(_))
            | AgentFailure::Init(Refusal::Ending)
    )
}
