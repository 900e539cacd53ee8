use serde_json::{Value, json};

use super::*;

/// One pod `order-1-<name>` with one container; `with` overrides its fields.
fn pod(name: &str, age: u32, container: ObservedContainer) -> ObservedPod {
    ObservedPod {
        ip: None,
        name: format!("order-1-{name}"),
        service: "order".parse().unwrap(),
        phase: PodPhase::Running,
        deleting: false,
        ready: container.ready,
        created: Some(
            format!("2026-01-02T03:{:02}:00Z", 59 - age)
                .parse()
                .unwrap(),
        ),
        uid: String::new(),
        running_since: None,
        unschedulable: None,
        node: Some("node".to_owned()),
        containers: vec![container],
    }
}

fn container(now: ContainerState) -> ObservedContainer {
    ObservedContainer {
        id: None,
        name: "order".to_owned(),
        image: "r/order:1".to_owned(),
        ready: false,
        restarts: 0,
        now,
        before: None,
    }
}

fn waits(reason: &str, message: &str) -> ObservedContainer {
    container(ContainerState::Waiting {
        reason: reason.to_owned(),
        message: message.to_owned(),
    })
}

fn ended(reason: &str, exit_code: i32) -> ContainerState {
    ContainerState::Terminated {
        reason: reason.to_owned(),
        exit_code,
        signal: None,
        finished: None,
    }
}

fn crashed(now: ContainerState, restarts: u32, before: ContainerState) -> ObservedContainer {
    ObservedContainer {
        restarts,
        before: Some(before),
        ..container(now)
    }
}

fn back_off() -> ContainerState {
    ContainerState::Waiting {
        reason: "CrashLoopBackOff".to_owned(),
        message: "back-off 10s".to_owned(),
    }
}

fn event(kind: &str, name: &str, reason: &str, message: &str) -> WarningEvent {
    WarningEvent {
        kind: kind.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: 1,
        last_seen: None,
    }
}

fn workload(name: &str, desired: u32) -> ObservedWorkload {
    ObservedWorkload {
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        service: "order".parse().unwrap(),
        desired,
        updated: desired,
        ready: 0,
        generation: 1,
        current: true,
        selector: std::collections::BTreeMap::new(),
        images: Vec::new(),
    }
}

fn look(pods: &[ObservedPod], warnings: &[WarningEvent]) -> Option<Trouble> {
    diagnose(
        &"order".parse().unwrap(),
        &[workload("order", 1)],
        pods,
        warnings,
    )
}

/// The trouble as JSON without the names that all cases share.
fn seen(pods: &[ObservedPod], warnings: &[WarningEvent]) -> Value {
    look(pods, warnings).map_or(Value::Null, |trouble| {
        json!([trouble.kind, trouble.is_final])
    })
}

fn one(container: ObservedContainer) -> Value {
    seen(&[pod("a", 1, container)], &[])
}

#[test]
fn an_image_that_cannot_be_had_is_final_as_soon_as_it_is_certain() {
    let unavailable =
        |is_final: bool| json!([{ "kind": "imageUnavailable", "image": "r/order:1" }, is_final]);
    for message in [
        "failed to resolve reference \"r/order:1\": r/order:1: not found",
        "pull access denied, repository does not exist",
        "401 Unauthorized",
        "no match for platform in manifest",
    ] {
        assert_eq!(
            one(waits("ErrImagePull", message)),
            unavailable(true),
            "{message}"
        );
    }
    assert_eq!(
        one(waits("ErrImagePull", "dial tcp: connection refused")),
        unavailable(false)
    );
    assert_eq!(
        one(waits("ImagePullBackOff", "Back-off pulling image")),
        unavailable(true)
    );
    for reason in ["InvalidImageName", "ErrImageNeverPull"] {
        assert_eq!(one(waits(reason, "")), unavailable(true));
    }
}

#[test]
fn an_image_trouble_without_words_of_its_own_takes_them_from_the_event() {
    let words = "Failed to pull image \"r/order:1\": not found";
    let pods = [pod("a", 1, waits("ErrImagePull", ""))];
    let trouble = look(&pods, &[event("Pod", "order-1-a", "Failed", words)]).unwrap();
    assert_eq!(trouble.message, words);
    assert!(trouble.is_final);
}

#[test]
fn a_container_that_cannot_be_made_says_the_kubelets_word() {
    let cannot = |reason: &str, is_final: bool| json!([{ "kind": "cannotStart", "reason": reason }, is_final]);
    assert_eq!(
        one(waits(
            "CreateContainerConfigError",
            "secret \"order-env\" not found"
        )),
        cannot("CreateContainerConfigError", true)
    );
    assert_eq!(
        one(waits(
            "RunContainerError",
            "exec: \"nope\": executable file not found in $PATH"
        )),
        cannot("RunContainerError", true)
    );
    assert_eq!(
        one(waits("CreateContainerError", "context deadline exceeded")),
        cannot("CreateContainerError", false)
    );
    assert_eq!(
        one(crashed(back_off(), 1, ended("StartError", 128))),
        cannot("StartError", true)
    );
}

