//! What the nodes can give pods, and what pods were given of it.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::{
    api::core::v1::{Node, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, api::ListParams};
use serde_json::json;

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::{Cpu, Memory, Resources, objects::resources_of};

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

/// The room of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// The nodes, by name.
    pub nodes: Vec<NodeRoom>,
    /// The pods of the services' namespace that have not ended, by name.
    pub pods: BTreeMap<String, Resources>,
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
        // What has come as JSON has a JSON form.
        let amounts = resources_of(&json!(spec));
        if let Some(node) = spec.node_name.as_deref() {
            let sum = requested.entry(node).or_default();
            sum.cpu = plus(
                sum.cpu.millis(),
                amounts.request_cpu.map(Cpu::millis),
                Cpu::from_millis,
            );
            let memory = amounts.request_memory.map(Memory::bytes);
            sum.memory = plus(sum.memory.bytes(), memory, Memory::from_bytes);
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

fn parsed<T: FromStr>(amounts: &BTreeMap<String, Quantity>, name: &str) -> Option<T> {
    amounts.get(name)?.0.parse().ok()
}

fn plus<T>(sum: u64, more: Option<u64>, of: fn(u64) -> T) -> T {
    of(sum.saturating_add(more.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
}
