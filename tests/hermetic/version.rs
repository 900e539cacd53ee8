//! `devenv version`: the cheapest command, and what all commands have in common.

use std::time::{Duration, Instant};

use crate::support::TestEnvironment;

#[test]
fn it_prints_the_version_and_nothing_else() {
    let output = TestEnvironment::new().devenv(["version"]);
    assert_eq!(
        output.to_string(),
        format!("devenv {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn json_is_one_document_with_its_schema() {
    let output = TestEnvironment::new().devenv(["version", "-o", "json"]);
    assert_eq!(output.code, Some(0), "{output}");
    let document = output.document();
    assert_eq!(document["schema"], "devenv.version/1");
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(output.stderr, "");
}

#[test]
fn a_flag_can_be_given_by_its_variable() {
    let mut environment = TestEnvironment::new();
    environment.set("DEVENV_OUTPUT", "yaml");
    let output = environment.devenv(["version"]);
    assert!(
        output.stdout.starts_with("schema: devenv.version/1\n"),
        "{output}"
    );
}

#[test]
fn it_works_without_a_home_and_with_broken_settings() {
    let mut environment = TestEnvironment::new();
    environment.write_home(".config/devenv/config.yaml", "nonsense: [");
    assert_eq!(environment.devenv(["version"]).code, Some(0));
    environment.set("HOME", "");
    assert_eq!(environment.devenv(["version"]).code, Some(0));
}

#[test]
fn a_closed_standard_output_is_no_noise() {
    let environment = TestEnvironment::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = environment
        .command()
        .arg("version")
        .stdout(writer)
        .output()
        .expect("the program can be started");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// How long a start may take. An unoptimised program on a busy machine is given more.
const fn bound() -> Duration {
    Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 10 })
}

#[test]
fn it_answers_before_one_notices() {
    let environment = TestEnvironment::new();
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(environment.devenv(["version"]).code, Some(0));
            started.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    assert!(median <= bound(), "{times:?}");
}
