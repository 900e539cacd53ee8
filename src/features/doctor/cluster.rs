//! The environment's cluster and registry: whether they are whole, and who they should be.

use std::{future::Future, path::Path, time::Duration};

use futures::future::Shared;
use jiff::Timestamp;

use super::{
    Engine, Project, Scope,
    certificates::{self, Certificate},
    within,
};
use crate::{
    adapters::{
        docker::{ClusterContainer, Docker, EngineState, NodeRole},
        files,
        kube::{CertificateFault, Cluster, KubeError, client_certificate_end},
        registry,
    },
    domain::{Failure, Finding, Mend, PortNumber, Severity},
    engine::{NAMESPACE, OwnContainers, check_identity},
    features::check::{self, WantedPort},
    state::{LoadedRecord, Record},
};

/// The port of a cluster's API, in its load balancer.
const API_PORT: u16 = 6443;
/// How long the registry may take to answer.
const REGISTRY_WITHIN: Duration = Duration::from_millis(1500);

/// The ports that the environment wants and that none of its own containers holds.
pub(super) async fn wanted_ports(project: &Project, docker: &Docker) -> Vec<WantedPort> {
    let own = own(project, docker).await.unwrap_or_default();
    let mut wanted = Vec::new();
    if !with(&own.cluster, NodeRole::LoadBalancer).is_some_and(runs) {
        wanted.extend(check::cluster_ports(project));
    }
    if !own.registry.as_ref().is_some_and(runs) {
        wanted.push(check::registry_port(project));
    }
    wanted
}

/// Whether the environment's cluster runs, so that its services have what they ask for.
pub(super) async fn has_running_server(project: &Project, docker: &Docker) -> bool {
    let own = own(project, docker).await.unwrap_or_default();
    with(&own.cluster, NodeRole::Server).is_some_and(runs)
}

async fn own(project: &Project, docker: &Docker) -> Result<OwnContainers, Failure> {
    let id = &project.environment.id;
    OwnContainers::find(docker, id, &project.paths.registry()).await
}

fn with(containers: &[ClusterContainer], role: NodeRole) -> Option<&ClusterContainer> {
    containers.iter().find(|container| container.role == role)
}

fn runs(container: &ClusterContainer) -> bool {
    container.state == EngineState::Running
}

/// What is to be said of the cluster and its registry.
pub(super) async fn look(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
) -> Vec<Finding> {
    let (Some(project), Ok(docker)) = (scope.project, engine.clone().await) else {
        return Vec::new();
    };
    let own = match own(project, &docker).await {
        Ok(own) => own,
        Err(failure) => return vec![Finding::of(Severity::Problem, failure)],
    };
    let mut found = Vec::new();
    let record = record(project, &mut found);
    let whole = wholeness(&own);
    found.extend(judge_wholeness(whole));
    if whole != Wholeness::Runs {
        return found;
    }
    let ports = record.as_ref().map(|record| record.ports.registry);
    let port = ports.unwrap_or(project.environment.cluster.registry_port);
    let (of_cluster, of_registry) = futures::join!(
        api(project, record.as_ref(), &own),
        registry(own.registry.as_ref(), port),
    );
    found.extend(of_cluster);
    found.push(of_registry);
    found
}

/// The record of what was created; what is wrong with it is a finding.
fn record(project: &Project, found: &mut Vec<Finding>) -> Option<Record> {
    match Record::load(&project.paths.record()) {
        Ok(LoadedRecord::Found(record)) => Some(*record),
        Ok(LoadedRecord::Absent) => None,
        Ok(LoadedRecord::Damaged { kept }) => {
            let what = "the record of this environment was damaged";
            let kept = format!("it is kept at {}", kept.display());
            let finding = Finding::note("state.record-damaged", what).because(kept);
            found.push(finding.fix("devenv status   # rebuilds it from the cluster"));
            None
        }
        Err(error) => {
            found.push(Finding::of(Severity::Problem, error.failure()));
            None
        }
    }
}

/// How much of a cluster is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wholeness {
    Absent,
    Stopped,
    /// What leads to it, or its server, is not there or does not run.
    Half(&'static str),
    Runs,
}

