//! Connections to ports of this machine, passed on to the pod that is named at the time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
};

use super::Ports;
use crate::{
    adapters::{
        docker::Docker,
        host::port_owner,
        kube::Cluster,
        local_port::{LocalConnection, LocalPort},
    },
    domain::{ExitClass, Failure, NoticeLevel, PortNumber, ServiceName},
    report::Outbox,
};

/// How long a connection waits for a pod.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until a pod that could not be reached is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Ports that are forwarded until this is dropped.
#[derive(Debug)]
pub(in crate::features) struct Forwarder {
    line: Arc<Line>,
    ports: JoinSet<()>,
}

/// Where connections go.
#[derive(Debug)]
struct Line {
    cluster: Cluster,
    service: ServiceName,
    pod_rx: watch::Receiver<Option<String>>,
    outbox: Outbox,
}

impl Forwarder {
    /// Connections go to the pod that `pod_rx` names, and wait while it names none.
    pub(in crate::features) fn new(
        cluster: Cluster,
        service: ServiceName,
        pod_rx: watch::Receiver<Option<String>>,
        outbox: Outbox,
    ) -> Self {
        let line = Line {
            cluster,
            service,
            pod_rx,
            outbox,
        };
        Self {
            line: Arc::new(line),
            ports: JoinSet::new(),
        }
    }

    /// Forwards a port from now on; says where it listens.
    pub(in crate::features) async fn listen(
        &mut self,
        Ports { local, remote }: Ports,
        docker: &Docker,
    ) -> Result<SocketAddr, Failure> {
        let port = match LocalPort::listen(local.map_or(0, PortNumber::get)).await {
            Ok(port) => port,
            Err(error) => {
                let service = &self.line.service;
                return Err(not_listened(service, local, &error, docker).await);
            }
        };
        let address = port.address();
        self.ports
            .spawn(accept(port, remote, Arc::clone(&self.line)));
        Ok(address)
    }
}

async fn not_listened(
    service: &ServiceName,
    local: Option<PortNumber>,
    error: &io::Error,
    docker: &Docker,
) -> Failure {
    let taken = match local {
        Some(port) if error.kind() == io::ErrorKind::AddrInUse => port_owner(port, docker)
            .await
            .failure(port, &format!("which should lead to {service}")),
        _ => None,
    };
    if let Some(mut failure) = taken {
        // The last hint is about the ports of the manifest.
        failure.help.pop();
        return failure.of(service);
    }
    let port = local.map_or_else(|| "a port".to_owned(), |port| format!("port {port}"));
    Failure::new(
        "forward.not-listening",
        ExitClass::Prerequisite,
        format!("cannot listen on {port} of 127.0.0.1"),
    )
    .caused_by(error)
    .of(service)
}

async fn accept(port: LocalPort, remote: PortNumber, line: Arc<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok(connection) => {
                    connections.spawn(serve(connection, remote, Arc::clone(&line)));
                }
                Err(error) => {
                    line.warn(format!("a connection to {} was lost: {error}", port.address())).await;
                    // Trying again at once would keep a processor busy for as long as nothing changes.
                    tokio::time::sleep(AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(connection: LocalConnection, remote: PortNumber, line: Arc<Line>) {
    let opened = tokio::select! {
        opened = tokio::time::timeout(PATIENCE, line.open(remote)) => opened,
        () = connection.closed() => return,
    };
    if let Ok(stream) = opened {
        // A connection that breaks off does so for its two ends, who will say what it means.
        return drop(connection.join(stream).await);
    }
    let (service, seconds) = (&line.service, PATIENCE.as_secs());
    let text = format!("a connection was closed: no pod of {service} was ready for {seconds} s");
    line.warn(text).await;
}

impl Line {
    /// Opens a stream to the pod of now, as soon as there is one.
    async fn open(&self, remote: PortNumber) -> impl AsyncRead + AsyncWrite + Send + Unpin + use<> {
        let mut pod_rx = self.pod_rx.clone();
        loop {
            let named = pod_rx.wait_for(Option::is_some).await;
            let Some(pod) = named.ok().and_then(|pod| pod.clone()) else {
                // Nobody names pods any more: the command is at its end.
                return std::future::pending().await;
            };
            match self.cluster.port_stream(&pod, remote).await {
                Ok(stream) => return stream,
                // It may be gone; its successor is named soon.
                Err(_) => {
                    let _ = tokio::time::timeout(AGAIN, pod_rx.changed()).await;
                }
            }
        }
    }

    async fn warn(&self, text: String) {
        self.outbox.notice(NoticeLevel::Warning, text).await;
    }
}
