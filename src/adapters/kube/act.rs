//! What is done to the cluster directly, past Helm.

use std::fmt::Debug;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{Pod, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, KubeError, REQUEST, call, map};
use crate::domain::ServiceName;

/// The annotation by which kubectl restarts a workload: the same, so that both understand each other.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

impl Cluster {
    /// Sets how many pods every Deployment and StatefulSet of a service has. Does not wait for them.
    pub async fn scale(&self, service: &ServiceName, replicas: u32) -> Result<(), KubeError> {
        let doing = format!("scale {service}");
        let patch = json!({ "spec": { "replicas": replicas } });
        let patch = Patch::Merge(&patch);
        let (deployments, stateful_sets) = (self.api::<Deployment>(), self.api::<StatefulSet>());
        let (of_deployments, of_stateful_sets) = futures::try_join!(
            names_of(&deployments, service, &doing),
            names_of(&stateful_sets, service, &doing),
        )?;
        if of_deployments.is_empty() && of_stateful_sets.is_empty() {
            return Err(nothing_to(&doing, service));
        }
        let params = PatchParams::default();
        for name in of_deployments {
            call(
                &doing,
                REQUEST,
                deployments.patch_scale(&name, &params, &patch),
            )
            .await?;
        }
        for name in of_stateful_sets {
            call(
                &doing,
                REQUEST,
                stateful_sets.patch_scale(&name, &params, &patch),
            )
            .await?;
        }
        Ok(())
    }

    /// Replaces all pods of a service, as `kubectl rollout restart` does. Does not wait for the new ones.
    pub async fn restart(&self, service: &ServiceName) -> Result<(), KubeError> {
        let doing = format!("restart {service}");
        let now = jiff::Timestamp::now().to_string();
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": {
            RESTARTED_AT: now
        } } } } });
        let restarted = futures::try_join!(
            restart_all(self.api::<Deployment>(), service, &doing, &patch),
            restart_all(self.api::<StatefulSet>(), service, &doing, &patch),
            restart_all(self.api::<DaemonSet>(), service, &doing, &patch),
        )?;
        if restarted.0 + restarted.1 + restarted.2 == 0 {
            return Err(nothing_to(&doing, service));
        }
        Ok(())
    }

    /// Deletes pods without giving them time to end; whoever controls them makes others at once. None is no error.
    pub async fn delete_pods_now(&self, names: &[String]) -> Result<(), KubeError> {
        let pods = self.api::<Pod>();
        let at_once = DeleteParams::default().grace_period(0);
        let deleting = names.iter().map(|name| {
            let (pods, at_once) = (&pods, &at_once);
            async move {
                let doing = format!("replace the pod {name}");
                match call(&doing, REQUEST, pods.delete(name, at_once)).await {
                    Err(error) if error.is_not_found() => Ok(()),
                    other => other.map(|_| ()),
                }
            }
        });
        futures::future::try_join_all(deleting).await.map(|_| ())
    }

    /// Deletes Helm's record of one revision, so that Helm forgets an operation that was killed.
    /// None is no error.
    pub async fn delete_release_secret(
        &self,
        service: &ServiceName,
        revision: u32,
    ) -> Result<(), KubeError> {
        let doing = format!("repair the release of {service}");
        let name = format!("sh.helm.release.v1.{service}.v{revision}");
        let secrets = self.api::<Secret>();
        match call(
            &doing,
            REQUEST,
            secrets.delete(&name, &DeleteParams::default()),
        )
        .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

fn nothing_to(doing: &str, service: &ServiceName) -> KubeError {
    KubeError::NotFound {
        doing: doing.to_owned(),
        message: format!("no workload in the cluster was made for {service}"),
    }
}

/// The names of a service's workloads of one kind.
async fn names_of<K>(
    api: &Api<K>,
    service: &ServiceName,
    doing: &str,
) -> Result<Vec<String>, KubeError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let all = ListParams::default();
    let found = call(doing, REQUEST, api.list_metadata(&all)).await?;
    Ok(found
        .items
        .iter()
        .filter(|object| map::service_of(&object.metadata).as_ref() == Some(service))
        .map(ResourceExt::name_any)
        .collect())
}

async fn restart_all<K>(
    api: Api<K>,
    service: &ServiceName,
    doing: &str,
    patch: &Value,
) -> Result<usize, KubeError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let names = names_of(&api, service, doing).await?;
    for name in &names {
        let params = PatchParams::default();
        call(
            doing,
            REQUEST,
            api.patch_metadata(name, &params, &Patch::Merge(patch)),
        )
        .await?;
    }
    Ok(names.len())
}

#[cfg(test)]
mod tests {
    use super::{super::fake::FakeApi, *};

    fn workload(name: &str, service: &str) -> Value {
        json!({ "metadata": {
            "name": name, "annotations": { "meta.helm.sh/release-name": service },
        } })
    }

    fn service() -> ServiceName {
        "order".parse().unwrap()
    }

    #[tokio::test]
    async fn scaling_touches_the_workloads_of_the_service_and_no_others() {
        let api = FakeApi::new()
            .list(
                "deployments",
                [workload("order", "order"), workload("cart", "cart")],
            )
            .list("statefulsets", [workload("order-db", "order")])
            .answer(
                "/scale",
                200,
                json!({ "metadata": {}, "spec": { "replicas": 3 } }),
            );
        api.cluster().scale(&service(), 3).await.unwrap();
        let patched: Vec<String> = api
            .asked()
            .into_iter()
            .filter(|asked| asked.method == "PATCH")
            .inspect(|asked| assert_eq!(asked.body, br#"{"spec":{"replicas":3}}"#))
            .map(|asked| asked.path)
            .collect();
        assert_eq!(
            patched,
            [
                "/apis/apps/v1/namespaces/default/deployments/order/scale",
                "/apis/apps/v1/namespaces/default/statefulsets/order-db/scale",
            ]
        );
    }

    #[tokio::test]
    async fn scaling_or_restarting_a_service_that_is_not_there_says_so() {
        let api = FakeApi::new();
        let error = api.cluster().scale(&service(), 1).await.unwrap_err();
        assert_eq!(error.failure().code.0, "kube.not-found");
        assert!(api.cluster().restart(&service()).await.is_err());
    }

    #[tokio::test]
    async fn a_restart_changes_the_pod_template_as_kubectl_does() {
        let api = FakeApi::new()
            .list("deployments", [workload("order", "order")])
            .answer("/deployments/order", 200, workload("order", "order"));
        api.cluster().restart(&service()).await.unwrap();
        let asked = api.asked();
        let patch = asked.iter().find(|asked| asked.method == "PATCH").unwrap();
        let body: Value = serde_json::from_slice(&patch.body).unwrap();
        let annotations = &body["spec"]["template"]["metadata"]["annotations"];
        assert!(annotations[RESTARTED_AT].is_string());
    }

    #[tokio::test]
    async fn a_release_record_that_is_gone_already_is_no_error() {
        let api = FakeApi::new();
        api.cluster()
            .delete_release_secret(&service(), 2)
            .await
            .unwrap();
        let asked = api.asked();
        assert!(
            asked[0]
                .path
                .ends_with("/secrets/sh.helm.release.v1.order.v2")
        );
    }
}