fn wholeness(own: &OwnContainers) -> Wholeness {
    let (server, balancer) = (
        with(&own.cluster, NodeRole::Server),
        with(&own.cluster, NodeRole::LoadBalancer),
    );
    match (server, balancer) {
        (None, None) => Wholeness::Absent,
        (Some(server), Some(balancer)) => match (runs(server), runs(balancer)) {
            (true, true) => Wholeness::Runs,
            (true, false) => Wholeness::Half("its load balancer does not run"),
            (false, true) => Wholeness::Half("its server does not run"),
            (false, false) => Wholeness::Stopped,
        },
        (Some(_), None) => Wholeness::Half("the container of its load balancer was removed"),
        (None, Some(_)) => Wholeness::Half("the container of its server was removed"),
    }
}

fn judge_wholeness(whole: Wholeness) -> Option<Finding> {
    match whole {
        Wholeness::Absent => Some(Finding::ok("cluster", "the environment has no cluster now")),
        Wholeness::Stopped => Some(Finding::ok("cluster", "the cluster is stopped")),
        Wholeness::Half(why) => Some(
            Finding::problem("cluster.half", "the cluster runs in part only")
                .because(why)
                .fix("devenv up   # data is kept"),
        ),
        Wholeness::Runs => None,
    }
}

/// The API of the cluster: where it is looked for, whether it answers, who it is, and until when.
async fn api(project: &Project, record: Option<&Record>, own: &OwnContainers) -> Vec<Finding> {
    let kubeconfig = project.paths.kubeconfig();
    if !files::exists(&kubeconfig) {
        let what = "the private kubeconfig of this environment is not there";
        let finding = Finding::note("cluster.no-kubeconfig", what);
        return vec![finding.fix("devenv status   # writes it anew")];
    }
    let cluster = match Cluster::connect(&kubeconfig, NAMESPACE).await {
        Ok(cluster) => cluster,
        Err(error) => return vec![Finding::of(Severity::Problem, error.failure())],
    };
    let balancer = with(&own.cluster, NodeRole::LoadBalancer);
    let published = balancer.and_then(|balancer| {
        let mut ports = balancer.ports.iter();
        ports.find(|port| port.container == API_PORT)
    });
    if let Some(moved) = judge_port(cluster.port(), published.map(|port| port.host)) {
        return vec![moved];
    }
    let (identity, shown, names) = futures::join!(
        within("the cluster", cluster.identity()),
        within("the cluster", cluster.server_certificate_end()),
        within("the cluster", cluster.has_names()),
    );
    let certificates = [
        Certificate {
            whose: "the certificate of the cluster's API",
            end: shown.unwrap_or_default(),
        },
        Certificate {
            whose: "the certificate in the private kubeconfig",
            end: client_certificate_end(&kubeconfig),
        },
    ];
    let mut found = certificates::judge(&certificates, Timestamp::now());
    let remembered = record.and_then(|record| record.identity.as_ref());
    found.push(match identity {
        // That is told already.
        Ok(Err(KubeError::Certificate {
            fault: CertificateFault::Ended { .. },
            ..
        })) => return found,
        Ok(Ok(seen)) => match check_identity(remembered, &seen) {
            Ok(()) => Finding::ok(
                "cluster",
                "the cluster answers, and is the one that was created",
            ),
            Err(failure) => Finding::of(Severity::Problem, failure),
        },
        Ok(Err(error)) => Finding::of(Severity::Problem, error.failure()),
        Err(late) => *late,
    });
    // Where it could not be asked that is told already.
    if let Ok(Ok(false)) = names {
        found.push(no_names(&kubeconfig));
    }
    found
}

fn no_names(kubeconfig: &Path) -> Finding {
    let kubectl = format!(
        "kubectl --kubeconfig {} --namespace kube-system",
        kubeconfig.display()
    );
    Finding::problem(
        "cluster.no-dns",
        "no service of the cluster is found by its name",
    )
    .because("its DNS, the Deployment coredns in kube-system, has no pod that is ready")
    .fix(format!("{kubectl} scale deployment coredns --replicas 1"))
    .fix(format!(
        "or see why it is not: {kubectl} describe pods --selector k8s-app=kube-dns"
    ))
}

