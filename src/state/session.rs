//! The session of an environment: its lock, and the record of what it was asked for.
//!
//! The lock says whether it lives, whatever the files say. The record is there from before a session
//! starts until it ends in order: one without a session is that of a session that was killed.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EnvironmentPaths;
use crate::{
    adapters::{
        files::{self, FileError, Operation},
        lock_file::{self, LockAttempt, LockedFile},
        process::OwnProgram,
    },
    domain::ProfileName,
};

/// What a session is asked for: the flags that say which environment it is about, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRequest {
    /// Where it acts: absolute.
    pub directory: PathBuf,
    /// `--file`, as given.
    pub file: Option<PathBuf>,
    /// `--profile`, in order.
    pub profiles: Vec<ProfileName>,
    /// `--set`, in order, such as `services.order.replicas=2`.
    pub sets: Vec<String>,
}

impl SessionRequest {
    /// The variable by which a session is given `sets`, as JSON: every user of the machine can read its arguments.
    pub const SETS_VARIABLE: &str = "DEVENV_SESSION_SETS";
}

/// Which program a session runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionProgram {
    /// Its version.
    pub version: String,
    /// Its file.
    pub path: PathBuf,
    /// When that was written.
    pub modified: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

impl From<OwnProgram> for SessionProgram {
    fn from(own: OwnProgram) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            path: own.path,
            modified: own.modified,
            bytes: own.bytes,
        }
    }
}

/// What a session was started with: `session.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRecord {
    /// What it was asked for.
    pub request: SessionRequest,
    /// What it runs.
    pub program: SessionProgram,
}

impl SessionRecord {
    /// The record; `None` if there is none that can be understood.
    pub fn load(paths: &EnvironmentPaths) -> Result<Option<Self>, FileError> {
        let text = files::read_text_if_there(&paths.session_record())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Writes it, all or nothing.
    pub fn save(&self, paths: &EnvironmentPaths) -> Result<(), FileError> {
        let path = paths.session_record();
        // A path that is not UTF-8 has no JSON form.
        let text = serde_json::to_vec_pretty(self).map_err(|error| FileError {
            operation: Operation::Write,
            path: path.clone(),
            source: error.into(),
        })?;
        files::write_private(&path, &text)
    }

    /// Removes it; none there is fine.
    pub fn remove(paths: &EnvironmentPaths) -> Result<(), FileError> {
        files::remove_file(&paths.session_record())
    }
}

/// The process of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHolder {
    /// Its id.
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
}

/// The lock of a session, held for its life.
#[derive(Debug)]
pub struct SessionLock {
    _file: LockedFile,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum SessionLockAttempt {
    /// This process is the session now.
    Held(SessionLock),
    /// Another one is; `None` if it did not say yet which.
    Busy(Option<SessionHolder>),
}

impl SessionLock {
    /// Asks for the lock of an environment whose directories exist, for this process at `now`.
    pub fn take(paths: &EnvironmentPaths, now: Timestamp) -> Result<SessionLockAttempt, FileError> {
        match lock_file::try_lock(&paths.session_lock())? {
            LockAttempt::Held(mut file) => {
                let holder = SessionHolder {
                    pid: std::process::id(),
                    since: now,
                };
                file.describe(&serde_json::json!(holder).to_string())?;
                Ok(SessionLockAttempt::Held(Self { _file: file }))
            }
            LockAttempt::Busy(text) => {
                Ok(SessionLockAttempt::Busy(serde_json::from_str(&text).ok()))
            }
        }
    }
}

/// Whether a session lives. One that lives may have said not yet, or no longer, who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionLife {
    /// None does.
    Gone,
    /// One does.
    Lives(Option<SessionHolder>),
}

impl SessionLife {
    /// Looks whether a session of the environment lives. Holds its lock for a moment if not.
    pub fn of(paths: &EnvironmentPaths) -> Result<Self, FileError> {
        let lock = paths.session_lock();
        if !files::exists(&lock) {
            return Ok(Self::Gone);
        }
        Ok(match lock_file::try_lock(&lock)? {
            LockAttempt::Held(_) => Self::Gone,
            LockAttempt::Busy(text) => Self::Lives(serde_json::from_str(&text).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::host::HostEnvironment, domain::EnvironmentId, state::UserPaths};

    fn environment() -> (tempfile::TempDir, EnvironmentPaths) {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        let host = HostEnvironment::from_variables(variables);
        let id = EnvironmentId::new(&"shop".parse().unwrap(), "/shop".as_ref());
        let paths = UserPaths::of(&host).unwrap().environment(&id);
        paths.create().unwrap();
        (home, paths)
    }

    #[test]
    fn one_process_is_the_session_until_it_lets_go() {
        let (_home, paths) = environment();
        assert_eq!(SessionLife::of(&paths).unwrap(), SessionLife::Gone);
        let now = Timestamp::UNIX_EPOCH;
        let held = SessionLock::take(&paths, now).unwrap();
        let pid = std::process::id();
        let holder = SessionHolder { pid, since: now };
        let life = SessionLife::Lives(Some(holder.clone()));
        assert_eq!(SessionLife::of(&paths).unwrap(), life);
        let second = SessionLock::take(&paths, now).unwrap();
        assert!(matches!(second, SessionLockAttempt::Busy(Some(who)) if who == holder));
        drop(held);
        assert_eq!(SessionLife::of(&paths).unwrap(), SessionLife::Gone);
    }

    #[test]
    fn a_record_is_what_was_asked_for_and_a_damaged_one_is_none() {
        let (_home, paths) = environment();
        assert_eq!(SessionRecord::load(&paths).unwrap(), None);
        let record = SessionRecord {
            request: SessionRequest {
                directory: "/shop".into(),
                file: Some("other.yaml".into()),
                profiles: vec!["minimal".parse().unwrap()],
                sets: vec!["services.order.replicas=2".to_owned()],
            },
            program: SessionProgram {
                version: "0.1.0".to_owned(),
                path: "/usr/bin/devenv".into(),
                modified: Timestamp::UNIX_EPOCH,
                bytes: 7,
            },
        };
        record.save(&paths).unwrap();
        assert_eq!(SessionRecord::load(&paths).unwrap(), Some(record));
        files::write_private(&paths.session_record(), b"{\"request\"").unwrap();
        assert_eq!(SessionRecord::load(&paths).unwrap(), None);
        SessionRecord::remove(&paths).unwrap();
        SessionRecord::remove(&paths).unwrap();
    }
}
