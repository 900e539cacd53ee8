//! `devenv.session/1` and `devenv.session-stop/1`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LiveAction;

/// How the session of an environment is, and how fast it makes edits live.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The environment's id.
    pub environment: String,
    /// Whether it runs.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it runs.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The version of devenv that it is.
    pub version: Option<String>,
    /// The services that it follows, or followed, by name.
    pub services: Vec<SessionService>,
}

/// A service that a session follows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionService {
    /// Its name.
    pub name: String,
    /// How it stands with it now; `None` if the session does not run, or does not follow it.
    pub standing: Option<Standing>,
    /// How long edits took; `None` if there was none yet.
    pub times: Option<LiveTimes>,
}

/// How it stands with a service that the session follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// In how many containers it is followed.
    pub containers: u32,
    /// How.
    #[serde(flatten)]
    pub state: StandingState,
}

/// How a service is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum StandingState {
    /// Edits become live.
    Following,
    /// Not yet: it goes on by itself.
    Waiting {
        /// For what, one sentence.
        reason: String,
    },
    /// Not before something is mended.
    Failed {
        /// Why, one sentence.
        reason: String,
    },
}

/// How long the edits of a service took until they were live.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveTimes {
    /// How many edits are known.
    pub changes: u32,
    /// The last one.
    pub last: LiveEdit,
    /// Half of the last 200 took no longer, in milliseconds.
    pub p50_millis: f64,
    /// 95 % of the last 200 took no longer, in milliseconds.
    pub p95_millis: f64,
}

/// An edit that became live.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveEdit {
    /// One of the files, relative to the project.
    pub file: String,
    /// How long it took, in milliseconds.
    pub millis: f64,
    /// When it was live.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What was done.
    pub action: LiveAction,
}

/// What `devenv session stop` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStop {
    /// The environment's id.
    pub environment: String,
    /// Whether a session ran.
    pub was_running: bool,
}
