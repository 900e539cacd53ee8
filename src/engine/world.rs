//! What the steps work with: the environment, the tools, and the cluster once it runs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    Execute, Finished, Progress,
    steps::{self, prefetch::Prefetch},
};
use crate::{
    adapters::{
        agent,
        docker::{Docker, DockerError},
        helm::Helm,
        k3d::K3d,
        kube::{Cluster, LiveView},
        process::ChildEnvironment,
    },
    domain::{
        ClusterIdentity, ClusterName, Desired, Environment, ExitClass, Failure, HostCommand,
        NodeStarts, ServiceName, VolumeStore,
    },
    plan::{Action, Step},
};

/// The namespace in which an environment's services live.
pub const NAMESPACE: &str = "default";

/// The tools, ready to be asked.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The docker engine.
    pub docker: Docker,
    /// k3d.
    pub k3d: K3d,
    /// Helm, bound to the environment's own kubeconfig.
    pub helm: Helm,
    /// What a hook on the host is given as its environment.
    pub children: ChildEnvironment,
}

impl Tools {
    /// When the nodes of a cluster were started last.
    pub async fn node_starts(&self, cluster: &ClusterName) -> Result<NodeStarts, Failure> {
        let nodes = self.docker.nodes_of(cluster).await;
        let nodes = nodes.map_err(|error| error.failure())?;
        let asking = nodes.into_iter().map(|node| async move {
            let started = self.docker.started_at(&node.name).await?;
            Ok::<_, DockerError>(started.map(|started| (node.name, started)))
        });
        let starts = futures::future::try_join_all(asking).await;
        let starts = starts.map_err(|error| error.failure())?;
        Ok(starts.into_iter().flatten().collect())
    }
}

/// Directories and files of the environment on this machine.
#[derive(Debug, Clone)]
pub struct Places {
    /// The private kubeconfig.
    pub kubeconfig: PathBuf,
    /// Where charts are written for Helm.
    pub charts: PathBuf,
    /// What the registry keeps its images in.
    pub registry: PathBuf,
    /// The volumes of the services.
    pub volumes: PathBuf,
    /// The image that they are kept in, where they are in one.
    pub volume_image: PathBuf,
    /// What snapshots are made of, below `data`.
    pub snapshots: Vec<PathBuf>,
    /// Everything that is the user's: the volumes and what the registry holds are below it.
    pub data: PathBuf,
}

/// Remembers who the cluster is, so that no other is ever changed in its place.
pub trait Remember: Send + Sync {
    /// A cluster is about to be created: what is found under its name afterwards is unfinished.
    fn creating(&self) -> Result<(), Failure>;
    /// The cluster is created.
    fn created(&self, identity: &ClusterIdentity) -> Result<(), Failure>;
    /// The cluster is gone.
    fn removed(&self) -> Result<(), Failure>;
    /// Who the cluster must be; `None` if nobody remembers.
    fn identity(&self) -> Option<ClusterIdentity>;
    /// What the volumes are kept in; `None` if that is still to be decided.
    fn volume_store(&self) -> Result<Option<VolumeStore>, Failure>;
    /// Whether they may be kept in an image.
    fn may_use_image(&self) -> bool;
    /// The failure of a command of the manifest that the user has not confirmed: it must not run on this machine.
    fn check_trust(&self, command: &HostCommand) -> Result<(), Failure>;
    /// The volumes are kept in this from now on.
    fn keeps_volumes_in(&self, store: &VolumeStore) -> Result<(), Failure>;
}

/// The cluster that runs, and the live view of it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) cluster: Cluster,
    pub(super) view: LiveView,
    /// When the nodes were started last.
    pub(super) starts: NodeStarts,
}

/// What the steps of one run work with.
pub struct World {
    /// What is wanted.
    pub environment: Environment,
    /// What it comes to.
    pub desired: Desired,
    /// The tools.
    pub tools: Tools,
    /// Where things lie.
    pub places: Places,
    /// The node image; the newest of the Kubernetes version if `None`.
    pub node_image: Option<String>,
    /// Images with a `rm` of which one is local: they remove what belongs to root.
    pub helper_images: Vec<String>,
    /// Who the cluster is.
    pub memory: Box<dyn Remember>,
    live: OnceCell<Live>,
    installed: Mutex<BTreeMap<ServiceName, Timestamp>>,
    agents: OnceCell<()>,
    pub(super) prefetch: Prefetch,
}

