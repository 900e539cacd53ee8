//! `devenv docs generate`: the page of a project.

use crate::{sources, support::TestEnvironment};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
cluster: { ports: { http: 8181 } }
services:
  web:
    build: web
    ports: [80]
    expose: notes.localhost
    secrets: [.env.web]
    dependsOn: [store]
    env: { ADMIN_PASSWORD: geheim }
  store: { image: 'redis:7', volumes: [{ name: data, path: /data, size: 1Gi }] }
";

fn project() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.write_project("devenv.yaml", MANIFEST);
    environment.write_project(".env.web.example", "TOKEN=\n");
    environment.write_project(
        "profiles/load.yaml",
        "description: Much.\nservices: { web: { replicas: 4, env: { API_TOKEN: geheim } } }\n",
    );
    environment
}

#[test]
fn a_small_project_is_described_without_what_belongs_to_one_machine() {
    let environment = project();
    // A clone that has neither the files of secrets nor those that are built, but an overlay.
    environment.write_project("devenv.local.yaml", "services: { web: { replicas: 9 } }\n");
    insta::assert_snapshot!(environment.devenv(["docs", "generate", "-p", "load"]), @"✓ wrote docs/ENVIRONMENT.md");
    let page = environment.read_project("docs/ENVIRONMENT.md");
    assert!(!page.contains("geheim"), "{page}");
    let (own, same_for_all) = page.split_once("## Every day").expect("what to type");
    insta::assert_snapshot!(own);
    assert!(same_for_all.contains("`devenv diff last`"), "{page}");
}

#[test]
fn a_page_is_current_until_the_manifest_changes() {
    let environment = project();
    let check = || environment.devenv(["docs", "generate", "--check"]);
    assert_eq!(check().code, Some(9));
    let write = || {
        environment
            .devenv(["docs", "generate", "-o", "json"])
            .document()
    };
    assert_eq!(write()["written"], true);
    assert_eq!(write()["written"], false);
    assert_eq!(check().code, Some(0));
    let changed = MANIFEST.replace("redis:7", "redis:8");
    environment.write_project("devenv.yaml", &changed);
    insta::assert_snapshot!(check(), @r"
    ------- stderr -------
    error[docs.not-current]: docs/ENVIRONMENT.md is not what the manifest says now
      try:
        devenv docs generate --out docs/ENVIRONMENT.md
    [exit code: 9]
    ");
    let outside = environment.devenv(["docs", "generate", "--out", "../x.md"]);
    assert_eq!(outside.code, Some(2), "{outside}");
}

#[test]
fn the_shop_is_described_with_its_graph_profiles_and_datasets() {
    let shop = sources::root().display().to_string();
    let environment = TestEnvironment::new();
    environment.write_project(
        "devenv.yaml",
        &sources::text("devenv.example.yaml".as_ref()),
    );
    for part in ["profiles", "datasets"] {
        let from = sources::root().join(part);
        let to = environment.project().join(part);
        std::os::unix::fs::symlink(from, to).expect("a fresh directory");
    }
    let output = environment.devenv(["docs", "generate"]);
    assert_eq!(output.code, Some(0), "{output}");
    let page = environment.read_project("docs/ENVIRONMENT.md");
    for said in [
        "| postgres | build of `examples/shop/postgres` | 5432 |",
        "```mermaid\ngraph LR\n",
        "`devenv data load checkout`",
        "### `devenv up -p production-like`",
        "Two nodes, several pods",
        "- with the dataset large\n- `cluster.agents: 1`",
        "- only order, and what they depend on",
        "`devenv exec test`",
        "<http://shop.localhost:8080/>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(!page.contains(&shop), "{page}");
}
