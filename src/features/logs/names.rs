//! How a source of lines is called on a screen.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use crate::domain::{ObservedPod, ServiceName};

/// The pods and containers of each service seen so far, which decide how much tells one source from another.
#[derive(Debug, Default)]
pub(super) struct Labels {
    services: BTreeMap<ServiceName, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    pods: BTreeSet<String>,
    containers: BTreeSet<String>,
}

impl Labels {
    pub(super) fn of(pods: &[ObservedPod]) -> Self {
        let mut labels = Self::default();
        labels.learn(pods);
        labels
    }

    /// Takes in pods that came since.
    pub(super) fn learn(&mut self, pods: &[ObservedPod]) {
        for pod in pods {
            let seen = self.services.entry(pod.service.clone()).or_default();
            seen.pods.insert(pod.name.clone());
            let containers = pod.containers.iter();
            seen.containers
                .extend(containers.map(|container| container.name.clone()));
        }
    }

    /// Takes in a source that spoke, perhaps of a pod that is gone.
    pub(super) fn learn_source(&mut self, source: &Source) {
        let is_known = self.services.get(&source.service).is_some_and(|seen| {
            seen.pods.contains(&source.pod) && seen.containers.contains(&source.container)
        });
        if !is_known {
            let seen = self.services.entry(source.service.clone()).or_default();
            seen.pods.insert(source.pod.clone());
            seen.containers.insert(source.container.clone());
        }
    }

    /// `order`; `order-x7k2p` where several pods of the service were seen; `order/proxy` for a container
    /// beside the one that does the service's work.
    pub(super) fn label(&self, source: &Source) -> String {
        let service = source.service.as_str();
        let seen = self.services.get(&source.service);
        let mut label = service.to_owned();
        if seen.is_some_and(|seen| seen.pods.len() > 1)
            && let Some((_, suffix)) = source.pod.rsplit_once('-')
        {
            label = format!("{label}-{suffix}");
        }
        if seen.is_some_and(|seen| seen.containers.len() > 1) && source.container != service {
            label = format!("{label}/{}", source.container);
        }
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::name;

    fn source(pod: &str, container: &str) -> Source {
        Source {
            service: name("order"),
            pod: pod.to_owned(),
            container: container.to_owned(),
        }
    }

    fn labels(sources: &[Source]) -> Vec<String> {
        let mut labels = Labels::default();
        for source in sources {
            let seen = labels.services.entry(source.service.clone()).or_default();
            seen.pods.insert(source.pod.clone());
            seen.containers.insert(source.container.clone());
        }
        sources.iter().map(|source| labels.label(source)).collect()
    }

    #[test]
    fn a_service_with_one_pod_and_one_container_is_its_name() {
        assert_eq!(labels(&[source("order-7c9d-x7k2p", "order")]), ["order"]);
        assert_eq!(labels(&[source("order-7c9d-x7k2p", "server")]), ["order"]);
    }

    #[test]
    fn replicas_and_containers_are_told_apart() {
        let sources = [
            source("order-7c9d-x7k2p", "order"),
            source("order-7c9d-aaaaa", "order"),
            source("order-7c9d-aaaaa", "proxy"),
        ];
        let wanted = ["order-x7k2p", "order-aaaaa", "order-aaaaa/proxy"];
        assert_eq!(labels(&sources), wanted);
    }
}
