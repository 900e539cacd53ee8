//! `devenv.history/1`, `devenv.history-show/1` and `devenv.diff/1`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::FailureEntry;

/// The runs that changed an environment, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The environment.
    pub environment: String,
    /// The runs that were asked for.
    pub runs: Vec<HistoryRun>,
    /// How many runs are known; older ones are forgotten.
    pub known: usize,
}

/// A run, in short.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRun {
    /// Its id: when it began, in UTC.
    pub id: String,
    /// As much of the id as names it now.
    pub short_id: String,
    /// The command, such as `up`.
    pub command: String,
    /// The words behind `devenv` as they were typed, without secrets; of the session, what it did. Empty if not known.
    pub typed: Vec<String>,
    /// Whether a command ran it or the session.
    pub by: HistoryActor,
    /// The user's name; `null` if the system knows none.
    pub user: Option<String>,
    /// The user's number; `null` if not known.
    pub uid: Option<u32>,
    /// When it began.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// How long ago that was.
    pub age_seconds: u64,
    /// How it ended.
    pub result: HistoryResult,
    /// The exit code; `null` if it did not end by itself, or is not known.
    pub exit_code: Option<u8>,
    /// The codes of its failures.
    pub codes: Vec<String>,
    /// How long it took; until now if it goes on, until the last that is known if it was killed.
    pub seconds: f64,
    /// What it changed, in one line; empty if nothing.
    pub changed: String,
    /// What it changed.
    pub changes: Vec<HistoryChange>,
    /// Lines of its journal that cannot be read: something may be missing here.
    pub broken_lines: usize,
}

/// Who runs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HistoryActor {
    /// A command that somebody called.
    Command,
    /// The session, which follows edits.
    Session,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HistoryResult {
    /// It did what it was asked.
    Succeeded,
    /// It did not.
    Failed,
    /// Its user ended it.
    Interrupted,
    /// It was killed: it left no word about its end.
    Killed,
    /// It goes on.
    Running,
    /// An earlier version did not write it down.
    Unknown,
}

/// Something that a run changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(
    tag = "what",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum HistoryChange {
    /// A service was deployed or removed.
    Service {
        /// Which.
        service: String,
        /// What it was; `null` if it was not there.
        before: Option<ServiceMade>,
        /// What it is; `null` if it was removed.
        after: Option<ServiceMade>,
        /// Whether that came to its end.
        done: bool,
    },
    /// A service got another number of pods.
    Pods {
        /// Which.
        service: String,
        /// How many it had.
        before: u32,
        /// How many it got.
        after: u32,
    },
    /// The environment got other data.
    Data {
        /// What was done.
        done: String,
    },
    /// A key of the manifest got another value.
    Key {
        /// The key.
        key: String,
        /// The file that was written.
        file: String,
        /// What held before.
        before: Option<Value>,
        /// What held then.
        after: Option<Value>,
    },
}

/// What a service is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMade {
    /// Its images; of those that are built by devenv, name and hash of what they are built from.
    pub images: Vec<String>,
    /// Its chart, if that is not devenv's own.
    pub chart: Option<String>,
    /// How many pods it has; `null` where that is not devenv's business.
    pub replicas: Option<u32>,
    /// The hash of all that it is made from.
    pub inputs: Option<String>,
}

/// All that is known of one run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryShown {
    /// The environment.
    pub environment: String,
    /// The run.
    pub run: HistoryRun,
    /// The version of devenv.
    pub version: Option<String>,
    /// The git branch that was checked out.
    pub branch: Option<String>,
    /// The git commit that was checked out.
    pub commit: Option<String>,
    /// The profiles, in order.
    pub profiles: Vec<String>,
    /// The hash of the manifest with all its layers, without secrets.
    pub manifest_hash: Option<String>,
    /// Its steps in the order of the plan.
    pub steps: Vec<HistoryStep>,
    /// What it said.
    pub notices: Vec<HistoryNotice>,
    /// Why it did not do what it was asked.
    pub failures: Vec<FailureEntry>,
    /// The manifest that it applied, without secrets; `null` if it applied none.
    pub manifest: Option<Value>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryStep {
    /// Its id within the run, such as `deploy:order`.
    pub id: String,
    /// What it was to do.
    pub title: String,
    /// Why.
    pub reason: String,
    /// The service it was for.
    pub service: Option<String>,
    /// `done`, `skipped`, `failed`, `blocked` or `cancelled`; `begun` or `planned` if it did not come to an end.
    pub outcome: String,
    /// Why it had nothing to do, or was not tried.
    pub remark: Option<String>,
    /// How long it ran, if it came to an end.
    pub seconds: Option<f64>,
}

/// Something that a run said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryNotice {
    /// Whether it is something to look at.
    pub is_warning: bool,
    /// One sentence.
    pub text: String,
}

/// What is different between two states of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The environment.
    pub environment: String,
    /// The run that is compared.
    pub from: DiffSide,
    /// The run that it is compared with; `null` for what an `up` would apply now.
    pub to: Option<DiffSide>,
    /// Keys of the manifest whose values differ.
    pub keys: Vec<KeyDifference>,
    /// Services of both whose images or charts differ, or something that is not shown.
    pub services: Vec<ServiceDifference>,
}

/// A run that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffSide {
    /// Its id.
    pub id: String,
    /// As much of the id as names it now.
    pub short_id: String,
    /// When it began.
    #[schemars(with = "String")]
    pub started: Timestamp,
}

/// A key whose values differ.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyDifference {
    /// The key.
    pub key: String,
    /// The first value; `null` if it is not written.
    pub before: Option<Value>,
    /// The second value; `null` if it is not written.
    pub after: Option<Value>,
}

/// A service that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDifference {
    /// Its name.
    pub service: String,
    /// What it was made of.
    pub before: ServiceMade,
    /// What it is made of.
    pub after: ServiceMade,
    /// Whether it differs in what neither its keys nor its images show: secrets, files of its chart, devenv itself.
    pub is_hidden: bool,
}
