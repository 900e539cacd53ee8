//! Layers: who wins, what merges, and what is said of a bad one.

use crate::{
    domain::{Environment, ServiceName, Workload},
    manifest::testing::{MemoryFiles, render},
};

const BASE: &str = "\
apiVersion: devenv/v1
name: shop
defaults: { env: { LEVEL: info, SHARED: base } }
services:
  order:
    build: order
    ports: [{ name: http, port: 80 }, { name: admin, port: 81 }]
    args: [a, b]
    env: { LEVEL: debug, MODE: base }
    dependsOn: [store]
  store: { image: redis:7 }
  mail: { image: mail:1 }
tasks: { test: { image: test:1, dependsOn: [mail] } }
hooks: { afterUp: [{ service: mail, command: [seed] }, { service: order, command: [seed] }] }
";

fn project() -> MemoryFiles {
    MemoryFiles::with_manifest(BASE).file("order/Dockerfile", "")
}

fn good(files: &MemoryFiles, profiles: &[&str], sets: &[&str]) -> Environment {
    let loaded = files.load_with(profiles, sets);
    loaded.map_err(|f| render(&f)).unwrap().environment
}

fn workload<'a>(environment: &'a Environment, service: &str) -> &'a Workload {
    let name: ServiceName = service.parse().unwrap();
    environment.services[&name].workload().unwrap()
}

fn bad(files: &MemoryFiles, profiles: &[&str], sets: &[&str]) -> String {
    render(&files.load_with(profiles, sets).unwrap_err())
}

#[test]
fn the_later_layer_wins_and_each_value_names_its_file() {
    let files = project()
        .file(
            "profiles/a.yaml",
            "services: { order: { replicas: 2, env: { MODE: a } } }",
        )
        .file("profiles/b.yaml", "services:\n  order:\n    replicas: 3\n")
        .file(
            "devenv.local.yaml",
            "services: { order: { env: { MODE: local } } }",
        );
    let environment = good(&files, &["a", "b"], &["services.store.replicas=4"]);
    assert_eq!(workload(&environment, "order").replicas, 3);
    assert_eq!(workload(&environment, "store").replicas, 4);
    assert_eq!(workload(&environment, "order").env["MODE"], "local");
    let place = |path| environment.provenance.place(path).unwrap().to_string();
    assert_eq!(place("services.order.replicas"), "profiles/b.yaml:3:15");
    assert_eq!(place("services.order.env.MODE"), "devenv.local.yaml:1:35");
    assert_eq!(place("services.order.env.SHARED"), "devenv.yaml:3:41");
    assert_eq!(place("services.order.env.LEVEL"), "devenv.yaml:9:19");
    assert_eq!(place("services.store.replicas"), "--set:1:25");
    assert_eq!(place("services.order"), "devenv.yaml:5:3");
}

#[test]
fn maps_merge_lists_replace_named_items_merge_and_null_removes() {
    let overlay = "\
services:
  order:
    build: { target: dev }
    ports: [{ name: admin, port: 99 }, { name: debug, port: 5678 }]
    args: [c]
    env: { LEVEL: null }
    dependsOn: null
  mail: null
tasks: null
hooks: { afterUp: null }
";
    let environment = good(&project().file("profiles/p.yaml", overlay), &["p"], &[]);
    let order = workload(&environment, "order");
    let ports: Vec<_> = order
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.number.get()))
        .collect();
    assert_eq!(ports, [("http", 80), ("admin", 99), ("debug", 5678)]);
    assert_eq!(order.args, ["c"]);
    // A removed key does not come back from `defaults`.
    assert!(!order.env.contains_key("LEVEL") && order.env["SHARED"] == "base");
    assert_eq!(environment.services.len(), 2);
}

#[test]
fn a_profile_lies_over_those_it_extends_and_each_is_laid_once() {
    let files = project()
        .file(
            "profiles/base.yaml",
            "description: Below.\nservices: { store: { replicas: 5, env: { A: base } } }",
        )
        .file(
            "profiles/left.yaml",
            "extends: [base]\nservices: { store: { env: { A: left } } }",
        )
        .file(
            "profiles/right.yaml",
            "extends: [base]\nservices: { store: { env: { B: right } } }",
        );
    let environment = good(&files, &["left", "right"], &[]);
    assert_eq!(workload(&environment, "store").replicas, 5);
    assert_eq!(workload(&environment, "store").env["A"], "left");
}

#[test]
fn only_keeps_services_and_what_they_need_and_says_what_else_went() {
    let files = project().file("profiles/small.yaml", "only: [order]\n");
    let loaded = files.load_with(&["small"], &[]).unwrap();
    let names: Vec<_> = loaded
        .environment
        .services
        .keys()
        .map(ServiceName::as_str)
        .collect();
    assert_eq!(names, ["order", "store"]);
    assert!(loaded.environment.tasks.is_empty());
    assert_eq!(loaded.environment.hooks.after_up.len(), 1);
    assert_eq!(
        loaded.notices,
        [
            "task `test` is left out: it needs `mail`, which the profile leaves out",
            "hook `seed` is left out: it runs in `mail`, which the profile leaves out",
        ]
    );
}

