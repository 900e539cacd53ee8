//! A project's environment as resolved from its manifest and layers: everything defaulted and checked.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Cpu, DatasetName, Debug, EnvironmentId, Live, Memory, Policy, ProfileName, ProjectName,
    Provenance, Retention, ServiceName, TaskName,
};

/// What a project wants to run, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its id: project and directory.
    pub id: EnvironmentId,
    /// `name:` of the manifest.
    pub project: ProjectName,
    /// The project directory, absolute and canonical.
    pub directory: PathBuf,
    /// The manifest file, absolute.
    pub manifest: PathBuf,
    /// The profiles laid over it, in order.
    pub profiles: Vec<ProfileName>,
    /// The dataset that the profiles name.
    pub dataset: Option<DatasetName>,
    /// Versions of tools that the project asks for.
    pub requires: Requires,
    /// The cluster.
    pub cluster: ClusterSpec,
    /// The services by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// The tasks by name.
    pub tasks: BTreeMap<TaskName, Task>,
    /// The hooks.
    pub hooks: Hooks,
    /// Which snapshots stay.
    pub snapshots: Retention,
    /// What the team allows.
    pub policy: Policy,
    /// Where each value was set.
    pub provenance: Provenance,
}

impl Environment {
    /// Leaves out how services follow their sources: they run as their images are.
    pub fn stand_alone(&mut self) {
        for service in self.services.values_mut() {
            if let Source::Workload(workload) = &mut service.source {
                workload.live = None;
            }
        }
    }

    /// Whether edits of a service become live.
    pub fn is_live(&self) -> bool {
        let mut workloads = self.services.values().filter_map(Service::workload);
        workloads.any(|workload| workload.live.is_some())
    }

    /// `wanted` and everything they depend on, transitively; all services if `wanted` is empty.
    ///
    /// Every name must be a service of this environment; others are left out.
    pub fn with_dependencies(&self, wanted: &[ServiceName]) -> Vec<ServiceName> {
        if wanted.is_empty() {
            return self.services.keys().cloned().collect();
        }
        let mut found = std::collections::BTreeSet::new();
        let mut open: Vec<&ServiceName> = wanted.iter().collect();
        while let Some(name) = open.pop() {
            if let Some(service) = self.services.get(name)
                && found.insert(name.clone())
            {
                open.extend(&service.depends_on);
            }
        }
        found.into_iter().collect()
    }
}

/// Version requirements on tools; `None` where the project asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requires {
    /// devenv itself.
    pub devenv: Option<semver::VersionReq>,
    /// The docker engine.
    pub docker: Option<semver::VersionReq>,
    /// k3d.
    pub k3d: Option<semver::VersionReq>,
    /// Helm.
    pub helm: Option<semver::VersionReq>,
}

/// Who provides the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// A k3d cluster that devenv creates and owns.
    K3d,
}

/// A TCP or UDP port number, never 0.
pub type PortNumber = std::num::NonZeroU16;

/// The cluster a project asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    /// Who provides it.
    pub provider: Provider,
    /// Kubernetes version, minor (`1.35`) or exact (`1.35.4`).
    pub kubernetes: String,
    /// A node image that overrides what follows from the version.
    pub image: Option<String>,
    /// Agent nodes beside the one server.
    pub agents: u32,
    /// The host port of the ingress, plain HTTP; on 127.0.0.1.
    pub http_port: PortNumber,
    /// The host port of the ingress, HTTPS; on 127.0.0.1.
    pub https_port: PortNumber,
    /// The host port of the image registry; on 127.0.0.1.
    pub registry_port: PortNumber,
    /// Bounds on what the nodes may use.
    pub limits: Limits,
}

/// Bounds on what the cluster's nodes may use together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Cores; unbounded if `None`.
    pub cpus: Option<Cpu>,
    /// Memory; unbounded if `None`.
    pub memory: Option<Memory>,
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Where its Kubernetes objects come from.
    pub source: Source,
    /// Services that must be ready before it is started.
    pub depends_on: Vec<ServiceName>,
    /// How long it may take to be ready.
    pub ready_within: Duration,
}

impl Service {
    /// The workload, unless the service is a chart or plain manifests.
    pub fn workload(&self) -> Option<&Workload> {
        match &self.source {
            Source::Workload(workload) => Some(workload),
            Source::Chart(_) | Source::Manifests(_) => None,
        }
    }
}

/// Where a service's Kubernetes objects come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// An image run by the embedded chart.
    Workload(Box<Workload>),
    /// The user's own chart.
    Chart(Chart),
    /// Plain Kubernetes YAML files, absolute paths, in order.
    Manifests(Vec<PathBuf>),
}

/// A container that the embedded chart runs, with all its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its image.
    pub image: ImageName,
    /// Replaces the image's entrypoint; empty keeps it.
    pub command: Vec<String>,
    /// Replaces the image's arguments; empty keeps them.
    pub args: Vec<String>,
    /// Ports it listens on.
    pub ports: Vec<Port>,
    /// Ingress rules.
    pub expose: Vec<Expose>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Labels of its objects and pods.
    pub labels: BTreeMap<String, String>,
    /// `key=value` files, absolute; their contents become a Secret and environment variables.
    pub secrets: Vec<PathBuf>,
    /// Persistent volumes.
    pub volumes: Vec<Volume>,
    /// When it counts as ready; `None` means: when it runs.
    pub ready: Option<Ready>,
    /// Requests and limits.
    pub resources: Resources,
    /// How many pods, when not autoscaled.
    pub replicas: u32,
    /// Automatic scaling.
    pub autoscale: Option<Autoscale>,
    /// How it follows its sources; only a new image does if `None`.
    pub live: Option<Live>,
    /// How it is debugged; `None` if the manifest does not say.
    pub debug: Option<Debug>,
    /// What it is told before a snapshot, if anything.
    pub quiesce: Option<Quiesce>,
}

