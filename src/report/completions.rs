//! `devenv.completions/1`

use schemars::JsonSchema;
use serde::Serialize;

/// The script that teaches a shell to complete devenv's command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completions {
    /// The shell, such as `bash`.
    pub shell: String,
    /// What the shell is to source.
    pub script: String,
}
