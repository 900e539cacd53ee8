//! What the API server would say to objects, without making them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
    core::{
        ApiResource, DynamicObject, GroupVersionKind, NamespaceResourceScope, Resource, Status,
    },
    discovery::{ApiCapabilities, Scope, pinned_kind},
};
use serde_json::Value;

use super::{Cluster, KubeError, REQUEST, call};
use crate::domain::objects::{kind_of, name_of};

/// Who would change the objects, in the words of the API.
const MANAGER: &str = "devenv-validate";

/// What the API server has against an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It does not know its kind in this version.
    UnknownKind,
    /// It would not take it; in its words.
    Refused(String),
}

/// The objects of the services' namespace that others may refer to, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// The names, by kind, such as `Secret`.
    pub names: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Whether an answer is about what was sent, and not that the server has no time or is broken.
fn is_about_the_object(status: &Status) -> bool {
    match status.code {
        401 | 408 | 429 => false,
        400..=499 => true,
        // A field of a wrong type is told as if it were the server's fault.
        _ => status
            .message
            .starts_with("failed to create typed patch object"),
    }
}

impl Cluster {
    /// What the API server has against each of the objects: nothing is made or changed.
    pub async fn objections(
        &self,
        objects: &[&Value],
    ) -> Result<Vec<Option<Objection>>, KubeError> {
        let mut known: BTreeMap<(String, String), Option<(ApiResource, ApiCapabilities)>> =
            BTreeMap::new();
        let mut found = Vec::new();
        for object in objects {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            let key = (version.to_owned(), kind_of(object).to_owned());
            if !known.contains_key(&key) {
                let kind = self.kind(&key.0, &key.1).await?;
                known.insert(key.clone(), kind);
            }
            found.push(match &known[&key] {
                None => Some(Objection::UnknownKind),
                Some((resource, capabilities)) => {
                    self.try_one(object, resource, capabilities).await?
                }
            });
        }
        Ok(found)
    }

    /// How a kind is asked for; `None` of one that the server does not know.
    async fn kind(
        &self,
        version: &str,
        kind: &str,
    ) -> Result<Option<(ApiResource, ApiCapabilities)>, KubeError> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let asking = async {
            match pinned_kind(&self.client, &kind).await {
                Ok(found) => Ok(Some(found)),
                // Neither the kind nor its version.
                Err(kube::Error::Discovery(_)) => Ok(None),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(error),
            }
        };
        call("ask which kinds there are", REQUEST, asking).await
    }

    async fn try_one(
        &self,
        object: &Value,
        resource: &ApiResource,
        capabilities: &ApiCapabilities,
    ) -> Result<Option<Objection>, KubeError> {
        let namespace = object["metadata"]["namespace"].as_str();
        let client = self.client.clone();
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Cluster => Api::all_with(client, resource),
            Scope::Namespaced => {
                Api::namespaced_with(client, namespace.unwrap_or(&self.namespace), resource)
            }
        };
        let params = PatchParams::apply(MANAGER).force().dry_run();
        let doing = format!("try {} {}", kind_of(object), name_of(object));
        let patch = Patch::Apply(object);
        let trying = async {
            match api.patch(name_of(object), &params, &patch).await {
                Ok(_) => Ok(None),
                Err(kube::Error::Api(status)) if is_about_the_object(&status) => {
                    Ok(Some(Objection::Refused(status.message.clone())))
                }
                Err(error) => Err(error),
            }
        };
        call(&doing, REQUEST, trying).await
    }

    /// The objects of the services' namespace that others may refer to.
    pub async fn existing(&self) -> Result<Existing, KubeError> {
        let (secrets, maps, claims, accounts, services) = futures::try_join!(
            self.names::<Secret>(),
            self.names::<ConfigMap>(),
            self.names::<PersistentVolumeClaim>(),
            self.names::<ServiceAccount>(),
            self.names::<Service>(),
        )?;
        Ok(Existing {
            names: [secrets, maps, claims, accounts, services].into(),
        })
    }

    async fn names<K>(&self) -> Result<(&'static str, BTreeSet<String>), KubeError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + k8s_openapi::Resource
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default();
        // Names alone: what is in a secret is nobody's business here.
        let listed = call("list names", REQUEST, api.list_metadata(&params)).await?;
        let names = listed.items.into_iter().filter_map(|one| one.metadata.name);
        Ok((K::KIND, names.collect()))
    }
}
