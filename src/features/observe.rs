//! What exists now: docker, the registry and the cluster, asked at the same time.

use futures::future::join_all;

use super::Project;
use crate::{
    adapters::{
        docker::{ClusterContainer, ENVIRONMENT, EngineState, NodeRole},
        files,
        kube::{Cluster, KubeError},
        registry,
    },
    domain::{BuildInput, ClusterState, Desired, ExitClass, Failure, Observed},
    engine::{NAMESPACE, OwnContainers, Tools, check_identity, not_ours},
    report::Outbox,
    state::Record,
};

/// What was found, and the connection if the cluster answers.
pub struct Sight {
    /// What exists.
    pub observed: Observed,
    /// The cluster that answered.
    pub cluster: Option<Cluster>,
    /// Whether the settings under `cluster` are not those that the cluster was created from.
    pub is_outdated: bool,
    /// Why it cannot be asked, where no start of it mends that.
    unusable: Option<Failure>,
}

impl Sight {
    /// Fails for a cluster that cannot be brought to what the manifest says: one of other settings, or one whose
    /// certificate does not hold.
    pub fn check_usable(&self, project: &Project) -> Result<(), Failure> {
        if let Some(failure) = &self.unusable {
            return Err(failure.clone());
        }
        if self.is_outdated {
            Err(settings_changed(project))
        } else {
            Ok(())
        }
    }
}

/// Looks at everything an environment may consist of.
///
/// The number of requests to the cluster's API does not depend on the number of services.
pub async fn observe(
    project: &Project,
    tools: &Tools,
    record: Option<&Record>,
    desired: &Desired,
    outbox: &Outbox,
) -> Result<Sight, Failure> {
    let id = &project.environment.id;
    let name = id.cluster();
    // A cluster of this name that is another's is not even asked.
    let own = OwnContainers::find(&tools.docker, id, &project.paths.registry()).await?;
    let containers = own.all();
    let registry_runs = containers
        .iter()
        .any(|c| c.role == NodeRole::Registry && c.state == EngineState::Running);
    let (pushed, local, cluster) = futures::join!(
        pushed_images(project, desired, registry_runs),
        local_images(project, tools, desired),
        look_at_cluster(project, tools, record, &containers),
    );
    let Look {
        mut state,
        cluster,
        unusable,
    } = cluster?;
    if state == ClusterState::Absent && is_unfinished(record, &own) {
        state = creation_interrupted();
    }
    let inputs = record.and_then(|record| record.cluster_inputs.as_ref());
    let is_there = !matches!(
        state,
        ClusterState::Absent | ClusterState::Broken { created: false, .. }
    );
    let is_outdated = is_there && inputs.is_some_and(|inputs| *inputs != project.cluster_inputs());
    let mut observed = Observed {
        cluster: state,
        registry_runs,
        pushed_images: pushed,
        local_images: local?,
        ..Observed::nothing()
    };
    if let Some(cluster) = &cluster {
        let starts = tools.node_starts(&name);
        let contents = async {
            let both = futures::try_join!(cluster.observe(), cluster.hook_marks());
            both.map_err(|error| error.failure())
        };
        let ((contents, marks), starts) = futures::try_join!(contents, starts)?;
        observed.releases = contents.releases;
        observed.workloads = contents.workloads;
        observed.pods = starts.current_pods(contents.pods);
        observed.warnings = starts.current_warnings(contents.warnings);
        observed.hooks_done = marks;
        if record.is_none() {
            adopt(project, &observed.cluster, outbox).await?;
        }
    }
    Ok(Sight {
        observed,
        cluster,
        is_outdated,
        unusable,
    })
}

/// Local state can be lost: the label on the containers says that the cluster is this environment's.
async fn adopt(project: &Project, state: &ClusterState, outbox: &Outbox) -> Result<(), Failure> {
    if let ClusterState::Running { identity } = state
        && files::exists(project.paths.state())
    {
        project.write_record(Some(identity.clone()))?;
        let text = "the state of this environment was lost; it is rebuilt from the cluster";
        outbox.notice(crate::domain::NoticeLevel::Info, text).await;
    }
    Ok(())
}

async fn pushed_images(
    project: &Project,
    desired: &Desired,
    registry_runs: bool,
) -> std::collections::BTreeSet<BuildInput> {
    if !registry_runs {
        return std::collections::BTreeSet::new();
    }
    let port = project.environment.cluster.registry_port;
    let asking = desired.images.iter().map(|(input, image)| async move {
        let found = registry::has_manifest(port, &image.repository, &image.tag()).await;
        // A registry that does not answer has nothing: pushing to it will say why.
        found.unwrap_or(false).then(|| input.clone())
    });
    join_all(asking).await.into_iter().flatten().collect()
}

