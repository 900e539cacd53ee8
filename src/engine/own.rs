//! What is an environment's own among the containers of docker: asked before any of them is changed.

use std::path::Path;

use crate::{
    adapters::docker::{ClusterContainer, Docker, NodeRole},
    domain::{EnvironmentId, ExitClass, Failure},
};

/// The containers of an environment.
#[derive(Debug, Default)]
pub struct OwnContainers {
    /// Nodes, load balancer, helpers of k3d.
    pub cluster: Vec<ClusterContainer>,
    /// The registry.
    pub registry: Option<ClusterContainer>,
}

impl OwnContainers {
    /// All of them.
    pub fn all(&self) -> Vec<ClusterContainer> {
        self.cluster.iter().chain(&self.registry).cloned().collect()
    }

    /// Asks docker for them; `registry` is the directory in which the environment's registry keeps images.
    ///
    /// Fails where a container of the environment's name is another's.
    pub async fn find(
        docker: &Docker,
        id: &EnvironmentId,
        registry: &Path,
    ) -> Result<Self, Failure> {
        let found = docker.containers_of(&id.cluster()).await;
        Self::of(id, registry, found.map_err(|error| error.failure())?)
    }

    fn of(
        id: &EnvironmentId,
        registry: &Path,
        found: Vec<ClusterContainer>,
    ) -> Result<Self, Failure> {
        let is_labelled =
            |container: &ClusterContainer| container.environment.as_deref() == Some(id.as_str());
        let any_labelled = found.iter().any(is_labelled);
        let mut own = Self::default();
        for container in found {
            let is_ours = is_labelled(&container)
                || match container.role {
                    // k3d gives neither registries nor helpers a label of ours: the one is known by the
                    // directory it writes to. The other holds nothing, and is the first and for a moment
                    // the only container of a cluster: a creation that was killed then must not bar the way.
                    NodeRole::Registry => {
                        any_labelled || container.host_directories.iter().any(|d| d == registry)
                    }
                    NodeRole::Helper => true,
                    NodeRole::Server | NodeRole::Agent | NodeRole::LoadBalancer => false,
                };
            if !is_ours {
                return Err(not_ours(&container));
            }
            match container.role {
                NodeRole::Registry => own.registry = Some(container),
                _ => own.cluster.push(container),
            }
        }
        Ok(own)
    }
}

/// The failure where a container of the environment's name is not its own.
pub fn not_ours(container: &ClusterContainer) -> Failure {
    Failure::new(
        "cluster.not-ours",
        ExitClass::Cluster,
        "a cluster of this environment's name exists, and devenv did not create it",
    )
    .because(format!(
        "its container {} lacks the label `devenv.environment` of this environment",
        container.name
    ))
    .help("rename the project in devenv.yaml, or remove that cluster yourself: k3d cluster list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::docker::EngineState, domain::testing::environment};

    fn container(role: NodeRole, environment: Option<&str>) -> ClusterContainer {
        ClusterContainer {
            name: "k3d-shop".to_owned(),
            role,
            environment: environment.map(str::to_owned),
            state: EngineState::Running,
            ports: Vec::new(),
            image: String::new(),
            host_directories: vec!["/data/registry".into()],
        }
    }

    fn sorted(registry: &str, found: Vec<ClusterContainer>) -> Result<(usize, bool), &'static str> {
        let id = environment(&[]).id;
        OwnContainers::of(&id, Path::new(registry), found)
            .map(|own| (own.cluster.len(), own.registry.is_some()))
            .map_err(|failure| failure.code.0)
    }

    #[test]
    fn nodes_are_ours_by_their_label_and_by_nothing_else() {
        let id = environment(&[]).id;
        let ours = container(NodeRole::Server, Some(id.as_str()));
        assert_eq!(sorted("/r", vec![ours.clone()]), Ok((1, false)));
        for other in [None, Some("shop-0")] {
            let node = container(NodeRole::Server, other);
            assert_eq!(
                sorted("/data/registry", vec![node.clone()]),
                Err("cluster.not-ours")
            );
            assert_eq!(
                sorted("/r", vec![ours.clone(), node]),
                Err("cluster.not-ours")
            );
        }
    }

    #[test]
    fn a_helper_is_ours_unless_it_helps_another() {
        let helper = container(NodeRole::Helper, None);
        assert_eq!(sorted("/r", vec![helper.clone()]), Ok((1, false)));
        let node = container(NodeRole::Server, None);
        assert_eq!(sorted("/r", vec![helper, node]), Err("cluster.not-ours"));
    }

    #[test]
    fn a_registry_is_ours_by_its_directory_or_by_its_cluster() {
        let registry = container(NodeRole::Registry, None);
        let alone = vec![registry.clone()];
        assert_eq!(sorted("/data/registry", alone.clone()), Ok((0, true)));
        assert_eq!(sorted("/other", alone), Err("cluster.not-ours"));
        let id = environment(&[]).id;
        let node = container(NodeRole::Agent, Some(id.as_str()));
        assert_eq!(sorted("/other", vec![node, registry]), Ok((1, true)));
    }
}
