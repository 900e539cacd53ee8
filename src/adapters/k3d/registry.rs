//! Whether a registry answers: its container runs a moment before its program listens.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::K3dError;
use crate::domain::PortNumber;

/// How often it is asked, and how long one answer may take.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Waits until the registry on a port of the loopback answers requests.
///
/// Docker accepts connections for it before it listens, so that a connection alone says nothing.
pub async fn wait_registry_ready(port: PortNumber, deadline: Duration) -> Result<(), K3dError> {
    let asked = async {
        loop {
            let answer = tokio::time::timeout(ANSWER_WITHIN, ask(port)).await;
            if matches!(answer, Ok(Ok(true))) {
                return;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    let timeout = |_| K3dError::RegistrySilent {
        port,
        after: deadline,
    };
    tokio::time::timeout(deadline, asked).await.map_err(timeout)
}

async fn ask(port: PortNumber) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.get())).await?;
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(start.starts_with(b"HTTP/1.") && start.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A port whose listener answers the first connections with nothing and the rest with `answer`.
    async fn serve(silent: usize, answer: &'static [u8]) -> PortNumber {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for count in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                if count >= silent {
                    let _ = stream.read(&mut [0; 512]).await;
                    let _ = stream.write_all(answer).await;
                }
            }
        });
        PortNumber::new(port).unwrap()
    }

    #[tokio::test]
    async fn a_registry_is_ready_when_it_answers_and_not_when_its_port_is_open() {
        let port = serve(3, b"HTTP/1.1 200 OK\r\n\r\n{}").await;
        wait_registry_ready(port, Duration::from_secs(20))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_registry_that_only_fails_is_given_up_with_its_port_named() {
        let port = serve(0, b"HTTP/1.1 503 No\r\n\r\n").await;
        let error = wait_registry_ready(port, Duration::from_millis(200))
            .await
            .unwrap_err();
        assert_eq!(error.failure().code.0, "cluster.registry-silent");
        assert!(error.to_string().contains(&port.to_string()));
    }
}
