//! A TCP port of 127.0.0.1 whose connections are passed on.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A port that is listened on until this is dropped.
#[derive(Debug)]
pub struct LocalPort {
    listener: TcpListener,
    address: SocketAddr,
}

/// A connection that came.
#[derive(Debug)]
pub struct LocalConnection(TcpStream);

impl LocalPort {
    /// Listens on a port; on one that is free if it is 0.
    pub async fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> io::Result<LocalConnection> {
        let (stream, _) = self.listener.accept().await?;
        // What comes is passed on as it comes: a debugger's messages are small.
        stream.set_nodelay(true)?;
        Ok(LocalConnection(stream))
    }
}

impl LocalConnection {
    /// Passes bytes on in both directions until both ends are closed.
    pub async fn join(mut self, mut other: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        copy_bidirectional(&mut self.0, &mut other)
            .await
            .map(|_| ())
    }

    /// Waits until whoever connected has gone. Nothing that they sent is read.
    pub async fn closed(&self) {
        let mut byte = [0];
        loop {
            match self.0.peek(&mut byte).await {
                Ok(0) | Err(_) => return,
                // What they sent stays there, and the end comes only behind it.
                Ok(_) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_is_sent_to_a_port_reaches_the_other_end_and_the_answer_comes_back() {
        let port = LocalPort::listen(0).await.unwrap();
        let mut client = TcpStream::connect(port.address()).await.unwrap();
        let connection = port.accept().await.unwrap();
        let (near, mut far) = tokio::io::duplex(64);
        let joined = tokio::spawn(connection.join(near));
        client.write_all(b"question").await.unwrap();
        let mut question = [0; 8];
        far.read_exact(&mut question).await.unwrap();
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&question, answer.as_str()), (b"question", "answer"));
        drop(client);
        joined.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn one_who_goes_before_anything_is_passed_on_is_noticed() {
        let port = LocalPort::listen(0).await.unwrap();
        let client = TcpStream::connect(port.address()).await.unwrap();
        let connection = port.accept().await.unwrap();
        drop(client);
        connection.closed().await;
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let port = LocalPort::listen(0).await.unwrap();
        let error = LocalPort::listen(port.address().port()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
