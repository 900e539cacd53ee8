//! Secrets that live as long as one pod.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{Cluster, KubeError, REQUEST, call};

impl Cluster {
    /// Makes a Secret of key and value pairs, and returns its name: `prefix` and what the cluster adds.
    pub async fn create_secret(
        &self,
        prefix: &str,
        labels: &BTreeMap<String, String>,
        values: &BTreeMap<String, String>,
    ) -> Result<String, KubeError> {
        let bytes = |value: &String| ByteString(value.as_bytes().to_vec());
        let secret = Secret {
            metadata: ObjectMeta {
                generate_name: Some(prefix.to_owned()),
                labels: Some(labels.clone()),
                ..ObjectMeta::default()
            },
            data: Some(values.iter().map(|(k, v)| (k.clone(), bytes(v))).collect()),
            ..Secret::default()
        };
        let secrets: Api<Secret> = self.api();
        let params = PostParams::default();
        let created = call("make a Secret", REQUEST, secrets.create(&params, &secret)).await?;
        Ok(created.metadata.name.unwrap_or_default())
    }

    /// Makes a pod the owner of a Secret: the cluster deletes the Secret when the pod is gone.
    pub async fn give_secret(&self, secret: &str, pod: &str) -> Result<(), KubeError> {
        let doing = format!("bind the Secret {secret} to its pod");
        let pods: Api<Pod> = self.api();
        let owner = call(&doing, REQUEST, pods.get_metadata(pod)).await?;
        let patch = json!({ "metadata": { "ownerReferences": [{
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod,
            "uid": owner.metadata.uid,
        }] } });
        let secrets: Api<Secret> = self.api();
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = secrets.patch_metadata(secret, &params, &patch);
        call(&doing, REQUEST, patched).await.map(|_| ())
    }

    /// Deletes a Secret. None is no error.
    pub async fn delete_secret(&self, name: &str) -> Result<(), KubeError> {
        let doing = format!("delete the Secret {name}");
        let secrets: Api<Secret> = self.api();
        let params = DeleteParams::default();
        match call(&doing, REQUEST, secrets.delete(name, &params)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::fake::FakeApi, *};

    #[tokio::test]
    async fn a_secret_belongs_to_its_pod_by_the_pods_uid() {
        let metadata = |name: &str| json!({ "metadata": { "name": name, "uid": "u-1" } });
        let api = FakeApi::new()
            .answer("/pods/test-a", 200, metadata("test-a"))
            .answer("/secrets/test-a-env", 200, metadata("test-a-env"));
        api.cluster()
            .give_secret("test-a-env", "test-a")
            .await
            .unwrap();
        let asked = api.asked();
        let patch = asked.iter().find(|asked| asked.method == "PATCH").unwrap();
        let body: Value = serde_json::from_slice(&patch.body).unwrap();
        let owner = &body["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["kind"]),
            (&json!("u-1"), &json!("Pod"))
        );
    }

    #[tokio::test]
    async fn the_values_of_a_secret_travel_encoded_and_a_missing_one_is_deleted_already() {
        let api = FakeApi::new().answer("/secrets", 201, json!({ "metadata": { "name": "s-1" } }));
        let values = BTreeMap::from([("TOKEN".to_owned(), "top".to_owned())]);
        let cluster = api.cluster();
        let name = cluster
            .create_secret("s-", &BTreeMap::new(), &values)
            .await
            .unwrap();
        assert_eq!(name, "s-1");
        let body: Value = serde_json::from_slice(&api.asked()[0].body).unwrap();
        assert_eq!(body["data"]["TOKEN"], "dG9w");
        cluster.delete_secret("gone").await.unwrap();
    }
}
