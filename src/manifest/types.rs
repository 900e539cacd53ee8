//! The keys of a manifest as types. Their doc comments are the reference page and the schema.

mod live;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) use self::live::{DebugKeys, LiveBuildKeys, LiveKeys, OnChangeKey, ReloadKeys};
use super::{
    builtin,
    format::{
        Age, ContainerPath, EnvName, Formatted, GlobPattern, HostName, ImageReference, InnerPath,
        KubernetesVersion, LabelName, LabelValue, PartName, PortName, UrlPath, VersionRequirement,
        Within, Written, schema_of,
    },
};
use crate::domain::{
    Cpu, DatasetName, Memory, PortNumber, ProfileName, ProjectName, Protocol, Provider,
    ServiceName, TaskName,
};

/// The keys of `devenv.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Manifest", extend("required" = ["apiVersion", "name"]))]
pub(super) struct ManifestKeys {
    /// The version of the manifest's format.
    pub(super) api_version: Option<ApiVersion>,
    /// The name of the project: lower-case letters, digits and `-`. It is part of the cluster's name and of image names.
    pub(super) name: Option<ProjectName>,
    /// The versions of tools the project needs. They are checked before anything is changed.
    pub(super) requires: RequiresKeys,
    /// The cluster the services run in.
    pub(super) cluster: ClusterKeys,
    /// Values that go under every service; what a service says itself wins, maps are merged.
    pub(super) defaults: DefaultsKeys,
    /// The services by name. A name is also the host name under which other services reach it.
    #[schemars(with = "BTreeMap<String, ServiceKeys>", extend("propertyNames" = schema_of(&ServiceName::FORMAT)))]
    pub(super) services: BTreeMap<ServiceName, ServiceKeys>,
    /// Containers that run to an end when asked for, such as tests.
    #[schemars(with = "BTreeMap<String, TaskKeys>", extend("propertyNames" = schema_of(&TaskName::FORMAT)))]
    pub(super) tasks: BTreeMap<TaskName, TaskKeys>,
    /// Commands that run at points of a run.
    pub(super) hooks: HooksKeys,
    /// Which snapshots stay.
    pub(super) snapshots: SnapshotsKeys,
}

/// Which snapshots stay. `devenv snapshot prune` without flags removes the others; those that devenv made by itself, such as
/// before `data reset`, go by themselves, apart from the newest. What is not said here, the settings of this machine say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Snapshots")]
pub(super) struct SnapshotsKeys {
    /// So many, the newest. Without it, all that have a name of yours, and three that devenv made.
    #[schemars(range(min = 1, max = 10000))]
    pub(super) keep: Option<usize>,
    /// Those that are not older.
    pub(super) older_than: Option<Age>,
    /// As many of the newest as hold no more data together.
    pub(super) max_size: Option<Memory>,
}

/// The keys that a profile file `profiles/<name>.yaml` has beside those of `devenv.yaml`.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Profile")]
#[expect(dead_code, reason = "layers read these keys before there are types")]
pub(super) struct ProfileKeys {
    /// What the profile is for, in a sentence.
    description: Option<String>,
    /// Profiles that go under this one, in order.
    #[serde(default)]
    extends: Vec<ProfileName>,
    /// The services to run: only these and what they depend on. Without it, all of them.
    #[serde(default)]
    only: Vec<ServiceName>,
    /// The dataset that belongs to it, `datasets/<name>/dataset.yaml`. Of several profiles the last that names one counts.
    #[serde(default)]
    dataset: Option<DatasetName>,
}

/// The version of the manifest's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(super) enum ApiVersion {
    /// The first.
    #[serde(rename = "devenv/v1")]
    V1,
}

/// Version requirements on tools, such as `">=5.8"`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Requires")]
pub(super) struct RequiresKeys {
    /// devenv itself.
    pub(super) devenv: Option<VersionRequirement>,
    /// The docker engine.
    pub(super) docker: Option<VersionRequirement>,
    /// k3d.
    pub(super) k3d: Option<VersionRequirement>,
    /// Helm.
    pub(super) helm: Option<VersionRequirement>,
}