impl World {
    /// A world in which nothing has been touched.
    pub fn new(
        environment: Environment,
        desired: Desired,
        tools: Tools,
        places: Places,
        node_image: Option<String>,
        helper_images: Vec<String>,
        memory: Box<dyn Remember>,
    ) -> Self {
        Self {
            environment,
            desired,
            tools,
            places,
            node_image,
            helper_images,
            memory,
            live: OnceCell::new(),
            installed: Mutex::default(),
            agents: OnceCell::new(),
            prefetch: Prefetch::default(),
        }
    }

    /// Writes down that a service is installed from now on.
    pub(super) fn installing(&self, service: &ServiceName) {
        let mut installed = self
            .installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        installed.insert(service.clone(), Timestamp::now());
    }

    /// When a service was installed in this run.
    pub(super) fn installed_at(&self, service: &ServiceName) -> Option<Timestamp> {
        self.installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(service)
            .copied()
    }

    /// The running cluster with its live view; connects at the first call.
    pub(super) async fn live(&self) -> Result<&Live, Failure> {
        self.live
            .get_or_try_init(|| async {
                let cluster = Cluster::connect(&self.places.kubeconfig, NAMESPACE)
                    .await
                    .map_err(|error| error.failure())?;
                let view = cluster.watch();
                let starts = self
                    .tools
                    .node_starts(&self.environment.id.cluster())
                    .await?;
                Ok(Live {
                    cluster,
                    view,
                    starts,
                })
            })
            .await
    }

    /// Has the agent's program in every node; puts it there at the first call.
    pub(super) async fn with_agents(&self) -> Result<(), Failure> {
        self.agents
            .get_or_try_init(|| async {
                let cluster = self.environment.id.cluster();
                let installed = agent::install_everywhere(&self.tools.docker, &cluster).await;
                installed.map_err(|error| error.failure())
            })
            .await
            .copied()
    }

    /// The running cluster, after making sure that it is the one this environment created.
    ///
    /// Asked before every change, so that a cluster that took the name in between is not touched.
    pub async fn checked_cluster(&self) -> Result<&Cluster, Failure> {
        let live = self.live().await?;
        let seen = live
            .cluster
            .identity()
            .await
            .map_err(|error| error.failure())?;
        check_identity(self.memory.identity().as_ref(), &seen)?;
        Ok(&live.cluster)
    }
}

/// Refuses a cluster that is not the one remembered.
pub fn check_identity(
    remembered: Option<&ClusterIdentity>,
    seen: &ClusterIdentity,
) -> Result<(), Failure> {
    match remembered {
        Some(remembered) if remembered != seen => Err(Failure::new(
            "cluster.not-ours",
            ExitClass::Cluster,
            "the cluster of this name is not the one that this environment created",
        )
        .because("its identity (UID of kube-system, certificate authority) is another one")
        .help("if it may go: devenv down && devenv up")
        .help("k3d cluster list")),
        _ => Ok(()),
    }
}

impl Execute for World {
    async fn execute(
        &self,
        step: &Step,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Finished, Failure> {
        match &step.action {
            Action::EnsureRegistry => steps::cluster::ensure_registry(self, cancel).await,
            Action::DeleteCluster => steps::remove::cluster(self).await,
            Action::EndServices(patience) => {
                steps::power::end_services(self, *patience, progress).await
            }
            Action::StopCluster => steps::power::stop_cluster(self, progress).await,
            Action::StopRegistry => steps::power::stop_registry(self).await,
            Action::DeleteRegistry => steps::remove::registry(self).await,
            Action::RemoveData(spared) => steps::remove::data(self, *spared, progress).await,
            Action::RemoveImages(images) => steps::remove::images(self, images, progress).await,
            Action::RestartService(service) => steps::workloads::restart(self, service).await,
            Action::ScaleService(service, replicas) => {
                steps::workloads::scale(self, service, *replicas, progress).await
            }
            Action::CreateCluster => steps::cluster::create(self, progress, cancel).await,
            Action::StartCluster => steps::cluster::start(self, progress, cancel).await,
            Action::BuildImage(input) => steps::images::build(self, input, progress, cancel).await,
            Action::PushImage(input) => steps::images::push(self, input, progress, cancel).await,
            Action::RepairRelease(service) => steps::releases::repair(self, service).await,
            Action::InstallRelease(service) => {
                steps::releases::install(self, service, progress, cancel).await
            }
            Action::RemoveRelease(service) => {
                steps::releases::remove(self, service, progress, cancel).await
            }
            Action::WaitReady(service) => {
                super::wait::wait_until_ready(self, service, progress, cancel).await
            }
            Action::WaitReachable(service) => {
                super::reach::wait_until_reachable(self, service, progress, cancel).await
            }
            Action::RunHook(moment, index) => {
                steps::hooks::run(self, (*moment, *index), progress, cancel).await
            }
        }
    }
}
