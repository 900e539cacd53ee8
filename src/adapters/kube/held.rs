//! Objects that were deleted and do not go.

use std::fmt::{self, Debug};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::Ingress,
};
use kube::{Api, Resource, ResourceExt, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{Cluster, KubeError, REQUEST, call, map};
use crate::domain::ServiceName;

/// What the names of the finalizers hold that Kubernetes takes away itself.
const OF_KUBERNETES: &str = "kubernetes.io/";

/// An object that was deleted, and stays until somebody has done something first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldObject {
    /// Such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What has to be done first, in the words of those who have to: none of them is Kubernetes.
    pub finalizers: Vec<String>,
}

impl fmt::Display for HeldObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Cluster {
    /// The objects of a service that were deleted and that finalizers keep, of the kinds that charts are made of.
    pub async fn held(&self, service: &ServiceName) -> Result<Vec<HeldObject>, KubeError> {
        let lists = async {
            futures::try_join!(
                held_of(self.api::<Deployment>(), service),
                held_of(self.api::<StatefulSet>(), service),
                held_of(self.api::<DaemonSet>(), service),
                held_of(self.api::<Job>(), service),
                held_of(self.api::<Service>(), service),
                held_of(self.api::<Ingress>(), service),
                held_of(self.api::<ConfigMap>(), service),
                held_of(self.api::<Secret>(), service),
                held_of(self.api::<PersistentVolumeClaim>(), service),
                held_of(self.api::<Pod>(), service),
            )
        };
        let of = Box::pin(lists).await?;
        let kinds = [of.0, of.1, of.2, of.3, of.4, of.5, of.6, of.7, of.8, of.9];
        Ok(kinds.concat())
    }
}

async fn held_of<K>(api: Api<K>, service: &ServiceName) -> Result<Vec<HeldObject>, KubeError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let all = ListParams::default();
    let doing = format!("look what keeps {service}");
    let found = call(&doing, REQUEST, api.list_metadata(&all)).await?;
    let leaving = found.items.iter().filter(|object| {
        object.metadata.deletion_timestamp.is_some()
            && map::service_of(&object.metadata).as_ref() == Some(service)
    });
    let held = leaving.map(|object| HeldObject {
        kind: K::kind(&()).into_owned(),
        name: object.name_any(),
        finalizers: {
            let finalizers = object.finalizers().iter();
            finalizers.filter(|it| is_others(it)).cloned().collect()
        },
    });
    Ok(held.filter(|held| !held.finalizers.is_empty()).collect())
}

/// Those of Kubernetes have no domain, or its own.
fn is_others(finalizer: &str) -> bool {
    finalizer.contains('/') && !finalizer.contains(OF_KUBERNETES)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fake::FakeApi, *};

    fn object(name: &str, service: &str, is_deleted: bool, finalizers: &[&str]) -> Value {
        let mut metadata = json!({
            "name": name, "finalizers": finalizers,
            "annotations": { "meta.helm.sh/release-name": service },
        });
        if is_deleted {
            metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z".into();
        }
        json!({ "metadata": metadata })
    }

    #[tokio::test]
    async fn what_others_keep_of_a_service_is_named_with_its_finalizers() {
        let kept = ["example.com/never", "kubernetes.io/pvc-protection"];
        let api = FakeApi::new()
            .list(
                "deployments",
                [
                    object("order", "order", true, &kept),
                    object("cart", "cart", true, &kept),
                ],
            )
            .list(
                "services",
                [
                    object("order", "order", false, &kept),
                    object("leaves", "order", true, &["foregroundDeletion"]),
                ],
            );
        let held = api.cluster().held(&"order".parse().unwrap()).await.unwrap();
        let expected = HeldObject {
            kind: "Deployment".to_owned(),
            name: "order".to_owned(),
            finalizers: vec![kept[0].to_owned()],
        };
        assert_eq!(held, [expected]);
    }
}
