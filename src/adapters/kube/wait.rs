//! Waits for the cluster itself: its nodes, its name service, its default account.

use std::{collections::BTreeMap, fmt::Debug, future::Future, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, ServiceAccount},
};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

use super::{
    CertificateFault, Cluster, KubeError,
    error::chain,
    view::{Kept, Pauses},
};
use crate::domain::NodeStarts;

impl Cluster {
    /// Waits until `nodes` nodes are there and all that are there say that they are ready.
    ///
    /// After a start, the API shows for a while what the nodes said before the stop: what a node said before
    /// its own start among `starts` does not count.
    pub async fn wait_nodes_ready(
        &self,
        nodes: u32,
        starts: &NodeStarts,
        deadline: Duration,
    ) -> Result<(), KubeError> {
        let is_ready = |node: &Node| is_node_ready(node, starts.of(&node.name_any()));
        let wanted = usize::try_from(nodes).unwrap_or(usize::MAX);
        until(
            "wait for the nodes to be ready",
            Api::<Node>::all(self.client.clone()),
            watcher::Config::default(),
            deadline,
            |nodes| nodes.len() >= wanted && nodes.values().all(is_ready),
        )
        .await
    }

    /// Waits until names resolve in the cluster and pods may be made in the services' namespace.
    pub async fn wait_system_ready(&self, deadline: Duration) -> Result<(), KubeError> {
        let dns = until(
            "wait for the cluster's name service",
            Api::<Deployment>::namespaced(self.client.clone(), "kube-system"),
            watcher::Config::default().fields("metadata.name=coredns"),
            deadline,
            |found| found.values().any(is_available),
        );
        let account = until(
            "wait for the default service account",
            self.api::<ServiceAccount>(),
            watcher::Config::default().fields("metadata.name=default"),
            deadline,
            |found| !found.is_empty(),
        );
        futures::try_join!(dns, account).map(|_| ())
    }
}

fn is_node_ready(node: &Node, since: Option<Timestamp>) -> bool {
    // The API server keeps whole seconds.
    let since = since.map(Timestamp::as_second);
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .filter(|c| c.type_ == "Ready" && c.status == "True")
        .any(|c| {
            c.last_heartbeat_time
                .as_ref()
                .map(|time| time.0.as_second())
                >= since
        })
}

fn is_available(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
        > 0
}

/// Watches the objects of one kind until `is_done` says so. Outlives restarts of the API.
fn until<'a, K>(
    doing: &'a str,
    api: Api<K>,
    config: watcher::Config,
    deadline: Duration,
    is_done: impl Fn(&BTreeMap<String, K>) -> bool + 'a,
) -> impl Future<Output = Result<(), KubeError>> + 'a
where
    K: Resource + ResourceExt + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = watcher(api, config).backoff(Pauses::new()).boxed();
    async move {
        let mut kept = Kept::<K>::default();
        let mut last_error = None;
        let mut certificate = None;
        let watched = async {
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        (last_error, certificate) = (None, None);
                        kept.apply(event);
                        if kept.is_listed && is_done(&kept.objects) {
                            return true;
                        }
                    }
                    Err(error) => {
                        last_error = Some(chain(&error));
                        certificate = CertificateFault::behind(&error);
                        if certificate.is_some_and(CertificateFault::is_lasting) {
                            return false;
                        }
                    }
                }
            }
            false
        };
        if let Ok(true) = tokio::time::timeout(deadline, watched).await {
            return Ok(());
        }
        let doing = doing.to_owned();
        Err(match certificate {
            Some(fault) => KubeError::Certificate { doing, fault },
            None => KubeError::Timeout {
                doing,
                after: deadline,
                last: last_error,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn is_ready(node: &Node) -> bool {
        is_node_ready(node, None)
    }

    fn node(conditions: &Value) -> Node {
        serde_json::from_value(json!({ "status": { "conditions": conditions } })).unwrap()
    }

    #[test]
    fn a_node_is_ready_when_it_says_so_and_not_before_it_says_anything() {
        assert!(is_ready(&node(
            &json!([{ "type": "Ready", "status": "True" }])
        )));
        assert!(!is_ready(&node(
            &json!([{ "type": "Ready", "status": "Unknown" }])
        )));
        assert!(!is_ready(&node(&json!([]))));
        assert!(!is_ready(&Node::default()));
    }

    #[test]
    fn what_a_node_said_before_a_start_does_not_count_after_it() {
        let said = json!([{
            "type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:04:05Z",
        }]);
        let at = |time: &str| Some(time.parse().unwrap());
        let node = node(&said);
        assert!(is_node_ready(&node, at("2026-01-02T03:04:05.9Z")));
        assert!(!is_node_ready(&node, at("2026-01-02T03:04:06Z")));
    }
}
