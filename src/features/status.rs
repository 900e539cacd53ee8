//! How an environment is: its cluster, its services, and what they use.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Project, observe::observe, resources};
use crate::{
    adapters::kube::Cluster,
    domain::{
        ClusterState, Desired, ExitClass, Failure, Observed, ObservedPod, ReleaseStatus,
        ServiceName, Trouble,
    },
    engine::{Tools, explain},
    plan::diagnose,
    report::{ClusterPhase, Outbox, Replicas, ServiceState, ServiceStatus, Status},
    state::{Holder, live_times, load_volume_store},
};

/// Whether what the services use is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// States alone.
    States,
    /// Processor and memory too.
    Resources,
}

/// A status, with the connection to the cluster if it runs.
pub struct Look {
    /// How the environment is.
    pub status: Status,
    /// The cluster that answered.
    pub cluster: Option<Cluster>,
    /// Why there are no figures of use, if they were asked for.
    pub without_figures: Option<Box<Failure>>,
    /// Whether the settings under `cluster` are not those that the cluster was created from.
    pub is_outdated: bool,
}

/// Looks at an environment. A cluster that is stopped or absent is a status, not a failure.
pub async fn look(
    project: &Project,
    tools: &Tools,
    detail: Detail,
    outbox: &Outbox,
) -> Result<Look, Failure> {
    let record = project.record(outbox).await?;
    let sight = observe(project, tools, record.as_ref(), &Desired::default(), outbox).await?;
    let is_outdated = sight.is_outdated;
    let now = Timestamp::now();
    let mut status = match record {
        // Its services are where it was created to be.
        Some(record) if is_outdated => {
            let project = project.at(record.ports);
            status(&project, &sight.observed, now)
        }
        _ => status(project, &sight.observed, now),
    };
    status.at_work = Holder::of(&project.paths).map(|holder| holder.describe(now));
    if status.at_work.is_some() && is_unfinished(&sight.observed.cluster) {
        status.cluster_state = ClusterPhase::Creating;
        status.cluster_trouble = None;
    }
    // What the session did is good to know, and no reason to show nothing.
    let mut times = live_times(&project.paths.live_events()).unwrap_or_default();
    for service in &mut status.services {
        if let Some(times) = times.remove(&service.name) {
            service.set_live(times);
        }
    }
    status.volumes = load_volume_store(&project.paths)?.map(Into::into);
    let mut without_figures = None;
    if let (Some(cluster), Detail::Resources) = (&sight.cluster, detail) {
        let room = cluster.room().await.map_err(|error| error.failure())?;
        let pods = &sight.observed.pods;
        let figures = resources::measure(&tools.docker, pods, &room).await;
        // What was promised is known all the same.
        let figures = figures.unwrap_or_else(|failure| {
            without_figures = Some(Box::new(failure));
            resources::Figures::default()
        });
        for service in &mut status.services {
            service.resources = resources::of_service(&service.name, pods, &room, &figures);
        }
        status.nodes = Some(resources::of_nodes(&room, &figures));
        status.not_fitting = resources::not_fitting(project, &sight.observed, &room);
    }
    Ok(Look {
        status,
        cluster: sight.cluster,
        without_figures,
        is_outdated,
    })
}

const fn is_unfinished(cluster: &ClusterState) -> bool {
    matches!(cluster, ClusterState::Broken { created: false, .. })
}

/// What is wrong, if anything is: a cluster that does not run, or a service that is not ready.
///
/// A service that is not deployed is nothing wrong: with `up payment` the others are left out on purpose.
pub fn what_is_wrong(status: &Status) -> Option<ExitClass> {
    if status.cluster_state != ClusterPhase::Running {
        return Some(ExitClass::Cluster);
    }
    let states = status.services.iter().map(|service| service.state);
    let is_bad = |state| matches!(state, ServiceState::Starting | ServiceState::Failed);
    let nothing_runs = status
        .services
        .iter()
        .all(|service| service.state == ServiceState::Absent);
    (states.clone().any(is_bad) || nothing_runs).then_some(ExitClass::NotReady)
}

