//! Claims of storage that charts make, and the volumes that are reserved for them. See docs/decisions/0016.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolume, PersistentVolumeClaim},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, KubeError, REQUEST, call, map};
use crate::domain::{AccessMode, Claim, ServiceName, VolumeName, VolumeRef};

/// The class that k3s gives claims that name none. The volumes have it too, so that both look alike to who compares them.
const CLASS: &str = "local-path";
/// The label of a volume that says whose it is.
const SERVICE: &str = "devenv.service";
/// Who changes the volumes, in the words of the API.
const MANAGER: &str = "devenv";

/// What the objects of a chart claim, as far as they leave it to the cluster where the data is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those whose data can be kept.
    pub keepable: Vec<Claim>,
    /// The others, each with what is in the way.
    pub others: Vec<String>,
}

/// Why it cannot be said what a chart claims.
#[derive(Debug, thiserror::Error)]
#[error("an object of it is not understood: {0}")]
pub struct Unreadable(String);

#[derive(Deserialize)]
struct Object {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetSpec {
    replicas: Option<u32>,
    ordinals: Option<Ordinals>,
    #[serde(default)]
    volume_claim_templates: Vec<Template>,
}

#[derive(Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: u32,
}

#[derive(Deserialize)]
struct Template {
    metadata: Metadata,
    spec: ClaimSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    #[serde(default)]
    access_modes: Vec<AccessMode>,
    #[serde(default)]
    resources: ClaimResources,
    storage_class_name: Option<String>,
    volume_name: Option<String>,
    volume_mode: Option<String>,
    selector: Option<Value>,
}

#[derive(Default, Deserialize)]
struct ClaimResources {
    #[serde(default)]
    requests: BTreeMap<String, Value>,
}

impl ClaimSpec {
    /// Whether nothing in it says where the data is, or that it is no directory.
    fn leaves_the_place_open(&self) -> bool {
        let is_directory = self
            .volume_mode
            .as_deref()
            .is_none_or(|it| it == "Filesystem");
        let is_open = self.storage_class_name.is_none() && self.volume_name.is_none();
        is_open && is_directory && self.selector.is_none()
    }
}

