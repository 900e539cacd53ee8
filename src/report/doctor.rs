//! `devenv.doctor/1`

use schemars::JsonSchema;
use serde::Serialize;

use super::{EvidenceEntry, PlaceEntry};
use crate::domain::{Finding, Severity};

/// What `devenv doctor` looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Doctor {
    /// The environment's id; `None` where there is no project, or its manifest cannot be used.
    pub environment: Option<String>,
    /// Everything that was looked at, what is gravest last.
    pub findings: Vec<DoctorFinding>,
    /// The archive that `--bundle` wrote.
    pub bundle: Option<Bundle>,
}

/// An archive for somebody who helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Its path, absolute.
    pub file: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// What is in it, in the order of the archive.
    pub entries: Vec<BundleEntry>,
    /// What could not be had.
    pub missing: Vec<BundleGap>,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleEntry {
    /// Its path, below the archive's only directory.
    pub path: String,
    /// What it is.
    pub what: String,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// What is not in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleGap {
    /// What it would have been.
    pub what: String,
    /// Why it could not be had.
    pub why: String,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorFinding {
    /// How grave it is.
    pub severity: DoctorSeverity,
    /// Its stable id, explained in docs/doctor.md; of what is fine, what was looked at.
    pub id: String,
    /// What it is, one sentence.
    pub what: String,
    /// Why, from the outermost cause to the innermost.
    pub why: Vec<String>,
    /// What was seen.
    pub evidence: Vec<EvidenceEntry>,
    /// What mends it: commands to paste, or sentences.
    pub fix: Vec<String>,
    /// The place in a file that it goes back to.
    pub place: Option<PlaceEntry>,
    /// Whether `--fix` could mend it, and what came of it.
    pub mending: Mending,
}

/// How grave something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DoctorSeverity {
    /// It is as it must be.
    Ok,
    /// Good to know.
    Note,
    /// It works, and may not for long, or not for everything.
    Warning,
    /// Something does not work before it is mended.
    Problem,
}

/// What `--fix` does about something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Mending {
    /// Nothing: it is left to the user.
    ByUser,
    /// It would mend it.
    Possible,
    /// It mended it.
    Mended {
        /// What it did.
        what: String,
    },
    /// It did not.
    NotMended {
        /// Why not.
        why: String,
    },
}

impl DoctorFinding {
    /// Whether it is still there.
    pub const fn is_left(&self) -> bool {
        !matches!(self.mending, Mending::Mended { .. })
    }
}

impl From<&Finding> for DoctorFinding {
    fn from(finding: &Finding) -> Self {
        let evidence = finding.evidence.iter();
        Self {
            severity: finding.severity.into(),
            id: finding.id.to_string(),
            what: finding.what.clone(),
            why: finding.why.clone(),
            evidence: evidence
                .map(|evidence| EvidenceEntry {
                    title: evidence.title.clone(),
                    lines: evidence.lines.clone(),
                })
                .collect(),
            fix: finding.fix.clone(),
            place: finding.place.as_deref().map(PlaceEntry::from),
            mending: match finding.mend {
                Some(_) => Mending::Possible,
                None => Mending::ByUser,
            },
        }
    }
}

impl From<Severity> for DoctorSeverity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Ok => Self::Ok,
            Severity::Note => Self::Note,
            Severity::Warning => Self::Warning,
            Severity::Problem => Self::Problem,
        }
    }
}
