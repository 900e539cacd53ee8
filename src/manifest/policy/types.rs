//! The keys of a `policy.yaml` as types. Their doc comments are the reference page and the schema.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    domain::{ComputeResource, Pin, Privilege, Rule, ServiceName},
    manifest::{
        dataset::format::OneLine,
        format::{LabelName, VersionRequirement},
    },
};

/// The keys of a policy. What it does not name is free.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyKeys {
    /// What images services may be made of.
    pub(super) images: ImagesKeys,
    /// What charts.
    pub(super) charts: ChartsKeys,
    /// What every container must say that it needs.
    pub(super) resources: ResourcesKeys,
    /// What no pod may do.
    pub(super) forbid: Vec<PrivilegeKey>,
    /// Labels that every pod must have, whatever their value.
    pub(super) labels: Vec<LabelName>,
    /// The versions of Kubernetes that may be used, such as `>=1.33, <1.36`.
    pub(super) kubernetes: Option<VersionRequirement>,
    /// Rules that do not hold for a service.
    pub(super) except: Vec<ExceptionKeys>,
}

/// What images services may be made of. Those that devenv builds are the project's own, and are not looked at.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Images")]
pub(super) struct ImagesKeys {
    /// Where they may come from: registries or paths in one, such as `registry.example.com/team` or `docker.io/library`.
    pub(super) registries: Vec<OneLine>,
    /// How exactly they must be named: `tag` for a tag other than `latest`, `digest` for a digest.
    #[schemars(schema_with = "pin")]
    pub(super) pinned: Option<PinKey>,
}

/// What charts of repositories services may be made of.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Charts")]
pub(super) struct ChartsKeys {
    /// The URLs of the repositories that they may come from.
    pub(super) repositories: Vec<OneLine>,
    /// Whether they must have an exact version.
    pub(super) pinned: bool,
}

/// What every container must say that it needs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Required")]
pub(super) struct ResourcesKeys {
    /// The limits: `cpu`, `memory`.
    pub(super) limits: Vec<ResourceKey>,
    /// The requests: `cpu`, `memory`.
    pub(super) requests: Vec<ResourceKey>,
}

/// A rule that does not hold for a service.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Exception")]
pub(super) struct ExceptionKeys {
    /// The service.
    pub(super) service: ServiceName,
    /// The rule, by its key, such as `images.pinned`.
    pub(super) rule: RuleKey,
    /// Why, for whoever reads it.
    #[expect(dead_code, reason = "it is there for people, and must be given")]
    pub(super) reason: OneLine,
}

/// Stands for a word of the domain, which is found by its name in the file.
macro_rules! word {
    ($key:ident, $of:ty, $all:expr, $name:expr) => {
        /// A word of the domain as it is written.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $key(pub(super) $of);

        impl<'de> Deserialize<'de> for $key {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                let found = $all.into_iter().find(|it: &$of| $name(*it) == word);
                found.map(Self).ok_or_else(|| D::Error::custom(word))
            }
        }

        impl JsonSchema for $key {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($of).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = $all.into_iter().map($name).collect();
                json_schema!({"type": "string", "enum": words})
            }
        }
    };
}

word!(PrivilegeKey, Privilege, Privilege::ALL, Privilege::name);
word!(
    ResourceKey,
    ComputeResource,
    ComputeResource::ALL,
    ComputeResource::name
);
word!(RuleKey, Rule, Rule::ALL, Rule::key);
word!(PinKey, Pin, Pin::ALL, Pin::name);

/// One of the words, or nothing.
fn pin(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<Option<&str>> = Pin::ALL
        .into_iter()
        .map(|pin| Some(pin.name()))
        .chain([None])
        .collect();
    json_schema!({"type": ["string", "null"], "enum": words})
}
