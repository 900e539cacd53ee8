//! One connection of our own to the engine's API.

use std::{convert::Infallible, io};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;

/// Why a body was cut short.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a request.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// What went wrong on a connection that was open.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// The connection could not be opened.
    #[error(transparent)]
    Connect(#[from] io::Error),
    /// It broke.
    #[error("the connection was broken off ({0})")]
    Broken(#[from] hyper::Error),
    /// Something else answers.
    #[error("what answers is no docker engine")]
    NoEngine,
    /// What came is not what the API says.
    #[error("the answer is not what the docker API says")]
    Unreadable(#[from] serde_json::Error),
    /// A request could not be written down.
    #[error(transparent)]
    Request(#[from] http::Error),
}

/// A connection for one request after the other.
pub(super) struct Connection {
    request_tx: SendRequest<Body>,
}

impl Connection {
    /// Opens a connection.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, TransportError> {
        Ok(match endpoint {
            Endpoint::Unix(path) => Self::over(UnixStream::connect(path).await?).await?,
            Endpoint::Tcp { host, port } => {
                Self::over(TcpStream::connect((host.as_str(), *port)).await?).await?
            }
        })
    }

    async fn over<S>(stream: S) -> Result<Self, hyper::Error>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (request_tx, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with its request's end, or with this struct; what breaks shows at the request.
        tokio::spawn(connection.with_upgrades());
        Ok(Self { request_tx })
    }

    /// Sends a request; the host header is added.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, TransportError> {
        request
            .headers_mut()
            .insert(http::header::HOST, http::HeaderValue::from_static("docker"));
        Ok(self.request_tx.send_request(request).await?)
    }
}

/// A body without anything.
pub(super) fn empty() -> Body {
    Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body that comes in pieces.
pub(super) fn streamed<S>(chunks: S) -> Body
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// The whole of a body.
pub(super) async fn whole(response: Response<Incoming>) -> Result<Bytes, TransportError> {
    Ok(response.into_body().collect().await?.to_bytes())
}

/// The JSON documents of a body, one after the other as they come.
pub(super) fn documents<T: DeserializeOwned>(
    response: Response<Incoming>,
) -> impl Stream<Item = Result<T, TransportError>> {
    let state = (response.into_body(), BytesMut::new());
    stream::unfold(state, |(mut body, mut buffer)| async {
        loop {
            if let Some(document) = next_line(&mut buffer) {
                let parsed = serde_json::from_slice(&document).map_err(TransportError::from);
                return Some((parsed, (body, buffer)));
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Some((Err(error.into()), (body, buffer))),
                None => return None,
            }
        }
    })
}

/// The next line that is not blank. The engine ends every document with a line break.
fn next_line(buffer: &mut BytesMut) -> Option<Bytes> {
    loop {
        let end = buffer.iter().position(|byte| *byte == b'\n')?;
        let line = buffer.split_to(end).freeze();
        buffer.advance(1);
        if !line.trim_ascii().is_empty() {
            return Some(line);
        }
    }
}

/// What an answer that is no success says.
pub(super) fn error_message(status: http::StatusCode, body: &[u8]) -> String {
    serde_json::from_slice::<ErrorAnswer>(body)
        .map_or_else(|_| format!("it answers {status}"), |answer| answer.message)
}

#[derive(serde::Deserialize)]
struct ErrorAnswer {
    message: String,
}

/// A path with its query, each value percent-encoded.
pub(super) fn path_and_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push('%');
                text.push(hex_digit(byte >> 4));
                text.push(hex_digit(byte & 0xf));
            }
        }
    }
    text
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_can_carry_anything() {
        assert_eq!(
            path_and_query(
                "/build",
                &[("t", "127.0.0.1:1/a:b"), ("args", r#"{"A":"ü&"}"#)]
            ),
            "/build?t=127.0.0.1%3A1%2Fa%3Ab&args=%7B%22A%22%3A%22%C3%BC%26%22%7D"
        );
    }

    #[test]
    fn documents_are_split_at_line_breaks_wherever_the_pieces_end() {
        let mut buffer = BytesMut::from(&b"{\"a\":1}\r\n\n{\"b\""[..]);
        assert_eq!(next_line(&mut buffer).unwrap(), "{\"a\":1}\r");
        assert_eq!(next_line(&mut buffer), None);
        buffer.extend_from_slice(b":2}\n");
        assert_eq!(next_line(&mut buffer).unwrap(), "{\"b\":2}");
    }
}