/// The cluster.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterKeys {
    /// Who provides the cluster. `k3d`: devenv creates it and owns it.
    #[schemars(with = "Option<ProviderValue>", extend("default" = "k3d"))]
    pub(super) provider: Option<Provider>,
    /// The Kubernetes version, minor (`1.35`) or exact (`1.35.4`). The node image follows from it.
    #[schemars(extend("default" = builtin::KUBERNETES))]
    pub(super) kubernetes: Option<KubernetesVersion>,
    /// A node image that overrides the one that follows from the version.
    pub(super) image: Option<ImageReference>,
    /// Agent nodes beside the one server.
    #[schemars(range(min = 0, max = 16), extend("default" = builtin::AGENTS))]
    pub(super) agents: Option<u32>,
    /// The ports of the ingress on this machine, on 127.0.0.1.
    pub(super) ports: ClusterPortsKeys,
    /// The image registry of the environment.
    pub(super) registry: RegistryKeys,
    /// Bounds on what the nodes may use together.
    pub(super) limits: LimitsKeys,
}

/// Stands for the domain's provider in the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum ProviderValue {
    K3d,
}

/// The ports of the ingress on this machine.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ClusterPorts")]
pub(super) struct ClusterPortsKeys {
    /// Plain HTTP.
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535), extend("default" = builtin::HTTP_PORT))]
    pub(super) http: Option<PortNumber>,
    /// HTTPS.
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535), extend("default" = builtin::HTTPS_PORT))]
    pub(super) https: Option<PortNumber>,
}

/// The image registry of the environment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Registry")]
pub(super) struct RegistryKeys {
    /// Its port on this machine, on 127.0.0.1.
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535), extend("default" = builtin::REGISTRY_PORT))]
    pub(super) port: Option<PortNumber>,
}

/// Bounds on what the nodes may use together.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitsKeys {
    /// Processor cores, such as `2` or `1.5`. Without it, all of the machine's.
    pub(super) cpus: Option<Cpu>,
    /// Memory, such as `6Gi`. Without it, all of the machine's.
    pub(super) memory: Option<Memory>,
}

/// Values under every service. Services made of a chart or of manifests take only `ready`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Defaults")]
pub(super) struct DefaultsKeys {
    /// Environment variables.
    #[schemars(with = "BTreeMap<String, Written>", extend("propertyNames" = schema_of(&EnvName::FORMAT)))]
    pub(super) env: BTreeMap<EnvName, Written>,
    /// Requests and limits.
    pub(super) resources: ResourcesKeys,
    /// How long a service may take to be ready.
    pub(super) ready: DefaultReadyKeys,
    /// Labels of the objects and pods of services.
    #[schemars(with = "BTreeMap<String, LabelValue>", extend("propertyNames" = schema_of(&LabelName::FORMAT)))]
    pub(super) labels: BTreeMap<LabelName, LabelValue>,
    /// How many pods a service has.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) replicas: Option<u32>,
}

/// How long a service may take to be ready.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DefaultReady")]
pub(super) struct DefaultReadyKeys {
    /// The length of time, such as `90s`.
    pub(super) within: Option<Within>,
}

/// A service. It has exactly one of `build`, `image`, `chart` and `manifests`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(super) struct ServiceKeys {
    /// Builds the image from a context. Short form: the context directory.
    pub(super) build: Option<BuildKeys>,
    /// An image that is taken as it is.
    pub(super) image: Option<ImageReference>,
    /// A Helm chart. Such a service takes only `dependsOn` and `ready.within` beside it.
    pub(super) chart: Option<ChartKeys>,
    /// Plain Kubernetes YAML files, as paths or patterns. Such a service takes only `dependsOn` and `ready.within` beside it.
    pub(super) manifests: Option<Vec<GlobPattern>>,
    /// Replaces the image's entrypoint.
    pub(super) command: Vec<Written>,
    /// Replaces the image's arguments.
    pub(super) args: Vec<Written>,
    /// The ports it listens on. Short form of an item: the number.
    pub(super) ports: Vec<PortKeys>,
    /// Makes it reachable from this machine by host name and path. One rule or a list; short form of a rule: the host name.
    #[schemars(extend("x-short" = ["item", "string"]))]
    pub(super) expose: Vec<ExposeKeys>,
    /// Environment variables. Numbers and `yes`/`no` are taken as they are written.
    #[schemars(with = "BTreeMap<String, Written>", extend("propertyNames" = schema_of(&EnvName::FORMAT)))]
    pub(super) env: BTreeMap<EnvName, Written>,
    /// Labels of its objects and pods, such as `team: shop`.
    #[schemars(with = "BTreeMap<String, LabelValue>", extend("propertyNames" = schema_of(&LabelName::FORMAT)))]
    pub(super) labels: BTreeMap<LabelName, LabelValue>,
    /// Files of `KEY=value` lines. They become a Secret and environment variables, and are never printed.
    pub(super) secrets: Vec<InnerPath>,
    /// Services that must be ready before it is started.
    pub(super) depends_on: Vec<ServiceName>,
    /// When it counts as ready. Without a probe: when its containers have run for three seconds.
    pub(super) ready: ReadyKeys,
    /// Data that outlives the pod.
    pub(super) volumes: Vec<VolumeKeys>,
    /// Requests and limits of the container.
    pub(super) resources: ResourcesKeys,
    /// How many pods.
    #[schemars(range(min = 0, max = 1000), extend("default" = builtin::REPLICAS))]
    pub(super) replicas: Option<u32>,
    /// Scales by processor use instead of a fixed number of pods.
    pub(super) autoscale: Option<AutoscaleKeys>,
    /// What a change of its sources does while it runs.
    pub(super) live: Option<LiveKeys>,
    /// How its process is started under a debugger.
    pub(super) debug: Option<DebugKeys>,
    /// What it is told before a snapshot, when its data is more than what is on disk, or when it writes to other services.
    pub(super) quiesce: Option<QuiesceKeys>,
}

