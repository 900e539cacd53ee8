//! Snapshots: the data of an environment at one instant.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    DatasetName, InputsHash, ProjectName, ServiceName, SnapshotId, SnapshotName, VolumeName,
};

/// A volume of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRef {
    /// Whose it is.
    pub service: ServiceName,
    /// Its name among those of the service.
    pub volume: VolumeName,
}

impl VolumeRef {
    /// Its directory, relative to that of all volumes or of a snapshot.
    pub fn directory(&self) -> PathBuf {
        [self.service.as_str(), self.volume.as_str()]
            .iter()
            .collect()
    }
}

impl fmt::Display for VolumeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.volume)
    }
}

/// The data of an environment at one instant, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Names the directory of its data.
    pub id: SnapshotId,
    /// The instant.
    pub created: Timestamp,
    /// What whoever made it wrote about it.
    pub note: Option<String>,
    /// The project that it is of.
    pub project: ProjectName,
    /// The git branch that was checked out; `None` outside of a repository, or on none.
    pub branch: Option<String>,
    /// The dataset that was loaded last before it was made, if one was.
    #[serde(default)]
    pub dataset: Option<LoadedDataset>,
    /// The version of devenv that made it.
    pub devenv: String,
    /// The architecture of the processors, as Rust names it: databases write their files in its way.
    pub architecture: String,
    /// How it differs from the data that it was made of; `None` if it does not.
    #[serde(default)]
    pub sanitized: Option<Sanitized>,
    /// Who made it.
    #[serde(default)]
    pub maker: Maker,
    /// What it holds.
    pub volumes: Vec<SnapshotVolume>,
}

/// That and how a snapshot was sanitised on its way into a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sanitized {
    /// When.
    pub at: Timestamp,
    /// The services whose data was changed by rules.
    pub changed: Vec<ServiceName>,
    /// Those whose data is as it was, as the rules say.
    pub kept: Vec<ServiceName>,
    /// Those whose data was left out.
    pub left_out: Vec<ServiceName>,
}

/// Who made a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Maker {
    /// Somebody who gave it its name: it stays until they remove it.
    #[default]
    User,
    /// devenv itself, before it did something: it goes when there are too many.
    Devenv,
}

/// A dataset as it was when it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadedDataset {
    /// Its name.
    pub name: DatasetName,
    /// The hash of all that it is made of.
    pub hash: InputsHash,
}

/// What a snapshot holds of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotVolume {
    /// Of which.
    #[serde(flatten)]
    pub of: VolumeRef,
    /// Names of all that is no directory.
    pub files: u64,
    /// The lengths of all files together, in bytes.
    pub bytes: u64,
    /// The hash of the directory, hexadecimal: the same for the same data.
    pub hash: String,
    /// How it was made.
    pub means: CopyMeans,
}

/// How a copy of data came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CopyMeans {
    /// It shares its blocks with the original, until one of the two is written to.
    Cloned,
    /// It was written.
    Copied,
}

impl Snapshot {
    /// The lengths of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.bytes).sum()
    }

    /// The services whose data it holds, by name.
    pub fn services(&self) -> Vec<&ServiceName> {
        let mut services: Vec<&ServiceName> = self.volumes.iter().map(|v| &v.of.service).collect();
        services.sort();
        services.dedup();
        services
    }
}
