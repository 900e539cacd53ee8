//! The one wait for services: on the shared view of the cluster, never a poll of its own.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Finished, Progress, World, explain, world::Live};
use crate::{
    adapters::kube::{Cluster, ClusterView, Connection, LogOptions},
    domain::{
        EventKind, ExitClass, Failure, NodeStarts, ObservedContainer, ObservedPod, ServiceName,
        Trouble, TroubleKind, is_service_ready,
    },
    plan::diagnose,
};

/// How many of the last log lines explain a failure.
const LOG_LINES: u32 = 20;
/// What the kubelet writes in the place of a log that it does not have any more.
const NO_LOG: &str = "unable to retrieve container logs for ";
const LOGS_WITHIN: Duration = Duration::from_secs(3);
/// How long a probe may fail without a word about it.
const PROBE_GRACE: Duration = Duration::from_secs(10);

/// A pod and the container in it that does the service's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The pod's name.
    pub name: String,
    /// The container's name.
    pub container: String,
}

/// The newest ready pod of a service.
pub async fn newest_ready_pod(cluster: &Cluster, service: &ServiceName) -> Result<Target, Failure> {
    let seen = cluster.observe().await.map_err(|error| error.failure())?;
    let pods = seen
        .pods
        .iter()
        .filter(|pod| &pod.service == service && pod.ready && !pod.deleting);
    pods.max_by_key(|pod| pod.created)
        .and_then(target)
        .ok_or_else(|| no_pod(service))
}

/// The failure of a service that has no pod that could do what is asked of it.
pub fn no_pod(service: &ServiceName) -> Failure {
    Failure::new(
        "service.no-pod",
        ExitClass::NotReady,
        format!("{service} has no pod that is ready"),
    )
    .of(service)
    .help("devenv status")
    .help(format!("devenv up {service}"))
}

fn target(pod: &ObservedPod) -> Option<Target> {
    let container = pod
        .containers
        .iter()
        .rev()
        .find(|c| c.name == pod.service.as_str());
    let container = container.or_else(|| pod.containers.last())?;
    Some(Target {
        name: pod.name.clone(),
        container: container.name.clone(),
    })
}

/// Waits until every workload of a service is ready, and ends early where waiting cannot help.
pub(super) async fn wait_until_ready(
    world: &World,
    service: &ServiceName,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let live = world.live().await?;
    let within = world
        .environment
        .services
        .get(service)
        .map_or(Duration::MAX, |s| s.ready_within);
    let mut waiter = Waiter {
        service,
        generations: generations(live, service).await?,
        since: world.installed_at(service),
        starts: &live.starts,
        trouble: None,
    };
    let waiting = waiter.wait(live, progress);
    let limited = tokio::time::timeout(within, cancel.run_until_cancelled(waiting)).await;
    let trouble = match limited {
        Ok(None) => {
            return Err(Failure::interrupted());
        }
        Ok(Some(None)) => return Ok(Finished::Done),
        Ok(Some(Some(trouble))) => trouble,
        Err(_) => {
            let view = current(&live.view.subscribe().borrow(), &live.starts);
            let found = diagnose(service, &view.workloads, &view.pods, &view.warnings);
            match found {
                Some(trouble) => trouble,
                None => return Err(not_ready(world, service, within)),
            }
        }
    };
    let lines = log_lines(&live.cluster, &trouble).await;
    Err(explain(&trouble, &world.environment, lines))
}

/// The generations that the workloads of a service have now: the view must not be older.
async fn generations(live: &Live, service: &ServiceName) -> Result<BTreeMap<String, i64>, Failure> {
    let seen = live
        .cluster
        .observe()
        .await
        .map_err(|error| error.failure())?;
    let ours = seen
        .workloads
        .into_iter()
        .filter(|workload| &workload.service == service);
    Ok(ours
        .map(|workload| (workload.name, workload.generation))
        .collect())
}

struct Waiter<'a> {
    service: &'a ServiceName,
    generations: BTreeMap<String, i64>,
    /// When the service was installed in this run: older pods belong to what was there before.
    since: Option<Timestamp>,
    starts: &'a NodeStarts,
    trouble: Option<Found>,
}

/// A trouble that waiting may mend.
struct Found {
    kind: TroubleKind,
    since: Instant,
    is_told: bool,
}

impl Found {
    /// Every probe fails until the process listens: that alone is worth a line only when it lasts.
    fn is_worth_telling(&self) -> bool {
        self.kind != TroubleKind::ProbeFailing || self.since.elapsed() >= PROBE_GRACE
    }
}

/// The view without what was true before the nodes were started.
fn current(view: &ClusterView, starts: &NodeStarts) -> ClusterView {
    ClusterView {
        connection: view.connection.clone(),
        workloads: view.workloads.clone(),
        pods: starts.current_pods(view.pods.clone()),
        warnings: starts.current_warnings(view.warnings.clone()),
    }
}

