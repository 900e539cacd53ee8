//! The cluster's ingress controller, asked as a browser would, on 127.0.0.1.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::domain::PortNumber;

/// How long an answer may take; a service that thinks longer has been reached all the same.
const WITHIN: Duration = Duration::from_secs(5);
/// Traefik's own answers are short.
const BODY_READ: usize = 4096;
/// What Traefik says where it knows no route, and where the route leads to no pod.
const NO_ROUTE: (StatusCode, &[u8]) = (StatusCode::NOT_FOUND, b"404 page not found");
const NO_POD: (StatusCode, &[u8]) = (StatusCode::SERVICE_UNAVAILABLE, b"no available server");

/// How a question at an address ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No answer came: the controller does not run yet.
    Nothing {
        /// The words of the system.
        why: String,
    },
    /// The controller itself answered, for want of a route or of a pod behind it.
    NoRoute(StatusCode),
    /// The service answered, whatever it said.
    Service,
}

/// Asks for `path` of `host` at the ingress on `port`.
pub async fn ask(port: PortNumber, host: &str, path: &str) -> Answer {
    match timeout(WITHIN, exchange(port, host, path)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Nothing {
            why: error.to_string(),
        },
        // The connection was taken, and somebody is busy with the answer.
        Err(_) => Answer::Service,
    }
}

async fn exchange(port: PortNumber, host: &str, path: &str) -> std::io::Result<Answer> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.get())).await?;
    let (mut request_tx, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    let request = Request::get(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(std::io::Error::other)?;
    let exchange = async {
        let answer = request_tx.send_request(request).await?;
        let status = answer.status();
        // A long body is not Traefik's.
        let body = Limited::new(answer.into_body(), BODY_READ).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        Ok::<_, hyper::Error>((status, body.unwrap_or_default()))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    let (status, body) = answer.map_err(std::io::Error::other)?;
    let is_traefiks = [NO_ROUTE, NO_POD].contains(&(status, body.trim_ascii()));
    Ok(if is_traefiks {
        Answer::NoRoute(status)
    } else {
        Answer::Service
    })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn asked(answer: &'static str) -> (Answer, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = PortNumber::new(listener.local_addr().unwrap().port()).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let answer = ask(port, "shop.localhost", "/api").await;
        (answer, served.await.unwrap())
    }

    #[tokio::test]
    async fn the_controllers_own_words_are_told_from_a_services() {
        let no_route = "HTTP/1.1 404 Not Found\r\ncontent-length: 19\r\n\r\n404 page not found\n";
        let (answer, request) = asked(no_route).await;
        assert_eq!(answer, Answer::NoRoute(StatusCode::NOT_FOUND));
        assert!(request.starts_with("GET /api HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: shop.localhost:"), "{request}");
        let own = "HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\nno such";
        assert_eq!(asked(own).await.0, Answer::Service);
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer_and_its_reason_is_kept() {
        assert!(matches!(asked("").await.0, Answer::Nothing { why } if !why.is_empty()));
    }
}