/// How a service is brought to rest for the moment in which a snapshot is made. All that have this key are told at the same time; then everything stands that has volumes. A service must go on by itself after a while, in case nobody is left to tell it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Quiesce")]
pub(super) struct QuiesceKeys {
    /// The program and its arguments, run in each of its pods: it ends when what was begun is finished, and nothing more is begun. Short form: a line for the container's shell, `sh -c`.
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(super) command: Vec<Written>,
    /// The same for going on.
    #[serde(default)]
    #[schemars(extend("x-short" = ["string"]))]
    pub(super) resume: Vec<Written>,
    /// How long each of both may take.
    #[serde(default)]
    #[schemars(extend("default" = builtin::QUIESCE_WITHIN))]
    pub(super) within: Option<Within>,
}

/// How an image is built.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Build", extend("x-short" = ["string"]))]
pub(super) struct BuildKeys {
    /// The directory whose files the build sees, relative to the project.
    pub(super) context: InnerPath,
    /// The Dockerfile, relative to the context.
    #[serde(default)]
    #[schemars(extend("default" = builtin::DOCKERFILE))]
    pub(super) dockerfile: Option<InnerPath>,
    /// The stage to build; without it, the last.
    #[serde(default)]
    pub(super) target: Option<String>,
    /// Build arguments.
    #[serde(default)]
    pub(super) args: BTreeMap<String, Written>,
    /// Files given to the build as secrets, by id. They are not part of the image. Also a list of `id=path`.
    #[serde(default)]
    #[schemars(extend("x-short" = ["strings"]))]
    pub(super) secrets: BTreeMap<String, InnerPath>,
}

/// A Helm chart: `path` of a chart in the project, or `repo`, `name` and `version` of one in a repository. What it claims without naming a storage class is kept as volumes of the service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Chart")]
pub(super) struct ChartKeys {
    /// The chart's directory, relative to the project.
    pub(super) path: Option<InnerPath>,
    /// The chart repository: an `https://` or `oci://` URL.
    pub(super) repo: Option<String>,
    /// The chart's name in the repository.
    pub(super) name: Option<String>,
    /// The chart's version in the repository, exact.
    pub(super) version: Option<Written>,
    /// Values, over those of the files. `null` removes a value of the chart's own.
    pub(super) values: Map<String, Value>,
    /// Values files, relative to the project; later ones win.
    pub(super) values_files: Vec<InnerPath>,
}

/// A port a container listens on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Port", extend("x-short" = ["integer"]))]
pub(super) struct PortKeys {
    /// Its name. Without it: `http` if it is the only port, else `port-<number>`.
    #[serde(default)]
    pub(super) name: Option<PortName>,
    /// The number.
    #[schemars(with = "u16", range(min = 1, max = 65535))]
    pub(super) port: PortNumber,
    /// `TCP` or `UDP`.
    #[serde(default)]
    #[schemars(with = "Option<ProtocolValue>", extend("default" = "TCP"))]
    pub(super) protocol: Option<Protocol>,
}

/// Stands for the domain's protocol in the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum ProtocolValue {
    Tcp,
    Udp,
}

