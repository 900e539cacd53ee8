//! What exists now: the cluster, its releases, workloads, pods and warnings.
//!
//! Made by `adapters`; read by `plan`, `status` and the waits.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BuildInput, InputsHash, ServiceName};

/// What tells one cluster from another of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterIdentity {
    /// UID of the namespace `kube-system`.
    pub uid: String,
    /// BLAKE3 of the certificate authority's public key, hex: it stays when the certificate is renewed.
    pub authority: String,
}

/// The state of an environment's cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    /// There is none.
    Absent,
    /// It is there and stopped.
    Stopped,
    /// Its containers run and its API answers.
    Running {
        /// Who it is.
        identity: ClusterIdentity,
    },
    /// Its containers are there, but it cannot be used: an interrupted creation, a dead server.
    Broken {
        /// What is wrong.
        reason: String,
        /// Whether it was fully created once, so that it may hold something to keep.
        created: bool,
    },
}

impl ClusterState {
    /// Whether it may well run what it ran, and does not say.
    pub const fn is_silent(&self) -> bool {
        matches!(self, Self::Broken { created: true, .. })
    }
}

/// The status of a Helm release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStatus {
    /// Installed.
    Deployed,
    /// The last operation failed.
    Failed,
    /// Helm was killed during an installation.
    PendingInstall,
    /// Helm was killed during an upgrade.
    PendingUpgrade,
    /// Helm was killed during a rollback.
    PendingRollback,
    /// Helm was killed during an uninstallation.
    Uninstalling,
    /// Anything else.
    Unknown,
}

impl ReleaseStatus {
    /// Whether a killed Helm left it behind, so that Helm refuses to touch it.
    pub const fn is_stuck(self) -> bool {
        matches!(
            self,
            Self::PendingInstall
                | Self::PendingUpgrade
                | Self::PendingRollback
                | Self::Uninstalling
        )
    }
}

/// The newest revision of a Helm release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRelease {
    /// Its revision.
    pub revision: u32,
    /// Its status.
    pub status: ReleaseStatus,
    /// The inputs it was made from, if it is ours.
    pub inputs: Option<InputsHash>,
}

/// A Deployment, StatefulSet or DaemonSet of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedWorkload {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The service whose release made it.
    pub service: ServiceName,
    /// Pods wanted.
    pub desired: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods that are ready, and have been for as long as the workload asks.
    pub ready: u32,
    /// The generation of its specification: grows with every change.
    pub generation: i64,
    /// Whether the controller has seen the newest specification.
    pub current: bool,
    /// The labels that its pods carry.
    pub selector: BTreeMap<String, String>,
    /// The images of its containers.
    pub images: Vec<String>,
}

impl ObservedWorkload {
    /// Whether every wanted pod is of the newest template and ready.
    pub const fn is_ready(&self) -> bool {
        self.current && self.updated >= self.desired && self.ready >= self.desired
    }
}

/// The phase of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PodPhase {
    /// Not all containers were started.
    Pending,
    /// Running.
    Running,
    /// Every container ended with 0.
    Succeeded,
    /// A container ended with another code, for good.
    Failed,
    /// The node does not say.
    Unknown,
}

/// What a container does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ContainerState {
    /// It waits.
    Waiting {
        /// The kubelet's word, such as `ImagePullBackOff`.
        reason: String,
        /// The kubelet's sentence.
        message: String,
    },
    /// It runs.
    Running,
    /// It ended.
    Terminated {
        /// The kubelet's word, such as `OOMKilled`.
        reason: String,
        /// Exit code.
        exit_code: i32,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
        /// When it ended.
        finished: Option<Timestamp>,
    },
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedContainer {
    /// Its name.
    pub name: String,
    /// The runtime's id of it, such as `containerd://0123...`; `None` until it is made.
    pub id: Option<String>,
    /// Its image.
    pub image: String,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// What it does now.
    pub now: ContainerState,
    /// How its run before this one ended.
    pub before: Option<ContainerState>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedPod {
    /// Its name.
    pub name: String,
    /// What tells it from others of its name, as those of a StatefulSet are.
    pub uid: String,
    /// The service it belongs to.
    pub service: ServiceName,
    /// Its phase.
    pub phase: PodPhase,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When the first started of its containers that run was started; `None` if none runs.
    pub running_since: Option<Timestamp>,
    /// Why it has no node, in the scheduler's words.
    pub unschedulable: Option<String>,
    /// The node it runs on.
    pub node: Option<String>,
    /// Its address in the cluster.
    pub ip: Option<IpAddr>,
    /// Its containers, init containers first.
    pub containers: Vec<ObservedContainer>,
}

/// A Kubernetes event of type Warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarningEvent {
    /// Kind of the object, such as `Pod`.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// One word, such as `FailedScheduling`.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// How often.
    pub count: u32,
    /// When last.
    pub last_seen: Option<Timestamp>,
}

/// Everything that was seen at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The cluster.
    pub cluster: ClusterState,
    /// Whether the environment's registry runs.
    pub registry_runs: bool,
    /// The images that the registry holds already, of those asked for.
    pub pushed_images: BTreeSet<BuildInput>,
    /// The images that the docker engine holds already under their host reference, of those asked for.
    pub local_images: BTreeSet<BuildInput>,
    /// The newest revision of each release.
    pub releases: BTreeMap<ServiceName, ObservedRelease>,
    /// The workloads of all services.
    pub workloads: Vec<ObservedWorkload>,
    /// The pods of all services.
    pub pods: Vec<ObservedPod>,
    /// The warnings, oldest first.
    pub warnings: Vec<WarningEvent>,
    /// The hooks of `afterUp` that ran, by index, with what they ran for.
    pub hooks_done: BTreeMap<usize, InputsHash>,
}

impl Observed {
    /// What is seen where there is no cluster.
    pub const fn nothing() -> Self {
        Self {
            cluster: ClusterState::Absent,
            registry_runs: false,
            pushed_images: BTreeSet::new(),
            local_images: BTreeSet::new(),
            releases: BTreeMap::new(),
            workloads: Vec::new(),
            pods: Vec::new(),
            warnings: Vec::new(),
            hooks_done: BTreeMap::new(),
        }
    }

    /// Whether all workloads of `service` are ready.
    pub fn is_ready(&self, service: &ServiceName) -> bool {
        is_service_ready(service, &self.workloads, &self.pods)
    }

    /// Whether a service has workloads, and all of them want no pods.
    pub fn is_scaled_to_nothing(&self, service: &ServiceName) -> bool {
        let mut ours = self.workloads.iter().filter(|w| &w.service == service);
        ours.next().is_some_and(|w| w.desired == 0) && ours.all(|w| w.desired == 0)
    }
}

/// Whether all workloads of `service` are ready, and as many of its pods as they want.
///
/// The count of a workload lags behind its pods: both must agree.
pub fn is_service_ready(
    service: &ServiceName,
    workloads: &[ObservedWorkload],
    pods: &[ObservedPod],
) -> bool {
    let mut ours = workloads.iter().filter(|w| &w.service == service);
    let wanted: u32 = ours.clone().map(|w| w.desired).sum();
    let ready = pods
        .iter()
        .filter(|pod| &pod.service == service && pod.ready && !pod.deleting);
    ours.all(ObservedWorkload::is_ready) && ready.count() >= wanted as usize
}
