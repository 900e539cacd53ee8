//! The cluster's ingress controller, asked as a browser would, on 127.0.0.1.

use std::time::Duration;

use http::{Request, StatusCode, header};
use tokio::time::timeout;

use super::loopback;
use crate::domain::PortNumber;

/// How long an answer may take; who thinks longer is asked again.
const WITHIN: Duration = Duration::from_secs(1);
/// Traefik's own answers are short, so a longer one is a service's.
const BODY_READ: usize = 4096;
/// What Traefik says where it knows no route, and where the route leads to no pod.
const NO_ROUTE: (StatusCode, &[u8]) = (StatusCode::NOT_FOUND, b"404 page not found");
const NO_POD: (StatusCode, &[u8]) = (StatusCode::SERVICE_UNAVAILABLE, b"no available server");
/// And where the pod that it knows has ended.
const POD_GONE: (StatusCode, &[u8]) = (StatusCode::BAD_GATEWAY, b"Bad Gateway");

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
    /// The connection was taken and nothing came in time: the service thinks, or the pod has ended that the controller
    /// leads to.
    Late,
}

/// Asks for `path` of `host` at the ingress on `port`.
pub async fn ask(port: PortNumber, host: &str, path: &str) -> Answer {
    match timeout(WITHIN, exchange(port, host, path)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Nothing {
            why: error.to_string(),
        },
        Err(_) => Answer::Late,
    }
}

async fn exchange(port: PortNumber, host: &str, path: &str) -> std::io::Result<Answer> {
    let request = Request::get(path).header(header::HOST, format!("{host}:{port}"));
    let (status, body) = loopback::exchange(port, request, BODY_READ).await?;
    let is_traefiks = [NO_ROUTE, NO_POD, POD_GONE].contains(&(status, body.trim_ascii()));
    Ok(if is_traefiks {
        Answer::NoRoute(status)
    } else {
        Answer::Service
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::loopback::testing::serving;

    async fn asked(answer: &'static str) -> (Answer, String) {
        let (port, served) = serving(answer).await;
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
