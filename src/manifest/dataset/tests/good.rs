//! Good datasets: what they come to.

use super::{good, project};
use crate::{
    domain::{DataAction, DataText, DatasetChain, HttpMethod},
    manifest::{dataset::list, testing::MemoryFiles},
};

const EVERYTHING: &str = include_str!("../../../../tests/fixtures/datasets/good/everything.yaml");

#[test]
fn a_dataset_with_every_key_resolves() {
    let chain = good(&project(EVERYTHING), "limit");
    assert_eq!(chain.below.len(), 1);
    let mut top = chain.top;
    let steps = std::mem::take(&mut top.steps);
    let checks = std::mem::take(&mut top.checks);
    insta::assert_debug_snapshot!("dataset", top);
    insta::assert_debug_snapshot!("steps", steps);
    insta::assert_debug_snapshot!("checks", checks);
}

#[test]
fn steps_and_checks_have_titles_places_and_files() {
    let chain = good(&project(EVERYTHING), "limit");
    let file = |step: &crate::domain::DataStep| {
        let file = step.file().map(|file| file.path.display().to_string());
        file.map_or_else(String::new, |file| format!(" <- {file}"))
    };
    let steps = chain.top.steps.iter();
    let steps = steps.map(|step| format!("{} {}{}", step.place, step.title(), file(step)));
    let checks = chain.top.checks.iter();
    let checks = checks.map(|check| format!("{} {}", check.place, check.title()));
    let lines: Vec<String> = steps.chain(checks).collect();
    insta::assert_snapshot!("titles", lines.join("\n"));
}

fn of_steps(steps: &str) -> DatasetChain {
    good(&project(&format!("steps: [{steps}]")), "limit")
}

#[test]
fn the_method_follows_from_the_body_unless_it_is_named() {
    for (http, method) in [
        ("path: /", HttpMethod::Get),
        ("path: /, body: x", HttpMethod::Post),
        ("path: /, bodyFile: user.json", HttpMethod::Post),
        ("path: /, body: x, method: PATCH", HttpMethod::Patch),
    ] {
        let chain = of_steps(&format!("{{ service: gateway, http: {{ {http} }} }}"));
        let DataAction::Http(request) = &chain.top.steps[0].action else {
            panic!("a request")
        };
        // The first port takes UDP.
        assert_eq!(
            (request.method, request.port.get()),
            (method, 8080),
            "{http}"
        );
    }
}

#[test]
fn a_file_that_is_no_template_is_taken_as_it_is() {
    let chain =
        of_steps("{ service: redis, redis: binary.redis }, { service: redis, redis: keys.redis }");
    assert_eq!(chain.top.steps.len(), 2);
}

#[test]
fn the_whole_directory_of_a_dataset_can_be_copied() {
    let text = "steps: [{ service: inventory, files: ., to: /data/all }]\n";
    let files = project("").file("datasets/base/dataset.yaml", text);
    let chain = good(&files, "base");
    assert_eq!(chain.top.steps[0].title(), "files .");
    let files: Vec<String> = chain.top.files().map(ToString::to_string).collect();
    assert_eq!(files, ["."]);
}

#[test]
fn a_variable_alone_keeps_the_type_it_was_written_with() {
    let text = |written: &str| {
        let text = format!(
            "variables: {{ v: {written} }}\nsteps: [{{ service: gateway, http: {{ path: /, expect: '${{v}}' }} }}]\n"
        );
        project(&text)
    };
    assert_eq!(good(&text("204"), "limit").top.steps.len(), 1);
    let said = super::bad(&text("'204'"), "limit");
    assert!(
        said.contains("must be a whole number from 100 to 599"),
        "{said}"
    );
}

#[test]
fn anchors_and_merge_keys_spare_writing_a_login_twice() {
    let text = "steps:\n\
                \x20 - &orders { service: postgres, user: shop, database: shop, sql: orders.sql }\n\
                \x20 - { <<: *orders, sql: { text: vacuum } }\n";
    let chain = good(&project(text), "limit");
    let DataAction::Sql {
        database,
        statements,
    } = &chain.top.steps[1].action
    else {
        panic!("statements")
    };
    assert_eq!(database.user.as_deref(), Some("shop"));
    assert_eq!(statements, &DataText::Inline("vacuum".to_owned()));
}

#[test]
fn the_list_of_datasets_keeps_the_broken_ones_apart() {
    let files = project(EVERYTHING)
        .file("datasets/Old/dataset.yaml", "")
        .file("datasets/README.md", "")
        .file("datasets/notes/read.me", "")
        .file(
            "datasets/elsewhere/dataset.yaml",
            "steps: [{ service: nobody, command: [ls] }]",
        )
        .file("datasets/lost/dataset.yaml", "extends: bse\n")
        .file("datasets/lost-too/dataset.yaml", "extends: lost\n")
        .file("datasets/old/dataset.yaml", "snapshot: yesterday\n");
    let catalogue = list(&files).unwrap();
    let good: Vec<String> = catalogue
        .good
        .iter()
        .map(|listed| format!("{} {:?} {:?}", listed.name, listed.base, listed.description))
        .collect();
    assert_eq!(
        good,
        [
            "base Empty Some(\"Below all.\")",
            "elsewhere Empty None",
            "limit Dataset(DatasetName(\"base\")) Some(\"Checkout with stock at its limit.\")",
            "old Snapshot(SnapshotName(\"yesterday\")) None",
        ]
    );
    let broken: Vec<String> = catalogue
        .broken
        .iter()
        .map(|broken| {
            let codes: Vec<&str> = broken.failures.iter().map(|f| f.code.0).collect();
            format!("{} {}", broken.name, codes.join(" "))
        })
        .collect();
    assert_eq!(
        broken,
        [
            "Old dataset.invalid-name",
            "lost dataset.not-found",
            "lost-too dataset.not-found",
        ]
    );
}

#[test]
fn a_project_without_datasets_has_an_empty_list() {
    let files = MemoryFiles::with_manifest(super::MANIFEST);
    assert_eq!(
        list(&files).unwrap(),
        crate::manifest::dataset::Catalogue::default()
    );
}
