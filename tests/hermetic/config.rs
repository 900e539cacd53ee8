//! `devenv config`: the manifest by its keys.

use std::{os::unix::fs::PermissionsExt as _, thread};

use crate::support::{CommandOutput, TestEnvironment};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
defaults: { env: { LOG_LEVEL: info } }
services:
  # What people see.
  web:
    image: notes/web:1.10   # pinned
    ports: [80]
  store: { image: 'redis:7', replicas: 2 }
";

fn project() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.write_project("devenv.yaml", MANIFEST);
    environment.write_project(
        "profiles/load.yaml",
        "description: Much.\nservices: { web: { replicas: 4 } }\n",
    );
    environment
}

#[test]
fn a_value_is_printed_as_scripts_and_people_want_it() {
    let environment = project();
    insta::assert_snapshot!(environment.devenv(["config", "get", "services.store.replicas"]), @"2");
    insta::assert_snapshot!(environment.devenv(["config", "get", "services.web"]), @r#"
    env:
      LOG_LEVEL: info
    image: notes/web:1.10
    ports:
    - port: 80
    "#);
    insta::assert_snapshot!(environment.devenv(["config", "get", "kubernetes.version"]), @"1.35");
    let document = environment
        .devenv([
            "config",
            "get",
            "services.web.replicas",
            "-p",
            "load",
            "-o",
            "json",
        ])
        .document();
    assert_eq!(document["schema"], "devenv.config-get/1");
    assert_eq!(document["value"], 4);
}

#[test]
fn a_value_is_explained_by_all_who_write_it() {
    let environment = project();
    environment.write_project(
        "devenv.local.yaml",
        "services:\n  web:\n    replicas: 1\n    env: { LOG_LEVEL: debug }\n",
    );
    let explain = |key: &str| environment.devenv(["config", "explain", key, "-p", "load"]);
    insta::assert_snapshot!(explain("services.web.replicas"), @r#"
    services.web.replicas = 1
    How many pods.

    WHERE                 VALUE
    devenv.local.yaml:3   1      has the last word
    profiles/load.yaml:2  4
    built in              1
    "#);
    insta::assert_snapshot!(explain("services.web.env.LOG_LEVEL"), @r#"
    services.web.env.LOG_LEVEL = debug

    WHERE                VALUE
    devenv.local.yaml:4  debug  has the last word
    devenv.yaml:3        info   by defaults.env.LOG_LEVEL
    "#);
    insta::assert_snapshot!(explain("services.web.command"), @r#"
    services.web.command = nothing
    Replaces the image's entrypoint.

    no layer sets it, and nothing is built in
    "#);
    insta::assert_snapshot!(explain("services.web.replica"), @r#"
    ------- stderr -------
    error[config.unknown-key]: there is no key `services.web.replica`
      try:
        did you mean `replicas`?
        allowed here: `build`, `image`, `chart`, `manifests`, `command`, `args`, `ports`, `expose`, `env`, `labels`, `secrets`, `dependsOn`, `ready`, `volumes`, `resources`, `replicas`, `autoscale`, `live`, `debug`, `quiesce`
    [exit code: 2]
    "#);
}

#[test]
fn a_value_is_changed_in_place_and_what_comes_next_is_told() {
    let environment = project();
    let path = environment.project().join("devenv.yaml");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, private).expect("it is ours");
    insta::assert_snapshot!(environment.devenv(["config", "set", "services.store.replicas=3", "kubernetes.version=1.34"]), @r#"
    ✓ services.store.replicas: 2 → 3   devenv.yaml
    ✓ cluster.kubernetes: 1.35 → 1.34   devenv.yaml

    next:
      devenv up
    "#);
    let expected = MANIFEST.replace("replicas: 2", "replicas: 3");
    let text = environment.read_project("devenv.yaml");
    assert_eq!(text, format!("{expected}cluster:\n  kubernetes: 1.34\n"));
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    insta::assert_snapshot!(environment.devenv(["config", "set", "services.web.replicas=2", "--layer", "load"]), @r#"
    ✓ services.web.replicas: 4 → 2   profiles/load.yaml

    next:
      devenv up
    "#);
    assert_eq!(
        environment.read_project("profiles/load.yaml"),
        "description: Much.\nservices: { web: { replicas: 2 } }\n"
    );
    insta::assert_snapshot!(environment.devenv(["config", "unset", "cluster.kubernetes"]), @r#"
    ✓ cluster.kubernetes: 1.34 → 1.35   devenv.yaml

    next:
      devenv up
    "#);
    assert_eq!(environment.read_project("devenv.yaml"), expected);
}

#[test]
fn what_would_not_be_good_is_not_written() {
    let environment = project();
    let set = |assignment: &str| environment.devenv(["config", "set", assignment]);
    insta::assert_snapshot!(set("services.store.replicas=many"), @r#"
    ------- stderr -------
    error[manifest.wrong-type]: `services.store.replicas` must be a whole number from 0 to 1000, not
        the text `many`
      ╭─▸ devenv.yaml:9:40
      │
    9 │   store: { image: 'redis:7', replicas: many }
      │                                        ━━━━
      ╵
      try:
        nothing was written; the line is shown as it would be
    [exit code: 3]
    "#);
    insta::assert_snapshot!(set("services.web.dependsOn=[stor]"), @r#"
    ------- stderr -------
    error[manifest.unknown-service]: `services.web.dependsOn[0]` names a service that does not
        exist: `stor`
      ╭─▸ devenv.yaml:9:17
      │
    9 │     dependsOn: [stor]
      │                 ━━━━
      ╵
      try:
        did you mean `store`?
        services: `store`, `web`
        nothing was written; the line is shown as it would be
    [exit code: 3]
    "#);
    insta::assert_snapshot!(set("services.store.image.tag=8"), @r#"
    ------- stderr -------
    error[config.key]: `services.store.image.tag` goes into `services.store.image`, which is the
        text `redis:7` in this file
      why:   devenv.yaml is the file to be changed
      try:
        what is written in its short form is set as a whole: 'services.order.build={context: order, target: dev}'
    [exit code: 2]
    "#);
    insta::assert_snapshot!(set("servces.store.replicas=1"), @r#"
    ------- stderr -------
    error[config.unknown-key]: there is no key `servces.store.replicas`
      try:
        did you mean `services`?
        allowed here: `apiVersion`, `name`, `requires`, `cluster`, `defaults`, `services`, `tasks`, `hooks`, `snapshots`
    [exit code: 2]
    "#);
    assert_eq!(environment.read_project("devenv.yaml"), MANIFEST);
}

#[test]
fn the_manifest_is_shown_whole_or_by_layer() {
    let environment = project();
    insta::assert_snapshot!(environment.devenv(["config", "show", "-p", "load"]), @r#"
    apiVersion: devenv/v1
    name: notes
    defaults:
      env:
        LOG_LEVEL: info
    services:
      web:
        env:
          LOG_LEVEL: info
        image: notes/web:1.10
        ports:
        - port: 80
        replicas: 4
      store:
        env:
          LOG_LEVEL: info
        image: redis:7
        replicas: 2
    "#);
    insta::assert_snapshot!(environment.devenv(["config", "show", "--layer", "load"]), @r#"
    services:
      web:
        replicas: 4
    "#);
    insta::assert_snapshot!(environment.devenv(["config", "show", "--layer", "local"]), @r#"
    ------- stderr -------
    error[config.no-layer]: there is nothing in the layer local
      why:   devenv.local.yaml is not there, or empty
      try:
        devenv config set --layer local KEY=VALUE
    [exit code: 2]
    "#);
}

#[test]
fn mistakes_of_the_manifest_of_profiles_and_of_datasets_are_found_at_once() {
    let environment = project();
    insta::assert_snapshot!(environment.devenv(["config", "validate"]), @"✓ devenv.yaml is good, with 1 profile and 0 datasets");
    environment.write_project(
        "profiles/broken.yaml",
        "services: { web: { replcas: 1 } }\n",
    );
    environment.write_project(
        "datasets/base/dataset.yaml",
        "steps:\n  - { service: nobody, command: [true] }\n",
    );
    let output = environment.devenv(["config", "validate"]);
    assert_eq!(output.code, Some(3), "{output}");
    insta::assert_snapshot!(output, @r#"
    ------- stderr -------
    error[manifest.unknown-key]: `services.web.replcas` is not a known key
      ╭─▸ profiles/broken.yaml:1:20
      │
    1 │ services: { web: { replcas: 1 } }
      │                    ━━━━━━━
      ╵
      try:
        did you mean `replicas`?
        allowed here: `args`, `autoscale`, `build`, `chart`, `command`, `debug`, `dependsOn`, `env`, `expose`, `image`, `labels`, `live`, `manifests`, `ports`, `quiesce`, `ready`, `replicas`, `resources`, `secrets`, `volumes`

    error[manifest.unknown-service]: `steps[0].service` names a service that does not exist:
        `nobody`
      ╭─▸ datasets/base/dataset.yaml:2:16
      │
    2 │   - { service: nobody, command: [true] }
      │                ━━━━━━
      ╵
      try:
        services: `store`, `web`

    2 errors in 2 files
    [exit code: 3]
    "#);
}

#[test]
fn the_schemas_are_those_of_editors() {
    let environment = TestEnvironment::new();
    for kind in ["manifest", "dataset", "sanitize", "policy"] {
        let output = environment.devenv(["config", "schema", kind]);
        let schema: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert!(schema["properties"].is_object(), "{output}");
    }
}

/// Would be seen wherever it came through.
const CANARY: &str = "c4n4ry-in-the-mine";

fn with_store_env(env: &str) -> String {
    MANIFEST.replace("replicas: 2 }", &format!("replicas: 2, env: {env} }}"))
}

#[test]
fn passwords_and_tokens_are_shown_to_nobody_who_did_not_ask_for_them() {
    let environment = project();
    environment.write_project(
        "devenv.yaml",
        &with_store_env(&format!(
            "{{ API_TOKEN: {CANARY}, QUEUE: 'amqp://me:{CANARY}@queue/a', PIN_FILE: /pin }}"
        )),
    );
    insta::assert_snapshot!(environment.devenv(["config", "get", "services.store.env"]), @r#"
    LOG_LEVEL: info
    API_TOKEN: "[redacted]"
    QUEUE: amqp://me:[redacted]@queue/a
    PIN_FILE: /pin
    "#);
    insta::assert_snapshot!(
        environment.devenv(["config", "explain", "services.store.env.API_TOKEN"]), @r"
    services.store.env.API_TOKEN = [redacted]

    WHERE          VALUE
    devenv.yaml:9  [redacted]  has the last word
    ");
    let change = format!("services.store.env.API_TOKEN={CANARY}-2");
    insta::assert_snapshot!(environment.devenv(["config", "set", &change]), @r"
    ✓ services.store.env.API_TOKEN: [redacted] → [redacted]   devenv.yaml

    next:
      devenv up
    ");
    for command in [
        &["config", "show"][..],
        &["config", "show", "-o", "json"],
        &["config", "show", "--layer", "manifest"],
        &["config", "get", "services.store.env.API_TOKEN"],
        &["config", "explain", "services.store", "-o", "json"],
        &["plan", "-v"],
    ] {
        let ended = environment.devenv(command);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!told.contains(CANARY), "{command:?}: {told}");
    }
    let revealed =
        environment.devenv(["config", "get", "services.store.env.API_TOKEN", "--reveal"]);
    assert_eq!(revealed.stdout, format!("{CANARY}-2\n"));
    assert!(environment.read_project("devenv.yaml").contains(CANARY));
}

#[test]
fn a_line_of_the_manifest_is_shown_without_its_secrets() {
    let environment = project();
    environment.write_project(
        "devenv.yaml",
        &with_store_env(&format!("{{ API_TOKEN: {CANARY}, LEVEL: [x] }}")),
    );
    let refused = environment.devenv(["config", "validate"]);
    insta::assert_snapshot!(refused, @r"
    ------- stderr -------
    error[manifest.wrong-type]: `services.store.env.LEVEL` must be a text, a number or
        `true`/`false`, not a list
      ╭─▸ devenv.yaml:9:81
      │
    9 │   store: { image: 'redis:7', replicas: 2, env: { API_TOKEN: ******************, LEVEL: [x] } }
      │                                                                                 ━━━━━
      ╵
    [exit code: 3]
    ");
}

#[track_caller]
fn good(output: &CommandOutput) {
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn a_branch_has_a_layer_of_its_own_that_comes_and_goes_with_it() {
    let environment = project();
    let set = [
        "config",
        "set",
        "services.web.replicas=5",
        "--layer",
        "branch",
    ];
    let refused = environment.devenv(set);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("error[config.no-branch]"),
        "{refused}"
    );
    let check_out = |branch: &str| {
        let head = format!("ref: refs/heads/{branch}\n");
        environment.write_project(".git/HEAD", &head);
    };
    check_out("feature/cart");
    good(&environment.devenv(set));
    let replicas = || {
        let get = environment.devenv(["config", "get", "services.web.replicas", "-p", "load"]);
        good(&get);
        get.stdout.trim().to_owned()
    };
    assert_eq!(replicas(), "5");
    let explained =
        environment.devenv(["config", "explain", "services.web.replicas", "-p", "load"]);
    assert!(
        explained
            .stdout
            .contains(".devenv/branches/feature/cart.yaml:"),
        "{explained}"
    );
    let shown = environment.devenv(["config", "show", "--layer", "branch"]);
    assert_eq!(
        shown.stdout, "services:\n  web:\n    replicas: 5\n",
        "{shown}"
    );
    check_out("main");
    assert_eq!(replicas(), "4");
    // A name that leads out of the directory of the overlays names none.
    environment.write_project(
        ".devenv/escaped.yaml",
        "services: { web: { replicas: 6 } }\n",
    );
    check_out("../escaped");
    assert_eq!(replicas(), "4");
}

#[test]
fn of_changes_at_the_same_moment_none_is_lost() {
    let environment = project();
    let variables: Vec<String> = (0..8).map(|n| format!("V{n}")).collect();
    thread::scope(|scope| {
        for variable in &variables {
            let environment = &environment;
            scope.spawn(move || {
                let set = format!("services.web.env.{variable}=set");
                good(&environment.devenv(["config", "set", &set]));
            });
        }
    });
    let shown = environment.devenv(["config", "get", "services.web.env"]);
    for variable in &variables {
        assert!(
            shown.stdout.contains(&format!("{variable}: set")),
            "{shown}"
        );
    }
    assert!(
        environment
            .read_project("devenv.yaml")
            .contains("# What people see.")
    );
}