/// Whether the kubeconfig leads to the port that the cluster has.
fn judge_port(wanted: Option<u16>, published: Option<u16>) -> Option<Finding> {
    let (wanted, published) = (wanted?, published?);
    (wanted != published).then(|| {
        Finding::problem(
            "cluster.port-moved",
            "the private kubeconfig leads to a port that the cluster no longer has",
        )
        .because(format!(
            "it says {wanted}, and the API is on {published}: the containers were started without devenv"
        ))
        .fix("devenv up")
    })
}

/// The registry of a cluster that runs.
async fn registry(container: Option<&ClusterContainer>, port: PortNumber) -> Finding {
    let container = match container {
        None => {
            return Finding::problem("registry.gone", "the registry of this environment is gone")
                .because("its container was removed; the images that it kept are there")
                .fix("devenv up");
        }
        Some(container) if !runs(container) => {
            return Finding::problem(
                "registry.stopped",
                "the registry of this environment does not run",
            )
            .because("the cluster cannot pull the images that were built")
            .fix("devenv doctor --fix")
            .fix(format!("or: docker start {}", container.name))
            .mended_by(Mend::StartRegistry(container.name.clone()));
        }
        Some(container) => container,
    };
    match registry::wait_up(port, REGISTRY_WITHIN).await {
        Ok(()) => Finding::ok("registry", format!("the registry answers on port {port}")),
        Err(error) => {
            let failure = error.failure();
            Finding::of(Severity::Problem, failure).fix(format!("docker logs {}", container.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(role: NodeRole, state: EngineState) -> ClusterContainer {
        ClusterContainer {
            name: "k3d-shop-registry".to_owned(),
            role,
            environment: None,
            state,
            ports: Vec::new(),
            image: String::new(),
            host_directories: Vec::new(),
        }
    }

    #[test]
    fn a_cluster_is_whole_or_stopped_or_half_there() {
        use EngineState::{Exited, Running};
        let of = |states: &[(NodeRole, EngineState)]| {
            let containers = states.iter();
            wholeness(&OwnContainers {
                cluster: containers
                    .map(|(role, state)| container(*role, *state))
                    .collect(),
                registry: None,
            })
        };
        let (server, balancer) = (NodeRole::Server, NodeRole::LoadBalancer);
        assert_eq!(of(&[]), Wholeness::Absent);
        assert_eq!(
            of(&[(server, Running), (balancer, Running)]),
            Wholeness::Runs
        );
        assert_eq!(
            of(&[(server, Exited), (balancer, Exited)]),
            Wholeness::Stopped
        );
        for half in [
            &[(server, Running), (balancer, Exited)][..],
            &[(server, Exited), (balancer, Running)],
            &[(server, Running)],
            &[(balancer, Running)],
        ] {
            let finding = judge_wholeness(of(half)).unwrap();
            assert_eq!(finding.id.0, "cluster.half", "{half:?}");
        }
        assert_eq!(judge_wholeness(Wholeness::Runs), None);
    }

    #[test]
    fn a_port_has_moved_only_if_both_are_known() {
        assert_eq!(judge_port(Some(1), Some(1)), None);
        assert_eq!(judge_port(None, Some(1)), None);
        assert_eq!(judge_port(Some(1), None), None);
        let moved = judge_port(Some(1), Some(2)).unwrap();
        assert!(moved.why[0].contains("it says 1, and the API is on 2"));
    }

    #[tokio::test]
    async fn a_registry_is_gone_or_stopped_or_silent() {
        let port = PortNumber::new(1).unwrap();
        assert_eq!(registry(None, port).await.id.0, "registry.gone");
        let stopped = container(NodeRole::Registry, EngineState::Exited);
        let finding = registry(Some(&stopped), port).await;
        assert_eq!(
            finding.mend,
            Some(Mend::StartRegistry("k3d-shop-registry".to_owned()))
        );
        let silent = container(NodeRole::Registry, EngineState::Running);
        assert_eq!(
            registry(Some(&silent), port).await.id.0,
            "registry.no-answer"
        );
    }
}
