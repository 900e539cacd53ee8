//! `devenv init`: a first manifest, and the mending of one.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::TestEnvironment;

const COMPOSE: &str = "services:\n  db:\n    image: postgres:17\n    environment: { POSTGRES_PASSWORD: hunter2 }\n    ports: [\"5432:5432\"]\n";

#[test]
fn a_compose_file_becomes_a_manifest_and_its_secrets_stay_private() {
    let environment = TestEnvironment::new();
    environment.write_project("compose.yaml", COMPOSE);
    environment.write_project(".git/HEAD", "");
    insta::assert_snapshot!(environment.devenv(["init"]), @r"
    ✓ created devenv.yaml
    ✓ created .gitignore
    ✓ created .devenv/devenv.schema.json
    ✓ created .env.db

    services: db

    not converted; each stands as a comment in its place:
    ! db: ports: 5432 is not published on this machine
        services reach it as db:5432

    next:
      devenv up
    ");
    let manifest = environment.read_project("devenv.yaml");
    assert!(
        manifest.contains("secrets: [\".env.db\"]") && !manifest.contains("hunter2"),
        "{manifest}"
    );
    assert_eq!(
        environment.read_project(".gitignore"),
        "/devenv.local.yaml\n/.env.db\n"
    );
    let secret = environment.project().join(".env.db");
    let mode = secret
        .metadata()
        .expect("it was written")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = environment.devenv(["init", "-o", "json"]);
    assert_eq!(again.code, Some(2), "{again}");
    assert_eq!(again.document()["failures"][0]["code"], "init.exists");
    assert_eq!(environment.read_project("devenv.yaml"), manifest);
}

#[test]
fn a_project_with_nothing_in_it_gets_an_example() {
    let environment = TestEnvironment::new();
    let output = environment.devenv(["init", "-o", "json"]);
    assert_eq!(output.code, Some(0), "{output}");
    let document = output.document();
    assert_eq!(document["schema"], "devenv.init/1");
    assert_eq!(document["services"].as_array().map(Vec::len), Some(0));
    assert!(
        environment
            .read_project("devenv.yaml")
            .contains("# services:\n")
    );
    assert_eq!(environment.devenv(["init", "--fix"]).code, Some(0));
}

#[test]
fn slips_are_mended_and_the_rest_is_shown() {
    let environment = TestEnvironment::new();
    let text = "apiVersion: devenv/v1\nname: a\nservices:\n  db: { imag: \"postgres\" } # mine\n  x: { banana: 1, image: y }\n";
    environment.write_project("devenv.yaml", text);
    let dry = environment.devenv(["init", "--fix", "--dry-run"]);
    assert_eq!(dry.code, Some(3), "{dry}");
    assert_eq!(environment.read_project("devenv.yaml"), text);
    insta::assert_snapshot!(environment.devenv(["init", "--fix"]), @r#"
    ✓ updated devenv.yaml
    4: db: { imag: "postgres" } # mine → db: { image: "postgres" } # mine
    ------- stderr -------
    error[manifest.unknown-key]: `services.x.banana` is not a known key
      ╭─▸ devenv.yaml:5:8
      │
    5 │   x: { banana: 1, image: y }
      │        ━━━━━━
      ╵
      try:
        allowed here: `args`, `autoscale`, `build`, `chart`, `command`, `debug`, `dependsOn`, `env`, `expose`, `image`, `labels`, `live`, `manifests`, `ports`, `quiesce`, `ready`, `replicas`, `resources`, `secrets`, `volumes`
    [exit code: 3]
    "#);
    assert_eq!(
        environment.read_project("devenv.yaml"),
        text.replace("imag:", "image:")
    );
}
