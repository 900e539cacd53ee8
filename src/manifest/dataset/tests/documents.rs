//! The schema and the reference page follow from the types.

use serde_json::{Value, json};

use crate::manifest::{
    dataset::{reference, schema},
    testing::keep_up_to_date,
};

#[test]
fn the_published_schema_is_up_to_date() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    keep_up_to_date("docs/schema/dataset.schema.json", &text);
}

#[test]
fn the_reference_page_is_up_to_date() {
    keep_up_to_date("docs/datasets.md", &reference());
}

fn errors(text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json: Value = serde_saphyr::from_str(text).unwrap();
    validator
        .iter_errors(&json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_takes_what_the_loader_takes() {
    let page = reference();
    let example = page.split("```").nth(1).unwrap().trim_start_matches("yaml");
    assert_eq!(errors(example), [""; 0]);
    let everything = include_str!("../../../../tests/fixtures/datasets/good/everything.yaml");
    // An editor does not put variables in: alone, one of a number looks like a text.
    let everything = everything.replace("\"${status}\"", "201");
    assert_eq!(errors(&everything), [""; 0]);
    assert_ne!(errors("steps: [{ service: a, sqll: b }]"), [""; 0]);
    assert_ne!(errors("steps: [{ sql: b }]"), [""; 0]);
}

#[test]
fn the_example_of_the_reference_page_can_be_loaded() {
    let page = reference();
    let example = page.split("```").nth(1).unwrap().trim_start_matches("yaml");
    let files = super::project(example).file("datasets/limit/keys.txt", "");
    let chain = super::good(&files, "limit");
    assert_eq!((chain.top.steps.len(), chain.top.checks.len()), (6, 2));
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    let mut seen = 0;
    let mut check = |path: &str, schema: &Value| {
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{path}.{key}: {text}");
            seen += 1;
        }
    };
    check("", &schema);
    for (name, schema) in schema["$defs"].as_object().unwrap() {
        check(name, schema);
    }
    assert!(seen > 40, "{seen}");
    assert_eq!(schema["$defs"]["Step"]["required"], json!(["service"]));
}
