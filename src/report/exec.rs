//! `devenv.exec/1`

use schemars::JsonSchema;
use serde::Serialize;

/// How a command in a container ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The service or task in whose container it ran.
    pub service: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its exit code, which is devenv's too.
    pub exit_code: u8,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
    /// The files that `--copy-out` brought to this machine.
    pub copied: Vec<CopiedFile>,
    /// What it left out: links, devices and the like.
    pub left_out: Vec<String>,
}

/// A file that was copied out of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopiedFile {
    /// Its path in the container.
    pub from: String,
    /// Its path on this machine.
    pub to: String,
    /// Its length.
    pub bytes: u64,
}
