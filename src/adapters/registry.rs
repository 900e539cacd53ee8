//! The environment's image registry, asked over plain HTTP on 127.0.0.1.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::domain::{ExitClass, Failure, PortNumber};

/// How long the registry may take for an answer.
const WITHIN: Duration = Duration::from_secs(2);
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
    /// Neither yes nor no.
    #[error("the registry on port {port} answered {status}")]
    Unexpected {
        /// Its port.
        port: PortNumber,
        /// Its answer.
        status: StatusCode,
    },
}

impl RegistryError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Unreachable { .. } | Self::Late { .. } => "registry.unreachable",
            Self::Unexpected { .. } => "registry.unexpected-answer",
        };
        let mut failure = Failure::new(code, ExitClass::Cluster, self.to_string());
        if let Self::Unreachable { source, .. } = self {
            failure = failure.caused_by(source);
        }
        failure
            .help("run `devenv up` again: it starts the registry where it is stopped")
            .help("if it stays so, look at its words: `docker logs` of its container")
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

/// Whether a registry answers on `port`.
pub async fn is_up(port: PortNumber) -> bool {
    ask(port, "/v2/")
        .await
        .is_ok_and(|status| status == StatusCode::OK)
}

async fn ask(port: PortNumber, path: &str) -> Result<StatusCode, RegistryError> {
    match timeout(WITHIN, exchange(port, path)).await {
        Ok(answer) => answer.map_err(|source| RegistryError::Unreachable { port, source }),
        Err(_) => Err(RegistryError::Late { port }),
    }
}

async fn exchange(port: PortNumber, path: &str) -> std::io::Result<StatusCode> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.get())).await?;
    let (mut request_tx, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(path)
        .header(header::HOST, format!("127.0.0.1:{port}"))
        .header(header::ACCEPT, MANIFEST_TYPES)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(std::io::Error::other)?;
    let exchange = async { request_tx.send_request(request).await };
    let (answer, _) = tokio::join!(exchange, connection);
    Ok(answer.map_err(std::io::Error::other)?.status())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A registry that gives one answer, and the request that it got.
    async fn registry(answer: &'static str) -> (PortNumber, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = PortNumber::new(listener.local_addr().unwrap().port()).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (port, served)
    }

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
            let (port, served) = registry(answer).await;
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
    async fn a_registry_that_is_not_there_is_not_up() {
        let (port, served) = registry("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert!(is_up(port).await);
        served.await.unwrap();
        assert!(!is_up(port).await);
        let error = has_manifest(port, "a", "b").await.unwrap_err();
        assert_eq!(error.failure().code.0, "registry.unreachable");
    }
}
