//! What is there now, asked once.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{Event, Pod, Secret},
};
use kube::api::ListParams;

use super::{Cluster, KubeError, REQUEST, call, map};
use crate::domain::{ObservedPod, ObservedRelease, ObservedWorkload, ServiceName, WarningEvent};

/// What is there in the namespace of the services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterContents {
    /// The newest revision of each release.
    pub releases: BTreeMap<ServiceName, ObservedRelease>,
    /// The workloads that releases made.
    pub workloads: Vec<ObservedWorkload>,
    /// Their pods.
    pub pods: Vec<ObservedPod>,
    /// The warnings, oldest first.
    pub warnings: Vec<WarningEvent>,
}

/// The events that are looked at.
pub(super) const WARNINGS_ONLY: &str = "type=Warning";

impl Cluster {
    /// Lists releases, workloads, pods and warnings: six requests at once, however many services there are.
    pub async fn observe(&self) -> Result<ClusterContents, KubeError> {
        let all = ListParams::default();
        let releases = ListParams::default().labels("owner=helm");
        let warnings = ListParams::default().fields(WARNINGS_ONLY);
        let (secrets, deployments, stateful_sets, daemon_sets, pods, events) = (
            self.api::<Secret>(),
            self.api::<Deployment>(),
            self.api::<StatefulSet>(),
            self.api::<DaemonSet>(),
            self.api::<Pod>(),
            self.api::<Event>(),
        );
        let lists = async {
            futures::try_join!(
                // The contents of Helm's Secrets are large, and nothing in them is needed.
                secrets.list_metadata(&releases),
                deployments.list(&all),
                stateful_sets.list(&all),
                daemon_sets.list(&all),
                pods.list(&all),
                events.list(&warnings),
            )
        };
        let (secrets, deployments, stateful_sets, daemon_sets, pods, events) =
            call("list what is in the cluster", REQUEST, Box::pin(lists)).await?;
        let workloads = workloads(&deployments.items, &stateful_sets.items, &daemon_sets.items);
        Ok(ClusterContents {
            releases: map::releases(secrets.items.iter().map(|secret| &secret.metadata)),
            pods: pods
                .items
                .iter()
                .filter_map(|pod| map::pod(pod, &workloads))
                .collect(),
            workloads,
            warnings: sorted_warnings(&events.items),
        })
    }
}

/// The workloads of all kinds.
pub(super) fn workloads<'a>(
    deployments: impl IntoIterator<Item = &'a Deployment>,
    stateful_sets: impl IntoIterator<Item = &'a StatefulSet>,
    daemon_sets: impl IntoIterator<Item = &'a DaemonSet>,
) -> Vec<ObservedWorkload> {
    let deployments = deployments.into_iter().filter_map(map::deployment);
    let stateful_sets = stateful_sets.into_iter().filter_map(map::stateful_set);
    let daemon_sets = daemon_sets.into_iter().filter_map(map::daemon_set);
    deployments
        .chain(stateful_sets)
        .chain(daemon_sets)
        .collect()
}

/// The warnings, oldest first.
pub(super) fn sorted_warnings<'a>(
    events: impl IntoIterator<Item = &'a Event>,
) -> Vec<WarningEvent> {
    let mut warnings: Vec<WarningEvent> = events.into_iter().map(map::warning).collect();
    warnings.sort_by_key(|warning| warning.last_seen);
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fake::FakeApi;

    fn workload(service: usize) -> Value {
        json!({
            "metadata": {
                "name": format!("s{service}"), "generation": 1,
                "annotations": { "meta.helm.sh/release-name": format!("s{service}") },
            },
            "spec": {
                "selector": { "matchLabels": { "app": format!("s{service}") } },
                "template": {},
            },
        })
    }

    fn pod(service: usize) -> Value {
        json!({ "metadata": {
            "name": format!("s{service}-1"), "labels": { "app": format!("s{service}") },
        } })
    }

    #[tokio::test]
    async fn observing_takes_six_requests_however_many_services_there_are() {
        for services in [0, 1, 50] {
            let api = FakeApi::new()
                .list("deployments", (0..services).map(workload))
                .list("pods", (0..services).map(pod));
            let contents = api.cluster().observe().await.unwrap();
            assert_eq!(contents.workloads.len(), services);
            assert_eq!(contents.pods.len(), services);
            let asked = api.asked();
            assert_eq!(asked.len(), 6, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn the_contents_of_releases_are_not_fetched() {
        let api = FakeApi::new();
        api.cluster().observe().await.unwrap();
        let accepted = api.accepted("secrets");
        assert!(accepted.contains("PartialObjectMetadataList"), "{accepted}");
    }
}
