//! `devenv.failure/1`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Failure, Failures, Place};

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// The exit code of the program.
    pub exit_code: u8,
    /// Every failure, at least one.
    pub failures: Vec<FailureEntry>,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureEntry {
    /// The stable code, such as `cluster.port-in-use`; explained in docs/errors.md.
    pub code: String,
    /// What failed, one sentence.
    pub what: String,
    /// Why, from the outermost cause to the innermost.
    pub why: Vec<String>,
    /// What was seen.
    pub evidence: Vec<EvidenceEntry>,
    /// What to do next: sentences or commands to paste.
    pub help: Vec<String>,
    /// The place in a file that it goes back to.
    pub place: Option<PlaceEntry>,
    /// The service it concerns.
    pub service: Option<String>,
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceEntry {
    /// Where it comes from.
    pub title: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceEntry {
    /// The file, relative to the project directory where it is inside it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
}

impl FailureReport {
    /// The document for `failures` of a program that ends with `exit_code`.
    pub fn new(exit_code: u8, failures: &Failures) -> Self {
        Self {
            exit_code,
            failures: failures.iter().map(FailureEntry::from).collect(),
        }
    }
}

impl From<&Failure> for FailureEntry {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.to_string(),
            what: failure.what.clone(),
            why: failure.why.clone(),
            evidence: failure
                .evidence
                .iter()
                .map(|evidence| EvidenceEntry {
                    title: evidence.title.clone(),
                    lines: evidence.lines.clone(),
                })
                .collect(),
            help: failure.help.clone(),
            place: failure.place.as_deref().map(PlaceEntry::from),
            service: failure.service.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Place> for PlaceEntry {
    fn from(place: &Place) -> Self {
        Self {
            file: place.file.display().to_string(),
            line: place.line,
            column: place.column,
            length: place.length,
        }
    }
}
