//! APIs of Kubernetes that are gone, or will be: <https://kubernetes.io/docs/reference/using-api/deprecation-guide/>.

use serde_json::Value;

use crate::domain::{
    Finding, ServiceName,
    objects::{kind_of, name_of},
};

/// An API that a minor version of Kubernetes 1 does not have any more.
struct Removed {
    api: &'static str,
    /// All of the API if there are none.
    kinds: &'static [&'static str],
    /// The first minor version without it.
    by: u32,
    /// What is written in its place.
    instead: &'static str,
}

const fn removed(
    api: &'static str,
    kinds: &'static [&'static str],
    by: u32,
    instead: &'static str,
) -> Removed {
    Removed {
        api,
        kinds,
        by,
        instead,
    }
}

const REMOVED: &[Removed] = &[
    removed(
        "extensions/v1beta1",
        &["DaemonSet", "Deployment", "ReplicaSet"],
        16,
        "apps/v1",
    ),
    removed(
        "extensions/v1beta1",
        &["NetworkPolicy"],
        16,
        "networking.k8s.io/v1",
    ),
    removed(
        "extensions/v1beta1",
        &["Ingress"],
        22,
        "networking.k8s.io/v1",
    ),
    removed("apps/v1beta1", &[], 16, "apps/v1"),
    removed("apps/v1beta2", &[], 16, "apps/v1"),
    removed(
        "admissionregistration.k8s.io/v1beta1",
        &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ],
        22,
        "admissionregistration.k8s.io/v1",
    ),
    removed(
        "apiextensions.k8s.io/v1beta1",
        &[],
        22,
        "apiextensions.k8s.io/v1",
    ),
    removed(
        "apiregistration.k8s.io/v1beta1",
        &[],
        22,
        "apiregistration.k8s.io/v1",
    ),
    removed(
        "certificates.k8s.io/v1beta1",
        &["CertificateSigningRequest"],
        22,
        "certificates.k8s.io/v1",
    ),
    removed(
        "coordination.k8s.io/v1beta1",
        &["Lease"],
        22,
        "coordination.k8s.io/v1",
    ),
    removed(
        "networking.k8s.io/v1beta1",
        &["Ingress", "IngressClass"],
        22,
        "networking.k8s.io/v1",
    ),
    removed(
        "rbac.authorization.k8s.io/v1beta1",
        &[],
        22,
        "rbac.authorization.k8s.io/v1",
    ),
    removed("scheduling.k8s.io/v1beta1", &[], 22, "scheduling.k8s.io/v1"),
    removed(
        "storage.k8s.io/v1beta1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
        22,
        "storage.k8s.io/v1",
    ),
    removed("batch/v1beta1", &["CronJob"], 25, "batch/v1"),
    removed("discovery.k8s.io/v1beta1", &[], 25, "discovery.k8s.io/v1"),
    removed("events.k8s.io/v1beta1", &[], 25, "events.k8s.io/v1"),
    removed("autoscaling/v2beta1", &[], 25, "autoscaling/v2"),
    removed("policy/v1beta1", &["PodDisruptionBudget"], 25, "policy/v1"),
    removed(
        "policy/v1beta1",
        &["PodSecurityPolicy"],
        25,
        "the labels `pod-security.kubernetes.io/...` of a namespace",
    ),
    removed("node.k8s.io/v1beta1", &[], 25, "node.k8s.io/v1"),
    removed("autoscaling/v2beta2", &[], 26, "autoscaling/v2"),
    removed(
        "flowcontrol.apiserver.k8s.io/v1beta1",
        &[],
        26,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    removed(
        "storage.k8s.io/v1beta1",
        &["CSIStorageCapacity"],
        27,
        "storage.k8s.io/v1",
    ),
    removed(
        "flowcontrol.apiserver.k8s.io/v1beta2",
        &[],
        29,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    removed(
        "flowcontrol.apiserver.k8s.io/v1beta3",
        &[],
        32,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
];

/// Deprecated and not gone yet: API, kind, the minor version since which it is, what is written in its place.
const DEPRECATED: &[(&str, &str, u32, &str)] = &[
    (
        "v1",
        "ComponentStatus",
        19,
        "the health endpoints of the components",
    ),
    (
        "v1",
        "Endpoints",
        33,
        "an EndpointSlice of discovery.k8s.io/v1",
    ),
];

/// Annotations that Kubernetes does not heed any more, or will not: the minor version since which, what is written in their place.
const ANNOTATIONS: &[(&str, u32, &str)] = &[
    ("kubernetes.io/ingress.class", 18, "`spec.ingressClassName`"),
    (
        "seccomp.security.alpha.kubernetes.io/pod",
        27,
        "`securityContext.seccompProfile`",
    ),
    (
        "service.alpha.kubernetes.io/tolerate-unready-endpoints",
        11,
        "`spec.publishNotReadyAddresses`",
    ),
];

/// What of an object is written in an API that a version of Kubernetes, such as `1.35`, does not have, or not for long.
pub(super) fn outdated(service: &ServiceName, object: &Value, kubernetes: &str) -> Vec<Finding> {
    let Some(minor) = minor(kubernetes) else {
        return Vec::new();
    };
    let (kind, api) = (
        kind_of(object),
        object["apiVersion"].as_str().unwrap_or_default(),
    );
    let whose = format!("{service}: {kind} {}", name_of(object));
    let mut found = Vec::new();
    if let Some(one) = removal(api, kind) {
        let (by, instead) = (one.by, one.instead);
        found.push(if one.by <= minor {
            let what = format!("{whose} is of {api}, which Kubernetes {kubernetes} does not have");
            Finding::problem("validate.removed-api", what)
                .because(format!("it was removed in 1.{by}"))
                .fix(format!("write it for {instead}"))
        } else {
            let what = format!("{whose} is of {api}, which Kubernetes 1.{by} removes");
            Finding::warning("validate.deprecated-api", what).fix(format!("write it for {instead}"))
        });
    }
    let is_deprecated =
        |one: &&(&str, &str, u32, &str)| (one.0, one.1) == (api, kind) && one.2 <= minor;
    if let Some((_, _, since, instead)) = DEPRECATED.iter().find(is_deprecated) {
        let what = format!("{whose} is of a kind that is deprecated since Kubernetes 1.{since}");
        found.push(Finding::warning("validate.deprecated-api", what).fix(format!("use {instead}")));
    }
    for (annotation, since, instead) in ANNOTATIONS {
        if *since <= minor && object["metadata"]["annotations"].get(annotation).is_some() {
            let what = format!(
                "{whose} has the annotation `{annotation}`, which is deprecated since Kubernetes 1.{since}"
            );
            found.push(
                Finding::warning("validate.deprecated-api", what).fix(format!("write {instead}")),
            );
        }
    }
    found
}

/// Whether a version of Kubernetes has no such API any more.
pub(super) fn is_removed(object: &Value, kubernetes: &str) -> bool {
    let api = object["apiVersion"].as_str().unwrap_or_default();
    let removal = removal(api, kind_of(object));
    removal.is_some_and(|one| minor(kubernetes).is_some_and(|minor| one.by <= minor))
}

fn removal(api: &str, kind: &str) -> Option<&'static Removed> {
    let of_kind = |one: &&Removed| one.kinds.is_empty() || one.kinds.contains(&kind);
    let mut of_api = REMOVED.iter().filter(|one| one.api == api);
    of_api.find(of_kind)
}

fn minor(kubernetes: &str) -> Option<u32> {
    kubernetes
        .strip_prefix("1.")?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Severity, testing::name};

    fn judged(api: &str, kind: &str, kubernetes: &str) -> Vec<(Severity, String)> {
        let object = json!({ "apiVersion": api, "kind": kind, "metadata": { "name": "it" } });
        let found = outdated(&name("shop"), &object, kubernetes);
        found.into_iter().map(|it| (it.severity, it.what)).collect()
    }

    #[test]
    fn what_a_version_does_not_have_is_a_problem_and_what_a_later_one_removes_a_warning() {
        let gone = "shop: CronJob it is of batch/v1beta1, which Kubernetes 1.35 does not have";
        let going = "shop: CronJob it is of batch/v1beta1, which Kubernetes 1.25 removes";
        let (problem, warning) = (Severity::Problem, Severity::Warning);
        assert_eq!(
            judged("batch/v1beta1", "CronJob", "1.35"),
            [(problem, gone.to_owned())]
        );
        assert_eq!(
            judged("batch/v1beta1", "CronJob", "1.24.3"),
            [(warning, going.to_owned())]
        );
        assert_eq!(judged("batch/v1", "CronJob", "1.35"), []);
        assert_eq!(
            judged("policy/v1beta1", "PodDisruptionBudget", "1.25").len(),
            1
        );
        assert_eq!(judged("v1", "Endpoints", "1.32"), []);
        assert_eq!(judged("v1", "Endpoints", "1.33")[0].0, warning);
    }

    #[test]
    fn annotations_that_nobody_heeds_any_more_are_told() {
        let object = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "name": "it", "annotations": { "kubernetes.io/ingress.class": "nginx" } },
        });
        let found = outdated(&name("shop"), &object, "1.35");
        assert_eq!(found[0].fix, ["write `spec.ingressClassName`"]);
    }

    #[test]
    fn no_api_is_listed_twice() {
        for (index, one) in REMOVED.iter().enumerate() {
            for other in &REMOVED[index + 1..] {
                let shared = one.kinds.iter().any(|kind| other.kinds.contains(kind));
                let both = one.kinds.is_empty() || other.kinds.is_empty() || shared;
                assert!(one.api != other.api || !both, "{}", one.api);
            }
        }
    }
}