impl Waiter<'_> {
    /// Ends with `None` once the service is ready, or with the trouble that waiting cannot mend.
    async fn wait(&mut self, live: &Live, progress: &Progress) -> Option<Trouble> {
        let mut view_rx = live.view.subscribe();
        loop {
            let view = current(&view_rx.borrow_and_update(), self.starts);
            match &view.connection {
                Connection::Reconnecting { reason, .. } => {
                    progress.note(format!("the cluster does not answer: {reason}"));
                }
                Connection::Starting => {}
                Connection::Live if self.is_ready(&view) => return None,
                Connection::Live => {
                    if let Some(trouble) = self.diagnosis(&view) {
                        if trouble.is_final {
                            return Some(trouble);
                        }
                        self.tell(trouble, progress).await;
                    } else {
                        progress.note(self.state(&view));
                    }
                }
            }
            if view_rx.changed().await.is_err() {
                // The view ends only with the run.
                std::future::pending::<()>().await;
            }
        }
    }

    fn is_ready(&self, view: &ClusterView) -> bool {
        let is_current = self.generations.iter().all(|(name, generation)| {
            let seen = view
                .workloads
                .iter()
                .find(|w| &w.service == self.service && &w.name == name);
            seen.is_some_and(|w| w.generation >= *generation)
        });
        is_current && is_service_ready(self.service, &view.workloads, &view.pods)
    }

    fn diagnosis(&self, view: &ClusterView) -> Option<Trouble> {
        let is_ours = |pod: &&ObservedPod| match (self.since, pod.created) {
            // Kubernetes keeps whole seconds.
            (Some(since), Some(created)) => created.as_second() >= since.as_second(),
            _ => true,
        };
        let pods: Vec<ObservedPod> = view.pods.iter().filter(is_ours).cloned().collect();
        diagnose(self.service, &view.workloads, &pods, &view.warnings)
    }

    async fn tell(&mut self, trouble: Trouble, progress: &Progress) {
        progress.note(trouble.message.clone());
        let found = match self.trouble.take() {
            Some(found) if found.kind == trouble.kind => found,
            _ => Found {
                kind: trouble.kind.clone(),
                since: Instant::now(),
                is_told: false,
            },
        };
        let tells = !found.is_told && found.is_worth_telling();
        self.trouble = Some(Found {
            is_told: found.is_told || tells,
            ..found
        });
        if tells {
            let event = EventKind::ServiceTrouble { trouble };
            progress.outbox().event(event).await;
        }
    }

    fn state(&self, view: &ClusterView) -> String {
        let ours = view.workloads.iter().filter(|w| &w.service == self.service);
        let (ready, desired) = ours.fold((0, 0), |(r, d), w| (r + w.ready, d + w.desired));
        let pods = view
            .pods
            .iter()
            .filter(|pod| &pod.service == self.service && !pod.deleting);
        let starting = pods
            .flat_map(|pod| &pod.containers)
            .find_map(waiting_reason);
        match starting {
            Some(reason) => format!("{ready} of {desired} ready, {reason}"),
            None => format!("{ready} of {desired} ready"),
        }
    }
}

fn waiting_reason(container: &ObservedContainer) -> Option<&str> {
    match &container.now {
        crate::domain::ContainerState::Waiting { reason, .. } => Some(reason),
        _ => None,
    }
}

fn not_ready(world: &World, service: &ServiceName, within: Duration) -> Failure {
    let place = world
        .environment
        .provenance
        .place(&format!("services.{service}.ready"));
    Failure::new(
        "service.not-ready",
        ExitClass::NotReady,
        format!("{service} was not ready within {} s", within.as_secs()),
    )
    .of(service)
    .at(place.cloned())
    .help(format!("devenv logs {service}"))
    .help("give it more time: `ready: { within: 3m }`")
}

/// The last log lines of the container in trouble: of its present run, or of the one before.
pub async fn log_lines(cluster: &Cluster, trouble: &Trouble) -> Vec<String> {
    let (Some(pod), Some(container)) = (&trouble.pod, &trouble.container) else {
        return Vec::new();
    };
    for previous in [false, true] {
        let options = LogOptions {
            follow: false,
            tail: Some(LOG_LINES),
            since: None,
            previous,
        };
        let reading = cluster
            .logs(pod, container, &options)
            .map_ok(text)
            .try_collect::<Vec<String>>();
        if let Ok(Ok(lines)) = tokio::time::timeout(LOGS_WITHIN, reading).await
            && lines.iter().any(|line| !line.starts_with(NO_LOG))
        {
            return lines;
        }
    }
    Vec::new()
}

#[expect(clippy::needless_pass_by_value, reason = "used as the map of a stream")]
fn text(line: crate::adapters::kube::LogLine) -> String {
    String::from_utf8_lossy(&line.bytes).into_owned()
}
