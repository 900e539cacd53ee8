//! The one stream that a run emits. Terminal, lines, JSON and journal are readers of it.
//!
//! ```text
//! RunStarted -> PlanReady -> (StepStarted -> StepProgress* -> StepFinished)* -> RunFinished
//! ```
//! `Notice`, `Changed` and `ServiceTrouble` may come anywhere in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Applying, Failure, RunChange, ServiceName, Trouble};

/// A step's name within its plan, such as `build:order`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId(String);

impl StepId {
    /// The id `kind:subject`.
    pub fn new(kind: &str, subject: impl std::fmt::Display) -> Self {
        Self(format!("{kind}:{subject}"))
    }
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The part of a run that a step belongs to; times are summed up by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Looking at what exists.
    Observe,
    /// Registry, cluster, node.
    Cluster,
    /// Building and pushing images.
    Images,
    /// Helm releases and manifests.
    Deploy,
    /// Waiting for services to be ready.
    Ready,
    /// Hooks.
    Hooks,
    /// Copying and exchanging data.
    Data,
    /// Removing what is no longer wanted.
    Remove,
}

impl Stage {
    /// Its name, as in the JSON documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Cluster => "cluster",
            Self::Images => "images",
            Self::Deploy => "deploy",
            Self::Ready => "ready",
            Self::Hooks => "hooks",
            Self::Data => "data",
            Self::Remove => "remove",
        }
    }
}

/// What a reader needs to show a step before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSummary {
    /// The step's id.
    pub id: StepId,
    /// What it does, imperative: `build the image of order`.
    pub title: String,
    /// Why it is done: `3 files of the context changed`.
    pub reason: String,
    /// The part of the run.
    pub stage: Stage,
    /// The service it is for.
    pub service: Option<ServiceName>,
    /// The steps that must be done before.
    pub needs: Vec<StepId>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    /// It did what it says.
    Done,
    /// There was nothing to do.
    Skipped {
        /// Why not.
        reason: String,
    },
    /// It failed.
    Failed {
        /// The explanation.
        failure: Box<Failure>,
    },
    /// It was not tried, since something it needs failed.
    Blocked {
        /// The step that failed.
        by: StepId,
    },
    /// It was not finished, since the run was interrupted or ran out of time.
    Cancelled,
}

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// Something to look at.
    Warning,
}

/// How long one stage took, from its first step's start to its last step's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: Stage,
    /// Wall-clock time.
    pub took: Duration,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// The command, such as `up`.
        command: String,
    },
    /// The steps are known.
    PlanReady {
        /// All steps, in an order that respects their needs.
        steps: Vec<StepSummary>,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// A step says where it is. Many a second are possible; the journal leaves them out.
    StepProgress {
        /// Which.
        step: StepId,
        /// What it does now, one line.
        note: String,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        step: StepId,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// For how long it ran.
        took: Duration,
    },
    /// A service that is waited for is in trouble that may still pass.
    ServiceTrouble {
        /// The trouble.
        trouble: Trouble,
    },
    /// Something worth a line.
    Notice {
        /// How loud.
        level: NoticeLevel,
        /// One sentence.
        text: String,
    },
    /// A run is about to make services what the manifest says.
    Applying {
        /// What they are to be.
        applying: Box<Applying>,
    },
    /// A run changed something that is no step of a plan.
    Changed {
        /// What.
        change: RunChange,
    },
    /// The run ended.
    RunFinished {
        /// Wall-clock time by stage, in the order of the stages.
        stages: Vec<StageTime>,
        /// Whether every step is done or skipped.
        succeeded: bool,
    },
}

/// One thing that happened, with its place in the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Counts from 0 within a run.
    pub index: u64,
    /// Since the run's start.
    pub elapsed: Duration,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}
