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
    /// What was started anew.
    pub how: RestartedBy,
    /// From the request until it was ready again.
    pub seconds: f64,
}

/// What of a service was started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RestartedBy {
    /// Its processes, in containers that stayed.
    Process,
    /// Its pods.
    Pods,
}
