//! Containers and networks.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use bollard::{
    models::{
        ContainerSummary, ContainerSummaryStateEnum as State, NetworkConnectRequest,
        NetworkDisconnectRequest,
    },
    query_parameters::{
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use jiff::Timestamp;

use super::{
    Docker, DockerError,
    client::{QUICK, REMOVES_WITHIN},
};
use crate::domain::{ClusterName, PortNumber};

/// How often a container that is being removed is looked at.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The labels k3d puts on what it makes.
const K3D_APP: &str = "app=k3d";
const K3D_ROLE: &str = "k3d.role";
/// The label that k3d gives what belongs to a cluster.
pub const K3D_CLUSTER: &str = "k3d.cluster";
/// The label that says for which environment a cluster was made.
pub const ENVIRONMENT: &str = "devenv.environment";

/// A container of a k3d cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterContainer {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// The environment it was made for, by its label; `None` if devenv did not make it.
    pub environment: Option<String>,
    /// What it does now.
    pub state: EngineState,
    /// Its ports on the host; none while it does not run.
    pub ports: Vec<PublishedPort>,
    /// Its image as it was named when it was made.
    pub image: String,
    /// Directories of the host that it sees.
    pub host_directories: Vec<PathBuf>,
}

/// What a container of a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Runs the control plane.
    Server,
    /// Runs pods only.
    Agent,
    /// Leads the host's ports to the nodes.
    LoadBalancer,
    /// Holds images.
    Registry,
    /// Works for k3d for a short time.
    Helper,
}

impl NodeRole {
    /// Whether pods run in it.
    pub const fn is_node(self) -> bool {
        matches!(self, Self::Server | Self::Agent)
    }
}

/// What the engine says a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    /// Made and never started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended, and is about to be started again.
    Restarting,
    /// Ended, or is ending.
    Exited,
    /// Is being removed.
    Removing,
    /// Could not be removed.
    Dead,
}

/// A port of a container on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The host's address.
    pub address: String,
    /// The host's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
}