async fn local_images(
    project: &Project,
    tools: &Tools,
    desired: &Desired,
) -> Result<std::collections::BTreeSet<BuildInput>, Failure> {
    let port = project.environment.cluster.registry_port;
    let found = tools
        .docker
        .images_labelled(ENVIRONMENT, project.environment.id.as_str())
        .await
        .map_err(|error| error.failure())?;
    let is_there = |reference: &str| found.iter().any(|image| image.reference == reference);
    let images = desired
        .images
        .iter()
        .filter(|(_, image)| is_there(&image.host_reference(port)));
    Ok(images.map(|(input, _)| input.clone()).collect())
}

/// What there is of a cluster.
struct Look {
    state: ClusterState,
    cluster: Option<Cluster>,
    unusable: Option<Failure>,
}

impl From<ClusterState> for Look {
    /// A cluster that cannot be asked as it is.
    fn from(state: ClusterState) -> Self {
        Self {
            state,
            cluster: None,
            unusable: None,
        }
    }
}

async fn look_at_cluster(
    project: &Project,
    tools: &Tools,
    record: Option<&Record>,
    containers: &[ClusterContainer],
) -> Result<Look, Failure> {
    let with = |role| containers.iter().find(move |c| c.role == role);
    let (server, balancer) = (with(NodeRole::Server), with(NodeRole::LoadBalancer));
    let Some(first) = server.or(balancer).or_else(|| with(NodeRole::Agent)) else {
        return Ok(ClusterState::Absent.into());
    };
    let id = project.environment.id.as_str();
    if record.is_none() && first.environment.as_deref() != Some(id) {
        return Err(not_ours(first));
    }
    let (Some(server), Some(_)) = (server, balancer) else {
        // Neither can be put back alone: what the one knows of the cluster is gone, or what leads to it.
        let lost = if server.is_none() {
            "server"
        } else {
            "load balancer"
        };
        let reason = format!("the container of its {lost} was removed");
        let created = false;
        return Ok(ClusterState::Broken { reason, created }.into());
    };
    let created = record.is_none_or(|record| record.identity.is_some());
    if !created {
        return Ok(creation_interrupted().into());
    }
    if server.state != EngineState::Running {
        return Ok(ClusterState::Stopped.into());
    }
    let cluster = match connect(project, tools).await {
        Ok(cluster) => cluster,
        Err(failure) => {
            let reason = failure.what;
            return Ok(ClusterState::Broken { reason, created }.into());
        }
    };
    match cluster.identity().await {
        Ok(identity) => {
            check_identity(
                record.and_then(|record| record.identity.as_ref()),
                &identity,
            )?;
            Ok(Look {
                state: ClusterState::Running { identity },
                cluster: Some(cluster),
                unusable: None,
            })
        }
        Err(error) => {
            let reason = error.to_string();
            let is_lasting =
                matches!(error, KubeError::Certificate { fault, .. } if fault.is_lasting());
            Ok(Look {
                unusable: is_lasting.then(|| error.failure()),
                ..ClusterState::Broken { reason, created }.into()
            })
        }
    }
}

/// Whether a creation was broken off before there was a node: a network or a volume may be left of it.
fn is_unfinished(record: Option<&Record>, own: &OwnContainers) -> bool {
    record.is_some_and(|record| record.identity.is_none()) || !own.cluster.is_empty()
}

fn creation_interrupted() -> ClusterState {
    ClusterState::Broken {
        reason: "its creation was interrupted".to_owned(),
        created: false,
    }
}

async fn connect(project: &Project, tools: &Tools) -> Result<Cluster, Failure> {
    let kubeconfig = project.paths.kubeconfig();
    if !files::exists(&kubeconfig) {
        let name = project.environment.id.cluster();
        let cancel = tokio_util::sync::CancellationToken::new();
        let written = tools
            .k3d
            .write_kubeconfig(&name, &kubeconfig, &cancel)
            .await;
        written.map_err(|error| error.failure())?;
    }
    Cluster::connect(&kubeconfig, NAMESPACE)
        .await
        .map_err(|error| error.failure())
}

fn settings_changed(project: &Project) -> Failure {
    Failure::new(
        "cluster.settings-changed",
        ExitClass::Cluster,
        "the settings under `cluster` changed since the cluster was created",
    )
    .because("a cluster's ports, nodes and Kubernetes version are fixed when it is created")
    .at(project.environment.provenance.place("cluster").cloned())
    .help("devenv down && devenv up   # data and images are kept")
}
