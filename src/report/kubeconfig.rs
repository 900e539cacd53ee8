//! `devenv.kubeconfig/1`

use schemars::JsonSchema;
use serde::Serialize;

/// Where the environment's private kubeconfig is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubeconfig {
    /// The file.
    pub path: String,
    /// Its context.
    pub context: String,
}
