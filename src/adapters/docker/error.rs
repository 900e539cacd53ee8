//! What can go wrong between devenv and the docker engine.

use std::{io, path::PathBuf, time::Duration};

use super::Endpoint;
use crate::{
    adapters::files::FileError,
    domain::{ExitClass, Failure},
};

/// The engine cannot be used, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nobody listens.
    #[error("the docker engine is not running")]
    NotRunning {
        /// Where it was looked for.
        endpoint: Endpoint,
        /// What the connection met.
        #[source]
        source: io::Error,
    },
    /// The socket is there, but this user may not use it.
    #[error("this user may not use the docker engine")]
    NoPermission {
        /// Where.
        endpoint: Endpoint,
        /// What the connection met.
        #[source]
        source: io::Error,
    },
    /// It does not answer, or not in time.
    #[error("the docker engine does not answer")]
    NoAnswer {
        /// Where.
        endpoint: Endpoint,
        /// What was waited for, and how it ended.
        reason: String,
    },
    /// It is older than what devenv can use.
    #[error(
        "the docker engine speaks API {api}, which is too old: devenv needs engine {needed} or newer"
    )]
    TooOld {
        /// The newest API it knows.
        api: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// An address devenv cannot use.
    #[error("devenv cannot use the docker engine at {host}")]
    UnsupportedHost {
        /// The address.
        host: String,
        /// Why not.
        reason: &'static str,
    },
    /// A docker context that does not exist or names no engine.
    #[error("there is no docker context `{name}` with an engine")]
    UnknownContext {
        /// Its name.
        name: String,
    },
    /// A file of docker's configuration is broken.
    #[error("docker's configuration {} cannot be read", path.display())]
    BadConfig {
        /// The file.
        path: PathBuf,
        /// Where it is broken.
        #[source]
        source: serde_json::Error,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A request took too long.
    #[error("the docker engine did not {what} within {} s", deadline.as_secs())]
    Late {
        /// What it was asked to do.
        what: String,
        /// How long it had.
        deadline: Duration,
    },
    /// The engine refused or failed.
    #[error("the docker engine could not {what}")]
    Refused {
        /// What it was asked to do.
        what: String,
        /// In its own words.
        message: String,
        /// The status of its answer; 0 where there was none.
        status: u16,
    },
}

impl DockerError {
    /// What a failed connection means.
    pub(super) fn connecting(endpoint: &Endpoint, source: io::Error) -> Self {
        let endpoint = endpoint.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPermission { endpoint, source },
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Self::NotRunning { endpoint, source }
            }
            _ => Self::NoAnswer {
                endpoint,
                reason: source.to_string(),
            },
        }
    }

    /// What a failed call of bollard's means. `what` completes the sentence "the engine could not ...".
    pub(super) fn refused(endpoint: &Endpoint, what: &str, error: &bollard::errors::Error) -> Self {
        if let bollard::errors::Error::DockerResponseServerError {
            status_code,
            message,
        } = error
        {
            return Self::Refused {
                what: what.to_owned(),
                message: message.trim().to_owned(),
                status: *status_code,
            };
        }
        match connection_kind(error) {
            Some(kind) => Self::connecting(endpoint, io::Error::new(kind, with_sources(error))),
            None => Self::Refused {
                what: what.to_owned(),
                message: with_sources(error),
                status: 0,
            },
        }
    }

    /// Whether the engine says that what was asked about is not there.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let failure = |code| Failure::new(code, ExitClass::Prerequisite, self.to_string());
        match self {
            Self::NotRunning { endpoint, source } => failure("docker.not-running")
                .because(format!("nothing listens at {endpoint}: {source}"))
                .help("start it: `sudo systemctl start docker` (Docker Desktop: start the application)")
                .help("if it listens elsewhere, set DOCKER_HOST or choose its context: `docker context use NAME`"),
            Self::NoPermission { endpoint, source } => failure("docker.no-permission")
                .because(format!("{endpoint}: {source}"))
                .help("join the group that may: `sudo usermod -aG docker $USER`, then log out and in again"),
            Self::NoAnswer { endpoint, reason } => failure("docker.no-answer")
                .because(format!("{endpoint}: {reason}"))
                .help("restart it: `sudo systemctl restart docker`")
                .help("see what it says: `journalctl -u docker --since -10min`"),
            Self::TooOld { .. } => failure("docker.too-old")
                .help("install a newer engine: https://docs.docker.com/engine/install/"),
            Self::UnsupportedHost { reason, .. } => failure("docker.unsupported-host")
                .because(*reason)
                .help("set DOCKER_HOST to an engine on this machine, such as unix:///var/run/docker.sock"),
            Self::UnknownContext { .. } => failure("docker.bad-context")
                .help("see which there are: `docker context ls`; choose one: `docker context use NAME`"),
            Self::BadConfig { source, path } => failure("docker.bad-context")
                .caused_by(source)
                .help(format!("correct {}", path.display())),
            Self::File(error) => error.failure(),
            Self::Late { .. } => failure("docker.no-answer")
                .help("see what it does: `journalctl -u docker --since -10min`"),
            Self::Refused { message, .. } if is_disk_full(message) => disk_full(&self.to_string(), message),
            Self::Refused { message, .. } => {
                Failure::new("docker.failed", ExitClass::Cluster, self.to_string())
                    .because(message.clone())
                    .help("see what it says: `journalctl -u docker --since -10min`")
            }
        }
    }
}

/// Whether the engine's words mean that its disk is full.
pub(super) fn is_disk_full(message: &str) -> bool {
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

/// The explanation of a full disk.
pub(super) fn disk_full(what: &str, message: &str) -> Failure {
    Failure::new("docker.disk-full", ExitClass::Prerequisite, what)
        .because("the disk that holds docker's images and containers is full")
        .because(message)
        .help("see what takes the space: `docker system df`")
        .help(
            "remove what nothing uses: `docker system prune` (build cache: `docker builder prune`)",
        )
}

/// How the connection failed, if that is what lies at the bottom of `error`.
fn connection_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| {
            matches!(
                kind,
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::PermissionDenied
            )
        })
}

/// An error's text with its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_a_connection_fails_has_its_own_code() {
        let endpoint = Endpoint::Unix("/var/run/docker.sock".into());
        for (kind, code) in [
            (io::ErrorKind::NotFound, "docker.not-running"),
            (io::ErrorKind::ConnectionRefused, "docker.not-running"),
            (io::ErrorKind::PermissionDenied, "docker.no-permission"),
            (io::ErrorKind::TimedOut, "docker.no-answer"),
        ] {
            let failure = DockerError::connecting(&endpoint, kind.into()).failure();
            assert_eq!(failure.code.0, code);
            assert_eq!(failure.class, ExitClass::Prerequisite);
            assert!(!failure.help.is_empty());
        }
    }

    #[test]
    fn a_full_disk_is_told_from_other_refusals() {
        let refused = |message: &str| DockerError::Refused {
            what: "start the container x".to_owned(),
            message: message.to_owned(),
            status: 500,
        };
        let full = refused("write /var/lib/docker/x: no space left on device");
        assert_eq!(full.failure().code.0, "docker.disk-full");
        assert_eq!(refused("boom").failure().code.0, "docker.failed");
    }
}
