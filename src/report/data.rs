//! `devenv.data-*/1`: datasets, and what was done with them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What `data load` loaded.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataLoaded {
    /// The environment's id.
    pub environment: String,
    /// The dataset; `None` for empty volumes.
    pub dataset: Option<String>,
    /// How many steps were carried out; none if it was loaded already.
    pub steps: usize,
    /// How long all of it took.
    pub total_seconds: f64,
}

/// What `data reset` did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataReset {
    /// The environment's id.
    pub environment: String,
    /// The dataset that the data is set back to; `None` for what the first `up` made.
    pub dataset: Option<String>,
    /// The snapshot of the data from before.
    pub backup: Option<String>,
    /// How long it took, without the snapshot.
    pub total_seconds: f64,
}

/// What `data list` lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataList {
    /// The environment's id.
    pub environment: String,
    /// The datasets of the project, by name.
    pub datasets: Vec<DatasetEntry>,
    /// Those that cannot be loaded.
    pub broken: Vec<BrokenDataset>,
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetEntry {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The dataset that it extends.
    pub extends: Option<String>,
    /// The snapshot that it is loaded onto.
    pub snapshot: Option<String>,
    /// When it was loaded, if it was the last.
    #[schemars(with = "Option<String>")]
    pub loaded: Option<Timestamp>,
}

/// A dataset that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokenDataset {
    /// The name of its directory.
    pub name: String,
    /// What is wrong, a sentence each.
    pub why: Vec<String>,
}
