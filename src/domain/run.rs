//! What a run changes, as its journal keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BuildInput, Desired, DesiredImage, Environment, ImageName, InputsHash, Observed, ReleaseChart,
    ServiceName,
};

/// What a service is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceShape {
    /// Its images; of those that are built here, name and hash of what they are built from.
    pub images: Vec<String>,
    /// Its chart, if that is not the one of devenv.
    pub chart: Option<String>,
    /// How many pods it has; `None` where that is nobody's business but the chart's.
    pub replicas: Option<u32>,
    /// The hash of all that its release is made from, secrets included; `None` if it is not ours.
    pub inputs: Option<InputsHash>,
}

/// A service that a run deploys or removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceChange {
    /// Which.
    pub service: ServiceName,
    /// What it was; `None` if it was not there.
    pub before: Option<ServiceShape>,
    /// What it becomes; `None` if it goes.
    pub after: Option<ServiceShape>,
}

/// What a run is about to make of the environment. Whether it did, its steps say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applying {
    /// The manifest with all its layers, without values that are secret.
    pub manifest: Value,
    /// What its services are to be; only those that the run is about.
    pub services: BTreeMap<ServiceName, ServiceShape>,
    /// Those that are deployed or removed for it.
    pub changes: Vec<ServiceChange>,
}

impl Applying {
    /// What both come to, where a run looked again: what it changed before counts too.
    #[must_use]
    pub fn following(mut self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else {
            return self;
        };
        for change in earlier.changes {
            let same = |again: &&mut ServiceChange| again.service == change.service;
            match self.changes.iter_mut().find(same) {
                Some(again) => again.before = change.before,
                None => self.changes.push(change),
            }
        }
        self
    }
}

/// A change that is no step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "what",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum RunChange {
    /// The environment has other data.
    Data {
        /// What was done, such as `load the dataset demo`.
        done: String,
    },
    /// A key of the manifest has another value.
    Key {
        /// The key.
        key: String,
        /// The file that was written.
        file: String,
        /// What held before.
        before: Option<Value>,
        /// What holds now.
        after: Option<Value>,
    },
    /// A service has another number of pods.
    Pods {
        /// The service.
        service: ServiceName,
        /// How many it had.
        before: u32,
        /// How many it has.
        after: u32,
    },
}

impl ServiceShape {
    /// What a service is to be.
    pub fn wanted(
        environment: &Environment,
        desired: &Desired,
        service: &ServiceName,
    ) -> Option<Self> {
        let release = desired.releases.get(service)?;
        let workload = environment.services.get(service)?.workload();
        let image = workload.map(|workload| match &workload.image {
            ImageName::Reference(reference) => reference.clone(),
            ImageName::Build(_) => desired
                .images
                .get(&BuildInput::Service(service.clone()))
                .map_or_else(String::new, DesiredImage::tag),
        });
        Some(Self {
            images: image.into_iter().collect(),
            chart: match &release.chart {
                ReleaseChart::Service => None,
                ReleaseChart::Path(path) => Some(path.display().to_string()),
                ReleaseChart::Repository {
                    repo,
                    name,
                    version,
                } => Some(format!("{name} {version} of {repo}")),
                ReleaseChart::Manifests(_) => Some("manifests".to_owned()),
            },
            replicas: workload
                .filter(|workload| workload.autoscale.is_none())
                .map(|workload| workload.replicas),
            inputs: Some(release.inputs.clone()),
        })
    }

    /// What a service is in the cluster; `None` if it is not there.
    pub fn seen(observed: &Observed, service: &ServiceName) -> Option<Self> {
        let release = observed.releases.get(service)?;
        let workloads = || observed.workloads.iter().filter(|w| &w.service == service);
        let images = workloads().flat_map(|workload| &workload.images);
        let mut images: Vec<String> = images.map(|image| without_registry(image)).collect();
        images.sort();
        images.dedup();
        Some(Self {
            images,
            chart: None,
            replicas: Some(workloads().map(|workload| workload.desired).sum()),
            inputs: release.inputs.clone(),
        })
    }
}

/// The tag of an image that was built here: where it is pulled from is no difference.
fn without_registry(image: &str) -> String {
    let own = image.rsplit_once(':').filter(|(repository, tag)| {
        let hash = tag.rsplit_once('-').map(|(_, hash)| hash);
        let is_hash = |hash: &str| hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        repository.contains('/') && hash.is_some_and(is_hash)
    });
    own.map_or_else(|| image.to_owned(), |(_, tag)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_looked_again_changed_what_both_looks_say() {
        let shape = |replicas| ServiceShape {
            images: Vec::new(),
            chart: None,
            replicas: Some(replicas),
            inputs: None,
        };
        let looked = |changes: &[(&str, u32, u32)]| Applying {
            manifest: Value::Null,
            services: BTreeMap::new(),
            changes: changes
                .iter()
                .map(|(service, before, after)| ServiceChange {
                    service: service.parse().unwrap(),
                    before: Some(shape(*before)),
                    after: Some(shape(*after)),
                })
                .collect(),
        };
        let first = looked(&[("order", 1, 2), ("web", 1, 2)]);
        let second = looked(&[("order", 2, 3)]);
        assert_eq!(first.clone().following(None), first);
        let both = looked(&[("order", 1, 3), ("web", 1, 2)]);
        assert_eq!(second.following(Some(first)), both);
    }

    #[test]
    fn an_image_that_was_built_here_is_its_tag() {
        let hash = "0123456789abcdef0123456789abcdef";
        let own = format!("k3d-shop-registry:5050/shop/api:api-{hash}");
        assert_eq!(without_registry(&own), format!("api-{hash}"));
        for other in ["redis:7", "ghcr.io/x/y:v1-2", "postgres@sha256:0123"] {
            assert_eq!(without_registry(other), other);
        }
    }
}
