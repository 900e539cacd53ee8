//! `devenv.restart/1`

use schemars::JsonSchema;
use serde::Serialize;

/// What `devenv restart` restarted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// The environment's id.
    pub environment: String,
    /// The services, by name.
    pub services: Vec<RestartedService>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartedService {
    /// Its name.
    pub name: String,
    /// From the request until it was ready again.
    pub seconds: f64,
}