#[test]
fn a_process_that_ends_gets_one_more_chance_and_no_third() {
    let crash = |restarts: u32, is_final: bool| json!([{ "kind": "crashLoop", "exit_code": 3, "signal": null, "restarts": restarts }, is_final]);
    let end = || ended("Error", 3);
    assert_eq!(one(container(end())), crash(0, false));
    assert_eq!(
        one(crashed(ContainerState::Running, 1, end())),
        crash(1, false)
    );
    assert_eq!(one(crashed(back_off(), 1, end())), crash(1, true));
    assert_eq!(
        one(crashed(ContainerState::Running, 2, end())),
        crash(2, true)
    );
}

#[test]
fn a_back_off_is_known_from_its_event_before_the_container_says_so() {
    let twice = crashed(ended("Error", 3), 1, ended("Error", 3));
    let words = "Back-off restarting failed container order in pod order-1-a";
    let trouble = look(
        &[pod("a", 1, twice)],
        &[event("Pod", "order-1-a", "BackOff", words)],
    )
    .unwrap();
    assert_eq!((trouble.message.as_str(), trouble.is_final), (words, true));
}

#[test]
fn a_server_that_ends_with_success_is_in_trouble_too() {
    let trouble = one(crashed(back_off(), 1, ended("Completed", 0)));
    assert_eq!(trouble[0]["kind"], "crashLoop");
    assert_eq!(trouble[1], true);
}

#[test]
fn a_signal_is_named() {
    assert_eq!(
        one(crashed(back_off(), 1, ended("Error", 139)))[0]["signal"],
        11
    );
}

#[test]
fn a_process_that_recovered_is_no_trouble() {
    let mut recovered = crashed(ContainerState::Running, 4, ended("Error", 1));
    recovered.ready = true;
    assert_eq!(one(recovered), Value::Null);
}

#[test]
fn a_pod_whose_second_container_crashes_is_in_trouble_though_the_first_is_ready() {
    let mut two = pod("a", 1, container(ContainerState::Running));
    two.containers[0].ready = true;
    two.containers
        .push(crashed(back_off(), 3, ended("Error", 1)));
    assert_eq!(seen(&[two], &[])[0]["kind"], "crashLoop");
}

#[test]
fn an_init_container_that_did_its_work_is_no_trouble() {
    let mut done = container(ended("Completed", 0));
    done.ready = true;
    let mut starting = pod("a", 1, done);
    starting.ready = false;
    starting.phase = PodPhase::Pending;
    assert_eq!(seen(&[starting], &[]), Value::Null);
}

#[test]
fn too_much_memory_is_told_from_a_crash_and_final_once_it_happened_again() {
    let out = |restarts: u32, is_final: bool| json!([{ "kind": "outOfMemory", "restarts": restarts }, is_final]);
    assert_eq!(one(container(ended("OOMKilled", 137))), out(0, false));
    assert_eq!(
        one(crashed(ContainerState::Running, 1, ended("OOMKilled", 137))),
        out(1, true)
    );
    assert_eq!(
        one(crashed(back_off(), 2, ended("OOMKilled", 137))),
        out(2, true)
    );
}

fn homeless(message: &str) -> ObservedPod {
    let mut pod = pod("a", 1, waits("", ""));
    pod.phase = PodPhase::Pending;
    pod.node = None;
    pod.unschedulable = Some(message.to_owned());
    pod
}

#[test]
fn a_pod_no_node_can_take_is_final_unless_the_node_is_coming_or_another_pod_is_going() {
    let unschedulable = |is_final: bool| json!([{ "kind": "unschedulable" }, is_final]);
    let short = "0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(seen(&[homeless(short)], &[]), unschedulable(true));
    assert_eq!(
        seen(
            &[homeless(
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            )],
            &[]
        ),
        unschedulable(true)
    );
    assert_eq!(
        seen(
            &[homeless(
                "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."
            )],
            &[]
        ),
        unschedulable(false)
    );
    let mut going = pod("b", 5, container(ContainerState::Running));
    going.deleting = true;
    assert_eq!(seen(&[homeless(short), going], &[]), unschedulable(false));
}

