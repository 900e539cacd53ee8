//! Kubernetes' objects -> what the domain calls observed. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::{ContainerStatus, Event, Pod, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::ResourceExt;

use super::super::helm::INPUTS_LABEL;
use crate::domain::{
    ContainerState, InputsHash, ObservedContainer, ObservedPod, ObservedRelease, ObservedWorkload,
    PodPhase, ReleaseStatus, ServiceName, WarningEvent,
};

/// Helm writes the release's name here on every object it makes.
const RELEASE_ANNOTATION: &str = "meta.helm.sh/release-name";

/// The service whose release made an object.
pub(super) fn service_of(meta: &ObjectMeta) -> Option<ServiceName> {
    meta.annotations
        .as_ref()?
        .get(RELEASE_ANNOTATION)?
        .parse()
        .ok()
}

/// What all kinds of workloads have in common.
struct Rollout {
    desired: i32,
    /// All pods, of any template.
    total: i32,
    updated: i32,
    /// Pods that have been ready for as long as the workload asks (`minReadySeconds`).
    available: i32,
    observed_generation: Option<i64>,
}

fn workload(
    kind: &str,
    meta: &ObjectMeta,
    selector: &LabelSelector,
    pod: Option<&PodSpec>,
    rollout: &Rollout,
) -> Option<ObservedWorkload> {
    let amount = |number: i32| u32::try_from(number).unwrap_or(0);
    // Pods of the old template that still serve are ready too: they must not pass for new ones.
    let old = (rollout.total - rollout.updated).max(0);
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    Some(ObservedWorkload {
        kind: kind.to_owned(),
        name: meta.name.clone()?,
        service: service_of(meta)?,
        desired: amount(rollout.desired),
        updated: amount(rollout.updated),
        ready: amount(rollout.available - old),
        generation: meta.generation.unwrap_or(0),
        current: rollout.observed_generation >= meta.generation,
        selector: selector.match_labels.clone().unwrap_or_default(),
        images: containers.iter().filter_map(|c| c.image.clone()).collect(),
    })
}

/// A Deployment; `None` if no release made it.
pub(super) fn deployment(object: &Deployment) -> Option<ObservedWorkload> {
    let spec = object.spec.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let rollout = Rollout {
        desired: spec.replicas.unwrap_or(1),
        total: status.replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation,
    };
    let pod = spec.template.spec.as_ref();
    workload(
        "Deployment",
        &object.metadata,
        &spec.selector,
        pod,
        &rollout,
    )
}

/// A StatefulSet; `None` if no release made it.
pub(super) fn stateful_set(object: &StatefulSet) -> Option<ObservedWorkload> {
    let spec = object.spec.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let strategy = spec
        .update_strategy
        .as_ref()
        .and_then(|s| s.type_.as_deref());
    let rollout = Rollout {
        desired: spec.replicas.unwrap_or(1),
        total: status.replicas,
        // With OnDelete nobody replaces the old pods, so nobody should wait for it.
        updated: if strategy == Some("OnDelete") {
            status.replicas
        } else {
            status.updated_replicas.unwrap_or(0)
        },
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation,
    };
    let pod = spec.template.spec.as_ref();
    workload(
        "StatefulSet",
        &object.metadata,
        &spec.selector,
        pod,
        &rollout,
    )
}

/// A DaemonSet; `None` if no release made it.
pub(super) fn daemon_set(object: &DaemonSet) -> Option<ObservedWorkload> {
    let spec = object.spec.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let rollout = Rollout {
        desired: status.desired_number_scheduled,
        total: status.current_number_scheduled,
        updated: status.updated_number_scheduled.unwrap_or(0),
        available: status.number_available.unwrap_or(0),
        observed_generation: status.observed_generation,
    };
    let pod = spec.template.spec.as_ref();
    workload("DaemonSet", &object.metadata, &spec.selector, pod, &rollout)
}

/// A pod; `None` if it belongs to none of `workloads` and no release made it.
pub(super) fn pod(object: &Pod, workloads: &[ObservedWorkload]) -> Option<ObservedPod> {
    let labels = object.labels();
    let owner = workloads.iter().find(|workload| {
        !workload.selector.is_empty()
            && workload
                .selector
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value))
    });
    let service = owner
        .map(|workload| workload.service.clone())
        .or_else(|| service_of(&object.metadata))?;
    Some(observed_pod(object, service))
}

