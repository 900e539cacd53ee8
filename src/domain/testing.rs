//! Small environments for the tests of all rooms.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Build, BuildInput, ClusterIdentity, ClusterSpec, ClusterState, ContainerState, CopyMeans,
    Desired, DesiredImage, DesiredRelease, Environment, EnvironmentId, Expose, Hooks, ImageName,
    InputsHash, Limits, Maker, Observed, ObservedContainer, ObservedPod, ObservedRelease,
    ObservedWorkload, PodPhase, Policy, PortNumber, ProjectName, Provenance, Provider,
    ReleaseChart, ReleaseStatus, Requires, Resources, Retention, Service, ServiceName, Snapshot,
    SnapshotId, SnapshotVolume, Source, VolumeRef, Workload,
};

/// A service's name.
pub(crate) fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn port(number: u16) -> PortNumber {
    PortNumber::new(number).unwrap()
}

/// A service that is built from `/project/<name>` and depends on `depends_on`.
pub(crate) fn service(service: &str, depends_on: &[&str]) -> Service {
    let build = Build {
        context: format!("/project/{service}").into(),
        dockerfile: "Dockerfile".into(),
        target: None,
        args: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    let workload = Workload {
        image: ImageName::Build(build),
        command: Vec::new(),
        args: Vec::new(),
        ports: Vec::new(),
        expose: Vec::new(),
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        secrets: Vec::new(),
        volumes: Vec::new(),
        ready: None,
        resources: Resources::default(),
        replicas: 1,
        autoscale: None,
        live: None,
        debug: None,
        quiesce: None,
    };
    Service {
        name: name(service),
        source: Source::Workload(Box::new(workload)),
        depends_on: depends_on.iter().map(|n| name(n)).collect(),
        ready_within: Duration::from_mins(1),
    }
}

/// An environment of these services, each with what it depends on.
pub(crate) fn environment(services: &[(&str, &[&str])]) -> Environment {
    let project: ProjectName = "shop".parse().unwrap();
    Environment {
        id: EnvironmentId::new(&project, std::path::Path::new("/project")),
        project,
        directory: "/project".into(),
        manifest: "/project/devenv.yaml".into(),
        profiles: Vec::new(),
        dataset: None,
        requires: Requires::default(),
        cluster: ClusterSpec {
            provider: Provider::K3d,
            kubernetes: "1.35".to_owned(),
            image: None,
            agents: 0,
            http_port: port(8080),
            https_port: port(8443),
            registry_port: port(5050),
            limits: Limits::default(),
        },
        services: services
            .iter()
            .map(|(n, d)| (name(n), service(n, d)))
            .collect(),
        tasks: BTreeMap::new(),
        hooks: Hooks::default(),
        snapshots: Retention::default(),
        policy: Policy::default(),
        provenance: Provenance::default(),
    }
}

/// What `environment` comes to when every service's inputs are `version`.
pub(crate) fn desired(environment: &Environment, version: &str) -> Desired {
    let mut desired = Desired::default();
    for (service, spec) in &environment.services {
        let inputs = InputsHash::of(format!("{service} {version}").as_bytes());
        if let Some(Workload {
            image: ImageName::Build(build),
            ..
        }) = spec.workload()
        {
            let image = DesiredImage {
                repository: "shop".to_owned(),
                name: service.to_string(),
                hash: inputs.clone(),
                build: build.clone(),
            };
            desired
                .images
                .insert(BuildInput::Service(service.clone()), image);
        }
        let release = DesiredRelease {
            chart: ReleaseChart::Service,
            values: serde_json::Value::Null,
            values_files: Vec::new(),
            inputs,
        };
        desired.releases.insert(service.clone(), release);
    }
    desired.hooks = environment
        .hooks
        .after_up
        .iter()
        .map(|hook| InputsHash::of(format!("{hook:?} {version}").as_bytes()))
        .collect();
    desired
}

/// What is observed once everything in `desired` is there and ready.
pub(crate) fn achieved(desired: &Desired) -> Observed {
    let identity = ClusterIdentity {
        uid: "u".to_owned(),
        authority: "a".to_owned(),
    };
    Observed {
        cluster: ClusterState::Running { identity },
        registry_runs: true,
        pushed_images: desired.images.keys().cloned().collect(),
        local_images: desired.images.keys().cloned().collect(),
        releases: desired
            .releases
            .iter()
            .map(|(service, release)| {
                let observed = ObservedRelease {
                    revision: 1,
                    status: ReleaseStatus::Deployed,
                    inputs: Some(release.inputs.clone()),
                };
                (service.clone(), observed)
            })
            .collect(),
        workloads: desired.releases.keys().map(ready_workload).collect(),
        pods: desired.releases.keys().map(ready_pod).collect(),
        hooks_done: desired.hooks.iter().cloned().enumerate().collect(),
        ..Observed::nothing()
    }
}

/// A workload of `service` with its one pod ready.
pub(crate) fn ready_workload(service: &ServiceName) -> ObservedWorkload {
    ObservedWorkload {
        kind: "Deployment".to_owned(),
        name: service.to_string(),
        service: service.clone(),
        desired: 1,
        updated: 1,
        ready: 1,
        generation: 1,
        current: true,
        selector: BTreeMap::new(),
        images: Vec::new(),
    }
}

/// The ready pod of a service.
pub(crate) fn ready_pod(service: &ServiceName) -> ObservedPod {
    ObservedPod {
        ip: None,
        name: format!("{service}-1-a"),
        uid: format!("uid of {service}-1-a"),
        service: service.clone(),
        phase: PodPhase::Running,
        deleting: false,
        ready: true,
        created: None,
        running_since: None,
        unschedulable: None,
        node: None,
        containers: Vec::new(),
    }
}

/// A container that is not ready and was never started again.
pub(crate) fn container(name: &str, now: ContainerState) -> ObservedContainer {
    ObservedContainer {
        id: None,
        name: name.to_owned(),
        image: String::new(),
        ready: false,
        restarts: 0,
        now,
        before: None,
    }
}

/// A snapshot of one small volume.
pub(crate) fn snapshot(name: &str) -> Snapshot {
    Snapshot {
        name: name.parse().unwrap(),
        id: SnapshotId::new(name),
        created: jiff::Timestamp::from_second(1_790_000_000).unwrap(),
        note: Some("before the migration".to_owned()),
        project: "shop".parse().unwrap(),
        branch: None,
        dataset: None,
        devenv: "0.1.0".to_owned(),
        architecture: "x86_64".to_owned(),
        maker: Maker::User,
        sanitized: None,
        volumes: vec![SnapshotVolume {
            of: VolumeRef {
                service: "postgres".parse().unwrap(),
                volume: "data".parse().unwrap(),
            },
            files: 3,
            bytes: 12,
            hash: "ab".repeat(32),
            means: CopyMeans::Cloned,
        }],
    }
}

/// Gives a service an address on each of `hosts`.
pub(crate) fn expose(environment: &mut Environment, service: &ServiceName, hosts: &[&str]) {
    let service = environment.services.get_mut(service).unwrap();
    let Source::Workload(workload) = &mut service.source else {
        panic!("only workloads have addresses");
    };
    let address = |host: &&str| Expose {
        host: (*host).to_owned(),
        path: "/".to_owned(),
        port: PortNumber::MIN,
    };
    workload.expose = hosts.iter().map(address).collect();
}
