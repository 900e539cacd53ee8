//! What a service needs of the cluster while it is debugged.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::ServiceName;

/// The annotation of a Kubernetes Service whose pod of this name is debugged.
const DEBUGGED: &str = "devenv.debug";

impl Cluster {
    /// What a container of a pod is started with, as the runtime gets it, without variables put in place of their names.
    pub async fn command_of(&self, pod: &str, container: &str) -> Result<Vec<String>, KubeError> {
        let pods: Api<Pod> = self.api();
        let doing = format!("look at {pod}");
        let pod = call(&doing, REQUEST, pods.get(pod)).await?;
        let mut containers = pod.spec.into_iter().flat_map(|spec| spec.containers);
        let found = containers.find(|found| found.name == container);
        let words = found.map(|found| {
            let command = found.command.unwrap_or_default().into_iter();
            command.chain(found.args.unwrap_or_default())
        });
        let words = words.into_iter().flatten();
        Ok(words.map(|word| word.replace("$$", "$")).collect())
    }

    /// The pod for whose debugger the Kubernetes Service of a service was changed; `None` if it was not.
    pub async fn debugged_pod(&self, service: &ServiceName) -> Result<Option<String>, KubeError> {
        let services: Api<Service> = self.api();
        let doing = format!("ask whether {service} is debugged");
        let found = call(&doing, REQUEST, services.get_opt(service.as_str())).await?;
        let annotations = found.and_then(|found| found.metadata.annotations);
        Ok(annotations.and_then(|mut annotations| annotations.remove(DEBUGGED)))
    }

    /// Has a service get its connections also while no pod of it is ready, as one that stands at a breakpoint; `None`
    /// takes that back. A service without a Kubernetes Service is left as it is.
    pub async fn set_debugged(
        &self,
        service: &ServiceName,
        pod: Option<&str>,
    ) -> Result<(), KubeError> {
        let services: Api<Service> = self.api();
        let unready = pod.map_or(Value::Null, |_| json!(true));
        let patch = json!({
            "metadata": { "annotations": { DEBUGGED: pod } },
            "spec": { "publishNotReadyAddresses": unready },
        });
        let doing = format!("change where connections to {service} go");
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patching = services.patch(service.as_str(), &params, &patch);
        match call(&doing, REQUEST, patching).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fake::FakeApi, *};

    fn service() -> ServiceName {
        "order".parse().unwrap()
    }

    #[tokio::test]
    async fn connections_go_to_a_pod_that_is_not_ready_until_that_is_taken_back() {
        let api = FakeApi::new().answer("/services/order", 200, json!({ "metadata": {} }));
        let cluster = api.cluster();
        for (pod, unready) in [(Some("order-1"), json!(true)), (None, Value::Null)] {
            cluster.set_debugged(&service(), pod).await.unwrap();
            let body: Value = serde_json::from_slice(&api.asked().pop().unwrap().body).unwrap();
            assert_eq!(body["spec"]["publishNotReadyAddresses"], unready);
            assert_eq!(body["metadata"]["annotations"][DEBUGGED], json!(pod));
        }
    }

    #[tokio::test]
    async fn a_service_without_ports_can_be_debugged_too() {
        let cluster = FakeApi::new().cluster();
        cluster
            .set_debugged(&service(), Some("order-1"))
            .await
            .unwrap();
        assert_eq!(cluster.debugged_pod(&service()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_command_is_told_with_its_arguments_as_it_runs() {
        let pod = json!({ "metadata": {}, "spec": { "containers": [{
            "name": "order", "command": ["init", "--", "sh"], "args": ["-c", "echo $$HOME"],
        }] } });
        let api = FakeApi::new().answer("/pods/order-1", 200, pod);
        let command = api.cluster().command_of("order-1", "order").await.unwrap();
        assert_eq!(command, ["init", "--", "sh", "-c", "echo $HOME"]);
    }
}
