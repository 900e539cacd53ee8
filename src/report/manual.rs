//! `devenv.man/1`

use schemars::JsonSchema;
use serde::Serialize;

/// Pages of the manual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manual {
    /// The pages.
    pub pages: Vec<ManualPage>,
    /// The directory to which they were written, if they were.
    pub directory: Option<String>,
}

/// A page of the manual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManualPage {
    /// The name of its file, such as `devenv-up.1`.
    pub name: String,
    /// The page, in the language of `man`.
    pub text: String,
}
