//! All Kubernetes clusters in containers of this engine, whoever made them, and the memory that they take.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use bollard::{
    models::{ContainerMemoryStats, ContainerSummary},
    query_parameters::{ListContainersOptionsBuilder, StatsOptionsBuilder},
};
use futures::StreamExt as _;

use super::{
    Docker, DockerError,
    client::QUICK,
    containers::{ENVIRONMENT, K3D_CLUSTER, label},
};
use crate::domain::Memory;

/// The label by which kind knows its nodes.
const KIND_CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label by which minikube knows its nodes.
const MINIKUBE_CLUSTER: &str = "name.minikube.sigs.k8s.io";
/// What the kernel could take back at once, in the words of either form of its groups of processes.
const RECLAIMABLE: [&str; 2] = ["total_inactive_file", "inactive_file"];

/// What makes clusters in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterMaker {
    /// k3d, called by devenv or by anyone else.
    K3d,
    /// kind.
    Kind,
    /// minikube.
    Minikube,
}

impl fmt::Display for ClusterMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::K3d => "k3d",
            Self::Kind => "kind",
            Self::Minikube => "minikube",
        })
    }
}

/// A cluster of which containers run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCluster {
    /// What made it.
    pub maker: ClusterMaker,
    /// Its name.
    pub name: String,
    /// The environment that it was made for, by its label.
    pub environment: Option<String>,
    /// The memory that its containers have in use, without what the kernel could take back at once.
    pub memory: Memory,
}

impl Docker {
    /// The clusters that run, by maker and name.
    pub async fn local_clusters(&self) -> Result<Vec<LocalCluster>, DockerError> {
        let options = ListContainersOptionsBuilder::new().build();
        let list = self.client().list_containers(Some(options));
        let running = self.call("list its containers", QUICK, list).await?;
        let nodes = running.iter().filter_map(|container| {
            let (maker, name) = cluster_of(container)?;
            let environment = label(container, ENVIRONMENT).map(str::to_owned);
            Some((maker, name, environment, container.id.as_deref()?))
        });
        let measuring = nodes.map(|(maker, name, environment, id)| async move {
            // A container that ends meanwhile takes nothing.
            let memory = self.memory_of(id).await.unwrap_or(0);
            (maker, name, environment, memory)
        });
        let mut clusters = BTreeMap::<_, LocalCluster>::new();
        for (maker, name, environment, memory) in futures::future::join_all(measuring).await {
            let cluster =
                clusters
                    .entry((maker, name.to_owned()))
                    .or_insert_with(|| LocalCluster {
                        maker,
                        name: name.to_owned(),
                        environment: None,
                        memory: Memory::from_bytes(0),
                    });
            cluster.memory = Memory::from_bytes(cluster.memory.bytes() + memory);
            cluster.environment = cluster.environment.take().or(environment);
        }
        Ok(clusters.into_values().collect())
    }

    async fn memory_of(&self, container: &str) -> Option<u64> {
        let options = StatsOptionsBuilder::new()
            .stream(false)
            .one_shot(true)
            .build();
        let mut stats = std::pin::pin!(self.client().stats(container, Some(options)));
        let first = tokio::time::timeout(QUICK, stats.next()).await.ok()??;
        in_use(&first.ok()?.memory_stats?)
    }
}

fn cluster_of(container: &ContainerSummary) -> Option<(ClusterMaker, &str)> {
    let makers = [
        (ClusterMaker::K3d, K3D_CLUSTER),
        (ClusterMaker::Kind, KIND_CLUSTER),
        (ClusterMaker::Minikube, MINIKUBE_CLUSTER),
    ];
    let mut found = makers
        .into_iter()
        .filter_map(|(maker, key)| Some((maker, label(container, key)?)));
    // k3d gives a registry that belongs to no cluster an empty name.
    found.find(|(_, name)| !name.is_empty())
}

/// The memory that programs need, without what the kernel keeps of files only because it has room.
fn in_use(stats: &ContainerMemoryStats) -> Option<u64> {
    let details = stats.stats.as_ref();
    let figure = |name: &str| details.and_then(|all: &HashMap<_, _>| all.get(name).copied());
    let reclaimable = RECLAIMABLE.into_iter().find_map(figure).unwrap_or(0);
    Some(stats.usage?.saturating_sub(reclaimable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(labels: &serde_json::Value) -> ContainerSummary {
        serde_json::from_value(serde_json::json!({ "Labels": labels })).unwrap()
    }

    #[test]
    fn a_cluster_is_known_by_the_label_of_its_maker() {
        for (key, maker) in [
            ("k3d.cluster", ClusterMaker::K3d),
            ("io.x-k8s.kind.cluster", ClusterMaker::Kind),
            ("name.minikube.sigs.k8s.io", ClusterMaker::Minikube),
        ] {
            let container = container(&serde_json::json!({ key: "shop" }));
            assert_eq!(cluster_of(&container), Some((maker, "shop")));
        }
        for other in [
            serde_json::json!({ "k3d.cluster": "" }),
            serde_json::json!({ "app": "web" }),
        ] {
            assert_eq!(cluster_of(&container(&other)), None);
        }
    }

    #[test]
    fn what_the_kernel_could_take_back_is_not_in_use() {
        let of = |stats: serde_json::Value| in_use(&serde_json::from_value(stats).unwrap());
        let first = serde_json::json!({ "usage": 100, "stats": { "total_inactive_file": 30, "inactive_file": 9 } });
        assert_eq!(of(first), Some(70));
        let second = serde_json::json!({ "usage": 100, "stats": { "inactive_file": 40 } });
        assert_eq!(of(second), Some(60));
        assert_eq!(of(serde_json::json!({ "usage": 5 })), Some(5));
        assert_eq!(of(serde_json::json!({})), None);
    }
}