#[test]
fn a_full_disk_is_called_by_its_name() {
    let pressed = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.";
    assert_eq!(
        seen(&[homeless(pressed)], &[]),
        json!([{ "kind": "evicted" }, true])
    );
    let mut thrown_out = pod("a", 1, container(ended("Error", 137)));
    thrown_out.phase = PodPhase::Failed;
    let words = "The node was low on resource: ephemeral-storage.";
    let trouble = look(
        &[thrown_out],
        &[event("Pod", "order-1-a", "Evicted", words)],
    )
    .unwrap();
    assert_eq!(trouble.kind, TroubleKind::Evicted);
    assert_eq!((trouble.message.as_str(), trouble.is_final), (words, false));
}

#[test]
fn a_probe_that_fails_may_pass_later() {
    let words = "Readiness probe failed: HTTP probe failed with statuscode: 500";
    let pods = [pod("a", 1, container(ContainerState::Running))];
    let trouble = look(&pods, &[event("Pod", "order-1-a", "Unhealthy", words)]).unwrap();
    assert_eq!(trouble.kind, TroubleKind::ProbeFailing);
    assert_eq!((trouble.message.as_str(), trouble.is_final), (words, false));
}

#[test]
fn a_process_killed_for_its_probe_is_no_crash() {
    let words = "Startup probe failed: dial tcp: connection refused";
    let killed = crashed(ContainerState::Running, 2, ended("Error", 137));
    let trouble = look(
        &[pod("a", 1, killed)],
        &[event("Pod", "order-1-a", "Unhealthy", words)],
    )
    .unwrap();
    assert_eq!(trouble.kind, TroubleKind::ProbeFailing);
    assert!(trouble.is_final);
}

#[test]
fn a_mount_that_fails_may_pass_later() {
    let mut waiting = pod("a", 1, waits("ContainerCreating", ""));
    waiting.phase = PodPhase::Pending;
    let words = "MountVolume.SetUp failed for volume \"env\": secret \"x\" not found";
    let found = seen(
        &[waiting],
        &[event("Pod", "order-1-a", "FailedMount", words)],
    );
    assert_eq!(
        found,
        json!([{ "kind": "cannotStart", "reason": "FailedMount" }, false])
    );
}

#[test]
fn a_pod_that_is_refused_is_final_unless_the_cluster_is_just_starting() {
    let refused = |message: &str| {
        seen(
            &[],
            &[event("ReplicaSet", "order-7d9f", "FailedCreate", message)],
        )
    };
    assert_eq!(
        refused("pods \"order-7d9f-\" is forbidden: exceeded quota: small"),
        json!([{ "kind": "podRefused" }, true])
    );
    assert_eq!(
        refused(
            "error looking up service account default/default: serviceaccount \"default\" not found"
        ),
        json!([{ "kind": "podRefused" }, false])
    );
}

#[test]
fn a_refusal_that_is_over_is_no_trouble() {
    let pods = [pod("a", 1, waits("ContainerCreating", ""))];
    let old = event("ReplicaSet", "order-1", "FailedCreate", "exceeded quota");
    assert_eq!(seen(&pods, &[old]), Value::Null);
}

#[test]
fn pods_of_an_older_template_and_pods_on_their_way_out_do_not_count() {
    let crash = || crashed(back_off(), 5, ended("Error", 1));
    let mut old = pod("a", 9, crash());
    old.name = "order-0-a".to_owned();
    let starting = pod("b", 1, waits("ContainerCreating", ""));
    assert_eq!(seen(&[old, starting], &[]), Value::Null);
    let mut leaving = pod("c", 1, crash());
    leaving.deleting = true;
    assert_eq!(seen(&[leaving], &[]), Value::Null);
}

#[test]
fn among_pods_of_one_template_the_hopeless_one_goes_first_and_then_the_newest() {
    let probed = pod("b", 1, container(ContainerState::Running));
    let crashing = pod("a", 2, crashed(back_off(), 3, ended("Error", 1)));
    let unhealthy = event("Pod", "order-1-b", "Unhealthy", "Readiness probe failed");
    let trouble = look(&[probed, crashing], &[unhealthy]).unwrap();
    assert_eq!(trouble.pod.as_deref(), Some("order-1-a"));
}

#[test]
fn a_workload_whose_name_begins_another_is_not_blamed_for_it() {
    let mut other = pod("a", 1, crashed(back_off(), 3, ended("Error", 1)));
    other.name = "order-db-1-a".to_owned();
    let fine = pod("b", 0, waits("ContainerCreating", ""));
    let service = "order".parse().unwrap();
    let workloads = [workload("order", 1), workload("order-db", 1)];
    let trouble = diagnose(&service, &workloads, &[fine, other], &[]).unwrap();
    assert_eq!(trouble.pod.as_deref(), Some("order-db-1-a"));
}

#[test]
fn other_services_are_not_looked_at() {
    let mut foreign = pod("a", 1, crashed(back_off(), 3, ended("Error", 1)));
    foreign.service = "cart".parse().unwrap();
    assert_eq!(seen(&[foreign], &[]), Value::Null);
}
