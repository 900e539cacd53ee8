//! Use of processor and memory, by the metrics server.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::{Cpu, Memory};

/// How long the metrics server may take: while it starts, requests for it hang.
const FIGURES: Duration = Duration::from_secs(2);

/// What a pod uses, all containers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodUse {
    /// The pod.
    pub pod: String,
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

/// What a node uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUse {
    /// The node.
    pub node: String,
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

/// What pods and nodes use, as measured last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The pods of the services' namespace.
    pub pods: Vec<PodUse>,
    /// The nodes.
    pub nodes: Vec<NodeUse>,
}

/// What pods can have of all nodes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

#[derive(Deserialize)]
struct Amounts {
    cpu: String,
    memory: String,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Meta,
    containers: Vec<ContainerMetrics>,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    usage: Amounts,
}

#[derive(Deserialize)]
struct NodeMetrics {
    metadata: Meta,
    usage: Amounts,
}

impl Amounts {
    /// Amounts that cannot be read count as nothing: a figure is missing, not a run.
    fn read(&self) -> (u64, u64) {
        let cpu = self.cpu.parse::<Cpu>().map_or(0, Cpu::millis);
        let memory = self.memory.parse::<Memory>().map_or(0, Memory::bytes);
        (cpu, memory)
    }
}

impl Cluster {
    /// What pods and nodes use; `None` where the metrics server is absent or has no figures yet.
    pub async fn usage(&self) -> Result<Option<Usage>, KubeError> {
        let pods = format!("namespaces/{}/pods", self.namespace);
        let (pods, nodes) =
            futures::try_join!(self.metrics::<PodMetrics>(&pods), self.metrics("nodes"))?;
        let (Some(pods), Some(nodes)) = (pods, nodes) else {
            return Ok(None);
        };
        Ok(Some(Usage {
            pods: pods.iter().map(pod_use).collect(),
            nodes: nodes.iter().map(node_use).collect(),
        }))
    }

    /// What pods can have of all nodes together.
    pub async fn capacity(&self) -> Result<Capacity, KubeError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let doing = "ask what the nodes have";
        let found = call(doing, REQUEST, nodes.list(&ListParams::default())).await?;
        let amounts = found.items.iter().map(|node| {
            let status = node.status.as_ref();
            let of = |name: &str| {
                let amounts = status?.allocatable.as_ref()?;
                Some(amounts.get(name)?.0.clone())
            };
            let amounts = Amounts {
                cpu: of("cpu").unwrap_or_default(),
                memory: of("memory").unwrap_or_default(),
            };
            amounts.read()
        });
        let (cpu, memory) = amounts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Ok(Capacity {
            cpu: Cpu::from_millis(cpu),
            memory: Memory::from_bytes(memory),
        })
    }

    async fn metrics<T: DeserializeOwned>(&self, path: &str) -> Result<Option<Vec<T>>, KubeError> {
        let doing = "ask for the use of resources";
        let request = Request::get(format!("/apis/metrics.k8s.io/v1beta1/{path}"))
            .body(Vec::new())
            .map_err(|error| KubeError::of(doing, kube::Error::HttpError(error)))?;
        // Not retried here: a metrics server without figures answers 503 for a while.
        match call(doing, FIGURES, self.client.request::<List<T>>(request)).await {
            Ok(list) => Ok(Some(list.items)),
            Err(
                KubeError::NotFound { .. } | KubeError::Rejected { .. } | KubeError::Timeout { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn pod_use(metrics: &PodMetrics) -> PodUse {
    let amounts = metrics.containers.iter().map(|c| c.usage.read());
    let (cpu, memory) = amounts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    PodUse {
        pod: metrics.metadata.name.clone(),
        cpu: Cpu::from_millis(cpu),
        memory: Memory::from_bytes(memory),
    }
}

fn node_use(metrics: &NodeMetrics) -> NodeUse {
    let (cpu, memory) = metrics.usage.read();
    NodeUse {
        node: metrics.metadata.name.clone(),
        cpu: Cpu::from_millis(cpu),
        memory: Memory::from_bytes(memory),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::FakeApi;

    #[tokio::test]
    async fn a_pods_containers_are_added_up() {
        let usage = |cpu: &str, memory: &str| json!({ "usage": { "cpu": cpu, "memory": memory } });
        let api = FakeApi::new()
            .answer(
                "v1beta1/namespaces/default/pods",
                200,
                json!({ "items": [{
                "metadata": { "name": "a" },
                "containers": [usage("1500000n", "1Ki"), usage("2m", "1Mi")],
            }] }),
            )
            .answer(
                "v1beta1/nodes",
                200,
                json!({ "items": [{
                "metadata": { "name": "n" }, "usage": { "cpu": "250m", "memory": "2Gi" },
            }] }),
            );
        let usage = api.cluster().usage().await.unwrap().unwrap();
        assert_eq!(usage.pods[0].cpu.millis(), 4);
        assert_eq!(usage.pods[0].memory.bytes(), 1024 + (1 << 20));
        assert_eq!(usage.nodes[0].memory.bytes(), 2 << 30);
    }

    #[tokio::test]
    async fn what_the_nodes_have_is_added_up() {
        let node = |name: &str| {
            json!({
                "metadata": { "name": name },
                "status": { "allocatable": { "cpu": "2", "memory": "1Gi" } },
            })
        };
        let nodes = json!({ "metadata": {}, "items": [node("a"), node("b")] });
        let api = FakeApi::new().answer("/api/v1/nodes", 200, nodes);
        let capacity = api.cluster().capacity().await.unwrap();
        assert_eq!(capacity.cpu.millis(), 4_000);
        assert_eq!(capacity.memory.bytes(), 2 << 30);
    }

    #[tokio::test]
    async fn a_cluster_without_a_metrics_server_has_no_figures() {
        assert_eq!(FakeApi::new().cluster().usage().await.unwrap(), None);
    }
}
