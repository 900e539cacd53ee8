//! The JSON Schema and the reference page of rules for sanitising, from the key types.

use serde_json::{Value, json};

use super::types::RulesKeys;
use crate::manifest::{reference::sections, schema::publish};

const INTRODUCTION: &str = include_str!("introduction.md");

/// The JSON Schema of a file of rules (draft 2020-12), short forms included.
pub fn schema() -> Value {
    let mut schema = described();
    publish(&mut schema);
    schema
}

/// The reference page of rules, in Markdown.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    sections(&mut page, "rules.yaml", &described());
    page
}

fn described() -> Value {
    let mut schema = schemars::schema_for!(RulesKeys).to_value();
    schema["title"] = json!("rules.yaml");
    schema
}
