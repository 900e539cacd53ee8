//! `devenv.debug/1`

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::DebugRuntime;

/// A service whose debugger can be attached to while `devenv debug` runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Debug {
    /// The environment's id.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The pod whose process runs under its debugger.
    pub pod: String,
    /// What runs the process, such as `node`.
    #[schemars(with = "String")]
    pub runtime: DebugRuntime,
    /// Where to attach on this machine, such as `127.0.0.1:9229`.
    pub address: String,
    /// The configuration for VS Code's `launch.json`; `null` for a runtime of which devenv knows none.
    pub vscode: Option<serde_json::Value>,
    /// The file that was written for an IDE.
    pub ide_file: Option<String>,
}
