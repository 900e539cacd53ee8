//! The record of what was created for an environment: `record.json`.
//!
//! It makes sure that a cluster of the same name is the one that was created here. It can be lost.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    adapters::files::{self, FileError},
    domain::{ClusterIdentity, ClusterName, ExitClass, Failure, InputsHash, PortNumber},
};

/// The form of the record that this program writes. A higher number is a newer program's.
const SCHEMA: u32 = 1;

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The form of the record.
    schema: u32,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Who the cluster is; `None` until it answered once.
    pub identity: Option<ClusterIdentity>,
    /// The ports on the host.
    pub ports: PortsRecord,
    /// The hash of what the cluster was created from; unknown in records of old.
    #[serde(default)]
    pub cluster_inputs: Option<InputsHash>,
    /// The project's directory; unknown in records of old.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The version of devenv that created it.
    pub created_by: String,
    /// When it was created.
    pub created: Timestamp,
}

/// Ports on the host, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortsRecord {
    /// The ingress, plain HTTP.
    pub http: PortNumber,
    /// The ingress, HTTPS.
    pub https: PortNumber,
    /// The image registry.
    pub registry: PortNumber,
}

/// What was found where the record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadedRecord {
    /// Nothing.
    Absent,
    /// The record.
    Found(Box<Record>),
    /// Something unreadable; it was kept beside the record's place.
    Damaged {
        /// Where it is now.
        kept: PathBuf,
    },
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A newer devenv wrote it.
    #[error("{path} has form {found}; this devenv knows forms up to {SCHEMA}", path = path.display())]
    Newer {
        /// The record.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RecordError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Newer { .. } => Failure::new(
                "state.newer",
                ExitClass::Prerequisite,
                "A newer devenv created this environment",
            )
            .caused_by(self)
            .help("use that version of devenv, or a newer one"),
            Self::File(error) => error.failure(),
        }
    }
}

/// Read first, so that a newer record is told from a damaged one.
#[derive(Deserialize)]
struct Form {
    schema: u32,
}

impl Record {
    /// The record of a cluster that this program creates at `now`.
    pub fn new(
        cluster: ClusterName,
        identity: Option<ClusterIdentity>,
        ports: PortsRecord,
        cluster_inputs: InputsHash,
        directory: PathBuf,
        now: Timestamp,
    ) -> Self {
        Self {
            schema: SCHEMA,
            cluster,
            identity,
            ports,
            cluster_inputs: Some(cluster_inputs),
            directory: Some(directory),
            created_by: env!("CARGO_PKG_VERSION").to_owned(),
            created: now,
        }
    }

    /// Reads the record at `path`. One that is unreadable is moved to `<path>.bad`.
    pub fn load(path: &Path) -> Result<LoadedRecord, RecordError> {
        let Some(text) = files::read_text_if_there(path)? else {
            return Ok(LoadedRecord::Absent);
        };
        if let Ok(Form { schema: found }) = serde_json::from_str(&text)
            && found > SCHEMA
        {
            let path = path.to_owned();
            return Err(RecordError::Newer { path, found });
        }
        if let Ok(record) = serde_json::from_str(&text) {
            return Ok(LoadedRecord::Found(record));
        }
        let kept = path.with_extension("json.bad");
        files::rename(path, &kept)?;
        Ok(LoadedRecord::Damaged { kept })
    }

    /// Writes the record, all or nothing.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        Ok(files::write_private(
            path,
            format!("{:#}\n", serde_json::json!(self)).as_bytes(),
        )?)
    }

    /// Removes the record; one that is not there is no error.
    pub fn remove(path: &Path) -> Result<(), RecordError> {
        Ok(files::remove_file(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let port = |number| PortNumber::new(number).unwrap();
        Record::new(
            "shop-1a2b3c4d".parse().unwrap(),
            None,
            PortsRecord {
                http: port(8080),
                https: port(8443),
                registry: port(5050),
            },
            InputsHash::of(b"cluster"),
            PathBuf::from("/project"),
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        assert_eq!(Record::load(&path).unwrap(), LoadedRecord::Absent);
        record().save(&path).unwrap();
        assert_eq!(
            Record::load(&path).unwrap(),
            LoadedRecord::Found(Box::new(record()))
        );
    }

    #[test]
    fn a_record_cut_anywhere_is_kept_aside_and_can_be_rebuilt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        record().save(&path).unwrap();
        let text = files::read_text(&path).unwrap();
        for end in 0..text.trim_end().len() {
            files::write_private(&path, &text.as_bytes()[..end]).unwrap();
            let LoadedRecord::Damaged { kept } = Record::load(&path).unwrap() else {
                panic!("a record of {end} bytes was taken");
            };
            assert_eq!(files::read_text(&kept).unwrap(), text[..end]);
            assert_eq!(Record::load(&path).unwrap(), LoadedRecord::Absent);
        }
    }

    #[test]
    fn a_newer_record_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        files::write_private(&path, r#"{"schema": 2, "clusters": []}"#.as_bytes()).unwrap();
        let error = Record::load(&path).unwrap_err();
        assert_eq!(error.failure().code.0, "state.newer");
        assert!(files::exists(&path));
    }
}