/// A pod of a service.
pub(super) fn observed_pod(object: &Pod, service: ServiceName) -> ObservedPod {
    let status = object.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|c| c.type_ == kind);
    let unschedulable = condition("PodScheduled")
        .filter(|c| c.status == "False" && c.reason.as_deref() == Some("Unschedulable"))
        .map(|c| c.message.clone().unwrap_or_default());
    let (init, main) = (
        status.init_container_statuses.unwrap_or_default(),
        status.container_statuses.unwrap_or_default(),
    );
    let started = |status: &ContainerStatus| {
        let running = status.state.as_ref()?.running.as_ref()?;
        Some(running.started_at.as_ref()?.0)
    };
    let running_since = main.iter().filter_map(started).min();
    let spec = object.spec.clone().unwrap_or_default();
    let init_containers = spec.init_containers.unwrap_or_default();
    let containers = init_containers
        .iter()
        .map(|c| (c, &init))
        .chain(spec.containers.iter().map(|c| (c, &main)))
        .map(|(container, statuses)| {
            let status = statuses.iter().find(|s| s.name == container.name);
            observed_container(&container.name, container.image.as_deref(), status)
        })
        .collect();
    ObservedPod {
        name: object.name_any(),
        service,
        phase: match status.phase.as_deref() {
            Some("Pending") => PodPhase::Pending,
            Some("Running") => PodPhase::Running,
            Some("Succeeded") => PodPhase::Succeeded,
            Some("Failed") => PodPhase::Failed,
            _ => PodPhase::Unknown,
        },
        deleting: object.metadata.deletion_timestamp.is_some(),
        ready: condition("Ready").is_some_and(|c| c.status == "True"),
        uid: object.uid().unwrap_or_default(),
        created: object.creation_timestamp().map(|time| time.0),
        running_since,
        unschedulable,
        node: spec.node_name,
        ip: status.pod_ip.and_then(|ip| ip.parse().ok()),
        containers,
    }
}

fn observed_container(
    name: &str,
    image: Option<&str>,
    status: Option<&ContainerStatus>,
) -> ObservedContainer {
    let not_started = ContainerState::Waiting {
        reason: String::new(),
        message: String::new(),
    };
    let state = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        let state = state?;
        if let Some(ended) = &state.terminated {
            return Some(ContainerState::Terminated {
                reason: ended.reason.clone().unwrap_or_default(),
                exit_code: ended.exit_code,
                signal: ended.signal,
                finished: ended.finished_at.as_ref().map(|time| time.0),
            });
        }
        if let Some(waiting) = &state.waiting {
            return Some(ContainerState::Waiting {
                reason: waiting.reason.clone().unwrap_or_default(),
                message: waiting.message.clone().unwrap_or_default(),
            });
        }
        state.running.as_ref().map(|_| ContainerState::Running)
    };
    ObservedContainer {
        name: name.to_owned(),
        id: status.and_then(|s| s.container_id.clone()),
        image: image.unwrap_or_default().to_owned(),
        ready: status.is_some_and(|s| s.ready),
        restarts: status.map_or(0, |s| u32::try_from(s.restart_count).unwrap_or(0)),
        now: state(status.and_then(|s| s.state.as_ref())).unwrap_or(not_started),
        before: state(status.and_then(|s| s.last_state.as_ref())),
    }
}

/// An event.
pub(super) fn warning(object: &Event) -> WarningEvent {
    let series = object.series.as_ref();
    let last_seen = object
        .last_timestamp
        .as_ref()
        .map(|time| time.0)
        .or_else(|| Some(series?.last_observed_time.as_ref()?.0))
        .or_else(|| Some(object.event_time.as_ref()?.0))
        .or_else(|| object.creation_timestamp().map(|time| time.0));
    let count = object.count.or_else(|| series?.count).unwrap_or(1);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    WarningEvent {
        kind: text(&object.involved_object.kind),
        name: text(&object.involved_object.name),
        reason: text(&object.reason),
        message: text(&object.message),
        count: u32::try_from(count).unwrap_or(1),
        last_seen,
    }
}

/// The newest revision of each release, by the labels of Helm's Secrets.
pub(super) fn releases<'a>(
    secrets: impl Iterator<Item = &'a ObjectMeta>,
) -> BTreeMap<ServiceName, ObservedRelease> {
    let mut newest: BTreeMap<ServiceName, ObservedRelease> = BTreeMap::new();
    for meta in secrets {
        let Some((service, release)) = release(meta) else {
            continue;
        };
        if newest
            .get(&service)
            .is_none_or(|known| known.revision < release.revision)
        {
            newest.insert(service, release);
        }
    }
    newest
}

fn release(meta: &ObjectMeta) -> Option<(ServiceName, ObservedRelease)> {
    let labels = meta.labels.as_ref()?;
    let status = match labels.get("status").map(String::as_str) {
        Some("deployed") => ReleaseStatus::Deployed,
        Some("failed") => ReleaseStatus::Failed,
        Some("pending-install") => ReleaseStatus::PendingInstall,
        Some("pending-upgrade") => ReleaseStatus::PendingUpgrade,
        Some("pending-rollback") => ReleaseStatus::PendingRollback,
        Some("uninstalling") => ReleaseStatus::Uninstalling,
        _ => ReleaseStatus::Unknown,
    };
    let release = ObservedRelease {
        revision: labels.get("version")?.parse().ok()?,
        status,
        inputs: labels.get(INPUTS_LABEL).map(InputsHash::from_label),
    };
    Some((labels.get("name")?.parse().ok()?, release))
}

#[cfg(test)]
mod tests;
