//! Checked keys -> the environment, with everything defaulted.

mod live;

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use super::{
    Request, builtin,
    check::Learned,
    format::{EnvName, InnerPath, Within, Written, time_span},
    layers::{MANIFEST_FILE, Only},
    types::{
        BuildKeys, ChartKeys, ClusterKeys, HookKeys, ManifestKeys, PortKeys, ReadyKeys,
        RequiresKeys, ResourcesKeys, ServiceKeys, TaskKeys,
    },
};
use crate::domain::{
    Autoscale, Build, Chart, ChartOrigin, ClusterSpec, Cpu, DatasetName, Environment,
    EnvironmentId, Expose, Hook, Hooks, ImageName, Limits, Memory, Policy, Port, PortNumber, Probe,
    ProjectName, Provenance, Provider, Quiesce, Ready, Requires, Resources, Retention, Service,
    ServiceName, Source, Task, Volume, Workload,
};

/// What the environment is made of.
pub(super) struct Resolver<'a> {
    pub(super) request: &'a Request,
    pub(super) learned: Learned,
    pub(super) only: Option<&'a Only>,
    pub(super) dataset: Option<DatasetName>,
}

impl Resolver<'_> {
    /// The environment and what a user may want to know of how it came about.
    pub(super) fn environment(
        mut self,
        project: ProjectName,
        keys: ManifestKeys,
        provenance: Provenance,
    ) -> (Environment, Vec<String>) {
        let directory = self.request.directory.clone();
        let file = self.request.file.as_deref();
        let services = keys
            .services
            .into_iter()
            .map(|(name, keys)| (name.clone(), self.service(name, keys)))
            .collect();
        let tasks = keys
            .tasks
            .into_iter()
            .map(|(name, keys)| {
                let task = self.task(&name, keys);
                (name, task)
            })
            .collect();
        let mut environment = Environment {
            id: EnvironmentId::new(&project, &directory),
            project,
            manifest: directory.join(file.unwrap_or_else(|| Path::new(MANIFEST_FILE))),
            directory,
            profiles: self.request.profiles.clone(),
            dataset: self.dataset,
            requires: requires(keys.requires),
            cluster: cluster(keys.cluster),
            services,
            tasks,
            hooks: Hooks {
                after_up: keys.hooks.after_up.into_iter().map(hook).collect(),
                before_down: keys.hooks.before_down.into_iter().map(hook).collect(),
            },
            snapshots: Retention {
                keep: keys.snapshots.keep,
                older_than: keys.snapshots.older_than.map(|age| age.0),
                max_size: keys.snapshots.max_size,
            },
            policy: Policy::default(),
            provenance,
        };
        let mut notices = Vec::new();
        if let Some(only) = self.only {
            let names: Vec<ServiceName> = only.iter().map(|(name, _)| name.clone()).collect();
            restrict(&mut environment, &names, &mut notices);
        }
        notices.extend(unscalable(&environment));
        (environment, notices)
    }

    fn service(&mut self, name: ServiceName, mut keys: ServiceKeys) -> Service {
        let ready_within = within(keys.ready.within, builtin::READY_WITHIN);
        let depends_on = distinct(std::mem::take(&mut keys.depends_on));
        let source = match (keys.chart.take(), keys.manifests.take()) {
            (Some(chart), _) => Source::Chart(self.chart(chart)),
            (None, Some(_)) => {
                let files = self.learned.manifests.remove(&name).unwrap_or_default();
                Source::Manifests(files.iter().map(|file| self.absolute(file)).collect())
            }
            (None, None) => Source::Workload(Box::new(self.workload(keys))),
        };
        Service {
            name,
            source,
            depends_on,
            ready_within,
        }
    }

    fn workload(&self, keys: ServiceKeys) -> Workload {
        let ports = ports(keys.ports);
        let first = ports.first().map(|port| port.number);
        let expose = keys.expose.into_iter();
        let image = self.image(keys.build, keys.image.map(|image| image.0));
        let base = match &image {
            ImageName::Build(build) => &build.context,
            ImageName::Reference(_) => &self.request.directory,
        };
        Workload {
            live: keys.live.map(|keys| live::live(keys, base)),
            debug: keys.debug.and_then(live::debug),
            quiesce: keys.quiesce.map(|keys| Quiesce {
                command: texts(keys.command),
                resume: texts(keys.resume),
                within: within(keys.within, builtin::QUIESCE_WITHIN),
            }),
            image,
            command: texts(keys.command),
            args: texts(keys.args),
            expose: expose
                .filter_map(|rule| {
                    let path = rule.path.map(|path| path.0);
                    Some(Expose {
                        host: rule.host.0,
                        path: path.unwrap_or_else(|| builtin::EXPOSE_PATH.to_owned()),
                        port: rule.port.or(first)?,
                    })
                })
                .collect(),
            env: variables(keys.env),
            labels: keys
                .labels
                .into_iter()
                .map(|(name, value)| (name.0, value.0))
                .collect(),
            secrets: self.all_absolute(&keys.secrets),
            volumes: keys
                .volumes
                .into_iter()
                .map(|volume| Volume {
                    name: volume.name.0,
                    path: volume.path.0,
                    size: volume.size.unwrap_or_else(volume_size),
                })
                .collect(),
            ready: ready(keys.ready, first),
            resources: resources(&keys.resources),
            replicas: keys.replicas.unwrap_or(builtin::REPLICAS),
            autoscale: keys.autoscale.map(|keys| Autoscale {
                min: keys.min.unwrap_or(builtin::AUTOSCALE_MIN),
                max: keys.max,
                cpu: keys.cpu.unwrap_or(builtin::AUTOSCALE_CPU),
            }),
            ports,
        }
    }

    fn task(&self, name: &crate::domain::TaskName, keys: TaskKeys) -> Task {
        Task {
            name: name.clone(),
            image: self.image(keys.build, keys.image.map(|image| image.0)),
            command: texts(keys.command),
            env: variables(keys.env),
            secrets: self.all_absolute(&keys.secrets),
            depends_on: distinct(keys.depends_on),
            resources: resources(&keys.resources),
        }
    }

    /// The check has made sure that one of the two is there.
    fn image(&self, build: Option<BuildKeys>, image: Option<String>) -> ImageName {
        match build {
            Some(build) => ImageName::Build(self.build(build)),
            None => ImageName::Reference(image.unwrap_or_default()),
        }
    }

    fn build(&self, keys: BuildKeys) -> Build {
        let dockerfile = keys.dockerfile.map(|file| clean(&file.0));
        Build {
            context: self.absolute(&keys.context.0),
            dockerfile: dockerfile.unwrap_or_else(|| PathBuf::from(builtin::DOCKERFILE)),
            target: keys.target,
            args: keys
                .args
                .into_iter()
                .map(|(name, value)| (name, value.0))
                .collect(),
            secrets: keys
                .secrets
                .into_iter()
                .map(|(id, file)| (id, self.absolute(&file.0)))
                .collect(),
        }
    }

    fn chart(&self, keys: ChartKeys) -> Chart {
        let origin = match keys.path {
            Some(path) => ChartOrigin::Path(self.absolute(&path.0)),
            None => ChartOrigin::Repository {
                repo: keys.repo.unwrap_or_default(),
                name: keys.name.unwrap_or_default(),
                version: keys.version.map(|version| version.0).unwrap_or_default(),
            },
        };
        Chart {
            origin,
            values: keys.values.into(),
            values_files: self.all_absolute(&keys.values_files),
        }
    }

    fn all_absolute(&self, files: &[InnerPath]) -> Vec<PathBuf> {
        files.iter().map(|file| self.absolute(&file.0)).collect()
    }

    /// A path of the project, absolute. The project's own directory for `.`.
    fn absolute(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            return path.to_path_buf();
        }
        below(&self.request.directory, path)
    }
}

