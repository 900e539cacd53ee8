//! What k3d failed with, told apart by what it said.

use std::path::PathBuf;

use super::super::{
    files::FileError,
    process::{Finished, ProcessError, last_lines},
};
use crate::domain::{ExitClass, Failure};

/// Why something with k3d failed.
#[derive(Debug, thiserror::Error)]
pub enum K3dError {
    /// It did not run to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended with an error.
    #[error("cannot {doing}")]
    Refused {
        /// What was asked of it, such as `create the cluster shop-1`.
        doing: String,
        /// What went wrong, as far as it can be told.
        cause: K3dCause,
        /// The end of what it said.
        said: Vec<String>,
    },
    /// A file of ours could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// k3d answered something that is not understood.
    #[error("k3d {command} answered something unexpected: {answer}")]
    Unexpected {
        /// The subcommand.
        command: &'static str,
        /// What it said, shortened.
        answer: String,
    },
    /// A directory that docker cannot mount.
    #[error("the directory {} cannot be mounted into the cluster", path.display())]
    ColonInPath {
        /// The directory.
        path: PathBuf,
    },
}

/// What went wrong in k3d.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum K3dCause {
    /// A host port is taken.
    PortInUse {
        /// The port, if it is named.
        port: Option<u16>,
    },
    /// An image cannot be had.
    ImageMissing {
        /// The image, if it is named.
        image: Option<String>,
    },
    /// Nobody says which image is the newest of a Kubernetes version.
    VersionUnknown,
    /// The docker engine does not answer.
    DockerUnreachable,
    /// There is one of that name already.
    NameTaken,
    /// There is none of that name.
    NotFound,
    /// It took too long.
    Timeout,
    /// Anything else.
    Other,
}

impl K3dError {
    /// The error for a k3d that ended with another code than 0.
    pub(super) fn refused(doing: impl Into<String>, finished: &Finished) -> Self {
        let mut said = last_lines(&finished.stderr);
        said.retain(|line| !line.starts_with("INFO"));
        Self::Refused {
            doing: doing.into(),
            cause: classify(&finished.stderr_text()),
            said,
        }
    }