impl Claims {
    fn add(&mut self, name: &str, spec: &ClaimSpec) {
        if !spec.leaves_the_place_open() {
            return;
        }
        let size = spec.resources.requests.get("storage");
        let size = match size {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        match (name.parse::<VolumeName>(), size.parse()) {
            (Ok(name), Ok(size)) => self.keepable.push(Claim {
                name,
                size,
                modes: spec.access_modes.clone(),
            }),
            (Err(error), _) => self.others.push(format!("{name}: {}", error.reason)),
            (_, Err(error)) => self.others.push(format!("{name}: {error}")),
        }
    }

    /// Adds those of the pods of a `StatefulSet`, of which there are `replicas`; as many as it says if `None`.
    fn add_set(&mut self, set: &str, spec: &SetSpec, replicas: Option<u32>) {
        let first = spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
        let replicas = replicas.or(spec.replicas).unwrap_or(1);
        for template in &spec.volume_claim_templates {
            for ordinal in first..first.saturating_add(replicas) {
                let name = format!("{}-{set}-{ordinal}", template.metadata.name);
                self.add(&name, &template.spec);
            }
        }
    }

    fn add_object(&mut self, object: Value, namespace: &str) -> Result<(), serde_json::Error> {
        let object: Object = serde_json::from_value(object)?;
        let elsewhere = object.metadata.namespace.as_deref();
        if elsewhere.is_some_and(|its| its != namespace) {
            return Ok(());
        }
        let name = &object.metadata.name;
        match object.kind.as_str() {
            "PersistentVolumeClaim" => self.add(name, &serde_json::from_value(object.spec)?),
            "StatefulSet" => self.add_set(name, &serde_json::from_value(object.spec)?, None),
            "List" => {
                for item in object.items {
                    self.add_object(item, namespace)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The objects that a chart comes to, as Helm writes them.
pub fn objects_in(rendered: &str) -> Result<Vec<Value>, Unreadable> {
    let documents = documents(rendered);
    let documents = documents.iter().filter(|document| says_something(document));
    documents.map(|document| object_in(document)).collect()
}

/// Whether a document is more than comments.
fn says_something(document: &str) -> bool {
    let mut lines = document.lines().map(str::trim);
    lines.any(|line| !line.is_empty() && !line.starts_with('#'))
}

fn object_in(document: &str) -> Result<Value, Unreadable> {
    serde_saphyr::from_str(document).map_err(|error| Unreadable(error.to_string()))
}

/// What the objects claim that a chart comes to, as Helm writes them, in a namespace.
pub fn claims_in(rendered: &str, namespace: &str) -> Result<Claims, Unreadable> {
    let mut claims = Claims::default();
    for document in documents(rendered) {
        let claims_something = ["PersistentVolumeClaim", "volumeClaimTemplates"]
            .iter()
            .any(|word| document.contains(word));
        if claims_something {
            let added = claims.add_object(object_in(&document)?, namespace);
            added.map_err(|error| Unreadable(error.to_string()))?;
        }
    }
    Ok(claims)
}

/// The documents of a text, without what parts them.
fn documents(text: &str) -> Vec<String> {
    let (mut documents, mut document) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(std::mem::take(&mut document));
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.push(document);
    documents
}

/// The name of the volume that is reserved for a claim.
fn volume_of(claim: &VolumeName) -> String {
    format!("devenv-{claim}")
}

impl Cluster {
    /// Those of claims that have another volume already.
    pub async fn bound_elsewhere(&self, claims: &[Claim]) -> Result<Vec<VolumeName>, KubeError> {
        let others = self.other_claims().await?;
        let names = claims.iter().map(|claim| claim.name.clone());
        Ok(names
            .filter(|name| others.iter().any(|other| other == name.as_str()))
            .collect())
    }

    /// Reserves for each claim of a service the directory of its name below `root`, which is of the nodes, before
    /// somebody else finds it a volume.
    pub async fn reserve(
        &self,
        service: &ServiceName,
        claims: &[Claim],
        root: &Path,
    ) -> Result<(), KubeError> {
        let doing = format!("reserve the volumes of {service}");
        let claimed = self.claimed(&doing).await?;
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        for claim in claims {
            let name = volume_of(&claim.name);
            let volume = Patch::Apply(self.volume(service, claim, root));
            let params = PatchParams::apply(MANAGER).force();
            let applied = call(&doing, REQUEST, volumes.patch(&name, &params, &volume)).await?;
            let reference = applied.spec.and_then(|spec| spec.claim_ref);
            let held_for = reference.and_then(|reference| reference.uid);
            let there = claimed.get(claim.name.as_str()).and_then(ResourceExt::uid);
            if held_for.is_some() && held_for != there {
                // Kubernetes would keep it for a claim of this name that is gone.
                let gone = json!({ "uid": null, "resourceVersion": null });
                let freed = Patch::Merge(json!({ "spec": { "claimRef": gone } }));
                let params = PatchParams::default();
                call(&doing, REQUEST, volumes.patch(&name, &params, &freed)).await?;
            }
        }
        Ok(())
    }

    fn volume(&self, service: &ServiceName, claim: &Claim, root: &Path) -> Value {
        let of = VolumeRef {
            service: service.clone(),
            volume: claim.name.clone(),
        };
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": volume_of(&claim.name),
                "labels": { SERVICE: service },
            },
            "spec": {
                "capacity": { "storage": claim.size.to_string() },
                "accessModes": claim.modes,
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": CLASS,
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": self.namespace,
                    "name": claim.name,
                },
                "hostPath": { "path": root.join(of.directory()), "type": "DirectoryOrCreate" },
            },
        })
    }

    /// The claims whose data is a volume of devenv's, by the service that it belongs to.
    pub async fn kept_claims(&self) -> Result<Vec<VolumeRef>, KubeError> {
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(SERVICE);
        let found = call("list the volumes", REQUEST, volumes.list(&ours)).await?;
        let mut kept: Vec<VolumeRef> = found.items.iter().filter_map(kept).collect();
        kept.sort();
        Ok(kept)
    }

    /// The names of claims whose data is in a volume of somebody else's.
    pub async fn other_claims(&self) -> Result<Vec<String>, KubeError> {
        let claimed = self.claimed("list the claims of volumes").await?;
        let is_other = |(name, claim): (String, PersistentVolumeClaim)| {
            let bound = claim.spec?.volume_name?;
            (bound != format!("devenv-{name}")).then_some(name)
        };
        Ok(claimed.into_iter().filter_map(is_other).collect())
    }

    /// What the `StatefulSets` of a service claim once each has so many pods.
    pub async fn claims_of_sets(
        &self,
        service: &ServiceName,
        replicas: u32,
    ) -> Result<Claims, KubeError> {
        let sets = self.api::<StatefulSet>();
        let doing = format!("list what {service} claims");
        let found = call(&doing, REQUEST, sets.list(&ListParams::default())).await?;
        let mut claims = Claims::default();
        let of_service =
            |set: &&StatefulSet| map::service_of(&set.metadata).as_ref() == Some(service);
        for set in found.items.iter().filter(of_service) {
            let spec = serde_json::to_value(&set.spec).unwrap_or_default();
            // The API server has checked it.
            if let Ok(spec) = serde_json::from_value::<SetSpec>(spec) {
                claims.add_set(&set.name_any(), &spec, Some(replicas));
            }
        }
        Ok(claims)
    }

    async fn claimed(
        &self,
        doing: &str,
    ) -> Result<BTreeMap<String, PersistentVolumeClaim>, KubeError> {
        let claims = self.api::<PersistentVolumeClaim>();
        let found = call(doing, REQUEST, claims.list(&ListParams::default())).await?;
        let by_name = found.items.into_iter().map(|it| (it.name_any(), it));
        Ok(by_name.collect())
    }
}

/// The claim of a volume of ours; `None` if nobody claims it any more.
fn kept(volume: &PersistentVolume) -> Option<VolumeRef> {
    let phase = volume.status.as_ref()?.phase.as_deref()?;
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    if phase == "Released" {
        return None;
    }
    Some(VolumeRef {
        service: volume.labels().get(SERVICE)?.parse().ok()?,
        volume: reference.name.as_ref()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
