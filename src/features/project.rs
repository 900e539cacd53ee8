//! An environment with everything around it: its paths, the machine's settings, the tools.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::data;
use crate::{
    adapters::{
        docker::Docker,
        environment::HostVariables,
        git,
        helm::Helm,
        host::{HostEnvironment, account},
        k3d::{HelperImages, K3d},
        process::ChildEnvironment,
    },
    domain::{
        ClusterIdentity, Environment, Failure, InputsHash, NoticeLevel, ServiceName, VolumeStore,
        without_secrets,
    },
    engine::{Places, Remember, Tools},
    report::Outbox,
    state::{
        Actor, EnvironmentPaths, LoadedRecord, PortsRecord, Record, RunHeader, Settings,
        VolumeSetting, load_volume_store, save_owner, save_volume_store,
    },
};

/// What k3d starts a registry from where no other image is set.
const K3D_IMAGES: [&str; 2] = ["registry:2", "docker.io/library/registry:2"];

/// What is mounted into the nodes besides what the settings say: a cluster without it is not what a new one would be.
const MOUNTS: &str = "volumes, project";

/// An environment with everything around it.
#[derive(Debug, Clone)]
pub struct Project {
    /// What the manifest says.
    pub environment: Environment,
    /// The manifest with all its layers, as it is written, without values that are secret.
    pub manifest: serde_json::Value,
    /// Where its state and data are.
    pub paths: EnvironmentPaths,
    /// The settings of this machine.
    pub settings: Settings,
    /// The environment variables.
    pub variables: HostVariables,
}

impl Project {
    /// The tools; fails at once if docker does not answer.
    pub async fn tools(&self) -> Result<Tools, Failure> {
        let host = HostEnvironment::from_variables(self.owned_variables());
        let docker = Docker::connect(&host)
            .await
            .map_err(|error| error.failure())?;
        let children = self.children();
        let binaries = &self.settings.binaries;
        let images = HelperImages {
            load_balancer: self.settings.images.load_balancer.clone(),
            tools: self.settings.images.tools.clone(),
            registry: self.settings.images.registry.clone(),
        };
        let k3d = binaries.k3d.clone().unwrap_or_else(|| "k3d".into());
        let paths = &self.paths;
        Ok(Tools {
            docker,
            k3d: K3d::new(k3d, children.clone(), images, paths.state()),
            helm: self.helm(),
            children,
        })
    }

    /// Helm, bound to the environment's own kubeconfig.
    pub fn helm(&self) -> Helm {
        let binary = self.settings.binaries.helm.clone();
        Helm::new(
            binary.unwrap_or_else(|| "helm".into()),
            self.children(),
            &self.paths.kubeconfig(),
            format!("k3d-{}", self.environment.id.cluster()),
            &self.paths.helm(),
        )
    }

    fn children(&self) -> ChildEnvironment {
        let inherited = self.owned_variables();
        ChildEnvironment::inherit(inherited.map(|(k, v)| (k.into(), v.into())))
            .started_for(self.paths.state())
    }

    fn owned_variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.variables
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The directories and files that the engine works with.
    pub fn places(&self) -> Places {
        Places {
            kubeconfig: self.paths.kubeconfig(),
            charts: self.paths.charts(),
            registry: self.paths.registry(),
            volumes: self.paths.volumes(),
            volume_image: self.paths.volume_image(),
            snapshots: data::directories(&self.paths),
            data: self.paths.data().to_owned(),
        }
    }

    /// The node image: of the manifest, else of this machine's settings, else that of the exact version.
    pub fn node_image(&self) -> Option<String> {
        let cluster = &self.environment.cluster;
        let configured = self.settings.node_image(&cluster.kubernetes);
        cluster
            .image
            .clone()
            .or_else(|| configured.map(str::to_owned))
            .or_else(|| {
                // k3s publishes an image for every exact version.
                let is_exact = cluster.kubernetes.split('.').count() == 3;
                is_exact.then(|| format!("rancher/k3s:v{}-k3s1", cluster.kubernetes))
            })
    }

    /// Images of which an environment that was up once has left one on this machine, the likeliest first.
    pub fn helper_images(&self) -> Vec<String> {
        let images = &self.settings.images;
        [
            self.node_image(),
            images.tools.clone(),
            images.registry.clone(),
        ]
        .into_iter()
        .flatten()
        .chain(K3D_IMAGES.map(str::to_owned))
        .collect()
    }

    /// What a cluster is created from: a cluster made from something else must be created again.
    pub fn cluster_inputs(&self) -> InputsHash {
        let cluster = &self.environment.cluster;
        let inputs = format!("{cluster:?} {:?} {MOUNTS}", self.node_image());
        InputsHash::of(inputs.as_bytes())
    }

    /// The record of what was created; a damaged one is kept beside it and told about.
    pub async fn record(&self, outbox: &Outbox) -> Result<Option<Record>, Failure> {
        match Record::load(&self.paths.record()).map_err(|error| error.failure())? {
            LoadedRecord::Absent => Ok(None),
            LoadedRecord::Found(record) => Ok(Some(*record)),
            LoadedRecord::Damaged { kept } => {
                let text = format!(
                    "the record of this environment was damaged; it is rebuilt from the cluster, and kept at {}",
                    kept.display()
                );
                outbox.notice(NoticeLevel::Warning, text).await;
                Ok(None)
            }
        }
    }

