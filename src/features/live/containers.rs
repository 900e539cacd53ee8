//! The containers in which a service runs.

use core::net::IpAddr;

use crate::{
    adapters::{agent::ContainerId, kube::ClusterView},
    domain::{ContainerState, ObservedPod, ServiceName},
};

/// A running container of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveContainer {
    /// Its pod.
    pub(super) pod: String,
    /// Its name in the pod.
    pub(super) name: String,
    /// The runtime's id of it.
    pub(super) id: ContainerId,
    /// The node it runs on.
    pub(super) node: String,
    /// The address of its pod.
    pub(super) ip: Option<IpAddr>,
}

/// The running containers of a service, of pods that are to stay.
pub(super) fn of(service: &ServiceName, view: &ClusterView) -> Vec<LiveContainer> {
    let pods = view
        .pods
        .iter()
        .filter(|pod| &pod.service == service && !pod.deleting);
    pods.filter_map(|pod| running(service, pod)).collect()
}

/// The container that the chart gives the service's name.
fn running(service: &ServiceName, pod: &ObservedPod) -> Option<LiveContainer> {
    let mut containers = pod.containers.iter();
    let container = containers.find(|container| container.name == service.as_str())?;
    if container.now != ContainerState::Running {
        return None;
    }
    Some(LiveContainer {
        pod: pod.name.clone(),
        name: container.name.clone(),
        id: container.id.as_ref()?.parse().ok()?,
        node: pod.node.clone()?,
        ip: pod.ip,
    })
}
