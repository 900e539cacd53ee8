//! `devenv.up/1`

use schemars::JsonSchema;
use serde::Serialize;

use super::ServiceState;
use crate::domain::{Stage, StageTime};

/// What `devenv up` brought up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Up {
    /// The environment's id.
    pub environment: String,
    /// The services, by name.
    pub services: Vec<UpService>,
    /// How long each part of the run took; parts overlap.
    pub stages: Vec<StageSeconds>,
    /// How many steps.
    pub steps: StepCounts,
    /// How long all took.
    pub total_seconds: f64,
    /// What to type next.
    pub next_steps: Vec<String>,
}

/// One service that is up.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpService {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ServiceState,
    /// Where it can be reached.
    pub urls: Vec<String>,
    /// From the start of the run until it was ready; `None` if it was ready before.
    pub ready_seconds: Option<f64>,
}

/// The time of one part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageSeconds {
    /// Which part.
    #[schemars(with = "String")]
    pub stage: Stage,
    /// From its first step's start to its last step's end.
    pub seconds: f64,
}

impl From<&StageTime> for StageSeconds {
    fn from(time: &StageTime) -> Self {
        Self {
            stage: time.stage,
            seconds: time.took.as_secs_f64(),
        }
    }
}

/// How the steps of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepCounts {
    /// Steps that did something.
    pub done: usize,
    /// Steps that had nothing to do.
    pub skipped: usize,
}

/// A filled-in document for tests.
#[cfg(test)]
pub(crate) fn sample() -> Up {
    Up {
        environment: "shop-1a2b3c4d".into(),
        services: vec![
            UpService {
                name: "order".into(),
                state: ServiceState::Ready,
                urls: vec!["http://shop.localhost:8080/api/orders".into()],
                ready_seconds: Some(8.8),
            },
            UpService {
                name: "postgres".into(),
                state: ServiceState::Ready,
                urls: Vec::new(),
                ready_seconds: None,
            },
        ],
        stages: vec![
            StageSeconds {
                stage: Stage::Images,
                seconds: 41.24,
            },
            StageSeconds {
                stage: Stage::Cluster,
                seconds: 9.1,
            },
            StageSeconds {
                stage: Stage::Ready,
                seconds: 8.8,
            },
        ],
        steps: StepCounts {
            done: 12,
            skipped: 1,
        },
        total_seconds: 58.3,
        next_steps: vec!["devenv status".into(), "devenv logs -f order".into()],
    }
}
