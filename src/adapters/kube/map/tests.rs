use serde_json::{Value, json};

use super::*;

fn a_deployment(spec: &Value, status: &Value) -> ObservedWorkload {
    let object = json!({
        "metadata": {
            "name": "order",
            "generation": 2,
            "annotations": { "meta.helm.sh/release-name": "order" },
        },
        "spec": {
            "selector": { "matchLabels": { "app": "order" } },
            "template": { "spec": { "containers": [{ "name": "order", "image": "r/order:1" }] } },
            "replicas": spec,
        },
        "status": status,
    });
    deployment(&serde_json::from_value(object).unwrap()).unwrap()
}

#[test]
fn a_finished_rollout_is_ready() {
    let status = json!({
        "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
    });
    let workload = a_deployment(&json!(2), &status);
    assert!(workload.is_ready());
    assert_eq!(workload.images, ["r/order:1"]);
}

#[test]
fn an_old_pod_that_still_serves_does_not_make_the_new_one_ready() {
    let status = json!({
        "observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1,
    });
    assert!(!a_deployment(&json!(1), &status).is_ready());
}

#[test]
fn a_pod_that_only_just_became_ready_does_not_make_its_workload_ready() {
    let status = json!({
        "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
    });
    assert!(!a_deployment(&json!(1), &status).is_ready());
}

#[test]
fn a_status_of_an_earlier_specification_does_not_count() {
    let status = json!({
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
    });
    assert!(!a_deployment(&json!(1), &status).is_ready());
    assert!(!a_deployment(&json!(1), &json!({})).is_ready());
}

#[test]
fn a_deployment_scaled_to_nothing_is_ready_with_no_pods() {
    assert!(a_deployment(&json!(0), &json!({ "observedGeneration": 2 })).is_ready());
}

#[test]
fn what_no_release_made_is_left_out() {
    let object = json!({
        "metadata": { "name": "other" },
        "spec": { "selector": {}, "template": {} },
    });
    assert!(deployment(&serde_json::from_value(object.clone()).unwrap()).is_none());
    assert!(
        pod(
            &serde_json::from_value(json!({ "metadata": { "name": "x" } })).unwrap(),
            &[]
        )
        .is_none()
    );
}

#[test]
fn a_daemon_set_nobody_looked_at_yet_is_not_ready() {
    let object = json!({
        "metadata": {
            "name": "n", "generation": 1,
            "annotations": { "meta.helm.sh/release-name": "n" },
        },
        "spec": { "selector": {}, "template": {} },
    });
    let workload = daemon_set(&serde_json::from_value(object).unwrap()).unwrap();
    assert!(!workload.is_ready());
}

#[test]
fn a_stateful_set_updated_by_hand_is_not_waited_for() {
    let object = json!({
        "metadata": {
            "name": "db", "generation": 1,
            "annotations": { "meta.helm.sh/release-name": "db" },
        },
        "spec": {
            "selector": {}, "template": {}, "replicas": 1, "serviceName": "db",
            "updateStrategy": { "type": "OnDelete" },
        },
        "status": { "observedGeneration": 1, "replicas": 1, "availableReplicas": 1 },
    });
    let workload = stateful_set(&serde_json::from_value(object).unwrap()).unwrap();
    assert!(workload.is_ready());
}

#[test]
fn a_pod_is_its_workloads_and_tells_what_its_containers_do() {
    let workload = a_deployment(&json!(1), &json!({}));
    let object = json!({
        "metadata": {
            "name": "order-1", "labels": { "app": "order", "more": "x" },
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {
            "initContainers": [{ "name": "init", "image": "i:1" }],
            "containers": [{ "name": "order", "image": "r/order:1" }],
        },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "False" }],
            "initContainerStatuses": [{
                "name": "init", "image": "i:1", "imageID": "", "ready": true, "restartCount": 0,
                "state": { "terminated": { "exitCode": 0, "reason": "Completed" } },
            }],
            "containerStatuses": [{
                "name": "order", "image": "r/order:1", "imageID": "", "ready": false, "restartCount": 3,
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } },
                "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled", "signal": 9 } },
            }],
        },
    });
    let pod = pod(&serde_json::from_value(object).unwrap(), &[workload]).unwrap();
    assert_eq!(pod.service.as_str(), "order");
    assert_eq!(pod.containers[0].name, "init");
    let container = &pod.containers[1];
    assert_eq!(container.restarts, 3);
    assert_eq!(
        container.now,
        ContainerState::Waiting {
            reason: "CrashLoopBackOff".into(),
            message: "back-off".into()
        }
    );
    assert_eq!(
        container.before,
        Some(ContainerState::Terminated {
            reason: "OOMKilled".into(),
            exit_code: 137,
            signal: Some(9),
            finished: None,
        })
    );
}

#[test]
fn an_unschedulable_pod_says_it_in_the_schedulers_words() {
    let object = json!({
        "metadata": { "name": "a", "annotations": { "meta.helm.sh/release-name": "a" } },
        "status": { "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu.",
        }] },
    });
    let pod = pod(&serde_json::from_value(object).unwrap(), &[]).unwrap();
    assert!(pod.unschedulable.unwrap().contains("Insufficient cpu"));
}

#[test]
fn only_the_newest_revision_of_a_release_counts_even_past_nine() {
    let secret = |name: &str, version: u32, status: &str| ObjectMeta {
        labels: Some(
            [
                ("name", name.to_owned()),
                ("version", version.to_string()),
                ("status", status.to_owned()),
                ("devenv.inputs", format!("hash{version}")),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
        ),
        ..ObjectMeta::default()
    };
    let secrets = [
        secret("order", 10, "pending-upgrade"),
        secret("order", 9, "deployed"),
        secret("cart", 1, "deployed"),
    ];
    let found = releases(secrets.iter());
    let order = &found[&"order".parse().unwrap()];
    assert_eq!(
        (order.revision, order.status),
        (10, ReleaseStatus::PendingUpgrade)
    );
    assert_eq!(order.inputs, Some(InputsHash::from_label("hash10")));
    assert_eq!(found.len(), 2);
}

#[test]
fn an_event_of_either_form_has_a_time_and_a_count() {
    let old = json!({
        "metadata": {}, "involvedObject": { "kind": "Pod", "name": "a" }, "reason": "BackOff",
        "message": "m", "count": 4, "lastTimestamp": "2026-01-02T03:04:05Z",
    });
    let new = json!({
        "metadata": {}, "involvedObject": { "kind": "Pod", "name": "a" }, "reason": "FailedScheduling",
        "eventTime": "2026-01-02T03:04:06.000000Z",
    });
    let (old, new) = (
        warning(&serde_json::from_value(old).unwrap()),
        warning(&serde_json::from_value(new).unwrap()),
    );
    assert_eq!((old.count, new.count), (4, 1));
    assert!(old.last_seen < new.last_seen);
}
