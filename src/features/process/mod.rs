//! The processes that devenv's init runs for services, each in its container, and the agents that reach them.
//!
//! Called by the features that change, start anew or ask them: the live loop, `restart` and `debug`. It decides nothing
//! about when that is done.

mod agents;
mod ready;
mod restart;

use core::net::IpAddr;

pub(super) use self::{
    agents::Agents,
    ready::{Awaited, NotReady, until_ready},
    restart::{not_ready, restart, restart_all, until_ready_again},
};
use crate::{
    adapters::agent::{AgentFailure, ContainerId},
    domain::{ContainerState, Failure, ObservedPod, ServiceName},
};

/// The running container in which a service's process is, whether devenv's init runs it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Whose it is.
    pub(super) service: ServiceName,
    /// Its pod.
    pub(super) pod: String,
    /// The runtime's id of its container.
    pub(super) container: ContainerId,
    /// The node it runs on.
    pub(super) node: String,
    /// The address of its pod.
    pub(super) ip: Option<IpAddr>,
}

impl Process {
    /// The process of a pod; `None` unless it runs.
    pub(super) fn of(pod: &ObservedPod) -> Option<Self> {
        // The chart gives it the service's name.
        Self::in_container(pod, pod.service.as_str())
    }

    /// The process of a container of a pod; `None` unless it runs.
    pub(super) fn in_container(pod: &ObservedPod, name: &str) -> Option<Self> {
        let mut containers = pod.containers.iter();
        let container = containers.find(|container| container.name == name)?;
        if container.now != ContainerState::Running {
            return None;
        }
        Some(Self {
            service: pod.service.clone(),
            pod: pod.name.clone(),
            container: container.id.as_ref()?.parse().ok()?,
            node: pod.node.clone()?,
            ip: pod.ip,
        })
    }

    /// The failure of something that was asked for it.
    pub(super) fn failure(&self, error: &AgentFailure) -> Failure {
        error.failure().of(&self.service)
    }
}

/// The pods of a service that are to stay.
pub(super) fn pods_of<'a>(
    service: &'a ServiceName,
    pods: &'a [ObservedPod],
) -> impl Iterator<Item = &'a ObservedPod> {
    let pods = pods.iter();
    pods.filter(move |pod| &pod.service == service && !pod.deleting)
}