/// A host name and path that lead to a service.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Expose")]
pub(super) struct ExposeKeys {
    /// The host name, such as `shop.localhost`.
    pub(super) host: HostName,
    /// The path it begins with.
    #[serde(default)]
    #[schemars(extend("default" = builtin::EXPOSE_PATH))]
    pub(super) path: Option<UrlPath>,
    /// The port of the service. Without it, the first one.
    #[serde(default)]
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535))]
    pub(super) port: Option<PortNumber>,
}

/// When a service counts as ready: at most one of `http`, `tcp` and `command`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Ready")]
pub(super) struct ReadyKeys {
    /// A path that answers an HTTP GET with 2xx or 3xx.
    pub(super) http: Option<UrlPath>,
    /// A TCP connection. Short form: the port.
    #[schemars(extend("x-short" = ["integer"]))]
    pub(super) tcp: Option<bool>,
    /// A command in the container that exits with 0.
    pub(super) command: Vec<Written>,
    /// The port of `http` and `tcp`. Without it, the first one.
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535))]
    pub(super) port: Option<PortNumber>,
    /// How long it may take to be ready, such as `90s`.
    #[schemars(extend("default" = builtin::READY_WITHIN))]
    pub(super) within: Option<Within>,
}

/// Data that outlives the pod.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Volume")]
pub(super) struct VolumeKeys {
    /// Its name, unique in the service.
    pub(super) name: PartName,
    /// Where it is mounted in the container.
    pub(super) path: ContainerPath,
    /// Its size.
    #[serde(default)]
    #[schemars(extend("default" = builtin::VOLUME_SIZE))]
    pub(super) size: Option<Memory>,
}

/// Requests and limits of a container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Resources")]
pub(super) struct ResourcesKeys {
    /// What the container is sure to get.
    pub(super) requests: AmountsKeys,
    /// What the container may not exceed.
    pub(super) limits: AmountsKeys,
}

/// Processor time and memory.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Amounts")]
pub(super) struct AmountsKeys {
    /// Processor time, such as `500m` (half a core) or `2`.
    pub(super) cpu: Option<Cpu>,
    /// Memory, such as `256Mi`.
    pub(super) memory: Option<Memory>,
}

/// Scaling by processor use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Autoscale")]
pub(super) struct AutoscaleKeys {
    /// Fewest pods.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000), extend("default" = builtin::AUTOSCALE_MIN))]
    pub(super) min: Option<u32>,
    /// Most pods.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) max: u32,
    /// The processor use to keep to, in percent of the request.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100), extend("default" = builtin::AUTOSCALE_CPU))]
    pub(super) cpu: Option<u32>,
}

/// A container that runs to an end. It has exactly one of `build` and `image`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Task")]
pub(super) struct TaskKeys {
    /// Builds the image from a context. Short form: the context directory.
    pub(super) build: Option<BuildKeys>,
    /// An image that is taken as it is.
    pub(super) image: Option<ImageReference>,
    /// The command, unless another is given when it is started.
    pub(super) command: Vec<Written>,
    /// Environment variables. Numbers and `yes`/`no` are taken as they are written.
    #[schemars(with = "BTreeMap<String, Written>", extend("propertyNames" = schema_of(&EnvName::FORMAT)))]
    pub(super) env: BTreeMap<EnvName, Written>,
    /// Files of `KEY=value` lines. They become a Secret and environment variables, and are never printed.
    pub(super) secrets: Vec<InnerPath>,
    /// Services that must be ready before it runs.
    pub(super) depends_on: Vec<ServiceName>,
    /// Requests and limits of the container.
    pub(super) resources: ResourcesKeys,
}

/// Commands that run at points of a run, in order.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Hooks")]
pub(super) struct HooksKeys {
    /// After every service is ready.
    pub(super) after_up: Vec<HookKeys>,
    /// Before `down` removes anything.
    pub(super) before_down: Vec<HookKeys>,
}

/// One command.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Hook")]
pub(super) struct HookKeys {
    /// The service in whose container it runs. Without it, on this machine in the project directory.
    #[serde(default)]
    pub(super) service: Option<ServiceName>,
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub(super) command: Vec<Written>,
    /// How long it may take, such as `90s`.
    #[serde(default)]
    #[schemars(extend("default" = builtin::HOOK_WITHIN))]
    pub(super) within: Option<Within>,
}