/// `path` below `base`; `base` itself for `.`.
fn below(base: &Path, path: &Path) -> PathBuf {
    let mut whole = base.to_path_buf();
    whole.extend(clean(path).components());
    whole
}

/// Without `.` parts.
pub(super) fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

/// How long something may take, as written or by `default`.
pub(super) fn within(written: Option<Within>, default: &str) -> Duration {
    written
        .map(|within| within.0)
        .or_else(|| time_span(default))
        .unwrap_or_default()
}

fn volume_size() -> Memory {
    builtin::VOLUME_SIZE
        .parse()
        .unwrap_or_else(|_| Memory::from_bytes(0))
}

/// The texts of a list.
pub(super) fn texts(list: Vec<Written>) -> Vec<String> {
    list.into_iter().map(|text| text.0).collect()
}

fn variables(map: BTreeMap<EnvName, Written>) -> BTreeMap<String, String> {
    map.into_iter()
        .map(|(name, value)| (name.0, value.0))
        .collect()
}

fn distinct(names: Vec<ServiceName>) -> Vec<ServiceName> {
    let mut seen = std::collections::BTreeSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

fn ports(keys: Vec<PortKeys>) -> Vec<Port> {
    let is_only = keys.len() == 1;
    keys.into_iter()
        .map(|keys| {
            let name = keys.name.map(|name| name.0);
            Port {
                name: name.unwrap_or_else(|| {
                    if is_only {
                        builtin::PORT_NAME.to_owned()
                    } else {
                        format!("port-{}", keys.port)
                    }
                }),
                number: keys.port,
                protocol: keys.protocol.unwrap_or_default(),
            }
        })
        .collect()
}

fn ready(keys: ReadyKeys, first: Option<PortNumber>) -> Option<Ready> {
    let port = keys.port.or(first);
    let probe = match (keys.http, keys.tcp, port) {
        (Some(path), _, Some(port)) => Probe::Http { path: path.0, port },
        (None, Some(true), Some(port)) => Probe::Tcp { port },
        _ if !keys.command.is_empty() => Probe::Command(texts(keys.command)),
        _ => return None,
    };
    Some(Ready { probe })
}

fn resources(keys: &ResourcesKeys) -> Resources {
    Resources {
        request_cpu: keys.requests.cpu,
        request_memory: keys.requests.memory,
        limit_cpu: keys.limits.cpu,
        limit_memory: keys.limits.memory,
    }
}

fn requires(keys: RequiresKeys) -> Requires {
    Requires {
        devenv: keys.devenv.map(|version| version.0),
        docker: keys.docker.map(|version| version.0),
        k3d: keys.k3d.map(|version| version.0),
        helm: keys.helm.map(|version| version.0),
    }
}

fn cluster(keys: ClusterKeys) -> ClusterSpec {
    let port = |written: Option<PortNumber>, default: u16| {
        written
            .or_else(|| PortNumber::new(default))
            .unwrap_or(PortNumber::MIN)
    };
    let kubernetes = keys.kubernetes.map(|version| version.0);
    let (cpus, memory): (Option<Cpu>, Option<Memory>) = (keys.limits.cpus, keys.limits.memory);
    ClusterSpec {
        provider: keys.provider.unwrap_or(Provider::K3d),
        kubernetes: kubernetes.unwrap_or_else(|| builtin::KUBERNETES.to_owned()),
        image: keys.image.map(|image| image.0),
        agents: keys.agents.unwrap_or(builtin::AGENTS),
        http_port: port(keys.ports.http, builtin::HTTP_PORT),
        https_port: port(keys.ports.https, builtin::HTTPS_PORT),
        registry_port: port(keys.registry.port, builtin::REGISTRY_PORT),
        limits: Limits { cpus, memory },
    }
}

fn hook(keys: HookKeys) -> Hook {
    Hook {
        service: keys.service,
        command: texts(keys.command),
        within: within(keys.within, builtin::HOOK_WITHIN),
    }
}

/// Keeps `only` and what it depends on; tasks and hooks of other services go too, with a notice.
fn restrict(environment: &mut Environment, only: &[ServiceName], notices: &mut Vec<String>) {
    let kept = if only.is_empty() {
        Vec::new()
    } else {
        environment.with_dependencies(only)
    };
    environment.services.retain(|name, _| kept.contains(name));
    environment.tasks.retain(|name, task| {
        let missing = task.depends_on.iter().find(|name| !kept.contains(name));
        if let Some(missing) = missing {
            notices.push(format!(
                "task `{name}` is left out: it needs `{missing}`, which the profile leaves out"
            ));
        }
        missing.is_none()
    });
    let mut keep = |hook: &Hook| {
        let missing = hook.service.as_ref().filter(|name| !kept.contains(name));
        if let Some(missing) = missing {
            let command = hook.command.join(" ");
            notices.push(format!(
                "hook `{command}` is left out: it runs in `{missing}`, which the profile leaves out"
            ));
        }
        missing.is_none()
    };
    environment.hooks.after_up.retain(&mut keep);
    environment.hooks.before_down.retain(keep);
}

/// Kubernetes measures autoscaling against the request, and does nothing without one.
fn unscalable(environment: &Environment) -> Vec<String> {
    let services = environment.services.values();
    services
        .filter(|service| {
            service.workload().is_some_and(|workload| {
                let resources = &workload.resources;
                workload.autoscale.is_some()
                    && resources.request_cpu.is_none()
                    && resources.limit_cpu.is_none()
            })
        })
        .map(|service| {
            let name = &service.name;
            format!(
                "`services.{name}.autoscale` has no effect without `services.{name}.resources.requests.cpu`"
            )
        })
        .collect()
}
