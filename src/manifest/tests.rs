//! The room as a whole: good manifests resolve, bad ones are explained.

use super::testing::{MemoryFiles, render};

/// A project with every file that the fixture names.
fn everything() -> MemoryFiles {
    MemoryFiles::with_manifest(include_str!(
        "../../tests/fixtures/manifests/good/everything.yaml"
    ))
    .file("services/postgres/Dockerfile", "")
    .file("services/order/docker/Dockerfile", "")
    .file("services/test/Dockerfile", "")
    .file(".npmrc", "")
    .file(".env.order", "")
    .file("charts/search/Chart.yaml", "")
    .file("charts/search/dev.yaml", "")
    .file("k8s/legacy/b.yaml", "")
    .file("k8s/legacy/a.yaml", "")
}

#[test]
fn a_manifest_with_every_key_resolves() {
    let loaded = everything().load().map_err(|f| render(&f)).unwrap();
    insta::assert_debug_snapshot!(loaded.environment.services);
}
#[test]
fn dump() {
    println!(
        "{}",
        serde_json::to_string_pretty(&super::schema()).unwrap()
    );
}
