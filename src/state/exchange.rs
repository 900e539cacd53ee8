//! The record of an exchange of data that is under way: `exchange.json`. While it is there the data from before is the
//! environment's; with its removal that is the new.

use serde::{Deserialize, Serialize};

use super::{EnvironmentPaths, Loaded};
use crate::{
    adapters::files::{self, FileError},
    domain::{ExitClass, Failure, SnapshotId, VolumeRef},
};

/// An exchange of data that is not settled yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeRecord {
    /// Names the directory in which one of the two is.
    pub id: SnapshotId,
    /// What is being done, such as `restore the snapshot before`.
    pub doing: String,
    /// The volumes.
    pub volumes: Vec<Exchanged>,
    /// What was loaded last into the data from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<Loaded>,
}

/// A volume of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchanged {
    /// Which.
    #[serde(flatten)]
    pub of: VolumeRef,
    /// The number of the directory with the new data: whether it is in its place tells how far the exchange was.
    pub incoming: u64,
    /// Whether there was data before.
    pub before: Before,
}

/// What was in a volume's place before an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Before {
    /// Nothing.
    Nothing,
    /// Data.
    Data,
}

impl ExchangeRecord {
    /// The record of an environment; `None` if nothing is under way.
    pub fn load(paths: &EnvironmentPaths) -> Result<Option<Self>, Failure> {
        let path = paths.exchange_record();
        let text = files::read_if_there(&path).map_err(|error| error.failure())?;
        text.map(|text| serde_json::from_slice(&text))
            .transpose()
            .map_err(|error| {
                let path = path.display();
                let what = format!("{path}, which says how far an exchange of data was, is damaged");
                Failure::new("data.record-damaged", ExitClass::Data, what)
                    .because(error.to_string())
                    .help("devenv snapshot list   # a snapshot that is whole can be restored after that:")
                    .help(format!("mv {path} {path}.bad"))
            })
    }

    /// Writes it down, on disk.
    pub fn save(&self, paths: &EnvironmentPaths) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write_private(&paths.exchange_record(), text.as_bytes())
    }

    /// Settles it: what is in place is the environment's data.
    pub fn settle(paths: &EnvironmentPaths) -> Result<(), FileError> {
        files::remove_file_for_good(&paths.exchange_record())
    }
}
