//! `devenv.version/1`

use schemars::JsonSchema;
use serde::Serialize;

/// Which devenv this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The version of the program.
    pub version: String,
    /// The platform it was built for, such as `linux/x86_64`.
    pub platform: String,
    /// The `apiVersion` of the manifests it reads.
    pub manifest: String,
}
