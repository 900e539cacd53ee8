//! Which dataset an environment was loaded with last: `loaded.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EnvironmentPaths;
use crate::{
    adapters::files::{self, FileError},
    domain::LoadedDataset,
};

/// Which dataset was loaded last, and when. What happened to the data since is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// The dataset.
    pub dataset: LoadedDataset,
    /// When it was loaded.
    pub at: Timestamp,
}

impl Loaded {
    /// What is known of an environment; `None` if none was loaded. It can be lost: then nobody knows.
    pub fn of(paths: &EnvironmentPaths) -> Result<Option<Self>, FileError> {
        let text = files::read_if_there(&paths.loaded())?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Writes it down.
    pub fn note(&self, paths: &EnvironmentPaths) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        files::write_private(&paths.loaded(), &text)
    }

    /// Nobody knows it from now on.
    pub fn forget(paths: &EnvironmentPaths) -> Result<(), FileError> {
        files::remove_file(&paths.loaded())
    }
}
