//! `devenv.plan/1`

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Stage, StepSummary};

/// What `devenv up` would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// The environment's id.
    pub environment: String,
    /// The steps, in an order that respects their needs; none if everything is as it should be.
    pub steps: Vec<PlanStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// Its id, such as `build:order`.
    pub id: String,
    /// What it does.
    pub title: String,
    /// Why.
    pub reason: String,
    /// The part of the run.
    #[schemars(with = "String")]
    pub stage: Stage,
    /// The service it is for.
    pub service: Option<String>,
    /// The steps that must be done before.
    pub needs: Vec<String>,
}

impl From<&StepSummary> for PlanStep {
    fn from(step: &StepSummary) -> Self {
        Self {
            id: step.id.to_string(),
            title: step.title.clone(),
            reason: step.reason.clone(),
            stage: step.stage,
            service: step.service.as_ref().map(ToString::to_string),
            needs: step.needs.iter().map(ToString::to_string).collect(),
        }
    }
}
