//! `devenv.down/1`

use schemars::JsonSchema;
use serde::Serialize;

/// What `devenv down` removed and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// The environment's id.
    pub environment: String,
    /// What is gone now, such as `cluster k3d-shop`; empty if there was nothing.
    pub removed: Vec<String>,
    /// What is still there on purpose.
    pub kept: Vec<Kept>,
}

/// Something that was left in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// What it is, such as `data of postgres`.
    pub what: String,
    /// Where it is.
    pub path: Option<String>,
    /// The command that removes it too.
    pub remove_with: Option<String>,
}
