//! The config file that k3d creates a cluster from.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::domain::{ClusterName, Memory, PortNumber};

/// The address that every port of a cluster is bound to: nothing of it can be reached from outside.
pub(super) const LOOPBACK: &str = "127.0.0.1";

/// Where the container runtime of a node keeps its images, in k3s's images and in those made like them.
const NODE_IMAGES: &str = "/var/lib/rancher/k3s/agent/containerd";

/// A cluster to create.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterRequest {
    /// Its name.
    pub name: ClusterName,
    /// The node image, or `+v1.35` for the newest release of a version; k3d's own default if `None`.
    pub image: Option<String>,
    /// Agent nodes beside the one server.
    pub agents: u32,
    /// The host port of the ingress, plain HTTP.
    pub http_port: PortNumber,
    /// The host port of the ingress, HTTPS.
    pub https_port: PortNumber,
    /// The host port of its registry, which must exist.
    pub registry_port: PortNumber,
    /// Directories of the host in every node.
    pub volumes: Vec<NodeVolume>,
    /// Docker volumes in which the nodes keep their images: the server's, then the agents'. A node without one
    /// loses them with the cluster.
    pub image_stores: Vec<String>,
    /// Docker labels of its containers.
    pub labels: BTreeMap<String, String>,
    /// How much memory all nodes may use together.
    pub memory: Option<Memory>,
    /// Where its kubeconfig is written.
    pub kubeconfig: PathBuf,
}

/// A directory of the host that every node sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVolume {
    /// The directory on the host, absolute, without a colon.
    pub host: PathBuf,
    /// Where it is in a node.
    pub node: PathBuf,
    /// Whether the node may only read it.
    pub read_only: bool,
}

impl NodeVolume {
    fn to_argument(&self) -> String {
        let mode = if self.read_only { ":ro" } else { "" };
        format!("{}:{}{mode}", self.host.display(), self.node.display())
    }
}

/// The config file's contents. JSON is YAML.
pub(super) fn config(request: &ClusterRequest, deadline: Duration) -> Value {
    let port = |host: PortNumber, node: u16| {
        json!({
            "port": format!("{LOOPBACK}:{host}:{node}"),
            "nodeFilters": ["loadbalancer"],
        })
    };
    let everywhere = |key: &str, value: String| json!({ key: value, "nodeFilters": ["all"] });
    let volumes = request.volumes.iter();
    let mut volumes: Vec<Value> = volumes
        .map(|v| everywhere("volume", v.to_argument()))
        .collect();
    for (index, store) in request.image_stores.iter().enumerate() {
        let node = match index.checked_sub(1) {
            None => "server:0".to_owned(),
            Some(agent) => format!("agent:{agent}"),
        };
        volumes.push(json!({ "volume": format!("{store}:{NODE_IMAGES}"), "nodeFilters": [node] }));
    }
    let labels = request.labels.iter();
    let mut config = json!({
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "metadata": { "name": request.name.as_str() },
        "servers": 1,
        "agents": request.agents,
        // k3d's default is 0.0.0.0.
        "kubeAPI": { "host": LOOPBACK, "hostIP": LOOPBACK },
        "ports": [port(request.http_port, 80), port(request.https_port, 443)],
        "volumes": volumes,
        "registries": {
            "use": [format!("{}:{}", request.name.registry_container(), request.registry_port)],
        },
        "options": {
            "k3d": {
                "wait": true,
                "timeout": format!("{}s", deadline.as_secs()),
            },
            // The user's kubeconfig is never touched.
            "kubeconfig": { "updateDefaultKubeconfig": false, "switchCurrentContext": false },
            "runtime": {
                "labels": labels
                    .map(|(name, value)| everywhere("label", format!("{name}={value}")))
                    .collect::<Vec<_>>(),
            },
        },
    });
    if let Some(image) = &request.image {
        config["image"] = json!(image);
    }
    if let Some(memory) = request.memory {
        let share = (memory.bytes() / u64::from(request.agents + 1)).to_string();
        let runtime = &mut config["options"]["runtime"];
        runtime["serversMemory"] = json!(share);
        runtime["agentsMemory"] = json!(share);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ClusterRequest {
        let port = |number| PortNumber::new(number).unwrap();
        ClusterRequest {
            name: "shop-1".parse().unwrap(),
            image: Some("rancher/k3s:v1.35.4-k3s1".to_owned()),
            agents: 1,
            http_port: port(8080),
            https_port: port(8443),
            registry_port: port(5050),
            volumes: vec![
                NodeVolume {
                    host: "/data/shop".into(),
                    node: "/var/lib/devenv/volumes".into(),
                    read_only: false,
                },
                NodeVolume {
                    host: "/home/a/shop".into(),
                    node: "/project".into(),
                    read_only: true,
                },
            ],
            image_stores: vec!["k3d-shop-1-server-0-images".to_owned(), "b".to_owned()],
            labels: BTreeMap::from([("devenv.environment".to_owned(), "shop-1".to_owned())]),
            memory: Some("6Gi".parse().unwrap()),
            kubeconfig: "/state/kubeconfig".into(),
        }
    }

    #[test]
    fn nothing_is_bound_beyond_the_loopback_and_the_users_kubeconfig_is_left_alone() {
        let config = config(&request(), Duration::from_mins(2));
        assert_eq!(config["kubeAPI"]["hostIP"], LOOPBACK);
        for port in config["ports"].as_array().unwrap() {
            assert!(port["port"].as_str().unwrap().starts_with("127.0.0.1:"));
        }
        let kubeconfig = &config["options"]["kubeconfig"];
        assert_eq!(kubeconfig["updateDefaultKubeconfig"], false);
        assert_eq!(kubeconfig["switchCurrentContext"], false);
    }

    #[test]
    fn volumes_registry_and_labels_reach_every_node() {
        let config = config(&request(), Duration::from_mins(2));
        assert_eq!(
            config["volumes"],
            json!([
                { "volume": "/data/shop:/var/lib/devenv/volumes", "nodeFilters": ["all"] },
                { "volume": "/home/a/shop:/project:ro", "nodeFilters": ["all"] },
                {
                    "volume": format!("k3d-shop-1-server-0-images:{NODE_IMAGES}"),
                    "nodeFilters": ["server:0"],
                },
                { "volume": format!("b:{NODE_IMAGES}"), "nodeFilters": ["agent:0"] },
            ])
        );
        assert_eq!(
            config["registries"]["use"],
            json!(["k3d-shop-1-registry:5050"])
        );
        assert_eq!(
            config["options"]["runtime"]["labels"][0]["label"],
            "devenv.environment=shop-1"
        );
    }

    #[test]
    fn nodes_share_the_memory_limit() {
        let config = config(&request(), Duration::from_mins(2));
        assert_eq!(config["options"]["runtime"]["serversMemory"], "3221225472");
    }
}
