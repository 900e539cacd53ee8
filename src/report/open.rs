//! `devenv.open/1`

use schemars::JsonSchema;
use serde::Serialize;

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The service.
    pub service: String,
    /// Its URL.
    pub url: String,
    /// Whether a browser was asked to show it.
    pub opened: bool,
}
