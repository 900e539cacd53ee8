//! `devenv.live/1`: one a line, of `attach`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FailureEntry;

/// Something that the session did, or that a user who edits should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveEvent {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The service it is about; `None` if it is about all of them.
    pub service: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: LiveWhat,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum LiveWhat {
    /// A change is on its way, and takes longer than a blink: an image is built.
    Began {
        /// What changed, and what is done.
        change: LiveChange,
    },
    /// A change is live.
    Done {
        /// What changed, and what was done.
        change: LiveChange,
        /// From the edit until the service ran with it, in milliseconds.
        total_millis: f64,
        /// What the time went to, in order.
        stages: Vec<LiveStage>,
        /// What the service's budget is, if it was passed, in milliseconds.
        over_budget_millis: Option<f64>,
    },
    /// A change could not be made live.
    Failed {
        /// What changed, and what was tried.
        change: LiveChange,
        /// What the service does now.
        left: LiveLeft,
        /// Why not.
        failures: Vec<FailureEntry>,
    },
    /// A container was made the same as the files of this machine before its service started.
    Adopted {
        /// The pod.
        pod: String,
        /// How many files it was given.
        files: u32,
    },
    /// Something worth a line.
    Notice {
        /// Whether it is something to look at.
        is_warning: bool,
        /// One sentence.
        text: String,
    },
}

/// A change of a service's files, and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveChange {
    /// One of the files that changed, relative to the project.
    pub file: String,
    /// How many changed.
    pub files: u32,
    /// What is done.
    pub action: LiveAction,
    /// Where the manifest says so, such as `devenv.yaml:57`.
    pub rule: Option<String>,
    /// In how many containers.
    pub containers: u32,
}

/// What is done about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LiveAction {
    /// Files are copied; the service notices by itself.
    Sync,
    /// Files are copied, and the service's process is started anew.
    Restart,
    /// Files are copied, and the service is told to read them again.
    Reload,
    /// The image is built anew and rolled out.
    Rebuild,
    /// The manifest changed: what it says now is deployed.
    Redeploy,
}

/// What a service does after a change that could not be made live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LiveLeft {
    /// What ran before runs on.
    AsBefore,
    /// Its process runs with the change, and is not well with it.
    NotWell,
}

/// What a part of the time went to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveStage {
    /// Such as `detect`, `build`, `copy`, `run`, `restart`, `ready`.
    pub name: String,
    /// In milliseconds.
    pub millis: f64,
}
