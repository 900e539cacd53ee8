//! What all pods request together, against what the cluster can give.

use serde_json::Value;

use super::Rendered;
use crate::{
    adapters::kube::{Amounts, Room},
    domain::{
        Cpu, Finding, Memory,
        objects::{kind_of, name_of, pod_template, resources_of},
        words::amount,
    },
};

/// What pods ask for that does not fit: each by itself, and all together.
pub(super) fn exceeding(rendered: &Rendered, room: &Room) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut cpu, mut memory) = (0, 0);
    for (service, object) in rendered.judged() {
        let Some(pod) = pod_template(object) else {
            continue;
        };
        let one = requested(&pod["spec"]);
        if !room.nodes.is_empty() && !room.nodes.iter().any(|node| fits(one, node.allocatable)) {
            let whose = format!("{service}: {} {}", kind_of(object), name_of(object));
            let what = format!("{whose}: no node is large enough for one of its pods");
            let finding = Finding::problem("validate.too-large", what)
                .because(format!("it requests {}", words(one)))
                .seen("what the nodes can give", nodes(room))
                .fix(format!("lower the requests of {service}"));
            found.push(rendered.about(service, finding));
        }
        let pods = replicas(object, room);
        cpu += one.cpu.millis() * pods;
        memory += one.memory.bytes() * pods;
    }
    let all = amounts(cpu, memory);
    let sum = |of: fn(Amounts) -> u64| room.nodes.iter().map(|node| of(node.allocatable)).sum();
    let given = amounts(sum(|it| it.cpu.millis()), sum(|it| it.memory.bytes()));
    if !room.nodes.is_empty() && !fits(all, given) {
        let what = "the services together request more than the cluster can give";
        found.push(
            Finding::problem("validate.too-much", what)
                .because(format!("they request {}", words(all)))
                .seen("what the nodes can give", nodes(room))
                .fix("lower requests or replicas, or bring up a part: devenv up SERVICE")
                .fix("devenv status --resources"),
        );
    }
    found
}

fn amounts(cpu_millis: u64, bytes: u64) -> Amounts {
    Amounts {
        cpu: Cpu::from_millis(cpu_millis),
        memory: Memory::from_bytes(bytes),
    }
}

fn fits(asked: Amounts, given: Amounts) -> bool {
    asked.cpu <= given.cpu && asked.memory <= given.memory
}

fn words(amounts: Amounts) -> String {
    let memory = amount(amounts.memory);
    format!("{} cpu and {memory} of memory", amounts.cpu)
}

fn nodes(room: &Room) -> Vec<String> {
    let nodes = room.nodes.iter();
    nodes
        .map(|node| format!("{}: {}", node.node, words(node.allocatable)))
        .collect()
}

/// What a pod requests; what cannot be read counts as nothing.
fn requested(spec: &Value) -> Amounts {
    let resources = resources_of(spec);
    Amounts {
        cpu: resources.request_cpu.unwrap_or_default(),
        memory: resources.request_memory.unwrap_or_default(),
    }
}

/// How many pods an object makes at a time.
fn replicas(object: &Value, room: &Room) -> u64 {
    match kind_of(object) {
        "DaemonSet" => room.nodes.len() as u64,
        // It makes its pods when its time has come.
        "CronJob" => 0,
        "Job" => object["spec"]["parallelism"].as_u64().unwrap_or(1),
        _ => object["spec"]["replicas"].as_u64().unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{adapters::kube::NodeRoom, domain::testing::name};

    fn room() -> Room {
        let node = |name: &str| NodeRoom {
            node: name.to_owned(),
            allocatable: amounts(2_000, 1 << 30),
            requested: Amounts::default(),
        };
        Room {
            nodes: vec![node("a"), node("b")],
            ..Room::default()
        }
    }

    fn deployment(replicas: u32, resources: &Value) -> Value {
        json!({ "kind": "Deployment", "metadata": { "name": "it" }, "spec": {
            "replicas": replicas,
            "template": { "spec": { "containers": [{ "name": "c", "resources": resources }] } },
        } })
    }

    fn ids(objects: &[Value]) -> Vec<&'static str> {
        let mut rendered = Rendered {
            judged: [name("shop")].into(),
            ..Rendered::default()
        };
        rendered.add(&name("shop"), objects);
        let found = exceeding(&rendered, &room());
        found.into_iter().map(|it| it.id.0).collect()
    }

    #[test]
    fn a_pod_must_fit_on_a_node_and_all_of_them_in_the_cluster() {
        let requests = |memory: &str| json!({ "requests": { "memory": memory, "cpu": 0.5 } });
        assert!(ids(&[deployment(2, &requests("1Gi"))]).is_empty());
        assert_eq!(
            ids(&[deployment(1, &requests("1025Mi"))]),
            ["validate.too-large"]
        );
        assert_eq!(
            ids(&[deployment(3, &requests("1Gi"))]),
            ["validate.too-much"]
        );
        // Half a processor nine times.
        assert_eq!(
            ids(&[deployment(9, &requests("1Mi"))]),
            ["validate.too-much"]
        );
        let limits = json!({ "limits": { "memory": "2Gi" } });
        assert_eq!(ids(&[deployment(1, &limits)]), ["validate.too-large"]);
    }
}
