//! `devenv.init/1`

use schemars::JsonSchema;
use serde::Serialize;

/// What `devenv init` found and wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Init {
    /// The project directory.
    pub directory: String,
    /// The files, in the order they were looked at.
    pub files: Vec<InitFile>,
    /// The services of the manifest.
    pub services: Vec<String>,
    /// What of a compose file has no counterpart in the manifest.
    pub not_converted: Vec<NotConverted>,
    /// What `--fix` changed, or would change.
    pub mends: Vec<InitMend>,
    /// What to type next.
    pub next_steps: Vec<String>,
}

/// Something of a compose file that has no counterpart. Holds no values that may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotConverted {
    /// The service as it is named in the manifest; of the whole file if `None`.
    pub service: Option<String>,
    /// The key of the compose file.
    pub key: String,
    /// What is lost.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// One change that mends a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitMend {
    /// The line, from 1, in the manifest as it was when the mend was made.
    pub line: usize,
    /// The line before; empty for a new line.
    pub before: String,
    /// The line after.
    pub after: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitFile {
    /// Its path, relative to the project directory.
    pub path: String,
    /// What was done.
    pub change: InitFileChange,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InitFileChange {
    /// It is new.
    Created,
    /// Lines were added.
    Updated,
    /// It was there and is as it was.
    Kept,
}
