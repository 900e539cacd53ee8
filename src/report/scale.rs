//! `devenv.scale/1`

use schemars::JsonSchema;
use serde::Serialize;

/// What `devenv scale` changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scale {
    /// The environment's id.
    pub environment: String,
    /// The services, by name.
    pub services: Vec<ScaledService>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaledService {
    /// Its name.
    pub name: String,
    /// Pods before.
    pub from: u32,
    /// Pods now.
    pub to: u32,
}
