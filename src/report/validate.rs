//! `devenv.validate/1`

use schemars::JsonSchema;
use serde::Serialize;

use super::{ConfigValidated, DoctorFinding};

/// What `devenv validate` looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validated {
    /// The files that were read; all of them are good.
    pub manifest: ConfigValidated,
    /// The services that were looked at; none where only files were.
    pub services: Vec<ValidatedService>,
    /// What was found, what is gravest last.
    pub findings: Vec<DoctorFinding>,
}

/// A service that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidatedService {
    /// Its name.
    pub name: String,
    /// How many objects of Kubernetes it comes to; 0 where they could not be rendered.
    pub objects: usize,
}