/// How a service is brought to rest while a snapshot is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiesce {
    /// Ends when what was begun is finished, and nothing more is begun.
    pub command: Vec<String>,
    /// Lets it go on; nothing is run if empty.
    pub resume: Vec<String>,
    /// How long each of both may take.
    pub within: Duration,
}

impl Workload {
    /// Whether devenv's init runs the process where it is known what the image starts: it can do more with it then,
    /// such as to give it the data of a snapshot in the container that it has.
    pub fn wants_init(&self) -> bool {
        self.needs_init() || !self.volumes.is_empty()
    }

    /// Whether devenv's init has to run the process: to follow its sources, or to start it under its debugger.
    pub fn needs_init(&self) -> bool {
        self.debug.is_some() || self.live.as_ref().is_some_and(Live::needs_init)
    }
}

/// An image: built here, or taken as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageName {
    /// Built from a context.
    Build(Build),
    /// A reference that the cluster pulls.
    Reference(String),
}

/// The processor of the nodes, as images name it: that of this machine, in whose containers they run.
pub fn node_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// How to build an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// The context directory, absolute.
    pub context: PathBuf,
    /// The Dockerfile, relative to the context.
    pub dockerfile: PathBuf,
    /// The stage to build; the last if `None`.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Files given to the build as secrets, by id; absolute paths. Not part of the image's tag.
    pub secrets: BTreeMap<String, PathBuf>,
}

/// A port a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name; `http`, or `port-<number>` where the manifest gives none and there are several.
    pub name: String,
    /// The number, in the container and at the Kubernetes Service.
    pub number: PortNumber,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// One ingress rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// Host name, such as `shop.localhost`.
    pub host: String,
    /// Path prefix, beginning with `/`.
    pub path: String,
    /// The port it leads to.
    pub port: PortNumber,
}

/// A persistent volume of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name, unique in the service.
    pub name: String,
    /// Where it is mounted, absolute in the container.
    pub path: String,
    /// Its size as asked for.
    pub size: Memory,
}

/// When a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// How it is asked.
    pub probe: Probe,
}

/// A readiness probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP GET that answers 2xx or 3xx.
    Http {
        /// The path.
        path: String,
        /// The port.
        port: PortNumber,
    },
    /// A TCP connection.
    Tcp {
        /// The port.
        port: PortNumber,
    },
    /// A command in the container that exits with 0.
    Command(Vec<String>),
}

/// Requests and limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Requested processor time.
    pub request_cpu: Option<Cpu>,
    /// Requested memory.
    pub request_memory: Option<Memory>,
    /// Limit on processor time.
    pub limit_cpu: Option<Cpu>,
    /// Limit on memory.
    pub limit_memory: Option<Memory>,
}

/// Automatic scaling by processor use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoscale {
    /// Fewest pods, at least 1.
    pub min: u32,
    /// Most pods.
    pub max: u32,
    /// Target processor use in percent of the request.
    pub cpu: u32,
}

/// A chart of the user's.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Where the chart is.
    pub origin: ChartOrigin,
    /// Values, over those of the files.
    pub values: serde_json::Value,
    /// Values files, absolute, later over earlier.
    pub values_files: Vec<PathBuf>,
}

/// Where a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartOrigin {
    /// A directory, absolute.
    Path(PathBuf),
    /// A chart repository.
    Repository {
        /// Its URL (`https://` or `oci://`).
        repo: String,
        /// The chart's name.
        name: String,
        /// The chart's version.
        version: String,
    },
}

/// A container that runs to an end, started by `exec`.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name.
    pub name: TaskName,
    /// Its image.
    pub image: ImageName,
    /// The command that runs when `exec` gives none.
    pub command: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// `key=value` files, absolute.
    pub secrets: Vec<PathBuf>,
    /// Services that must be ready before it runs.
    pub depends_on: Vec<ServiceName>,
    /// Requests and limits.
    pub resources: Resources,
}

/// Commands that run at points of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// After every service is ready, in order.
    pub after_up: Vec<Hook>,
    /// Before anything is removed by `down`, in order.
    pub before_down: Vec<Hook>,
}

impl Hooks {
    /// The hooks of a moment.
    pub fn of(&self, moment: HookMoment) -> &[Hook] {
        match moment {
            HookMoment::AfterUp => &self.after_up,
            HookMoment::BeforeDown => &self.before_down,
        }
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookMoment {
    /// After `up`, when every service is ready.
    AfterUp,
    /// Before `down` removes anything.
    BeforeDown,
}

impl HookMoment {
    /// Its key under `hooks` in the manifest.
    pub const fn key(self) -> &'static str {
        match self {
            Self::AfterUp => "afterUp",
            Self::BeforeDown => "beforeDown",
        }
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The service in whose container it runs; on the host, in the project directory, if `None`.
    pub service: Option<ServiceName>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub within: Duration,
}
