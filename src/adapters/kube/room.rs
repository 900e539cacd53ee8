//! What the nodes can give pods, and what pods were given of it.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::{
    api::core::v1::{Container, Node, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, api::ListParams};

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::{Cpu, Memory};

/// Processor time and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRoom {
    /// Its name.
    pub node: String,
    /// What its pods can have together.
    pub allocatable: Amounts,
    /// What its pods have requested together, those of Kubernetes too.
    pub requested: Amounts,
}

/// What a pod may use; `None` where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodAmounts {
    /// Processor time that is kept for it.
    pub request_cpu: Option<Cpu>,
    /// Processor time that it gets at most.
    pub limit_cpu: Option<Cpu>,
    /// Memory that is kept for it.
    pub request_memory: Option<Memory>,
    /// Memory that it gets at most.
    pub limit_memory: Option<Memory>,
}

/// The room of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// The nodes, by name.
    pub nodes: Vec<NodeRoom>,
    /// The pods of the services' namespace that have not ended, by name.
    pub pods: BTreeMap<String, PodAmounts>,
}

impl Cluster {
    /// What the nodes can give pods, and what pods were given of it.
    pub async fn room(&self) -> Result<Room, KubeError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let pods: Api<Pod> = Api::all(self.client.clone());
        let all = ListParams::default();
        let (nodes, pods) = futures::try_join!(
            call("ask what the nodes have", REQUEST, nodes.list(&all)),
            call("ask what the pods may have", REQUEST, pods.list(&all)),
        )?;
        Ok(room(&nodes.items, &pods.items, &self.namespace))
    }
}

fn room(nodes: &[Node], pods: &[Pod], namespace: &str) -> Room {
    let mut room = Room::default();
    let mut requested: BTreeMap<&str, Amounts> = BTreeMap::new();
    for (pod, spec) in pods.iter().filter(|pod| !has_ended(pod)).filter_map(spec) {
        let amounts = amounts_of(spec);
        if let Some(node) = spec.node_name.as_deref() {
            let sum = requested.entry(node).or_default();
            sum.cpu = plus_cpu(sum.cpu, amounts.request_cpu);
            sum.memory = plus_memory(sum.memory, amounts.request_memory);
        }
        if let (Some(of), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name)
            && of == namespace
        {
            room.pods.insert(name.clone(), amounts);
        }
    }
    room.nodes = nodes
        .iter()
        .filter_map(|node| {
            let name = node.metadata.name.clone()?;
            let allocatable = node.status.as_ref()?.allocatable.as_ref()?;
            Some(NodeRoom {
                requested: requested.get(name.as_str()).copied().unwrap_or_default(),
                node: name,
                // An amount that cannot be read counts as nothing: a figure is missing, not a run.
                allocatable: Amounts {
                    cpu: parsed(allocatable, "cpu").unwrap_or_default(),
                    memory: parsed(allocatable, "memory").unwrap_or_default(),
                },
            })
        })
        .collect();
    room.nodes.sort_by(|a, b| a.node.cmp(&b.node));
    room
}

