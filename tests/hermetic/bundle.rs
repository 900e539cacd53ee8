//! `devenv doctor --bundle`: what can be had goes into one file, whatever is broken, and no secret does.

use std::{collections::BTreeMap, io::Read as _, os::unix::fs::PermissionsExt as _};

use crate::support::{CommandOutput, TestEnvironment};

/// What must be nowhere.
const CANARIES: [&str; 6] = [
    "canary-of-a-file",
    "canary-of-a-name",
    "canary-of-a-url",
    "canary-of-an-argument",
    "canary-of-a-flag",
    "canary-of-the-settings",
];
const MANIFEST: &str = "apiVersion: devenv/v1
name: shop
services:
  web:
    build: { context: web, args: { NPM_TOKEN: canary-of-an-argument } }
    env: { API_TOKEN: canary-of-a-name, DATABASE: 'postgres://shop:canary-of-a-url@db/shop', COLOUR: red }
    secrets: [.env.web]
";

fn machine() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.fake_tool("k3d", "echo k3d version v5.8.3");
    environment.fake_tool("helm", "echo v3.17.0");
    environment.set("DOCKER_HOST", "unix:///nowhere");
    environment
}

/// The files of the archive, by their paths.
fn unpacked(environment: &TestEnvironment, name: &str) -> BTreeMap<String, String> {
    let path = environment.project().join(name);
    let about = path.metadata().expect("it was written");
    assert_eq!(about.permissions().mode() & 0o7777, 0o600);
    let file = std::fs::File::open(path).expect("it was written");
    let plain = zstd::Decoder::new(file).expect("zstd");
    let mut archive = tar::Archive::new(plain);
    let entries = archive.entries().expect("a tar archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            let path = entry.path().expect("a path").display().to_string();
            let (_, path) = path.split_once('/').expect("one directory");
            (path.to_owned(), text)
        })
        .collect()
}

fn missing(output: &CommandOutput) -> String {
    output.document()["bundle"]["missing"].to_string()
}

#[test]
fn without_docker_there_is_what_this_machine_knows_and_no_secret() {
    let environment = machine();
    environment.write_project("devenv.yaml", MANIFEST);
    environment.write_project(".env.web", "ANYTHING=canary-of-a-file\n");
    environment.write_project("web/Dockerfile", "FROM scratch\n");
    let settings = "binaries: { kubectl: 'https://ann:canary-of-the-settings@host/' }\n";
    environment.write_home(".config/devenv/config.yaml", settings);
    let up = [
        "up",
        "--no-session",
        "--set",
        "services.web.env.PASSWORD=canary-of-a-flag",
    ];
    assert_eq!(environment.devenv(up).code, Some(4));
    let output = environment.devenv(["doctor", "--bundle", "a.tar.zst", "-o", "json"]);
    assert_eq!(output.code, Some(4), "{output}");
    let files = unpacked(&environment, "a.tar.zst");
    let listed = &output.document()["bundle"]["entries"];
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), files.len(), "{output}");
    for entry in listed {
        let path = entry["path"].as_str().expect("a path");
        assert_eq!(entry["bytes"], files[path].len(), "{path}");
    }
    for (path, word) in [
        ("about.txt", "docker.not-running"),
        ("version.json", "devenv.version/1"),
        ("doctor.json", "k3d 5.8.3"),
        ("config.json", "red"),
        ("settings.yaml", "binaries"),
    ] {
        assert!(files[path].contains(word), "{path}: {files:#?}");
    }
    assert_eq!(
        files
            .keys()
            .filter(|path| path.starts_with("journal/"))
            .count(),
        1
    );
    for what in ["plan", "status", "warnings", "last lines"] {
        assert!(missing(&output).contains(what), "{output}");
    }
    for canary in CANARIES {
        let told = format!("{output}{files:#?}");
        assert!(!told.contains(canary), "{canary}: {told}");
    }
    let again = environment.devenv(["doctor", "--bundle", "a.tar.zst", "-o", "json"]);
    assert_eq!(again.document()["failures"][0]["code"], "files.exists");
    assert_eq!(unpacked(&environment, "a.tar.zst"), files);
}

#[test]
fn with_a_manifest_and_settings_that_are_wrong_the_journals_are_there() {
    let environment = machine();
    environment.write_project(
        "devenv.yaml",
        &MANIFEST.replace("build:", "image: nginx:1 #"),
    );
    environment.write_project(".env.web", "ANYTHING=canary-of-a-file\n");
    assert_eq!(environment.devenv(["up", "--no-session"]).code, Some(4));
    // As the first cluster of an environment leaves it.
    let states = environment.home().join(".local/state/devenv");
    let mut ids = std::fs::read_dir(states).expect("it has begun");
    let id = ids.next().expect("one").expect("an entry").file_name();
    let owner = format!(".local/share/devenv/{}/project.json", id.display());
    let project = serde_json::json!({ "directory": environment.project() });
    environment.write_home(&owner, &project.to_string());
    environment.write_project("devenv.yaml", &MANIFEST.replace("build:", "biuld:"));
    environment.write_home(".config/devenv/config.yaml", "binaries: { k3dd: x }\n");
    let output = environment.devenv(["doctor", "--bundle", "b.tar.zst", "-o", "json"]);
    assert_eq!(output.code, Some(4), "{output}");
    let findings = output.document()["findings"].clone();
    let settings = findings.as_array().expect("a list").iter();
    let settings: Vec<_> = settings.filter(|f| f["id"] == "settings.invalid").collect();
    assert_eq!(settings.len(), 1, "{output}");
    assert_eq!(settings[0]["place"]["line"], 1);
    assert_eq!(settings[0]["severity"], "problem");
    let files = unpacked(&environment, "b.tar.zst");
    assert!(files["doctor.json"].contains("manifest.unknown-key"));
    assert_eq!(
        files
            .keys()
            .filter(|path| path.starts_with("journal/"))
            .count(),
        1
    );
    assert!(files["config.json"].contains("biuld"), "as it is written");
    assert!(files["about.txt"].contains("no manifest that can be used"));
    assert!(
        !format!("{files:?}{output}").contains("canary"),
        "{files:#?}"
    );
}
