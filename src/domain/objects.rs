//! What objects of Kubernetes have in common, read from their JSON whoever wrote them.

use serde_json::Value;

/// What runs pods, and where in it their template is.
const TEMPLATES: [(&str, &str); 8] = [
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
}
