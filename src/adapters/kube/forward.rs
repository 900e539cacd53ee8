//! Streams to the ports of pods.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::PortNumber;

impl Cluster {
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
