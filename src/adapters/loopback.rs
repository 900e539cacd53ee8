//! One plain HTTP exchange with a port of 127.0.0.1, or over a stream. The caller sets the time limit.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{StatusCode, header, request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::domain::PortNumber;

/// Sends a request without a body, and returns the status of the answer with its body; a body of more than `most`
/// bytes is left out.
pub(super) async fn exchange(
    port: PortNumber,
    request: request::Builder,
    most: usize,
) -> std::io::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.get())).await?;
    exchange_on(stream, request, Bytes::new(), most).await
}

/// The same with a body, over any stream.
pub(super) async fn exchange_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: request::Builder,
    body: Bytes,
    most: usize,
) -> std::io::Result<(StatusCode, Bytes)> {
    let (mut request_tx, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    let request = request
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
        .map_err(std::io::Error::other)?;
    let exchange = async {
        let answer = request_tx.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        Ok::<_, hyper::Error>((status, body.unwrap_or_default()))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer.map_err(std::io::Error::other)
}

/// A server for tests.
#[cfg(test)]
pub(super) mod testing {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    /// Gives one answer, word for word; its port, and the request that it will have got.
    pub(in crate::adapters) async fn serving(
        answer: &'static str,
    ) -> (PortNumber, JoinHandle<String>) {
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
}
