//! Pods that are like those of a service and belong to none: how theirs are made, and which there are.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::Value;

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::ServiceName;

impl Cluster {
    /// How the pods of a service's Deployment are made; `None` if it has none.
    pub async fn pod_specification(
        &self,
        service: &ServiceName,
    ) -> Result<Option<Value>, KubeError> {
        let deployments: Api<Deployment> = self.api();
        let doing = format!("look how {service} is deployed");
        let found = call(&doing, REQUEST, deployments.get_opt(service.as_str())).await?;
        let specification = found.and_then(|found| found.spec?.template.spec);
        Ok(specification.and_then(|it| serde_json::to_value(it).ok()))
    }

    /// Deletes a pod, whose processes are killed if they have not ended after so many seconds. None is no error.
    pub async fn delete_pod_within(&self, name: &str, seconds: u32) -> Result<(), KubeError> {
        let pods: Api<Pod> = self.api();
        let doing = format!("delete the pod {name}");
        let params = DeleteParams::default().grace_period(seconds);
        match call(&doing, REQUEST, pods.delete(name, &params)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The names of all pods that have a label, whatever it says.
    pub async fn pods_labelled(&self, label: &str) -> Result<Vec<String>, KubeError> {
        let pods: Api<Pod> = self.api();
        let params = ListParams::default().labels(label);
        let found = call("list the pods", REQUEST, pods.list_metadata(&params)).await?;
        Ok(found.items.iter().map(ResourceExt::name_any).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::FakeApi;

    #[tokio::test]
    async fn a_service_says_how_its_pods_are_made_unless_it_has_none() {
        let deployment = json!({ "metadata": {}, "spec": {
            "selector": {},
            "template": { "spec": { "containers": [{ "name": "postgres", "image": "p:1" }] } },
        } });
        let api = FakeApi::new().answer("/deployments/postgres", 200, deployment);
        let (there, gone) = ("postgres".parse().unwrap(), "redis".parse().unwrap());
        let found = api.cluster().pod_specification(&there).await.unwrap();
        assert_eq!(found.unwrap()["containers"][0]["image"], "p:1");
        assert_eq!(api.cluster().pod_specification(&gone).await.unwrap(), None);
    }
}
