//! `devenv doctor`: what is wrong is found without a cluster, and docs/doctor.md explains it.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    ports::hold_port,
    sources,
    support::{CommandOutput, TestEnvironment},
};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
cluster: { ports: { http: HTTP, https: HTTPS }, registry: { port: REGISTRY } }
services:
  web: { image: 'notes/web:1', expose: [{ host: notes.localhost, port: 80 }], ports: [80] }
";

/// A machine with the tools, where nothing listens for docker.
fn machine() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.fake_tool("k3d", "echo k3d version v5.8.3");
    environment.fake_tool("helm", "echo v3.17.0");
    let socket = environment.home().join("docker.sock");
    environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    environment
}

/// Ports that nobody has, held until the guards are dropped.
fn ports() -> [TcpListener; 3] {
    [(); 3].map(|()| hold_port())
}

fn write_manifest(environment: &TestEnvironment, ports: &[TcpListener; 3]) {
    let mut text = MANIFEST.to_owned();
    for (word, port) in ["HTTP,", "HTTPS ", "REGISTRY "].into_iter().zip(ports) {
        let number = port.local_addr().expect("it is bound").port().to_string();
        text = text.replace(word, &format!("{number}{}", &word[word.len() - 1..]));
    }
    environment.write_project("devenv.yaml", &text);
}

/// The findings of a run, by id.
fn found(output: &CommandOutput, id: &str) -> Vec<serde_json::Value> {
    let document = output.document();
    assert_eq!(document["schema"], "devenv.doctor/1");
    let findings = document["findings"].as_array().expect("a list");
    let with_id = findings.iter().filter(|finding| finding["id"] == id);
    with_id.cloned().collect()
}

fn one(output: &CommandOutput, id: &str) -> serde_json::Value {
    let found = found(output, id);
    assert_eq!(found.len(), 1, "{id}\n{output}");
    found[0].clone()
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn without_a_project_and_without_docker_the_machine_is_looked_at() {
    let environment = machine();
    let output = environment.devenv(["doctor", "-o", "json"]);
    assert_eq!(output.code, Some(4), "{output}");
    let docker = one(&output, "docker.not-running");
    assert_eq!(docker["severity"], "problem");
    assert!(text(&docker["fix"][0]).contains("sudo systemctl start docker"));
    assert_eq!(one(&output, "doctor.not-looked-at")["severity"], "note");
    assert_eq!(found(&output, "tools").len(), 2, "{output}");
    assert!(text(&one(&output, "manifest")["what"]).starts_with("there is no project here"));
    assert_eq!(output.document()["environment"], serde_json::Value::Null);
    let shown = environment.devenv(["doctor"]);
    assert!(shown.stdout.contains("\n✓ k3d 5.8.3 is there\n"), "{shown}");
    assert!(
        shown
            .stdout
            .contains("\nproblem[docker.not-running]: the docker engine is not running\n"),
        "{shown}"
    );
}

#[test]
fn an_engine_that_never_answers_holds_it_up_for_no_more_than_its_time() {
    let environment = machine();
    let _silent = UnixListener::bind(environment.home().join("docker.sock")).expect("a socket");
    let started = Instant::now();
    let output = environment.devenv(["doctor", "-o", "json"]);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let docker = one(&output, "docker.no-answer");
    assert!(
        text(&docker["why"][0]).contains("said nothing for 3 s"),
        "{docker}"
    );
}

#[test]
fn tools_are_missing_old_silent_or_not_what_the_project_asks_for() {
    let environment = machine();
    let tool = |name: &str, script: &str| {
        environment.fake_tool(name, script);
        environment.devenv(["doctor", "-o", "json"])
    };
    assert_eq!(
        one(&tool("helm", "echo v3.2.1"), "tool.old")["severity"],
        "warning"
    );
    let started = Instant::now();
    let late = one(&tool("k3d", "sleep 60"), "doctor.late");
    assert_eq!(late["what"], "k3d did not answer within 3 s");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );

    let output = tool("k3d", "echo k3d version v5.8.3");
    assert!(found(&output, "doctor.late").is_empty(), "{output}");
    environment.write_project("devenv.yaml", "apiVersion: devenv/v1\nname: a\nrequires: { helm: '>=3.15' }\nservices: { a: { image: b } }\n");
    let output = environment.devenv(["doctor", "-o", "json"]);
    let wanted = one(&output, "tool.version");
    assert_eq!(
        (&wanted["severity"], &wanted["place"]["line"]),
        (&"problem".into(), &3.into())
    );

    let bare = TestEnvironment::new();
    let output = bare.devenv(["doctor", "-o", "json"]);
    let missing = found(&output, "tool.missing");
    assert_eq!(missing.len(), 2, "{output}");
}

#[test]
fn a_manifest_that_is_wrong_is_a_finding_among_others() {
    let environment = machine();
    environment.write_project(
        "devenv.yaml",
        "apiVersion: devenv/v1\nname: a\nservices: { a: { imag: b } }\n",
    );
    let output = environment.devenv(["doctor", "-o", "json"]);
    assert_eq!(output.code, Some(4), "{output}");
    let slip = one(&output, "manifest.unknown-key");
    assert_eq!(slip["place"]["file"], "devenv.yaml");
    assert_eq!(found(&output, "memory").len(), 1, "{output}");
    let shown = environment.devenv(["doctor"]);
    assert!(shown.stdout.contains("devenv.yaml:3:"), "{shown}");
}

#[test]
fn a_port_that_is_taken_names_who_has_it() {
    let environment = machine();
    let taken = ports();
    write_manifest(&environment, &taken);
    let output = environment.devenv(["doctor", "-o", "json"]);
    let findings = found(&output, "cluster.port-in-use");
    assert_eq!(findings.len(), 3, "{output}");
    let process = format!("process {} holds it: ", std::process::id());
    for finding in &findings {
        assert!(text(&finding["why"][0]).starts_with(&process), "{finding}");
        assert_eq!(finding["place"]["line"], 3);
    }
    drop(taken);
    let output = environment.devenv(["doctor", "-o", "json"]);
    assert_eq!(found(&output, "ports").len(), 1, "{output}");
    let id = output.document()["environment"].clone();
    assert!(text(&id).starts_with("notes-"), "{id}");
    let names = found(&output, "names").len() + found(&output, "names.own").len();
    assert!(names >= 1, "{output}");
}

/// The ids that findings are made of.
fn used() -> BTreeSet<String> {
    let all = sources::all();
    let code = all.iter().map(|source| source.code.as_str());
    let calls = code.flat_map(|code| {
        let makers = ["Finding::note(", "Finding::warning(", "Finding::problem("];
        makers
            .into_iter()
            .flat_map(|maker| code.split(maker).skip(1))
    });
    calls
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_finding_is_explained_once_and_what_is_explained_exists() {
    let pages = ["docs/doctor.md", "docs/validate.md"].map(|page| sources::text(Path::new(page)));
    let explained: Vec<String> = pages
        .iter()
        .flat_map(|page| page.lines())
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let once: BTreeSet<String> = explained.iter().cloned().collect();
    assert_eq!(explained.len(), once.len(), "one is explained twice");
    assert_eq!(used(), once);
    assert!(once.len() > 30, "the test looks at the wrong places");
}
