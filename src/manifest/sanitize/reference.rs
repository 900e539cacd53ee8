//! The JSON Schema and the reference page of rules for sanitising, from the key types.

use serde_json::Value;

use super::types::RulesKeys;
use crate::manifest;

const FILE: &str = "rules.yaml";
const INTRODUCTION: &str = include_str!("introduction.md");

/// The JSON Schema of a file of rules (draft 2020-12), short forms included.
pub fn schema() -> Value {
    manifest::schema::of_file::<RulesKeys>(FILE)
}

/// The reference page of rules, in Markdown.
pub fn reference() -> String {
    manifest::reference::of_file::<RulesKeys>(FILE, INTRODUCTION)
}
