//! The environment's image registry, asked over plain HTTP on 127.0.0.1.

mod image;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header, request};
use tokio::time::timeout;

pub use self::image::{ImageCommand, LeadsTo, image_command, leads_to, starts};
use super::loopback;
use crate::domain::{ExitClass, Failure, PortNumber};

/// How long the registry may take for an answer.
const WITHIN: Duration = Duration::from_secs(2);
/// How often it is asked whether it is up; there is nothing to watch.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The kinds of manifests a pushed image can have.
const MANIFEST_TYPES: &str = "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json";

/// A registry that does not say what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke.
    #[error("the registry on port {port} cannot be reached")]
    Unreachable {
        /// Its port.
        port: PortNumber,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Too slow.
    #[error("the registry on port {port} did not answer within {} s", WITHIN.as_secs())]
    Late {
        /// Its port.
        port: PortNumber,
    },
    /// Its container runs and it does not answer.
    #[error("the image registry does not answer on 127.0.0.1:{port}")]
    Silent {
        /// Its port.
        port: PortNumber,
    },
    /// Neither yes nor no.
    #[error("the registry on port {port} answered {status}")]
    Unexpected {
        /// Its port.
        port: PortNumber,
        /// Its answer.
        status: StatusCode,
    },
    /// It holds something under this name that is no image.
    #[error("the registry on port {port} holds no image for this machine as {name}: {problem}")]
    NoImage {
        /// Its port.
        port: PortNumber,
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl RegistryError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Unreachable { .. } | Self::Late { .. } => "registry.unreachable",
            Self::Silent { .. } => "registry.no-answer",
            Self::Unexpected { .. } | Self::NoImage { .. } => "registry.unexpected-answer",
        };
        let mut failure = Failure::new(code, ExitClass::Cluster, self.to_string());
        if let Self::Unreachable { source, .. } = self {
            failure = failure.caused_by(source);
        }
        failure.help("run `devenv up` again: it starts the registry where it is stopped")
    }
}

/// Whether the registry on `port` holds `repository:tag`.
pub async fn has_manifest(
    port: PortNumber,
    repository: &str,
    tag: &str,
) -> Result<bool, RegistryError> {
    match ask(port, &format!("/v2/{repository}/manifests/{tag}")).await? {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        status => Err(RegistryError::Unexpected { port, status }),
    }
}

/// Waits until the registry on `port` answers.
///
/// Docker takes connections for it before it listens, so that a connection alone says nothing.
pub async fn wait_up(port: PortNumber, deadline: Duration) -> Result<(), RegistryError> {
    let up = async {
        while !matches!(ask(port, "/v2/").await, Ok(StatusCode::OK)) {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    let silent = |_| RegistryError::Silent { port };
    timeout(deadline, up).await.map_err(silent)
}

async fn ask(port: PortNumber, path: &str) -> Result<StatusCode, RegistryError> {
    let (status, _) = exchange(port, Request::head(path), 0).await?;
    Ok(status)
}

/// Asks for something and returns status and body; a body of more than `most` bytes is left out.
async fn exchange(
    port: PortNumber,
    request: request::Builder,
    most: usize,
) -> Result<(StatusCode, Bytes), RegistryError> {
    let request = request
        .header(header::HOST, format!("127.0.0.1:{port}"))
        .header(header::ACCEPT, MANIFEST_TYPES);
    match timeout(WITHIN, loopback::exchange(port, request, most)).await {
        Ok(answer) => answer.map_err(|source| RegistryError::Unreachable { port, source }),
        Err(_) => Err(RegistryError::Late { port }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::adapters::loopback::testing::serving;

    #[tokio::test]
    async fn a_manifest_is_there_or_not_and_anything_else_is_an_error() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 528\r\n\r\n", Some(true)),
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n",
                Some(false),
            ),
            ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", None),
        ] {
            let (port, served) = serving(answer).await;
            assert_eq!(
                has_manifest(port, "shop/order", "abc").await.ok(),
                expected,
                "{answer}"
            );
            let request = served.await.unwrap();
            assert!(
                request.starts_with("HEAD /v2/shop/order/manifests/abc HTTP/1.1\r\n"),
                "{request}"
            );
        }
    }

    #[tokio::test]
    async fn a_registry_is_up_when_it_answers_and_not_when_its_port_is_open() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = PortNumber::new(listener.local_addr().unwrap().port()).unwrap();
        let said_no = tokio::spawn(async move {
            for _ in 0..3 {
                listener.accept().await.unwrap();
            }
        });
        let error = wait_up(port, Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(error.failure().code.0, "registry.no-answer");
        assert!(error.to_string().contains(&port.to_string()));
        said_no.await.unwrap();

        let (port, served) = serving("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        wait_up(port, Duration::from_secs(20)).await.unwrap();
        served.await.unwrap();
        let error = has_manifest(port, "a", "b").await.unwrap_err();
        assert_eq!(error.failure().code.0, "registry.unreachable");
    }
}
