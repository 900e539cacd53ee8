//! The cluster that the test plays on, and how it is made and cleared away.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use devenv::{
    adapters::{
        helm::{ChartReference, Helm, ReleaseRequest, service_chart},
        k3d::{ClusterRequest, HelperImages, K3d, K3dError, NodeVolume},
        kube::Cluster,
        process::{self, ChildEnvironment, Invocation},
    },
    domain::{ClusterName, InputsHash, PortNumber},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{LONG, say};

/// The image that services run: every machine that builds images of Debian has it or can pull it.
const BASE: &str = "debian:bookworm-slim";
const HTTP: u16 = 18180;
const HTTPS: u16 = 18543;
const REGISTRY: u16 = 15166;

/// A cluster to be, and the tools bound to it.
pub(super) struct Stage {
    pub(super) k3d: K3d,
    pub(super) helm: Helm,
    pub(super) name: ClusterName,
    pub(super) cancel: CancellationToken,
    pub(super) kubeconfig: PathBuf,
    pub(super) home: PathBuf,
    pub(super) volumes: PathBuf,
    pub(super) charts: PathBuf,
    pub(super) registry_port: PortNumber,
    node_image: Option<String>,
    environment: ChildEnvironment,
    directory: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "the test's own settings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Stage {
    /// Readies the tools and clears away what an earlier, killed run left.
    pub(super) async fn set_up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (home, files, kubeconfig) = (at("home"), at("state"), at("state/kubeconfig"));
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(at("volumes")).unwrap();
        std::fs::create_dir(at("registry")).unwrap();
        let variables = std::env::vars_os();
        let environment = ChildEnvironment::inherit(variables).with("HOME", OsString::from(&home));
        let images = HelperImages {
            load_balancer: variable("K3D_IMAGE_LOADBALANCER"),
            tools: variable("K3D_IMAGE_TOOLS"),
            registry: variable("DEVENV_REGISTRY_IMAGE"),
        };
        let helm_home = files.join("helm");
        let context = "k3d-devenv-test-cluster";
        let stage = Self {
            k3d: K3d::new("k3d", environment.clone(), images, files),
            helm: Helm::new(
                "helm",
                environment.clone(),
                &kubeconfig,
                context,
                &helm_home,
            ),
            name: "devenv-test-cluster".parse().unwrap(),
            cancel: CancellationToken::new(),
            kubeconfig,
            home,
            volumes: at("volumes"),
            charts: at("charts"),
            registry_port: PortNumber::new(REGISTRY).unwrap(),
            node_image: variable("DEVENV_NODE_IMAGE"),
            environment,
            directory,
        };
        stage.clear().await;
        stage.k3d.version(&stage.cancel).await.unwrap();
        stage.helm.version(&stage.cancel).await.unwrap();
        stage
    }

    /// Removes cluster and registry, whatever state they are in.
    pub(super) async fn clear(&self) {
        self.timed("cluster delete", async {
            let deleted = self.k3d.delete_cluster(&self.name, &self.cancel, LONG);
            deleted.await.unwrap();
        })
        .await;
        self.k3d
            .delete_registry(&self.name, &self.cancel)
            .await
            .unwrap();
        // The registry held on to the network.
        let _ = self.docker(&["network", "rm", &self.name.network()]).await;
        let _ = self.docker(&["image", "rm", &self.host_image()]).await;
    }

    /// Containers, networks and volumes of docker that carry the cluster's name.
    pub(super) async fn left_behind(&self) -> Vec<String> {
        let filter = format!("name={}", self.name.network());
        let mut found = Vec::new();
        for list in [
            ["ps", "--all", "--format", "{{.Names}}"].as_slice(),
            &["network", "ls", "--format", "{{.Name}}"],
            &["volume", "ls", "--format", "{{.Name}}"],
        ] {
            let command = [list, &["--filter", &filter]].concat();
            let names = self.docker(&command).await.unwrap();
            found.extend(names.lines().map(str::to_owned));
        }
        found
    }

    pub(super) async fn create_registry(&self) -> Result<(), K3dError> {
        let storage = self.directory.path().join("registry");
        self.k3d
            .create_registry(&self.name, self.registry_port, &storage, &self.cancel, LONG)
            .await
    }

    pub(super) fn cluster_request(&self) -> ClusterRequest {
        let volume = |host: PathBuf, node: &str, read_only| NodeVolume {
            host,
            node: node.into(),
            read_only,
        };
        ClusterRequest {
            name: self.name.clone(),
            image: self.node_image.clone(),
            agents: 0,
            http_port: PortNumber::new(HTTP).unwrap(),
            https_port: PortNumber::new(HTTPS).unwrap(),
            registry_port: self.registry_port,
            volumes: vec![
                volume(self.volumes.clone(), devenv::plan::VOLUMES_IN_NODE, false),
                volume(self.home.clone(), "/project", true),
            ],
            image_stores: Vec::new(),
            labels: BTreeMap::from([("devenv.environment".to_owned(), "test".to_owned())]),
            memory: Some("4Gi".parse().unwrap()),
            kubeconfig: self.kubeconfig.clone(),
        }
    }

    /// The ports of the host that belong to the cluster, its API's included.
    pub(super) fn ports(&self) -> Vec<u16> {
        let file = std::fs::File::open(&self.kubeconfig).unwrap();
        let kubeconfig = std::io::read_to_string(file).unwrap();
        let (_, rest) = kubeconfig.split_once("server: https://127.0.0.1:").unwrap();
        let api = rest.lines().next().unwrap().trim().parse().unwrap();
        vec![HTTP, HTTPS, REGISTRY, api]
    }

    pub(super) async fn connect(&self) -> Cluster {
        Cluster::connect(&self.kubeconfig, "default").await.unwrap()
    }

    fn host_image(&self) -> String {
        format!("127.0.0.1:{}/test/app:1", self.registry_port)
    }

    /// The reference under which the cluster pulls the image.
    pub(super) fn image(&self) -> String {
        let registry = self.name.registry_container();
        format!("{registry}:{}/test/app:1", self.registry_port)
    }

    pub(super) async fn push_image(&self) {
        let image = self.host_image();
        if self.docker(&["tag", BASE, &image]).await.is_err() {
            self.docker(&["pull", BASE]).await.unwrap();
            self.docker(&["tag", BASE, &image]).await.unwrap();
        }
        self.docker(&["push", &image]).await.unwrap();
    }

    /// A release of the embedded chart.
    pub(super) fn release(&self, service: &str, values: Value) -> ReleaseRequest {
        ReleaseRequest {
            service: service.parse().unwrap(),
            namespace: "default".to_owned(),
            chart: ChartReference::Embedded(service_chart(&self.charts).unwrap()),
            inputs: InputsHash::of(values.to_string().as_bytes()),
            values,
            values_files: Vec::new(),
        }
    }

    pub(super) async fn install(&self, request: &ReleaseRequest) {
        let installed = self.helm.upgrade_install(request, &self.cancel, LONG);
        installed
            .await
            .unwrap_or_else(|error| panic!("{:#?}", error.failure()));
    }

    /// A chart whose installation waits for a pod that never ends.
    pub(super) fn chart_that_hangs(&self) -> PathBuf {
        let hook = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations: {{ helm.sh/hook: pre-install }}\n\
             spec:\n  terminationGracePeriodSeconds: 0\n  containers: [{{ name: a, image: '{}', command: [sleep, infinity] }}]\n",
            self.image()
        );
        let chart = self.directory.path().join("hanging");
        let put = |path: &str, text: &str| {
            let path = chart.join(path);
            let _ = std::fs::create_dir(path.parent().unwrap());
            let mut file = std::fs::File::create(path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        put(
            "Chart.yaml",
            "apiVersion: v2\nname: hanging\nversion: 1.0.0\n",
        );
        put("templates/hook.yaml", &hook);
        chart
    }

    /// Runs docker; its error output if it fails.
    async fn docker(&self, args: &[&str]) -> Result<String, String> {
        let invocation = Invocation::new("docker", self.environment.clone(), LONG);
        let done = process::run(&invocation.args(args.iter().copied()), &self.cancel, None).await;
        let done = done.unwrap();
        if done.succeeded() {
            Ok(done.stdout_text())
        } else {
            Err(done.stderr_text())
        }
    }

    /// Says how long something took.
    pub(super) async fn timed<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.await;
        let took: Duration = started.elapsed();
        say(&format!("{:8.3} s  {what}", took.as_secs_f64()));
        done
    }
}

/// Every TCP socket of this machine that listens, as the kernel lists them. IPv6 ones that are not the
/// loopback count as open to all.
pub(crate) fn listening_sockets() -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(file) = std::fs::File::open(table) else {
            continue;
        };
        for line in std::io::read_to_string(file).unwrap().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_listening = fields[3] == "0A";
            let (address, port) = fields[1].split_once(':').unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            let ip = match u32::from_str_radix(address, 16) {
                // The kernel writes it in the machine's own byte order.
                Ok(number) => Ipv4Addr::from(number.to_ne_bytes()),
                Err(_) => Ipv4Addr::UNSPECIFIED,
            };
            if is_listening {
                found.push(SocketAddr::from((ip, port)));
            }
        }
    }
    found
}
