//! What a team allows: the rules of a `policy.yaml`, and what breaks them.
//!
//! The manifest is judged by [`Policy::broken_by`], before anything is done; the objects of charts and manifests by
//! [`Policy::broken_by_objects`], when they are known.

mod manifest;
mod objects;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use super::{ExitClass, Failure, Place, Provenance, ServiceName};

/// The name of the file, in the project's directory.
pub const POLICY_FILE: &str = "policy.yaml";

/// The rules of a team. Without any, everything is allowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Where images come from: a registry, or a path in one. Empty if that is free.
    pub registries: Vec<String>,
    /// What the references of images say at least.
    pub pinned_images: Option<Pin>,
    /// Where charts come from. Empty if that is free.
    pub repositories: Vec<String>,
    /// Whether charts of repositories have exact versions.
    pub pinned_charts: bool,
    /// Limits that every container has.
    pub limits: BTreeSet<ComputeResource>,
    /// Requests that every container has.
    pub requests: BTreeSet<ComputeResource>,
    /// What no pod may do.
    pub forbidden: BTreeSet<Privilege>,
    /// Labels that every pod has.
    pub labels: BTreeSet<String>,
    /// The versions of Kubernetes.
    pub kubernetes: Option<semver::VersionReq>,
    /// What is allowed nevertheless.
    pub exceptions: Vec<PolicyException>,
    /// Where each rule is written.
    pub places: BTreeMap<Rule, Place>,
}

/// How exactly a reference names an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// By a tag other than `latest`, or a digest.
    Tag,
    /// By a digest.
    Digest,
}

impl Pin {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tag, Self::Digest];

    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Digest => "digest",
        }
    }
}

/// What a container needs of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComputeResource {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
}

impl ComputeResource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// Its name, in Kubernetes and in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// What a pod may be allowed beyond its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// `securityContext.privileged`.
    Privileged,
    /// `securityContext.allowPrivilegeEscalation`.
    PrivilegeEscalation,
    /// `securityContext.capabilities.add`.
    AddedCapabilities,
    /// `securityContext.runAsUser: 0`.
    Root,
    /// Volumes of the node.
    HostPath,
    /// Ports of the node.
    HostPort,
    /// `hostNetwork`.
    HostNetwork,
    /// `hostPID`.
    HostPid,
    /// `hostIPC`.
    HostIpc,
}

impl Privilege {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Privileged,
        Self::PrivilegeEscalation,
        Self::AddedCapabilities,
        Self::Root,
        Self::HostPath,
        Self::HostPort,
        Self::HostNetwork,
        Self::HostPid,
        Self::HostIpc,
    ];

    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::PrivilegeEscalation => "privilegeEscalation",
            Self::AddedCapabilities => "addedCapabilities",
            Self::Root => "root",
            Self::HostPath => "hostPath",
            Self::HostPort => "hostPort",
            Self::HostNetwork => "hostNetwork",
            Self::HostPid => "hostPID",
            Self::HostIpc => "hostIPC",
        }
    }
}

/// A rule, by the key under which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Where images come from.
    ImageRegistries,
    /// How exactly they are named.
    ImagePinned,
    /// Where charts come from.
    ChartRepositories,
    /// That they have versions.
    ChartPinned,
    /// Limits.
    Limits,
    /// Requests.
    Requests,
    /// What no pod may do.
    Forbid,
    /// Labels.
    Labels,
    /// The version of Kubernetes.
    Kubernetes,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ImageRegistries,
        Self::ImagePinned,
        Self::ChartRepositories,
        Self::ChartPinned,
        Self::Limits,
        Self::Requests,
        Self::Forbid,
        Self::Labels,
        Self::Kubernetes,
    ];

    /// Its key.
    pub const fn key(self) -> &'static str {
        match self {
            Self::ImageRegistries => "images.registries",
            Self::ImagePinned => "images.pinned",
            Self::ChartRepositories => "charts.repositories",
            Self::ChartPinned => "charts.pinned",
            Self::Limits => "resources.limits",
            Self::Requests => "resources.requests",
            Self::Forbid => "forbid",
            Self::Labels => "labels",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// A rule that does not hold for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyException {
    /// The service.
    pub service: ServiceName,
    /// The rule.
    pub rule: Rule,
}

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// By whom, if by one service.
    pub service: Option<ServiceName>,
    /// The key of the manifest by which it is; a service as a whole where its objects are another's.
    pub key: String,
    /// What breaks it.
    pub what: String,
    /// How that is mended.
    pub mend: String,
}

impl Policy {
    /// Whether any rule is about objects of Kubernetes.
    pub fn judges_objects(&self) -> bool {
        let is_about_pods = !(self.limits.is_empty()
            && self.requests.is_empty()
            && self.forbidden.is_empty()
            && self.labels.is_empty());
        is_about_pods || !self.registries.is_empty() || self.pinned_images.is_some()
    }

    /// Those of violations that nobody made an exception of.
    fn without_exceptions(&self, found: Vec<Violation>) -> Vec<Violation> {
        let is_excepted = |violation: &Violation| {
            self.exceptions.iter().any(|exception| {
                exception.rule == violation.rule
                    && Some(&exception.service) == violation.service.as_ref()
            })
        };
        let left = found.into_iter().filter(|it| !is_excepted(it));
        left.collect()
    }

