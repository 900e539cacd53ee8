//! The JSON Schema and the reference page of policies, from the key types.

use serde_json::Value;

use super::types::PolicyKeys;
use crate::{domain::POLICY_FILE, manifest};

const INTRODUCTION: &str = include_str!("introduction.md");

/// The JSON Schema of a policy (draft 2020-12).
pub fn schema() -> Value {
    manifest::schema::of_file::<PolicyKeys>(POLICY_FILE)
}

/// The reference page of policies, in Markdown.
pub fn reference() -> String {
    manifest::reference::of_file::<PolicyKeys>(POLICY_FILE, INTRODUCTION)
}
