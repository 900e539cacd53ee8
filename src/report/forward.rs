//! `devenv.forward/1`

use schemars::JsonSchema;
use serde::Serialize;

/// The ports of this machine that lead to a service while `devenv forward` runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// The environment's id.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The ports, in the order in which they were named.
    pub ports: Vec<ForwardedPort>,
}

/// A port of this machine, and the one that it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardedPort {
    /// Where it listens, such as `127.0.0.1:8080`.
    pub address: String,
    /// The port of the service.
    pub port: u16,
}
