//! `devenv.stop/1` and `devenv.start/1`

use schemars::JsonSchema;
use serde::Serialize;

use super::UpService;

/// What `devenv stop` stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The environment's id.
    pub environment: String,
    /// What stands still now, such as `cluster shop-1a2b3c4d`; empty if nothing ran.
    pub stopped: Vec<String>,
    /// Whether all services ended by themselves, and all that they wrote is on the disk of this machine.
    pub data_is_on_disk: bool,
    /// How long it took.
    pub total_seconds: f64,
}

/// What `devenv start` started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The environment's id.
    pub environment: String,
    /// The services, by name.
    pub services: Vec<UpService>,
    /// How long it took.
    pub total_seconds: f64,
}
