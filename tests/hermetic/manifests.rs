//! Bad manifests, as the program shows them: refused at once, with all mistakes and what mends each.

use std::time::{Duration, Instant};

use crate::{sources, support::TestEnvironment};

/// The longest that a user may have to wait for the answer.
const LIMIT: Duration = Duration::from_secs(1);
/// Those whose whole text is held in a snapshot: they have every form that a mistake is shown in.
const IN_FULL: [&str; 10] = [
    "anchors",
    "duplicates",
    "empty",
    "other-tool",
    "paths",
    "references",
    "requirements",
    "sources",
    "tabs",
    "unclosed",
];

#[test]
fn ten_bad_manifests_are_refused_at_once_with_place_caret_and_mend() {
    let mut all = String::new();
    for name in IN_FULL {
        let output = refused(name);
        assert_eq!(output.stdout, "", "{name}");
        let rest = output.stderr.as_str();
        assert!(!rest.contains('\x1b'), "{name} is no terminal: {rest}");
        all.push_str(&format!("===== {name}.yaml\n{output}\n"));
    }
    insta::assert_snapshot!("bad_manifests", all);
}

#[test]
fn every_bad_manifest_is_a_document_with_every_mistake_that_is_expected() {
    for (name, expected) in expected() {
        let environment = project(&name);
        let output = environment.devenv(["plan", "-o", "json"]);
        assert_eq!(output.code, Some(3), "{name}: {output}");
        let document = output.document();
        let failures = document["failures"].as_array().expect("failures").iter();
        let shown: String = failures
            .map(|failure| {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
                let place = &failure["place"];
                let place = match place.as_object() {
                    Some(_) => format!(
                        "{}:{}:{}",
                        text(&place["file"]),
                        place["line"],
                        place["column"]
                    ),
                    None => "-".to_owned(),
                };
                format!(
                    "{place} {} {}\n",
                    text(&failure["code"]),
                    text(&failure["what"])
                )
            })
            .collect();
        assert_eq!(shown, expected, "{name}");
    }
}

/// What the program says about a fixture.
fn refused(name: &str) -> crate::support::CommandOutput {
    let environment = project(name);
    let begun = Instant::now();
    let output = environment.devenv(["plan"]);
    let took = begun.elapsed();
    assert!(took < LIMIT, "{name} took {took:?}");
    assert_eq!(output.code, Some(3), "{name}: {output}");
    output
}

/// A project with a bad manifest and what most of them name.
fn project(name: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    let path = format!("tests/fixtures/manifests/bad/{name}.yaml");
    environment.write_project("devenv.yaml", &sources::text(path.as_ref()));
    for context in ["none", "order"] {
        environment.write_project(&format!("services/{context}/Dockerfile"), "");
    }
    environment
}

/// Every fixture by name, with a line for each mistake.
fn expected() -> Vec<(String, String)> {
    let directory = sources::root().join("tests/fixtures/manifests/bad");
    let entries = std::fs::read_dir(directory).expect("the fixtures");
    let paths = entries.map(|entry| entry.expect("a fixture").path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let names = manifests.map(|path| {
        let name = path.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    });
    let fixtures: Vec<(String, String)> = names
        .map(|name| {
            let path = format!("tests/fixtures/manifests/bad/{name}.expected");
            let text = sources::text(path.as_ref());
            // What mends a mistake is indented below it.
            let mistakes = text.lines().filter(|line| !line.starts_with("  "));
            (name, mistakes.map(|line| format!("{line}\n")).collect())
        })
        .collect();
    assert!(fixtures.len() >= 10);
    fixtures
}
