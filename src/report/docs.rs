//! `devenv.docs-generate/1`

use schemars::JsonSchema;
use serde::Serialize;

/// The page of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocsGenerated {
    /// The file, relative to the project.
    pub file: String,
    /// Whether it was written; else it was as it is to be.
    pub written: bool,
}