fn status(project: &Project, observed: &Observed, now: Timestamp) -> Status {
    let (cluster_state, cluster_trouble) = match &observed.cluster {
        ClusterState::Absent => (ClusterPhase::Absent, None),
        ClusterState::Stopped => (ClusterPhase::Stopped, None),
        ClusterState::Running { .. } => (ClusterPhase::Running, None),
        ClusterState::Broken { reason, .. } => (ClusterPhase::Broken, Some(reason.clone())),
    };
    let named = project.environment.services.keys();
    let deployed = observed.workloads.iter().map(|w| &w.service);
    let names: BTreeSet<&ServiceName> = named.chain(deployed).collect();
    let urls = project.urls();
    let services = names.into_iter().map(|name| {
        let mut service = service(project, observed, name, cluster_state, now);
        // An address of what does not run leads nowhere.
        let runs_not = [
            ServiceState::Absent,
            ServiceState::Stopped,
            ServiceState::Unknown,
        ];
        if !runs_not.contains(&service.state) {
            service.urls = urls.get(name).cloned().unwrap_or_default();
        }
        service
    });
    Status {
        environment: project.environment.id.to_string(),
        cluster: project.environment.id.cluster().to_string(),
        cluster_state,
        cluster_trouble,
        at_work: None,
        services: services.collect(),
        volumes: None,
        nodes: None,
        not_fitting: Vec::new(),
    }
}

fn service(
    project: &Project,
    observed: &Observed,
    name: &ServiceName,
    cluster: ClusterPhase,
    now: Timestamp,
) -> ServiceStatus {
    let workloads = observed.workloads.iter().filter(|w| &w.service == name);
    let pods: Vec<&ObservedPod> = observed
        .pods
        .iter()
        .filter(|pod| &pod.service == name && !pod.deleting)
        .collect();
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let desired = workloads.clone().map(|w| w.desired).sum();
    let since = pods.iter().filter_map(|pod| pod.created).max();
    let containers = pods.iter().flat_map(|pod| &pod.containers);
    let (state, trouble) = state(project, observed, name, cluster, desired);
    ServiceStatus {
        name: name.to_string(),
        state,
        replicas: Replicas {
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            desired,
        },
        urls: Vec::new(),
        images: workloads.flat_map(|w| w.images.clone()).collect(),
        since,
        age_seconds: since.map(|since| {
            let age = now.duration_since(since).as_secs();
            u64::try_from(age).unwrap_or(0)
        }),
        restarts: containers.map(|container| container.restarts).sum(),
        trouble,
        resources: None,
        last_live: None,
        live_p50_millis: None,
        live_p95_millis: None,
        live_changes: 0,
    }
}

fn state(
    project: &Project,
    observed: &Observed,
    name: &ServiceName,
    cluster: ClusterPhase,
    desired: u32,
) -> (ServiceState, Option<String>) {
    match cluster {
        ClusterPhase::Running => {}
        ClusterPhase::Stopped => return (ServiceState::Stopped, None),
        ClusterPhase::Broken if observed.cluster.is_silent() => {
            return (ServiceState::Unknown, None);
        }
        ClusterPhase::Absent | ClusterPhase::Creating | ClusterPhase::Broken => {
            return (ServiceState::Absent, None);
        }
    }
    let gone = (!project.environment.services.contains_key(name))
        .then(|| "no longer in devenv.yaml: `devenv up` removes it".to_owned());
    if !observed.workloads.iter().any(|w| &w.service == name) {
        return without_workload(observed, name);
    }
    let release = observed.releases.get(name);
    if release.is_some_and(|release| release.status == ReleaseStatus::Uninstalling) {
        // What is left of it may run all the same.
        let text = "its removal has not come to its end: `devenv up` goes on with it";
        return (ServiceState::Failed, Some(text.to_owned()));
    }
    if observed.is_ready(name) {
        let state = match desired {
            0 => ServiceState::Stopped,
            _ => ServiceState::Ready,
        };
        return (state, gone);
    }
    match diagnose(
        name,
        &observed.workloads,
        &observed.pods,
        &observed.warnings,
    ) {
        Some(trouble) => {
            let state = if trouble.is_final {
                ServiceState::Failed
            } else {
                ServiceState::Starting
            };
            (state, Some(words(project, &trouble)))
        }
        None => (ServiceState::Starting, gone),
    }
}

/// A service of which no workload runs: not deployed, or of other objects than workloads.
fn without_workload(observed: &Observed, name: &ServiceName) -> (ServiceState, Option<String>) {
    match observed.releases.get(name).map(|release| release.status) {
        None => (ServiceState::Absent, None),
        Some(ReleaseStatus::Deployed) => (ServiceState::Ready, None),
        Some(_) => {
            let text = "its deployment failed: `devenv up` tries again";
            (ServiceState::Failed, Some(text.to_owned()))
        }
    }
}