#[test]
fn the_last_profile_that_names_a_dataset_decides() {
    let files = project()
        .file("profiles/base.yaml", "dataset: empty\n")
        .file("profiles/left.yaml", "extends: [base]\n")
        .file("profiles/right.yaml", "extends: [base]\ndataset: full\n")
        .file("profiles/none.yaml", "dataset: null\n")
        .file("datasets/empty/dataset.yaml", "")
        .file("datasets/full/dataset.yaml", "");
    let dataset = |profiles: &[&str]| {
        let dataset = good(&files, profiles, &[]).dataset;
        dataset.map(|name| name.to_string())
    };
    assert_eq!(dataset(&[]), None);
    for (profiles, name) in [
        (["left", "none"], "empty"),
        (["left", "right"], "full"),
        (["right", "base"], "full"),
    ] {
        assert_eq!(dataset(&profiles).as_deref(), Some(name), "{profiles:?}");
    }
}

#[test]
fn a_profile_names_a_dataset_that_is_there() {
    let files = project()
        .file("profiles/p.yaml", "only: [order]\ndataset: ful\n")
        .file("profiles/q.yaml", "dataset: Full!\n")
        .file("datasets/full/dataset.yaml", "");
    assert_eq!(
        bad(&files, &["p"], &[]),
        "profiles/p.yaml:2:10 dataset.not-found there is no dataset `ful`\n  \
         did you mean `full`?\n  datasets: `full`\n"
    );
    let said = bad(&files, &["q"], &[]);
    assert!(
        said.starts_with(
            "profiles/q.yaml:1:10 manifest.invalid-value `dataset` must be the name of a dataset"
        ),
        "{said}"
    );
}

#[test]
fn bad_profiles_are_explained() {
    let files = project()
        .file(
            "profiles/fast.yaml",
            "extends: [bese, slow]\nonly: [ordr]\nservices: { order: { replica: 1 } }",
        )
        .file("profiles/slow.yaml", "extends: [fast]\n")
        .file("profiles/base.yaml", "only: order\n");
    insta::assert_snapshot!("bad-profiles", bad(&files, &["fast", "base"], &[]));
    insta::assert_snapshot!("a-profile-that-is-not-there", bad(&files, &["fats"], &[]));
    insta::assert_snapshot!("no-profiles", bad(&project(), &["any"], &[]));
}

#[test]
fn mistakes_of_all_files_come_in_the_order_of_the_layers() {
    let files = project()
        .file("profiles/p.yaml", "services: { order: { replicas: many } }")
        .file("devenv.local.yaml", "servces: {}\n");
    insta::assert_snapshot!(
        "mistakes-of-all-layers",
        bad(&files, &["p"], &["cluster.agents=x"])
    );
}

#[test]
fn a_local_file_that_is_no_yaml_is_reported() {
    let files = project().file("devenv.local.yaml", "services: [");
    assert!(bad(&files, &[], &[]).starts_with("devenv.local.yaml:1:"));
    let empty = project().file("devenv.local.yaml", "# nothing\n");
    good(&empty, &[], &[]);
}

#[test]
fn a_flag_sets_scalars_lists_items_and_short_forms() {
    let environment = good(
        &project(),
        &[],
        &[
            "services.order.env.LEVEL=1.10",
            "services.order.args=[x, y=z]",
            "services.order.ports[1].port=90",
            "services.order.ports[2]=91",
            "services.order.build.target=dev",
            r"services.order.env.A\.B=dotted",
            "services.store.ports=[6379]",
            "services.mail=",
            "tasks=",
            "hooks.afterUp=[]",
        ],
    );
    let order = workload(&environment, "order");
    assert_eq!(order.env["LEVEL"], "1.10");
    assert_eq!(order.env["A.B"], "dotted");
    assert_eq!(order.args, ["x", "y=z"]);
    let ports: Vec<_> = order.ports.iter().map(|port| port.number.get()).collect();
    assert_eq!(ports, [80, 90, 91]);
    assert_eq!(workload(&environment, "store").ports[0].number.get(), 6379);
    assert_eq!(environment.services.len(), 2);
}

#[test]
fn bad_flags_are_named() {
    let sets = [
        "services.order.replicas",
        "services..replicas=1",
        "=1",
        "services.order.args[9]=x",
        "services.order.args.x=1",
        "services.order.replicas=three",
        "services.ordr.replicas=3",
        "name=[",
    ];
    insta::assert_snapshot!("bad-flags", bad(&project(), &[], &sets));
}

#[test]
fn the_overlay_of_a_branch_lies_between_the_profiles_and_what_is_mine() {
    let overlay = |replicas: u32, mode: &str| {
        format!("services: {{ order: {{ replicas: {replicas}, env: {{ {mode}: here }} }} }}\n")
    };
    let files = project()
        .file(".devenv/branches/feature/cart.yaml", &overlay(4, "BRANCH"))
        .file(
            "devenv.local.yaml",
            "services: { order: { replicas: 5 } }\n",
        );
    let on = |branch: Option<&str>| {
        let request = crate::manifest::Request {
            directory: crate::manifest::testing::DIRECTORY.into(),
            branch: branch.map(|branch| branch.parse().unwrap()),
            ..crate::manifest::Request::default()
        };
        let loaded = crate::manifest::load(&request, &files).map_err(|f| render(&f));
        let order = &loaded.unwrap().written["services"]["order"];
        (order["replicas"].clone(), order["env"]["BRANCH"].clone())
    };
    assert_eq!(on(Some("feature/cart")), (5.into(), "here".into()));
    assert_eq!(on(Some("main")), (5.into(), serde_json::Value::Null));
    assert_eq!(on(None), (5.into(), serde_json::Value::Null));
}
