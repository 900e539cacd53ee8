//! `devenv.config-*/1`

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::PlanStep;

/// What holds for a key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigValue {
    /// The key, without other names for it.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// A manifest as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigShown {
    /// The files that it is made of, the last has the last word.
    pub files: Vec<String>,
    /// What they say together, short forms written out.
    pub manifest: Value,
}

/// Where the value of a key comes from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigExplained {
    /// The key, without other names for it.
    pub key: String,
    /// What it is for.
    pub meaning: String,
    /// The value that holds, if any does.
    pub value: Option<Value>,
    /// Where it is written, the one that wins first. Maps are put together of all.
    pub written: Vec<ConfigWritten>,
    /// What holds where nothing is written.
    pub builtin: Option<Value>,
}

/// A place where a key is written.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigWritten {
    /// The file, or `--set`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key that is written there: a value of a service may come from `defaults`.
    pub key: String,
    /// What is written; `null` where it takes away what is below.
    pub value: Option<Value>,
}

/// What was changed, and what it takes to have effect.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigChanged {
    /// The keys, in the order of the command.
    pub changes: Vec<ConfigChange>,
    /// Whether the environment runs, so that it takes an `up` to have effect.
    pub is_running: bool,
    /// What that `up` will do.
    pub effects: Vec<PlanStep>,
    /// What is in the way of it.
    pub obstacle: Option<String>,
}

/// A key that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigChange {
    /// The key, without other names for it.
    pub key: String,
    /// The file that was written.
    pub file: String,
    /// What held before.
    pub before: Option<Value>,
    /// What holds now.
    pub after: Option<Value>,
    /// The file and line that have the last word instead, if any has.
    pub overridden_by: Option<String>,
}

/// What was found to be good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigValidated {
    /// The files of the manifest with the profiles that were named.
    pub files: Vec<String>,
    /// The profiles, each laid over the manifest by itself.
    pub profiles: Vec<String>,
    /// The datasets.
    pub datasets: Vec<String>,
}

/// The JSON Schema of a kind of file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSchema {
    /// The schema.
    pub document: Value,
}