/// The explanation in one line, the same that `up` gives, without the service's name in front.
fn words(project: &Project, trouble: &Trouble) -> String {
    let failure = explain(trouble, &project.environment, Vec::new());
    let name = format!("{} ", trouble.service);
    let what = failure.what.strip_prefix(&name).unwrap_or(&failure.what);
    let said = trouble.message.lines().next().unwrap_or_default().trim();
    let mut parts = vec![what.to_owned()];
    parts.extend(failure.why.into_iter().take(1));
    if parts.len() == 1 && !said.is_empty() {
        parts.push(said.to_owned());
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            ContainerState, ObservedContainer,
            testing::{achieved, desired, name},
        },
        features::project::testing::{expose, project},
    };

    fn shop() -> Project {
        let mut project = project(&[("order", &[]), ("web", &[])]);
        expose(&mut project, "web", &["shop.localhost"]);
        project
    }

    fn up(project: &Project) -> Observed {
        achieved(&desired(&project.environment, "1"))
    }

    fn seen(project: &Project, observed: &Observed) -> (Status, Option<u8>) {
        let status = status(project, observed, Timestamp::UNIX_EPOCH);
        let wrong = what_is_wrong(&status).map(ExitClass::code);
        (status, wrong)
    }

    #[test]
    fn an_environment_that_is_up_has_nothing_wrong_and_shows_its_addresses() {
        let project = shop();
        let (status, wrong) = seen(&project, &up(&project));
        assert_eq!(wrong, None);
        assert_eq!(status.services[1].urls, ["http://shop.localhost:8080/"]);
        assert_eq!(
            status.services[0].replicas,
            Replicas {
                ready: 1,
                desired: 1
            }
        );
    }

    #[test]
    fn a_stopped_or_absent_cluster_is_a_state_and_not_an_error_of_connection() {
        let project = shop();
        let with = |cluster| Observed {
            cluster,
            ..Observed::nothing()
        };
        let (status, wrong) = seen(&project, &with(ClusterState::Stopped));
        assert_eq!(
            (status.services[0].state, wrong),
            (ServiceState::Stopped, Some(5))
        );
        let (status, wrong) = seen(&project, &with(ClusterState::Absent));
        assert_eq!(
            (status.services[0].state, wrong),
            (ServiceState::Absent, Some(5))
        );
        for (created, state) in [(true, ServiceState::Unknown), (false, ServiceState::Absent)] {
            let reason = "it does not answer".to_owned();
            let (status, wrong) = seen(&project, &with(ClusterState::Broken { reason, created }));
            assert_eq!((status.services[0].state, wrong), (state, Some(5)));
        }
    }

    #[test]
    fn a_service_in_trouble_is_explained_and_decides_the_exit_code() {
        let project = shop();
        let mut observed = up(&project);
        observed.workloads[0].ready = 0;
        observed.pods[0].ready = false;
        observed.pods[0].containers.push(ObservedContainer {
            id: None,
            name: "order".to_owned(),
            image: String::new(),
            ready: false,
            restarts: 3,
            now: ContainerState::Running,
            before: Some(ContainerState::Terminated {
                reason: "Error".to_owned(),
                exit_code: 127,
                signal: None,
                finished: None,
            }),
        });
        let (status, wrong) = seen(&project, &observed);
        let order = &status.services[0];
        assert_eq!((order.state, wrong), (ServiceState::Failed, Some(6)));
        assert_eq!(order.restarts, 3);
        let trouble = order.trouble.as_deref().unwrap();
        assert!(
            trouble.contains("the command is not in the image"),
            "{trouble}"
        );
    }

    #[test]
    fn services_that_were_not_asked_for_are_nothing_wrong_unless_there_is_no_other() {
        let project = shop();
        let mut observed = up(&project);
        let is_order = |service: &ServiceName| service == &name("order");
        observed.workloads.retain(|w| is_order(&w.service));
        observed.releases.retain(|service, _| is_order(service));
        let (status, wrong) = seen(&project, &observed);
        assert_eq!(
            (status.services[1].state, wrong),
            (ServiceState::Absent, None)
        );
        assert!(status.services[1].urls.is_empty());
        observed.workloads.clear();
        observed.releases.clear();
        assert_eq!(seen(&project, &observed).1, Some(6));
    }

    #[test]
    fn a_service_that_was_half_removed_is_not_ready_though_its_pods_run() {
        let project = shop();
        let mut observed = up(&project);
        let release = observed.releases.get_mut(&name("order")).unwrap();
        release.status = ReleaseStatus::Uninstalling;
        let (status, wrong) = seen(&project, &observed);
        let order = &status.services[0];
        assert_eq!((order.state, wrong), (ServiceState::Failed, Some(6)));
        assert!(order.trouble.as_deref().unwrap().contains("removal"));
    }

    #[test]
    fn a_service_scaled_to_nothing_is_stopped_on_purpose() {
        let project = shop();
        let mut observed = up(&project);
        observed.workloads[0].desired = 0;
        observed.pods.remove(0);
        let (status, wrong) = seen(&project, &observed);
        assert_eq!(
            (status.services[0].state, wrong),
            (ServiceState::Stopped, None)
        );
    }
}
