//! Good manifests: what they come to.

use std::time::Duration;

use crate::{
    domain::{Memory, Retention},
    manifest::testing::{MemoryFiles, render},
};

/// A project with every file that the fixture names.
fn everything() -> MemoryFiles {
    MemoryFiles::with_manifest(include_str!(
        "../../../tests/fixtures/manifests/good/everything.yaml"
    ))
    .file("services/postgres/Dockerfile", "")
    .file("services/order/docker/Dockerfile", "")
    .file("services/order/src/order.py", "")
    .file("services/order/pyproject.toml", "")
    .file("services/order/templates/mail.txt", "")
    .file("services/order/assets/shop.css", "")
    .file("services/test/Dockerfile", "")
    .file("conf/worker.conf", "")
    .file(".npmrc", "")
    .file(".env.order", "")
    .file("charts/search/Chart.yaml", "")
    .file("charts/search/dev.yaml", "")
    .file("k8s/legacy/b.yaml", "")
    .file("k8s/legacy/a.yaml", "")
}

#[test]
fn a_manifest_with_every_key_resolves() {
    let environment = everything()
        .load()
        .map_err(|f| render(&f))
        .unwrap()
        .environment;
    insta::assert_debug_snapshot!("project", (&environment.project, &environment.manifest));
    insta::assert_debug_snapshot!("cluster", (&environment.requires, &environment.cluster));
    insta::assert_debug_snapshot!("services", environment.services);
    insta::assert_debug_snapshot!("tasks-and-hooks", (&environment.tasks, &environment.hooks));
    let stay = Retention {
        keep: Some(10),
        older_than: Some(Duration::from_hours(30 * 24)),
        max_size: Some(Memory::from_bytes(20 << 30)),
    };
    assert_eq!(environment.snapshots, stay);
}

#[test]
fn every_value_knows_where_it_was_set() {
    let environment = everything().load().unwrap().environment;
    let places: Vec<String> = environment
        .provenance
        .iter()
        .filter(|(path, _)| path.starts_with("services.order") || path.starts_with("cluster"))
        .map(|(path, place)| format!("{path} {place}"))
        .collect();
    insta::assert_snapshot!("provenance", places.join("\n"));
}

#[test]
fn a_small_manifest_takes_the_built_in_defaults() {
    let text = "apiVersion: devenv/v1\nname: small\nservices: { a: { image: redis } }\n";
    let files = MemoryFiles::with_manifest(text);
    let environment = files.load().unwrap().environment;
    let cluster = &environment.cluster;
    assert_eq!(cluster.kubernetes, "1.35");
    let ports = [cluster.http_port, cluster.https_port, cluster.registry_port];
    assert_eq!(ports.map(std::num::NonZero::get), [8080, 8443, 5050]);
    let service = environment.services.values().next().unwrap();
    assert_eq!(service.ready_within.as_secs(), 60);
    assert_eq!(service.workload().unwrap().replicas, 1);
    assert_eq!(service.workload().unwrap().ready, None);
}

/// The example of the repository, with the files that it names made up.
fn example(text: &str) -> MemoryFiles {
    let mut files = MemoryFiles::with_manifest(text);
    let services =
        "postgres redis user catalog inventory payment order recommendation-api gateway web test";
    for service in services.split(' ') {
        files = files
            .file(&format!("examples/shop/{service}/Dockerfile"), "")
            .file(&format!("examples/shop/{service}/src/app"), "");
    }
    files
        .file("examples/shop/web/public/style.css", "")
        .file("examples/shop/extras/order.env", "")
        .file("examples/shop/extras/charts/search/Chart.yaml", "")
        .file("examples/shop/extras/charts/search/values.small.yaml", "")
        .file("examples/shop/extras/k8s/legacy/a.yaml", "")
}

#[test]
fn the_example_of_the_repository_resolves_with_and_without_its_optional_lines() {
    let text = include_str!("../../../devenv.example.yaml");
    let loaded = example(text).load().map_err(|f| render(&f)).unwrap();
    assert_eq!(loaded.environment.services.len(), 10);
    let text = text.replace("\n# ~ ", "\n");
    let loaded = example(&text).load().map_err(|f| render(&f)).unwrap();
    assert_eq!(loaded.environment.services.len(), 14);
    assert_eq!(loaded.notices, [""; 0]);
}

#[test]
fn autoscaling_without_a_request_is_noticed() {
    let text = "apiVersion: devenv/v1\nname: x\nservices: { a: { image: redis, autoscale: { max: 3 } } }\n";
    let loaded = MemoryFiles::with_manifest(text).load().unwrap();
    assert!(loaded.notices[0].contains("services.a.resources.requests.cpu"));
}

#[test]
fn the_example_of_the_repository_has_every_key_there_is() {
    let text = include_str!("../../../devenv.example.yaml");
    let schema = crate::manifest::schema();
    let mut keys = std::collections::BTreeSet::new();
    collect_keys(&schema, &mut keys);
    let of_profiles_only = ["description", "extends", "only", "dataset"];
    let is_written = |key: &str| {
        text.match_indices(&format!("{key}:"))
            .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric()))
    };
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| !of_profiles_only.contains(&key.as_str()) && !is_written(key))
        .collect();
    assert_eq!(missing, [""; 0]);
    assert!(keys.len() > 50, "{keys:?}");
}

/// The names of all properties in a JSON Schema.
fn collect_keys(schema: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(|p| p.as_object()) {
        keys.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(object) => {
            object.values().for_each(|value| collect_keys(value, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}