impl Docker {
    /// All containers of a k3d cluster and its registry, running or not, by name: one request.
    pub async fn containers_of(
        &self,
        cluster: &ClusterName,
    ) -> Result<Vec<ClusterContainer>, DockerError> {
        let filters = HashMap::from([("label", vec![K3D_APP])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let what = format!("list the containers of the cluster {cluster}");
        let all = self
            .call(&what, QUICK, self.client().list_containers(Some(options)))
            .await?;
        let registry = cluster.registry_container();
        let mut ours: Vec<_> = all
            .into_iter()
            .filter_map(|summary| {
                let of_cluster = label(&summary, K3D_CLUSTER) == Some(cluster.as_str());
                let container = of_summary(summary)?;
                (of_cluster || container.name == registry).then_some(container)
            })
            .collect();
        ours.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ours)
    }

    /// All containers that carry the label of an environment, running or not, by name.
    pub async fn containers_of_environments(&self) -> Result<Vec<ClusterContainer>, DockerError> {
        let filters = HashMap::from([("label", vec![ENVIRONMENT])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let what = "list the containers of environments";
        let list = self.client().list_containers(Some(options));
        let found = self.call(what, QUICK, list).await?;
        let mut found: Vec<_> = found.into_iter().filter_map(of_summary).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The nodes of a k3d cluster, running or not, by name.
    pub async fn nodes_of(
        &self,
        cluster: &ClusterName,
    ) -> Result<Vec<ClusterContainer>, DockerError> {
        let mut containers = self.containers_of(cluster).await?;
        containers.retain(|container| container.role.is_node());
        Ok(containers)
    }

    /// When a container was started last; `None` if it never was, or is not there.
    pub async fn started_at(&self, name: &str) -> Result<Option<Timestamp>, DockerError> {
        let inspect = self.client().inspect_container(name, None);
        let what = format!("look at the container {name}");
        match self.call(&what, QUICK, inspect).await {
            Ok(found) => {
                let started = found.state.and_then(|state| state.started_at);
                // The engine writes the year 1 for never.
                let started = started.and_then(|text| text.parse::<Timestamp>().ok());
                Ok(started.filter(|time| *time > Timestamp::UNIX_EPOCH))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What tells a container from every other of its name; `None` if it is not there.
    pub async fn id_of(&self, name: &str) -> Result<Option<String>, DockerError> {
        let inspect = self.client().inspect_container(name, None);
        let what = format!("look at the container {name}");
        match self.call(&what, QUICK, inspect).await {
            Ok(found) => Ok(found.id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The running container that publishes `port` on the host, whoever made it.
    pub async fn container_publishing(
        &self,
        port: PortNumber,
    ) -> Result<Option<String>, DockerError> {
        let options = ListContainersOptionsBuilder::new().build();
        let all = self
            .call(
                "list its containers",
                QUICK,
                self.client().list_containers(Some(options)),
            )
            .await?;
        Ok(all
            .into_iter()
            .filter_map(of_summary)
            .find(|container| {
                container
                    .ports
                    .iter()
                    .any(|published| published.host == port.get())
            })
            .map(|container| container.name))
    }

    /// Starts a container; one that runs is left alone.
    pub async fn start_container(&self, name: &str) -> Result<(), DockerError> {
        let start = self.client().start_container(name, None);
        self.call(&format!("start the container {name}"), QUICK, start)
            .await
    }

    /// Has a paused container go on.
    pub async fn unpause_container(&self, name: &str) -> Result<(), DockerError> {
        let unpause = self.client().unpause_container(name);
        self.call(&format!("unpause the container {name}"), QUICK, unpause)
            .await
    }

    /// Stops a container: asks it to end, kills it after `grace`. One that does not run is left alone.
    pub async fn stop_container(&self, name: &str, grace: Duration) -> Result<(), DockerError> {
        let seconds = grace.as_secs().try_into().unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let stop = self.client().stop_container(name, Some(options));
        self.call(&format!("stop the container {name}"), grace + QUICK, stop)
            .await
    }

    /// Removes a container, running or not, with its anonymous volumes; none there is fine.
    pub async fn remove_container(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let remove = self.client().remove_container(name, Some(options));
        let removed = self
            .call(
                &format!("remove the container {name}"),
                REMOVES_WITHIN,
                remove,
            )
            .await;
        match removed {
            // Somebody else's request, such as that of a run which was killed.
            Err(DockerError::Refused { message, .. })
                if message.contains("already in progress") =>
            {
                self.wait_removed(name).await
            }
            answer => absent_is_fine(answer),
        }
    }

    /// Waits until a container that is being removed is gone.
    async fn wait_removed(&self, name: &str) -> Result<(), DockerError> {
        let gone = async {
            loop {
                match self.client().inspect_container(name, None).await {
                    Ok(_) => tokio::time::sleep(LOOK_AGAIN).await,
                    Err(error) => return Err::<(), _>(error),
                }
            }
        };
        let what = format!("see the container {name} removed");
        absent_is_fine(self.call(&what, REMOVES_WITHIN, gone).await)
    }

    /// Whether there is a network called `name`.
    pub async fn has_network(&self, name: &str) -> Result<bool, DockerError> {
        let inspect = self.client().inspect_network(name, None);
        let found = self
            .call(&format!("look at the network {name}"), QUICK, inspect)
            .await;
        is_there(found)
    }

    /// Puts a container on a network, running or not; one that is on it is left alone.
    pub async fn join_network(&self, network: &str, container: &str) -> Result<(), DockerError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            ..NetworkConnectRequest::default()
        };
        let connect = self.client().connect_network(network, request);
        let what = format!("put the container {container} on the network {network}");
        match self.call(&what, QUICK, connect).await {
            Err(DockerError::Refused { message, .. })
                if message.contains("already exists in network") =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Takes a container off a network, running or not; one that is not on it is left alone.
    pub async fn disconnect(&self, network: &str, container: &str) -> Result<(), DockerError> {
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: Some(true),
        };
        let disconnect = self.client().disconnect_network(network, request);
        let what = format!("take the container {container} off the network {network}");
        match self.call(&what, QUICK, disconnect).await {
            // The engine has no status of its own for it.
            Err(DockerError::Refused { message, .. })
                if message.contains("is not connected to") =>
            {
                Ok(())
            }
            // On its way out, and off the network when it is gone.
            Err(DockerError::Refused { message, .. })
                if message.contains("is marked for removal") =>
            {
                self.wait_removed(container).await
            }
            answer => absent_is_fine(answer),
        }
    }

    /// Removes a network; none there is fine.
    pub async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        let remove = self.client().remove_network(name);
        let removed = self
            .call(&format!("remove the network {name}"), QUICK, remove)
            .await;
        absent_is_fine(removed)
    }
}

/// Turns "not there" into `false`.
pub(super) fn is_there<T>(answer: Result<T, DockerError>) -> Result<bool, DockerError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Turns "not there" into success.
pub(super) fn absent_is_fine(answer: Result<(), DockerError>) -> Result<(), DockerError> {
    is_there(answer).map(|_| ())
}

pub(super) fn label<'a>(summary: &'a ContainerSummary, key: &str) -> Option<&'a str> {
    summary.labels.as_ref()?.get(key).map(String::as_str)
}

/// `None` for a container without a name, which is being removed.
fn of_summary(summary: ContainerSummary) -> Option<ClusterContainer> {
    let role = match label(&summary, K3D_ROLE) {
        Some("server") => NodeRole::Server,
        Some("agent") => NodeRole::Agent,
        Some("loadbalancer") => NodeRole::LoadBalancer,
        Some("registry") => NodeRole::Registry,
        _ => NodeRole::Helper,
    };
    let environment = label(&summary, ENVIRONMENT).map(str::to_owned);
    let ports = summary.ports.unwrap_or_default();
    let mut ports: Vec<_> = ports
        .into_iter()
        .filter_map(|port| {
            Some(PublishedPort {
                address: port.ip.unwrap_or_default(),
                host: port.public_port?,
                container: port.private_port,
            })
        })
        .collect();
    ports.sort_by(|a, b| (a.host, &a.address).cmp(&(b.host, &b.address)));
    Some(ClusterContainer {
        name: summary.names?.first()?.trim_start_matches('/').to_owned(),
        role,
        environment,
        state: match summary.state? {
            State::CREATED | State::EMPTY => EngineState::Created,
            State::RUNNING => EngineState::Running,
            State::PAUSED => EngineState::Paused,
            State::RESTARTING => EngineState::Restarting,
            State::EXITED | State::STOPPING => EngineState::Exited,
            State::REMOVING => EngineState::Removing,
            State::DEAD => EngineState::Dead,
        },
        ports,
        image: summary.image.unwrap_or_default(),
        host_directories: summary
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(|mount| Some(mount.source?.into()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_the_engine_becomes_a_container_of_the_cluster() {
        let summary: ContainerSummary = serde_json::from_value(serde_json::json!({
            "Names": ["/k3d-shop-registry"],
            "Image": "registry:2",
            "State": "running",
            "Labels": { "app": "k3d", "k3d.role": "registry", "devenv.environment": "shop-1" },
            "Mounts": [{ "Type": "bind", "Source": "/data/registry", "Destination": "/var/lib/registry" }],
            "Ports": [
                { "PrivatePort": 5000, "Type": "tcp" },
                { "IP": "127.0.0.1", "PrivatePort": 5000, "PublicPort": 5050, "Type": "tcp" }
            ]
        }))
        .unwrap();
        assert_eq!(
            of_summary(summary).unwrap(),
            ClusterContainer {
                name: "k3d-shop-registry".to_owned(),
                role: NodeRole::Registry,
                environment: Some("shop-1".to_owned()),
                state: EngineState::Running,
                ports: vec![PublishedPort {
                    address: "127.0.0.1".to_owned(),
                    host: 5050,
                    container: 5000,
                }],
                image: "registry:2".to_owned(),
                host_directories: vec!["/data/registry".into()],
            }
        );
    }
}
