//! `devenv.status/1`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{LiveEdit, LiveTimes};
use crate::domain::VolumeStore;

/// How an environment is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The environment's id.
    pub environment: String,
    /// The cluster's name.
    pub cluster: String,
    /// The state of the cluster.
    pub cluster_state: ClusterPhase,
    /// Why the cluster cannot be used, if it is broken.
    pub cluster_trouble: Option<String>,
    /// Which command is changing the environment just now.
    pub at_work: Option<String>,
    /// The services, by name.
    pub services: Vec<ServiceStatus>,
    /// How data of volumes is copied, where that is known.
    pub volumes: Option<VolumeStatus>,
    /// The nodes, where their use was asked for.
    pub nodes: Option<Vec<NodeUsage>>,
    /// Services of which no other pod would find a place, where use was asked for.
    pub not_fitting: Vec<NotFitting>,
}

/// What the volumes are kept in, and so how snapshots are made of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// What it is.
    pub store: VolumeStoreKind,
    /// Why it is no image of a file system that shares blocks, if files are copied.
    pub why: Option<String>,
}

/// The kinds of what volumes are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VolumeStoreKind {
    /// An image of a file system that shares blocks between files, which the nodes mount.
    Image,
    /// A directory whose file system does that itself.
    CloningDirectory,
    /// A directory whose files are copied.
    CopyingDirectory,
}

impl From<VolumeStore> for VolumeStatus {
    fn from(store: VolumeStore) -> Self {
        let (store, why) = match store {
            VolumeStore::Image => (VolumeStoreKind::Image, None),
            VolumeStore::CloningDirectory => (VolumeStoreKind::CloningDirectory, None),
            VolumeStore::CopyingDirectory { why } => (VolumeStoreKind::CopyingDirectory, Some(why)),
        };
        Self { store, why }
    }
}

/// The state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClusterPhase {
    /// There is none.
    Absent,
    /// It is there and stopped.
    Stopped,
    /// It runs.
    Running,
    /// A command is at work on its creation.
    Creating,
    /// It is there and cannot be used.
    Broken,
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ServiceState,
    /// Its pods.
    pub replicas: Replicas,
    /// Where it can be reached.
    pub urls: Vec<String>,
    /// The images of its containers.
    pub images: Vec<String>,
    /// When its newest pod was made.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// How long its newest pod has been there.
    pub age_seconds: Option<u64>,
    /// How often its containers were started again.
    pub restarts: u32,
    /// Why it is not ready.
    pub trouble: Option<String>,
    /// Use, requests and limits, where they were asked for.
    pub resources: Option<ContainerUsage>,
    /// The last edit that became live.
    pub last_live: Option<LiveEdit>,
    /// Half of the last 200 edits were live within this time, in milliseconds.
    pub live_p50_millis: Option<f64>,
    /// 95 % of the last 200 edits were live within this time, in milliseconds.
    pub live_p95_millis: Option<f64>,
    /// How many edits that became live are known.
    pub live_changes: u32,
}

impl ServiceStatus {
    /// Adds how long its edits took to be live.
    pub fn set_live(&mut self, times: LiveTimes) {
        self.last_live = Some(times.last);
        self.live_p50_millis = Some(times.p50_millis);
        self.live_p95_millis = Some(times.p95_millis);
        self.live_changes = times.changes;
    }
}

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ServiceState {
    /// All its pods are ready.
    Ready,
    /// It is on its way.
    Starting,
    /// It will not be ready by waiting.
    Failed,
    /// It has no pods on purpose: scaled to 0, or the cluster is stopped.
    Stopped,
    /// It is not in the cluster.
    Absent,
    /// The cluster cannot be asked.
    Unknown,
    /// It ran to its end.
    Finished,
}

/// How many pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Ready.
    pub ready: u32,
    /// Wanted.
    pub desired: u32,
}

/// What the containers of a service use and may use, over all its pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerUsage {
    /// Processor time in thousandths of a core; `None` where nothing was measured yet.
    pub cpu_millis: Option<u64>,
    /// Requested processor time in thousandths of a core.
    pub cpu_request_millis: Option<u64>,
    /// Limit on processor time in thousandths of a core.
    pub cpu_limit_millis: Option<u64>,
    /// Memory in bytes; `None` where nothing was measured yet.
    pub memory_bytes: Option<u64>,
    /// Requested memory in bytes.
    pub memory_request_bytes: Option<u64>,
    /// Limit on memory in bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// What a node uses, what its pods have requested, and what they can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeUsage {
    /// Its name.
    pub name: String,
    /// Processor time in use, in thousandths of a core, that of Kubernetes itself too.
    pub cpu_millis: Option<u64>,
    /// Processor time that is kept for its pods, in thousandths of a core.
    pub cpu_request_millis: u64,
    /// Processor time that pods can have, in thousandths of a core.
    pub cpu_capacity_millis: u64,
    /// Memory in use, in bytes, that of Kubernetes itself too.
    pub memory_bytes: Option<u64>,
    /// Memory that is kept for its pods, in bytes.
    pub memory_request_bytes: u64,
    /// Memory that pods can have, in bytes.
    pub memory_capacity_bytes: u64,
}

/// A service for whose pods there is no place: by what they request, not by what they use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotFitting {
    /// The service.
    pub service: String,
    /// How many pods were tried: one more, or as many as it is to have if it has none.
    pub pods: u32,
    /// How many of them would find a place.
    pub fitting: u32,
    /// Processor time that each requests, in thousandths of a core.
    pub cpu_request_millis: u64,
    /// Processor time that is free on the node that has most, in thousandths of a core.
    pub cpu_free_millis: u64,
    /// Memory that each requests, in bytes.
    pub memory_request_bytes: u64,
    /// Memory that is free on the node that has most, in bytes.
    pub memory_free_bytes: u64,
}