    /// What went wrong, if k3d said it.
    pub const fn cause(&self) -> Option<&K3dCause> {
        match self {
            Self::Refused { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// The failure to show.
    pub fn failure(&self) -> Failure {
        let what = self.to_string();
        match self {
            Self::Process(error) => error.failure(),
            Self::Refused { cause, said, .. } => {
                cause.failure(&what).with_evidence("k3d", said.clone())
            }
            Self::File(error) => error.failure(),
            Self::Unexpected { .. } => {
                Failure::new("cluster.k3d-not-understood", ExitClass::Cluster, what)
                    .help("check the version with `k3d version`: 5.8 or newer is known to work")
            }
            Self::ColonInPath { .. } => {
                Failure::new("cluster.colon-in-path", ExitClass::Prerequisite, what)
                    .because("its path has a colon, which docker takes for a separator")
                    .help("move the project to a directory without a colon in its path")
            }
        }
    }
}

impl K3dCause {
    fn failure(&self, what: &str) -> Failure {
        let cluster = |code| Failure::new(code, ExitClass::Cluster, what);
        match self {
            Self::PortInUse { port } => {
                let port = port.map_or("a port".to_owned(), |port| format!("port {port}"));
                Failure::new("cluster.port-in-use", ExitClass::Prerequisite, what)
                    .because(format!("{port} of this machine is taken by another program"))
                    .help("see who holds it: ss -ltnp")
                    .help("or choose another under cluster.ports or cluster.registry in devenv.local.yaml")
            }
            Self::ImageMissing { image } => {
                let image = image.as_deref().unwrap_or("an image");
                cluster("cluster.node-image-missing")
                    .because(format!(
                        "{image} is not on this machine and cannot be pulled"
                    ))
                    .help(format!("see why: docker pull {image}"))
                    .help("or name an image that is there under cluster.image, or in the settings")
            }
            Self::VersionUnknown => cluster("cluster.version-unknown")
                .because("the newest release of this Kubernetes version cannot be looked up")
                .help(
                    "name an exact version under cluster.kubernetes in devenv.yaml, such as 1.35.4",
                )
                .help("or check the network; k3s says what it releases at update.k3s.io"),
            Self::DockerUnreachable => {
                Failure::new("cluster.docker-unreachable", ExitClass::Prerequisite, what)
                    .because("the docker engine does not answer")
                    .help("start docker, then check it with: docker info")
            }
            Self::NameTaken => cluster("cluster.name-taken")
                .because("k3d has one of that name already")
                .help(
                    "remove it with `devenv down`, or `k3d cluster delete` if it is not devenv's",
                ),
            Self::NotFound => cluster("cluster.not-found")
                .because("k3d knows none of that name")
                .help("create it: devenv up"),
            Self::Timeout => cluster("cluster.timeout")
                .because("its nodes were not up in time")
                .help("try again with a longer --timeout; a first start may have to pull images"),
            Self::Other => cluster("cluster.k3d-failed").help("run it again with -v to follow k3d"),
        }
    }
}

/// Tells causes apart by k3d's and docker's words.
fn classify(said: &str) -> K3dCause {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&[
        "Cannot connect to the Docker daemon",
        "error during connect",
    ]) {
        K3dCause::DockerUnreachable
    } else if has(&["port is already allocated", "address already in use"]) {
        K3dCause::PortInUse { port: port(said) }
    } else if has(&[
        "failed to pull",
        "No such image",
        "manifest unknown",
        "pull access denied",
    ]) {
        K3dCause::ImageMissing {
            image: between(said, "pull image '", "'"),
        }
    } else if has(&["error getting K3s version for channel"]) {
        K3dCause::VersionUnknown
    } else if has(&["with that name already exists"]) {
        K3dCause::NameTaken
    } else if has(&[
        "No nodes found for given cluster",
        "Didn't find container for node",
    ]) {
        K3dCause::NotFound
    } else if has(&["context deadline exceeded", "timed out", "Timeout"]) {
        K3dCause::Timeout
    } else {
        K3dCause::Other
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0.to_owned())
}

/// The port in `Bind for 127.0.0.1:8080 failed` or `listen tcp4 127.0.0.1:8080: bind`.
fn port(said: &str) -> Option<u16> {
    ["Bind for ", "listen tcp4 ", "listen tcp "]
        .iter()
        .find_map(|before| {
            let (_, rest) = said.split_once(before)?;
            let address = rest.split([' ', '\n']).next()?.trim_end_matches(':');
            address.rsplit(':').next()?.parse().ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart_by_what_k3d_says() {
        let cases = [
            (
                "docker failed to start container for node 'x': Error response from daemon: driver failed \
                 programming external connectivity on endpoint x: Bind for 127.0.0.1:18080 failed: port is already allocated",
                K3dCause::PortInUse { port: Some(18080) },
            ),
            (
                "Error starting userland proxy: listen tcp4 127.0.0.1:5055: bind: address already in use",
                K3dCause::PortInUse { port: Some(5055) },
            ),
            (
                "docker failed to pull image 'devenv.test/nope:1': docker failed to pull the image 'devenv.test/nope:1': \
                 Error response from daemon: no such host",
                K3dCause::ImageMissing {
                    image: Some("devenv.test/nope:1".to_owned()),
                },
            ),
            (
                "failed to list containers: Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?",
                K3dCause::DockerUnreachable,
            ),
            (
                "error getting K3s version for channel v1.35: Get \"https://update.k3s.io/v1-release/channels\": no such host",
                K3dCause::VersionUnknown,
            ),
            (
                "Failed to create cluster 'a' because a cluster with that name already exists",
                K3dCause::NameTaken,
            ),
            ("No nodes found for given cluster", K3dCause::NotFound),
            (
                "docker failed to create container: context deadline exceeded",
                K3dCause::Timeout,
            ),
            ("something else", K3dCause::Other),
        ];
        for (said, cause) in cases {
            assert_eq!(classify(said), cause, "{said}");
        }
    }

    #[test]
    fn a_taken_port_names_the_port_and_shows_what_k3d_said() {
        let finished = Finished {
            code: 1,
            stdout: Vec::new(),
            stderr: b"\x1b[36mINFO\x1b[0m[0000] fine\n\x1b[31mFATA\x1b[0m[0006] Bind for 127.0.0.1:8080 failed: port is already allocated\n"
                .to_vec(),
        };
        let failure = K3dError::refused("create the cluster a", &finished).failure();
        assert_eq!(failure.code.0, "cluster.port-in-use");
        assert!(failure.why[0].contains("port 8080"));
        assert_eq!(failure.evidence[0].lines.len(), 1);
        assert!(failure.evidence[0].lines[0].starts_with("FATA"));
    }
}
