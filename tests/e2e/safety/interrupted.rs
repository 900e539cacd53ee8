//! Ctrl-C, once and twice, and SIGTERM: at every long step of `up`.

use std::time::Duration;

use rustix::process::Signal;

use super::{SERVE, assert_converged, is_there, project, releases, until};
use crate::program::{Project, Running};

/// A command that is asked to end does so in a few seconds, and what it had begun takes its time to be ended.
const SOON: Duration = Duration::from_secs(6);
/// A command that is asked twice does not wait for anything.
const AT_ONCE: Duration = Duration::from_millis(500);
/// What the program says of itself when it was interrupted.
const WHAT_NEXT: [&str; 4] = ["run.interrupted", "stays", "devenv up", "devenv down"];

#[test]
fn an_interrupted_up_ends_soon_leaves_nothing_half_done_and_goes_on_later() {
    let project = project("interrupted", "");
    manifest(&project, "");
    while_the_cluster_is_created(&project);
    while_a_service_becomes_ready(&project);
    while_an_image_is_built(&project);
    while_helm_works(&project);
    while_a_hook_does_not_listen(&project);
    manifest(&project, "");
    project.devenv(&["up"]).assert_code(0);
    assert_converged(&project, &["web"]);
    project.end();
}

/// The services: one that works, and `more`.
fn manifest(project: &Project, more: &str) {
    project.manifest(&format!(
        "services:\n\x20 web: {{ build: image, command: [sh, -c, {SERVE:?}] }}\n{more}"
    ));
}

fn while_the_cluster_is_created(project: &Project) {
    for moment in ["server-0", "serverlb"] {
        let mut up = project.running(&["up"]);
        up.until(moment, || {
            project
                .containers()
                .get(moment)
                .is_some_and(|s| s == "running")
        });
        up.signal(Signal::INT);
        up.end()
            .assert_code(130)
            .assert_within(SOON)
            .assert_says(&WHAT_NEXT);
        let left: Vec<String> = project.containers().into_keys().collect();
        assert_eq!(left, ["registry"], "no half cluster");
        assert!(
            !project.left_behind().contains("network"),
            "{}",
            project.left_behind()
        );
        assert_eq!(project.processes(), "");
    }
}

/// The first Ctrl-C ends a run soon, with nothing left at work or half done.
fn interrupted(project: &Project, up: Running) {
    up.signal(Signal::INT);
    up.end()
        .assert_code(130)
        .assert_within(SOON)
        .assert_says(&WHAT_NEXT);
    assert_eq!(project.processes(), "");
    assert_settled(project);
}

fn while_a_service_becomes_ready(project: &Project) {
    manifest(
        project,
        &format!(
            "\x20 slow: {{ build: image, command: [sh, -c, {SERVE:?}], ready: {{ command: [test, -e, /tmp/go], within: 3m }} }}\n"
        ),
    );
    let mut up = project.running(&["up"]);
    up.until_it_says("started  wait until slow is ready");
    interrupted(project, up);
}

fn while_an_image_is_built(project: &Project) {
    let length = "61.71";
    project.write(
        "long/Dockerfile",
        &format!("FROM {}\nRUN sleep {length}\n", crate::program::BASE),
    );
    manifest(
        project,
        &format!("\x20 long: {{ build: long, command: [sh, -c, {SERVE:?}] }}\n"),
    );
    let is_built = || {
        !project
            .quietly("pgrep", &["-f", &format!("^sleep {length}")])
            .is_empty()
    };
    let mut up = project.running(&["up"]);
    up.until("the build is at work", is_built);
    up.signal(Signal::TERM);
    up.end()
        .assert_code(143)
        .assert_within(SOON)
        .assert_says(&WHAT_NEXT);
    assert_eq!(project.processes(), "");
    until("the build is broken off", || !is_built());
}

fn while_helm_works(project: &Project) {
    // Its image cannot be had: Helm waits for it.
    let hook = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations: { helm.sh/hook: pre-install }\n\
                spec: { containers: [{ name: a, image: 'nowhere.invalid/none:1' }] }\n";
    project.write(
        "chart/Chart.yaml",
        "apiVersion: v2\nname: hang\nversion: 1.0.0\n",
    );
    project.write("chart/templates/hook.yaml", hook);
    manifest(project, "\x20 hang: { chart: { path: chart } }\n");
    let has = |status: &str| releases(project).contains(&format!("hang {status}"));
    let mut up = project.running(&["up"]);
    up.until("helm is at work", || has("pending-install"));
    interrupted(project, up);
    // Helm leaves the objects of hooks where they are.
    project
        .kubectl(&["delete", "pod", "hook", "--now", "--ignore-not-found"])
        .assert_code(0);
}

fn while_a_hook_does_not_listen(project: &Project) {
    let script = "trap '' TERM; touch began; while true; do sleep 0.1; done";
    manifest(
        project,
        &format!("hooks: {{ afterUp: [{{ command: [sh, -c, {script:?}] }}] }}\n"),
    );
    let began = project.directory().join("began");
    let begin = || {
        let _ = project.run("rm", &["-f", "began"]);
        let mut up = project.running(&["up"]);
        up.until("the hook is at work", || is_there(&began));
        up.signal(Signal::INT);
        up
    };
    begin()
        .end()
        .assert_code(130)
        .assert_within(SOON)
        .assert_says(&WHAT_NEXT);
    assert_eq!(project.processes(), "");

    let mut up = begin();
    up.until_it_says("press Ctrl-C again");
    up.signal(Signal::INT);
    up.end().assert_code(130).assert_within(AT_ONCE);
    until("the hook is gone too", || project.processes().is_empty());
}

fn assert_settled(project: &Project) {
    let releases = releases(project);
    assert!(
        releases.iter().all(|line| !line.contains("pending")),
        "{releases:?}"
    );
}