    /// The engine's memory of who the cluster is.
    pub fn memory(&self, record: Option<&Record>) -> RecordMemory {
        RecordMemory {
            project: self.clone(),
            identity: std::sync::Mutex::new(record.and_then(|record| record.identity.clone())),
        }
    }

    /// Writes the record of the environment's cluster; `identity` is `None` until it is created.
    pub fn write_record(&self, identity: Option<ClusterIdentity>) -> Result<(), Failure> {
        let cluster = &self.environment.cluster;
        let ports = PortsRecord {
            http: cluster.http_port,
            https: cluster.https_port,
            registry: cluster.registry_port,
        };
        let name = self.environment.id.cluster();
        let record = Record::new(
            name,
            identity,
            ports,
            self.cluster_inputs(),
            self.environment.directory.clone(),
            Timestamp::now(),
        );
        // Only `doctor` asks for it, once the project is gone: a full disk of the data must hold up nothing here.
        let _ = save_owner(&self.paths, &self.environment.directory);
        record
            .save(&self.paths.record())
            .map_err(|error| error.failure())
    }

    /// The project as its cluster was created: with the ports of then.
    #[must_use]
    pub fn at(&self, ports: PortsRecord) -> Self {
        let mut project = self.clone();
        let cluster = &mut project.environment.cluster;
        cluster.http_port = ports.http;
        cluster.https_port = ports.https;
        cluster.registry_port = ports.registry;
        project
    }

    /// What the journal of a run says of it that begins now. `typed` are the words behind `devenv`.
    pub fn run_header(&self, by: Actor, command: &str, typed: &[String]) -> RunHeader {
        let account = account();
        let directory = &self.environment.directory;
        let profiles = self.environment.profiles.iter();
        RunHeader {
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Timestamp::now(),
            by,
            pid: Some(std::process::id()),
            typed: without_secrets(typed),
            uid: Some(account.uid),
            user: account.name,
            branch: git::branch(directory),
            commit: git::commit(directory),
            profiles: profiles.map(ToString::to_string).collect(),
            manifest: Some(self.manifest_hash()),
        }
    }

    /// The hash of the manifest with all its layers, as it is without secrets.
    fn manifest_hash(&self) -> String {
        let hash = InputsHash::of(self.manifest.to_string().as_bytes());
        hash.as_str().to_owned()
    }

    /// Where each service can be reached from this machine.
    pub fn urls(&self) -> BTreeMap<ServiceName, Vec<String>> {
        let port = self.environment.cluster.http_port.get();
        let suffix = if port == 80 {
            String::new()
        } else {
            format!(":{port}")
        };
        let services = self.environment.services.iter();
        let urls = services.filter_map(|(name, service)| {
            let expose = service.workload()?.expose.iter();
            let urls = expose.map(|rule| format!("http://{}{suffix}{}", rule.host, rule.path));
            Some((name.clone(), urls.collect()))
        });
        urls.collect()
    }
}

/// The engine's memory, kept in the record.
pub struct RecordMemory {
    project: Project,
    identity: std::sync::Mutex<Option<ClusterIdentity>>,
}

impl RecordMemory {
    fn set(&self, identity: Option<ClusterIdentity>) -> Result<(), Failure> {
        self.project.write_record(identity.clone())?;
        *self
            .identity
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = identity;
        Ok(())
    }
}

impl Remember for RecordMemory {
    fn creating(&self) -> Result<(), Failure> {
        self.set(None)
    }

    fn created(&self, identity: &ClusterIdentity) -> Result<(), Failure> {
        self.set(Some(identity.clone()))
    }

    fn removed(&self) -> Result<(), Failure> {
        let path = self.project.paths.record();
        Record::remove(&path).map_err(|error| error.failure())
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        self.identity
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn volume_store(&self) -> Result<Option<VolumeStore>, Failure> {
        load_volume_store(&self.project.paths)
    }

    fn may_use_image(&self) -> bool {
        self.project.settings.volumes == VolumeSetting::Auto
    }

    fn keeps_volumes_in(&self, store: &VolumeStore) -> Result<(), Failure> {
        save_volume_store(&self.project.paths, store)
    }
}

/// Small projects for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::{domain::testing, state::UserPaths};

    /// A project of these services, each with what it depends on; its directories need not exist.
    pub(in crate::features) fn project(services: &[(&str, &[&str])]) -> Project {
        let environment = testing::environment(services);
        let variables = [("HOME".to_owned(), "/home/ann".to_owned())];
        let host = HostEnvironment::from_variables(variables);
        let paths = UserPaths::of(&host).unwrap().environment(&environment.id);
        Project {
            environment,
            manifest: serde_json::Value::Null,
            paths,
            settings: Settings::default(),
            variables: HostVariables::default(),
        }
    }

    /// Gives a service an address on each of `hosts`.
    pub(in crate::features) fn expose(project: &mut Project, service: &str, hosts: &[&str]) {
        testing::expose(&mut project.environment, &testing::name(service), hosts);
    }
}
