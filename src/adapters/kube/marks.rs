//! Which hooks have run: the `ConfigMap` named `devenv` of the environment.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::InputsHash;

const NAME: &str = "devenv";

impl Cluster {
    /// The hooks of `afterUp` that ran, by index, with what they ran for.
    pub async fn hook_marks(&self) -> Result<BTreeMap<usize, InputsHash>, KubeError> {
        let maps: Api<ConfigMap> = self.api();
        let found = call("ask which hooks ran", REQUEST, maps.get_opt(NAME)).await?;
        let data = found.and_then(|map| map.data).unwrap_or_default();
        let marks = data.into_iter().filter_map(|(key, hash)| {
            let index = key.strip_prefix("hook-")?.parse().ok()?;
            Some((index, InputsHash::from_label(hash)))
        });
        Ok(marks.collect())
    }

    /// Writes down that a hook has succeeded for `inputs`.
    pub async fn mark_hook(&self, index: usize, inputs: &InputsHash) -> Result<(), KubeError> {
        let maps: Api<ConfigMap> = self.api();
        let key = format!("hook-{index}");
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": NAME },
            "data": { key.clone(): inputs.as_str() },
        });
        // A manager of its own for each hook: an apply takes away what its manager does not repeat.
        let manager = format!("devenv-{key}");
        let params = PatchParams::apply(&manager).force();
        let patch = Patch::Apply(&object);
        let applied = maps.patch(NAME, &params, &patch);
        call("write down which hooks ran", REQUEST, applied)
            .await
            .map(|_| ())
    }
}