    /// The explanation of a violation for the user, with its place in the manifest.
    pub fn failure(&self, violation: &Violation, provenance: &Provenance) -> Failure {
        let Violation { rule, what, .. } = violation;
        let failure = Failure::new("policy.broken", ExitClass::Manifest, what)
            .because(format!("the rule `{rule}` of {}", self.written(*rule)))
            .at(provenance.place(&violation.key).cloned())
            .help(&violation.mend);
        let Some(service) = &violation.service else {
            return failure;
        };
        let exception = format!("{{ service: {service}, rule: {rule}, reason: ... }}");
        failure.of(service).help(format!(
            "whoever keeps {POLICY_FILE} can allow it, under `except`: {exception}"
        ))
    }

    /// The file and line of a rule.
    fn written(&self, rule: Rule) -> String {
        let shown = |file: &Path| file.display().to_string();
        self.places.get(&rule).map_or_else(
            || POLICY_FILE.to_owned(),
            |place| format!("{}:{}", shown(&place.file), place.line),
        )
    }

    /// What an image breaks, as a rule, what is wrong and how that is mended.
    fn judge_image(&self, reference: &str) -> Vec<(Rule, String, String)> {
        let mut broken = Vec::new();
        let full = full_reference(reference);
        let is_from = |from: &String| is_below(&full, &full_prefix(from));
        if !self.registries.is_empty() && !self.registries.iter().any(is_from) {
            broken.push((
                Rule::ImageRegistries,
                format!("the image `{reference}` comes from none of the allowed registries"),
                format!("take it from one of: {}", self.registries.join(", ")),
            ));
        }
        let (tag, digest) = (tag_of(reference), reference.contains("@sha256:"));
        let is_tagged = tag.is_some_and(|tag| tag != "latest");
        match self.pinned_images {
            Some(Pin::Digest) if !digest => broken.push((
                Rule::ImagePinned,
                format!("the image `{reference}` has no digest"),
                format!("docker buildx imagetools inspect {reference}   # its digest; write NAME@sha256:..."),
            )),
            Some(Pin::Tag) if !digest && !is_tagged => broken.push((
                Rule::ImagePinned,
                format!("the image `{reference}` is another one tomorrow: it has no tag but `latest`"),
                "write its tag, such as `redis:7.4.1`".to_owned(),
            )),
            _ => {}
        }
        broken
    }
}

/// A reference with the registry and the path that are left out in short ones.
fn full_reference(reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or_default();
    let name = tag_of(name).map_or(name, |tag| &name[..name.len() - tag.len() - 1]);
    match name.split_once('/') {
        Some((first, _)) if is_registry(first) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

/// The same for what references begin with: `docker.io`, `registry.example.com/team`, `bitnami`.
fn full_prefix(prefix: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    let first = prefix.split('/').next().unwrap_or_default();
    if is_registry(first) {
        prefix.to_owned()
    } else {
        format!("docker.io/{prefix}")
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

fn is_below(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn tag_of(reference: &str) -> Option<&str> {
    let name = reference.split('@').next()?;
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_from_allowed_registries() {
        let of = |registries: &[&str], reference: &str| {
            let policy = Policy {
                registries: registries.iter().map(ToString::to_string).collect(),
                ..Policy::default()
            };
            policy.judge_image(reference).is_empty()
        };
        for (registries, reference, is_allowed) in [
            (&["docker.io"][..], "redis:7", true),
            (&["docker.io/library"], "redis:7", true),
            (&["docker.io/library"], "bitnami/redis", false),
            (&["bitnami"], "bitnami/redis@sha256:0", true),
            (&["bit"], "bitnami/redis", false),
            (
                &["registry.example.com/team/"],
                "registry.example.com/team/a/b:1",
                true,
            ),
            (
                &["registry.example.com/team"],
                "registry.example.com/teams/a",
                false,
            ),
            (
                &["registry.example.com:5000"],
                "registry.example.com:5000/a",
                true,
            ),
            (
                &["registry.example.com"],
                "registry.example.com:5000/a",
                false,
            ),
            (&["ghcr.io", "docker.io"], "localhost/a", false),
        ] {
            assert_eq!(
                of(registries, reference),
                is_allowed,
                "{registries:?} {reference}"
            );
        }
    }

    #[test]
    fn images_are_pinned_by_tags_or_digests() {
        let of = |pin, reference: &str| {
            let policy = Policy {
                pinned_images: Some(pin),
                ..Policy::default()
            };
            policy.judge_image(reference).is_empty()
        };
        for (reference, by_tag, by_digest) in [
            ("redis", false, false),
            ("redis:latest", false, false),
            ("localhost:5000/redis", false, false),
            ("redis:7", true, false),
            ("redis@sha256:00", true, true),
            ("redis:latest@sha256:00", true, true),
        ] {
            assert_eq!(of(Pin::Tag, reference), by_tag, "{reference}");
            assert_eq!(of(Pin::Digest, reference), by_digest, "{reference}");
        }
    }
}