fn spec(pod: &Pod) -> Option<(&Pod, &PodSpec)> {
    Some((pod, pod.spec.as_ref()?))
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// What the containers of a pod that run together may have. What an init container asks for beyond that is left out: it is
/// needed for a moment only.
fn amounts_of(spec: &PodSpec) -> PodAmounts {
    let inits = spec.init_containers.iter().flatten();
    let sidecars = inits.filter(|init| init.restart_policy.as_deref() == Some("Always"));
    let containers: Vec<&Container> = spec.containers.iter().chain(sidecars).collect();
    let resources = || {
        containers
            .iter()
            .map(|container| container.resources.as_ref())
    };
    let requests = || resources().map(|one| one?.requests.as_ref());
    let limits = || resources().map(|one| one?.limits.as_ref());
    // One container without a limit, and the pod has none.
    let all_cpu: Option<Vec<Cpu>> = limits().map(|one| parsed(one?, "cpu")).collect();
    let all_memory: Option<Vec<Memory>> = limits().map(|one| parsed(one?, "memory")).collect();
    PodAmounts {
        request_cpu: sum_cpu(requests().filter_map(|one| parsed(one?, "cpu"))),
        limit_cpu: sum_cpu(all_cpu.into_iter().flatten()),
        request_memory: sum_memory(requests().filter_map(|one| parsed(one?, "memory"))),
        limit_memory: sum_memory(all_memory.into_iter().flatten()),
    }
}

fn parsed<T: FromStr>(amounts: &BTreeMap<String, Quantity>, name: &str) -> Option<T> {
    amounts.get(name)?.0.parse().ok()
}

fn plus_cpu(sum: Cpu, more: Option<Cpu>) -> Cpu {
    Cpu::from_millis(sum.millis() + more.map_or(0, Cpu::millis))
}

fn plus_memory(sum: Memory, more: Option<Memory>) -> Memory {
    Memory::from_bytes(sum.bytes() + more.map_or(0, Memory::bytes))
}

/// `None` of none.
fn sum_cpu(mut all: impl Iterator<Item = Cpu>) -> Option<Cpu> {
    let first = all.next()?;
    Some(all.fold(first, |sum, one| plus_cpu(sum, Some(one))))
}

/// `None` of none.
fn sum_memory(mut all: impl Iterator<Item = Memory>) -> Option<Memory> {
    let first = all.next()?;
    Some(all.fold(first, |sum, one| plus_memory(sum, Some(one))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fake::FakeApi, *};

    fn pod(namespace: &str, name: &str, phase: &str, containers: &Value) -> Value {
        json!({
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "nodeName": "a", "containers": containers },
            "status": { "phase": phase },
        })
    }

    async fn asked(pods: Value) -> Room {
        let node = |name: &str| {
            json!({
                "metadata": { "name": name },
                "status": { "allocatable": { "cpu": "2", "memory": "1Gi" } },
            })
        };
        let nodes = json!({ "metadata": {}, "items": [node("b"), node("a")] });
        let api = FakeApi::new().answer("/api/v1/nodes", 200, nodes).answer(
            "/api/v1/pods",
            200,
            json!({ "metadata": {}, "items": pods }),
        );
        api.cluster().room().await.unwrap()
    }

    #[tokio::test]
    async fn what_pods_have_requested_is_added_up_for_their_node_whoever_they_are() {
        let requests = |memory: &str| json!([{ "name": "c", "resources": { "requests": { "cpu": "100m", "memory": memory } } }]);
        let room = asked(json!([
            pod("default", "order", "Running", &requests("64Mi")),
            pod("kube-system", "dns", "Running", &requests("70Mi")),
            pod("default", "done", "Succeeded", &requests("512Mi")),
        ]))
        .await;
        let names: Vec<&str> = room.nodes.iter().map(|node| node.node.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(room.nodes[0].requested.memory.bytes(), 134 << 20);
        assert_eq!(room.nodes[0].requested.cpu.millis(), 200);
        assert_eq!(room.nodes[0].allocatable.memory.bytes(), 1 << 30);
        assert_eq!(room.nodes[1].requested, Amounts::default());
        let pods: Vec<&String> = room.pods.keys().collect();
        assert_eq!(pods, ["order"]);
    }

    #[tokio::test]
    async fn a_pod_has_a_limit_if_all_of_its_containers_have_one() {
        let amounts = json!({ "memory": "64Mi" });
        let limited =
            json!({ "name": "c", "resources": { "requests": amounts, "limits": amounts } });
        let free = json!({ "name": "d" });
        let room = asked(json!([
            pod("default", "both", "Running", &json!([limited, limited])),
            pod("default", "one", "Running", &json!([limited, free])),
            pod("default", "none", "Pending", &json!([free])),
        ]))
        .await;
        let memory = |pod: &str| {
            let amounts = room.pods[pod];
            let bytes = |memory: Option<Memory>| memory.map(|memory| memory.bytes() >> 20);
            (bytes(amounts.request_memory), bytes(amounts.limit_memory))
        };
        assert_eq!(memory("both"), (Some(128), Some(128)));
        assert_eq!(memory("one"), (Some(64), None));
        assert_eq!(memory("none"), (None, None));
    }
}
