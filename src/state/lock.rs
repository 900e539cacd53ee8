//! The environment's lock: one command at a time changes an environment.
//!
//! The kernel frees it when its holder ends, also by `kill -9`; what the file says about the holder is
//! only for the message.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::EnvironmentPaths;
use crate::{
    adapters::{
        files::FileError,
        lock_file::{self, LockAttempt, LockedFile},
    },
    domain::{ExitClass, Failure},
};

/// The lock of an environment, held until dropped.
#[derive(Debug)]
pub struct EnvironmentLock {
    _file: LockedFile,
}

/// What changes an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A command that somebody called.
    #[default]
    Command,
    /// The session, which follows edits.
    Session,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// What it is.
    #[serde(default)]
    pub by: Actor,
    /// The command as typed, without values that may be secret; of the session, what it does.
    pub command: String,
    /// Since when.
    pub since: Timestamp,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another command holds it.
    #[error("another command is at work on this environment")]
    Held {
        /// Who; `None` if it did not say yet.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl LockError {
    /// What a user is told at `now`.
    pub fn failure(&self, now: Timestamp) -> Failure {
        match self {
            Self::Held { holder } => held(holder.as_ref(), now),
            Self::File(error) => error.failure(),
        }
    }
}

fn held(holder: Option<&Holder>, now: Timestamp) -> Failure {
    let failure = Failure::new(
        "lock.held",
        ExitClass::Locked,
        "Another command is at work on this environment",
    );
    match holder {
        Some(holder) => failure
            .because(holder.describe(now))
            .help("wait until it is done, then try again")
            .help(format!(
                "kill {}   # ends it; the next command mends what it left",
                holder.pid
            )),
        None => failure.help("try again in a moment"),
    }
}

impl Holder {
    /// Who is at work on an environment, as far as can be told without taking its lock.
    pub fn of(paths: &EnvironmentPaths) -> Option<Self> {
        Self::said(paths).filter(|holder| lock_file::is_held_by(&paths.lock(), holder.pid))
    }

    /// Who was at work on an environment last, if it was killed.
    pub fn killed(paths: &EnvironmentPaths) -> Option<Self> {
        Self::said(paths).filter(|holder| !lock_file::is_held_by(&paths.lock(), holder.pid))
    }

    fn said(paths: &EnvironmentPaths) -> Option<Self> {
        let said = lock_file::said_of_holder(&paths.lock())?;
        serde_json::from_str(&said).ok()
    }

    /// Such as `pid 1234 (devenv up, since 12:03, 40 s ago)`, in local time.
    pub fn describe(&self, now: Timestamp) -> String {
        let since = self
            .since
            .to_zoned(TimeZone::system())
            .strftime("%H:%M")
            .to_string();
        let seconds = now.duration_since(self.since).as_secs().max(0);
        let ago = match seconds {
            0..=119 => format!("{seconds} s"),
            120..=7199 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        };
        format!(
            "pid {} ({}, since {since}, {ago} ago)",
            self.pid, self.command
        )
    }
}

impl EnvironmentLock {
    /// Takes the lock of an environment whose directories exist, for `command` (such as `up`) at `now`, without
    /// waiting.
    pub fn take(
        paths: &EnvironmentPaths,
        by: Actor,
        command: &str,
        now: Timestamp,
    ) -> Result<Self, LockError> {
        match lock_file::try_lock(&paths.lock())? {
            LockAttempt::Held(mut file) => {
                let holder = Holder {
                    pid: std::process::id(),
                    by,
                    command: format!("devenv {command}"),
                    since: now,
                };
                file.describe(&serde_json::json!(holder).to_string())?;
                Ok(Self { _file: file })
            }
            LockAttempt::Busy(text) => Err(LockError::Held {
                holder: serde_json::from_str(&text).ok(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        adapters::{files, host::HostEnvironment},
        domain::EnvironmentId,
        state::UserPaths,
    };

    fn environment() -> (tempfile::TempDir, EnvironmentPaths) {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        let host = HostEnvironment::from_variables(variables);
        let id = EnvironmentId::new(&"shop".parse().unwrap(), Path::new("/shop"));
        let paths = UserPaths::of(&host).unwrap().environment(&id);
        paths.create().unwrap();
        (home, paths)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    #[test]
    fn a_second_command_fails_at_once_and_names_the_first() {
        let (_home, paths) = environment();
        let _first = EnvironmentLock::take(&paths, Actor::Command, "up", at(0)).unwrap();
        let failure = EnvironmentLock::take(&paths, Actor::Command, "down", at(40))
            .unwrap_err()
            .failure(at(40));
        assert_eq!(failure.class, ExitClass::Locked);
        let expected = format!("pid {} (devenv up, since ", std::process::id());
        assert!(failure.why[0].starts_with(&expected), "{:?}", failure.why);
        assert!(failure.why[0].ends_with("40 s ago)"), "{:?}", failure.why);
    }

    #[test]
    fn a_lock_that_was_let_go_is_free() {
        let (_home, paths) = environment();
        let lock = EnvironmentLock::take(&paths, Actor::Command, "up", at(0)).unwrap();
        assert_eq!(Holder::of(&paths).unwrap().command, "devenv up");
        assert_eq!(Holder::killed(&paths), None);
        drop(lock);
        assert_eq!(Holder::of(&paths), None);
        assert_eq!(Holder::killed(&paths), None);
        EnvironmentLock::take(&paths, Actor::Command, "down", at(1)).unwrap();
    }

    #[test]
    fn a_file_left_by_a_killed_process_locks_nobody_out_whoever_has_its_number_now() {
        // Nobody has the first; the others run, as after the machine was started anew.
        for pid in [4_194_304, 1, std::process::id()] {
            let (_home, paths) = environment();
            let left = serde_json::json!({
                "pid": pid, "command": "devenv up", "since": "2026-01-02T03:04:05Z",
            });
            files::write_private(&paths.lock(), left.to_string().as_bytes()).unwrap();
            assert_eq!(Holder::of(&paths), None, "{pid}");
            let killed = Holder::killed(&paths).unwrap();
            assert_eq!((killed.pid, &*killed.command), (pid, "devenv up"));
            EnvironmentLock::take(&paths, Actor::Command, "up", at(0)).unwrap();
        }
    }

    #[test]
    fn a_holder_from_the_future_is_told_all_the_same() {
        let (_home, paths) = environment();
        // The clock was set back by an hour since.
        let _first = EnvironmentLock::take(&paths, Actor::Command, "up", at(3600)).unwrap();
        let holder = Holder::of(&paths).unwrap();
        assert!(holder.describe(at(0)).ends_with("0 s ago)"), "{holder:?}");
    }
}
