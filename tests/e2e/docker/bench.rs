//! What a test of the docker adapter works with: a project of its own, and images and containers that it cleans up.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bollard::{
    models::{ContainerCreateBody, HostConfig, PortBinding},
    query_parameters::CreateContainerOptionsBuilder,
};
use devenv::{
    adapters::{
        context::{Context, scan},
        docker::{BuildError, BuildProgress, BuildRequest, BuiltImage, Docker},
        files,
        host::HostEnvironment,
        registry,
    },
    domain::{Build, PortNumber},
};
use tokio_util::sync::CancellationToken;

pub(super) const BASE: &str = "debian:bookworm-slim";
const REGISTRY_PORT: &str = "5000/tcp";
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A project of its own for one test; its images and containers are removed at the end.
pub(super) struct Bench {
    pub(super) docker: Docker,
    directory: tempfile::TempDir,
    pub(super) name: String,
    pub(super) images: Mutex<Vec<String>>,
    containers: Mutex<Vec<String>>,
}

impl Bench {
    pub(super) async fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let bench = Self {
            docker: Docker::connect(&HostEnvironment::from_variables(std::env::vars()))
                .await
                .unwrap(),
            directory: tempfile::tempdir().unwrap(),
            name: format!("devenv-e2e-{}-{test}", std::process::id()),
            images: Mutex::default(),
            containers: Mutex::default(),
        };
        for (path, text) in files {
            bench.write(path, text);
        }
        bench
    }

    pub(super) fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        files::create_dir(path.parent().unwrap()).unwrap();
        files::write_shared(&path, text.as_bytes()).unwrap();
    }

    pub(super) fn context(&self, directory: &str) -> Arc<Context> {
        let build = Build {
            context: self.path(directory),
            dockerfile: "Dockerfile".into(),
            target: None,
            args: BTreeMap::from([("WORD".to_owned(), "a & b = ü".to_owned())]),
            secrets: BTreeMap::new(),
        };
        let context = scan(&build).unwrap();
        context.hash().unwrap();
        Arc::new(context)
    }

    pub(super) fn request(&self) -> BuildRequest {
        self.request_in("", "test")
    }

    /// A build of a directory, whose image gets the tag.
    pub(super) fn request_in(&self, directory: &str, tag: &str) -> BuildRequest {
        let reference = format!("{}:{tag}", self.name);
        self.images.lock().unwrap().push(reference.clone());
        BuildRequest {
            title: "the test".to_owned(),
            context: self.context(directory),
            secrets: BTreeMap::new(),
            labels: BTreeMap::from([("devenv.environment".to_owned(), self.name.clone())]),
            reference,
        }
    }

    /// An image of the same files as the usual base and one more, which no build has begun with.
    #[expect(clippy::disallowed_methods, reason = "makes what it needs by hand")]
    pub(super) fn new_base(&self) -> String {
        let base = format!("{}:base", self.name);
        self.images.lock().unwrap().push(base.clone());
        self.write("new/unique", &self.name);
        let script = "container=$(docker create \"$1\" true) && docker cp \"$2\" \"$container:/unique\" \
                      && docker export \"$container\" | docker import - \"$3\" && docker rm \"$container\"";
        let file = self.path("new/unique");
        let words = ["-euc", script, "sh", BASE, file.to_str().unwrap(), &base];
        let made = std::process::Command::new("sh")
            .args(words)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        base
    }

    /// Builds and tells what was told.
    pub(super) async fn build(
        &self,
        request: &BuildRequest,
    ) -> (Result<BuiltImage, BuildError>, Vec<BuildProgress>) {
        let told = Mutex::new(Vec::new());
        let tell = |progress: BuildProgress| told.lock().unwrap().push(progress);
        let never = CancellationToken::new();
        let building = self.docker.build(request, &tell, &never);
        let built = tokio::time::timeout(PATIENCE, building).await.unwrap();
        (built, told.into_inner().unwrap())
    }

    pub(super) async fn failure(&self, request: &BuildRequest) -> devenv::domain::Failure {
        self.build(request).await.0.unwrap_err().failure()
    }

    /// Makes a container that holds a volume, not started.
    pub(super) async fn holder(&self, volume: &str) -> String {
        let host_config = HostConfig {
            binds: Some(vec![format!("{volume}:/held")]),
            ..HostConfig::default()
        };
        self.make("holder", host_config, &[]).await
    }

    /// Makes a container of the registry's image with a port of its own, not started.
    pub(super) async fn container(&self, suffix: &str, labels: &[(&str, &str)]) -> String {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: None,
        };
        let host_config = HostConfig {
            port_bindings: Some(HashMap::from([(
                REGISTRY_PORT.to_owned(),
                Some(vec![binding]),
            )])),
            ..HostConfig::default()
        };
        self.make(suffix, host_config, labels).await
    }

    async fn make(&self, suffix: &str, host_config: HostConfig, labels: &[(&str, &str)]) -> String {
        let name = format!("{}-{suffix}", self.name);
        self.containers.lock().unwrap().push(name.clone());
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let body = ContainerCreateBody {
            image: Some(registry_image()),
            labels: Some(labels.collect()),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        raw().create_container(Some(options), body).await.unwrap();
        name
    }

    /// Starts a registry on a free port.
    pub(super) async fn registry(&self) -> (String, PortNumber) {
        let name = self.container("registry", &[]).await;
        self.docker.start_container(&name).await.unwrap();
        let port = published_port(&name).await;
        registry::wait_up(port, PATIENCE).await.unwrap();
        (name, port)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let docker = self.docker.clone();
        let containers = std::mem::take(&mut *self.containers.lock().unwrap());
        let images = std::mem::take(&mut *self.images.lock().unwrap());
        // The test's own runtime cannot be waited for in here.
        let clean = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                for container in containers {
                    docker.remove_container(&container).await.unwrap();
                }
                for image in images {
                    docker.remove_image(&image).await.unwrap();
                }
            });
        });
        clean.join().unwrap();
    }
}

pub(super) fn raw() -> bollard::Docker {
    bollard::Docker::connect_with_defaults().unwrap()
}

fn registry_image() -> String {
    HostEnvironment::from_variables(std::env::vars())
        .devenv
        .get("DEVENV_REGISTRY_IMAGE")
        .cloned()
        .expect("DEVENV_REGISTRY_IMAGE names an image registry that the engine holds")
}

async fn published_port(container: &str) -> PortNumber {
    let details = raw().inspect_container(container, None).await.unwrap();
    let ports = details.network_settings.unwrap().ports.unwrap();
    let binding = ports[REGISTRY_PORT].clone().unwrap().remove(0);
    binding.host_port.unwrap().parse().unwrap()
}
