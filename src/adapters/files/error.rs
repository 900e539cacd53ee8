//! What was tried with a path, and why it did not work.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::super::host;
use crate::domain::{ExitClass, Failure};

/// The code of the failure of what a full disk stopped.
pub const DISK_FULL: &str = "files.disk-full";

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Making a directory.
    CreateDirectory,
    /// Listing a directory.
    List,
    /// Removing a file or a directory.
    Remove,
    /// Moving a file or a directory.
    Rename,
    /// Asking for a file's properties.
    Inspect,
    /// Taking a file's lock.
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::CreateDirectory => "create the directory",
            Self::List => "list the directory",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Inspect => "look at",
            Self::Lock => "lock",
        })
    }
}

/// An operation on a path that did not work.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub operation: Operation,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// The kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let path = self.path.display();
        let (code, help) = match self.kind() {
            io::ErrorKind::NotFound => ("files.not-found", format!("check that `{path}` exists")),
            io::ErrorKind::AlreadyExists => (
                "files.exists",
                format!("choose another name, or remove it first: `rm {path}`"),
            ),
            io::ErrorKind::PermissionDenied => (
                "files.no-permission",
                format!("see who owns it: `ls -ld {}`", self.owned().display()),
            ),
            io::ErrorKind::StorageFull => return self.with_space(),
            io::ErrorKind::QuotaExceeded => (
                DISK_FULL,
                "free some of what you may use: `quota -s`".to_owned(),
            ),
            io::ErrorKind::ReadOnlyFilesystem => (
                "files.read-only",
                "point XDG_STATE_HOME and XDG_DATA_HOME at a place that can be written".to_owned(),
            ),
            io::ErrorKind::NotADirectory => (
                "files.failed",
                format!(
                    "`{}` stands where a directory should: move it away, or name another place",
                    self.in_the_way().display()
                ),
            ),
            _ => ("files.failed", format!("look at it: `ls -ld {path}`")),
        };
        self.new_failure(code).help(help)
    }

    /// What decides on the permission: to write takes that for the directory, of which a part may be there.
    fn owned(&self) -> &Path {
        let above = match self.operation {
            Operation::Read | Operation::List | Operation::Inspect | Operation::Lock => 0,
            Operation::Write
            | Operation::CreateDirectory
            | Operation::Remove
            | Operation::Rename => 1,
        };
        let mut places = self.path.ancestors().skip(above);
        places
            .find(|place| std::fs::symlink_metadata(place).is_ok())
            .unwrap_or(&self.path)
    }

    /// What is there and no directory, though it is taken for one.
    fn in_the_way(&self) -> &Path {
        let mut places = self.path.ancestors();
        let is_other = |place: &&Path| std::fs::metadata(place).is_ok_and(|about| !about.is_dir());
        places.find(is_other).unwrap_or(&self.path)
    }

    fn new_failure(&self, code: &'static str) -> Failure {
        Failure::new(code, ExitClass::Prerequisite, self.to_string()).caused_by(&self.source)
    }

    /// With how much room there is where there is none.
    fn with_space(&self) -> Failure {
        let failure = self.new_failure(DISK_FULL);
        let failure = match host::space(&self.path) {
            Ok(space) => failure
                .because(format!("{space} on its file system"))
                .help(format!(
                    "free space on it: `{}`",
                    space.shown_by(&self.path)
                )),
            Err(_) => failure.help("free space on its file system: `df -h`"),
        };
        failure
            .help("or point XDG_STATE_HOME and XDG_DATA_HOME at a file system with more room")
            .help("then run the same command again: it goes on from there")
    }
}

/// Puts operation and path to an `io::Error`.
pub(super) trait At<T> {
    fn at(self, operation: Operation, path: &Path) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: Operation, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_on_a_permission_is_there_to_be_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let denied = |operation, path| FileError {
            operation,
            path,
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let shown = format!("`ls -ld {}`", home.path().display());
        for path in ["new", "new/deep/er"] {
            let error = denied(Operation::CreateDirectory, home.path().join(path));
            let help = &error.failure().help[0];
            assert!(help.ends_with(&shown), "{help}");
        }
        let read = denied(Operation::Read, home.path().to_owned());
        assert!(read.failure().help[0].ends_with(&shown));
    }

    #[test]
    fn every_cause_has_its_code() {
        for (kind, code) in [
            (io::ErrorKind::PermissionDenied, "files.no-permission"),
            (io::ErrorKind::StorageFull, "files.disk-full"),
            (io::ErrorKind::ReadOnlyFilesystem, "files.read-only"),
            (io::ErrorKind::IsADirectory, "files.failed"),
        ] {
            let error = FileError {
                operation: Operation::Write,
                path: "/a".into(),
                source: kind.into(),
            };
            assert_eq!(error.failure().code.0, code);
        }
    }
}
