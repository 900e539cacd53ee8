//! `devenv.snapshot-*/1`: what is done with snapshots.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{CopyMeans, Snapshot};

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotEntry {
    /// Its name.
    pub name: String,
    /// The instant whose data it holds.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// What whoever made it wrote about it.
    pub note: Option<String>,
    /// The git branch that was checked out.
    pub branch: Option<String>,
    /// The dataset that was loaded last before it was made.
    pub dataset: Option<String>,
    /// The version of devenv that made it.
    pub devenv: String,
    /// The architecture of the processors.
    pub architecture: String,
    /// The services whose data it holds.
    pub services: Vec<String>,
    /// Whether it was sanitised on its way into the file that it was imported from.
    pub sanitized: bool,
    /// The lengths of all files together, in bytes.
    pub bytes: u64,
    /// What it holds.
    pub volumes: Vec<SnapshotVolumeEntry>,
}

/// What a snapshot holds of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotVolumeEntry {
    /// `service/volume`.
    pub volume: String,
    /// How many files, links and the like.
    pub files: u64,
    /// The lengths of all files together, in bytes.
    pub bytes: u64,
    /// The hash of the data, hexadecimal: the same for the same data.
    pub hash: String,
    /// How it was made.
    pub means: SnapshotMeans,
}

/// How the data of a snapshot was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SnapshotMeans {
    /// It shares its blocks with the original until one of the two is written to.
    Cloned,
    /// It was written.
    Copied,
}

/// What `snapshot save` made.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSaved {
    /// The environment's id.
    pub environment: String,
    /// The snapshot.
    pub snapshot: SnapshotEntry,
    /// For how long the services stood.
    pub stood_seconds: f64,
    /// How long all of it took.
    pub total_seconds: f64,
}

/// What `snapshot show` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotShown {
    /// The environment's id.
    pub environment: String,
    /// The snapshot.
    pub snapshot: SnapshotEntry,
}

/// What `snapshot list` lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotList {
    /// The environment's id.
    pub environment: String,
    /// The snapshots, the newest first.
    pub snapshots: Vec<SnapshotEntry>,
    /// Those that cannot be used.
    pub unusable: Vec<UnusableSnapshot>,
}

/// A snapshot that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnusableSnapshot {
    /// Its name.
    pub name: String,
    /// Why not, one sentence.
    pub why: String,
}

/// What `snapshot restore` restored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRestored {
    /// The environment's id.
    pub environment: String,
    /// The snapshot.
    pub snapshot: SnapshotEntry,
    /// The volumes that have its data now: `service/volume`.
    pub restored: Vec<String>,
    /// What was changed and left out on the way; `None` if it is as the snapshot holds it.
    pub sanitized: Option<SanitizedData>,
    /// How long it took until all services were ready with it.
    pub total_seconds: f64,
}

/// What `snapshot verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotVerified {
    /// The environment's id.
    pub environment: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// Its volumes.
    pub volumes: Vec<VolumeVerified>,
}

/// What was found of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeVerified {
    /// `service/volume`.
    pub volume: String,
    /// What is wrong with its data; `None` if it is what was saved.
    pub problem: Option<String>,
}

impl SnapshotVerified {
    /// Whether all of it is what was saved.
    pub fn is_good(&self) -> bool {
        self.volumes.iter().all(|volume| volume.problem.is_none())
    }
}

/// What `snapshot remove` removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRemoved {
    /// The environment's id.
    pub environment: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The lengths of all its files together, in bytes; 0 if it could not be read.
    pub bytes: u64,
}

/// What `snapshot export` wrote.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotExported {
    /// The environment's id.
    pub environment: String,
    /// The snapshot, as the file has it.
    pub snapshot: SnapshotEntry,
    /// What was changed and left out on the way; `None` if the file has all of it as it is.
    pub sanitized: Option<SanitizedData>,
    /// The file, absolute.
    pub file: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// How long all of it took.
    pub total_seconds: f64,
}

/// What was changed in a copy of a snapshot's data, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SanitizedData {
    /// The databases that were changed by rules.
    pub databases: Vec<SanitizedDatabase>,
    /// The services whose data is as it was, as the rules say.
    pub kept: Vec<String>,
    /// The services whose data is not in it.
    pub left_out: Vec<String>,
}

/// What was changed in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SanitizedDatabase {
    /// Its service.
    pub service: String,
    /// Its name.
    pub database: String,
    /// Its tables, each of them.
    pub tables: Vec<SanitizedTable>,
    /// Other databases of the same server, which are not in the copy.
    pub left_out: Vec<String>,
    /// Whether it has large objects, which are not in the copy.
    pub large_objects_left_out: bool,
}

/// What was changed in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SanitizedTable {
    /// Its name, with its schema where that is not the usual one.
    pub table: String,
    /// How many rows it had.
    pub rows_before: u64,
    /// How many rows are in the file.
    pub rows: u64,
    /// The columns that were changed.
    pub columns: Vec<SanitizedColumn>,
    /// The columns whose values are in the file as they were.
    pub unchanged: Vec<String>,
}

/// What was changed in a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SanitizedColumn {
    /// Its name.
    pub column: String,
    /// What its values became, such as `email`.
    pub change: String,
    /// The column whose rule it follows by a foreign key; `None` if it has a rule of its own.
    pub follows: Option<String>,
    /// How many values were changed: those that were not NULL.
    pub values: u64,
}

/// What `snapshot import` made.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotImported {
    /// The environment's id.
    pub environment: String,
    /// The snapshot.
    pub snapshot: SnapshotEntry,
    /// How long all of it took.
    pub total_seconds: f64,
}

/// What `snapshot prune` removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotPruned {
    /// The environment's id.
    pub environment: String,
    /// Whether it is only said what would be removed.
    pub dry_run: bool,
    /// The snapshots that are gone, the newest first.
    pub removed: Vec<PrunedSnapshot>,
    /// How many are left.
    pub kept: usize,
}

/// A snapshot that bounds are against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrunedSnapshot {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: SnapshotEntry,
    /// The bounds that are against it.
    pub because: Vec<RetentionBound>,
}

/// A bound, named after its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetentionBound {
    /// `--keep`: there are as many newer ones.
    Keep,
    /// `--older-than`: it is too old.
    OlderThan,
    /// `--max-size`: with those that are newer it holds too much.
    MaxSize,
}

impl From<&Snapshot> for SnapshotEntry {
    fn from(snapshot: &Snapshot) -> Self {
        let volumes = snapshot.volumes.iter().map(|held| SnapshotVolumeEntry {
            volume: held.of.to_string(),
            files: held.files,
            bytes: held.bytes,
            hash: held.hash.clone(),
            means: match held.means {
                CopyMeans::Cloned => SnapshotMeans::Cloned,
                CopyMeans::Copied => SnapshotMeans::Copied,
            },
        });
        Self {
            name: snapshot.name.to_string(),
            created: snapshot.created,
            note: snapshot.note.clone(),
            branch: snapshot.branch.clone(),
            dataset: snapshot.dataset.as_ref().map(|it| it.name.to_string()),
            devenv: snapshot.devenv.clone(),
            architecture: snapshot.architecture.clone(),
            services: snapshot
                .services()
                .iter()
                .map(ToString::to_string)
                .collect(),
            sanitized: snapshot.sanitized.is_some(),
            bytes: snapshot.bytes(),
            volumes: volumes.collect(),
        }
    }
}
