//! Streams to the ports of pods.

use bytes::Bytes;
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Cluster, KubeError, REQUEST, call};
use crate::{adapters::loopback::exchange_on, domain::PortNumber};

/// The longest answer that is read of a service, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

impl Cluster {
    /// Sends a request to a port of a pod, over plain HTTP; the status and the body of the answer.
    pub async fn http(
        &self,
        pod: &str,
        port: PortNumber,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), KubeError> {
        let stream = self.port_stream(pod, port).await?;
        let answer = exchange_on(stream, request, body, LONGEST_ANSWER).await;
        answer.map_err(|error| KubeError::BrokenOff {
            doing: format!("send a request to port {port} of {pod}"),
            why: error.to_string(),
        })
    }

    /// Opens a stream to a port of a pod, as `kubectl port-forward` does. It ends with the connection in the pod, and
    /// at once if nothing listens there.
    pub async fn port_stream(
        &self,
        pod: &str,
        port: PortNumber,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, KubeError> {
        let doing = format!("connect to port {port} of {pod}");
        let pods: Api<Pod> = self.api();
        let number = [port.get()];
        let mut opened = call(&doing, REQUEST, pods.portforward(pod, &number)).await?;
        opened
            .take_stream(port.get())
            .ok_or_else(|| KubeError::BrokenOff {
                doing,
                why: "the cluster gave no stream".to_owned(),
            })
    }
}
