//! What objects of Kubernetes have in common, read from their JSON whoever wrote them.

use serde_json::Value;

use super::{Cpu, Memory, Resources};

/// What runs pods, and where in it their template is.
pub(super) const TEMPLATES: [(&str, &str); 8] = [
    ("Pod", ""),
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];
/// The lists of containers of a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// The objects themselves, where some of them are lists of others.
pub fn single_objects(objects: &[Value]) -> Vec<&Value> {
    let mut found = Vec::new();
    for object in objects {
        match object["items"].as_array() {
            Some(items) => found.extend(single_objects(items)),
            None => found.push(object),
        }
    }
    found
}

/// The kind of an object; empty if it has none.
pub fn kind_of(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// The name of an object; empty if it has none.
pub fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The template of the pods that an object makes; `None` of one that makes none, or makes them in a way of its own.
pub fn pod_template(object: &Value) -> Option<&Value> {
    let kind = kind_of(object);
    let (_, path) = TEMPLATES.iter().find(|(of, _)| *of == kind)?;
    object.pointer(path)
}

/// The containers of a pod's specification, of all kinds.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let lists = CONTAINERS.iter().map(|list| spec[*list].as_array());
    lists.flatten().flatten()
}

/// What the containers of a pod's specification that run together request and may have. One of them without a limit, and
/// there is none for the pod; what init containers ask for is left out, as it is needed for a moment only.
pub fn resources_of(spec: &Value) -> Resources {
    let of_list = |list: &str| spec[list].as_array().into_iter().flatten();
    let sidecars = of_list("initContainers").filter(|init| init["restartPolicy"] == "Always");
    let containers: Vec<&Value> = of_list("containers").chain(sidecars).collect();
    let requested = |name: &str, read: fn(&str) -> Option<u64>| {
        let each = containers.iter().filter_map(|container| {
            // Kubernetes takes the limit for the request where only that is said.
            let text = amount(container, "requests", name);
            read(&text.or_else(|| amount(container, "limits", name))?)
        });
        each.reduce(u64::saturating_add)
    };
    let limited = |name: &str, read: fn(&str) -> Option<u64>| {
        let each = containers.iter();
        let each = each.map(|container| read(&amount(container, "limits", name)?));
        let each: Option<Vec<u64>> = each.collect();
        each?.into_iter().reduce(u64::saturating_add)
    };
    let millis = |text: &str| text.parse().ok().map(Cpu::millis);
    let bytes = |text: &str| text.parse().ok().map(Memory::bytes);
    Resources {
        request_cpu: requested("cpu", millis).map(Cpu::from_millis),
        request_memory: requested("memory", bytes).map(Memory::from_bytes),
        limit_cpu: limited("cpu", millis).map(Cpu::from_millis),
        limit_memory: limited("memory", bytes).map(Memory::from_bytes),
    }
}

/// An amount as a container says it, as a text or a number.
fn amount(container: &Value, of: &str, name: &str) -> Option<String> {
    match &container["resources"][of][name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_found_in_whatever_makes_them_also_in_lists_of_lists() {
        let pod = json!({ "containers": [{ "name": "a" }], "initContainers": [{ "name": "b" }] });
        let objects = [json!({ "kind": "List", "items": [
            { "kind": "Pod", "metadata": { "name": "one" }, "spec": pod },
            { "kind": "List", "items": [
                { "kind": "CronJob", "spec": { "jobTemplate": { "spec": { "template": { "spec": pod } } } } },
                { "kind": "ConfigMap" },
            ] },
        ] })];
        let found = single_objects(&objects);
        let kinds: Vec<&str> = found.iter().map(|object| kind_of(object)).collect();
        assert_eq!(kinds, ["Pod", "CronJob", "ConfigMap"]);
        assert_eq!(name_of(found[0]), "one");
        let names = |object: &Value| {
            let template = pod_template(object)?.clone();
            let names =
                containers(&template["spec"]).map(|c| c["name"].as_str().unwrap().to_owned());
            Some(names.collect::<Vec<_>>().concat())
        };
        let names: Vec<_> = found.into_iter().map(names).collect();
        assert_eq!(names, [Some("ab".to_owned()), Some("ab".to_owned()), None]);
    }

    #[test]
    fn what_a_pod_requests_is_added_up_and_it_has_a_limit_if_all_its_containers_have_one() {
        let both =
            |amounts: Value| json!({ "resources": { "requests": amounts, "limits": amounts } });
        let limit = json!({ "resources": { "limits": { "memory": "64Mi" } } });
        let memory = |spec: Value| {
            let found = resources_of(&spec);
            let mebi = |memory: Option<Memory>| memory.map(|memory| memory.bytes() >> 20);
            (mebi(found.request_memory), mebi(found.limit_memory))
        };
        let one = both(json!({ "memory": "64Mi", "cpu": 0.5 }));
        let two = json!({ "containers": [one, one] });
        assert_eq!(resources_of(&two).request_cpu.map(Cpu::millis), Some(1_000));
        assert_eq!(memory(two), (Some(128), Some(128)));
        assert_eq!(
            memory(json!({ "containers": [limit, {}] })),
            (Some(64), None)
        );
        assert_eq!(memory(json!({ "containers": [{}] })), (None, None));
        let mut sidecar = one.clone();
        sidecar["restartPolicy"] = "Always".into();
        let inits = json!({ "containers": [one], "initContainers": [one, sidecar] });
        assert_eq!(memory(inits), (Some(128), Some(128)));
    }
}
