//! A checkout that changes ten thousand files: every container has them all, and its service is started once.

use std::{fmt::Write as _, time::Instant};

use rustix::process::Signal;

use super::scene::{RESTART, SYNC, Scene, manifest, signal};
use crate::say;

const FILES: usize = 10_000;
const DIRECTORIES: usize = 100;
/// The kernel keeps this many events for who does not read them.
const QUEUED_EVENTS: &str = "/proc/sys/fs/inotify/max_queued_events";
/// The hash of all that is in a directory: paths, contents, what links say, and what may be run.
const HASH: &str = "export LC_ALL=C; (find . | sort; find . -type f | sort | xargs sha256sum; find . -type l | sort | xargs readlink; find . -type f -perm -100 | sort) | sha256sum";

#[test]
fn a_checkout_of_ten_thousand_files_is_in_every_container_and_restarts_its_service_once() {
    let mut scene = Scene::new("live-checkout", &manifest(SYNC, RESTART));
    two_branches(&scene);
    scene.bring_up();
    scene.project.devenv(&["scale", "greeter=2"]).assert_code(0);
    let took = checkout(&mut scene, "other");
    let by_hand = tar_pipe(&scene);
    say(&format!(
        "           {FILES} files by a checkout in 2 containers: {took:.1} s; by one tar pipe into one: {by_hand:.1} s"
    ));
    assert!(
        took <= 1.3 * by_hand,
        "most of it is there before the checkout is over"
    );
    the_kernel_loses_events_of_a_session_that_does_not_read(&mut scene);
    scene.end();
}

/// A repository at the project's directory with two branches that differ in all files of `greeter`.
fn two_branches(scene: &Scene) {
    let mut script = String::from("set -e\ngit init -q -b first .\n");
    let _ = writeln!(
        script,
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b"
    );
    let per_directory = FILES / DIRECTORIES;
    for branch in ["first", "other"] {
        let _ = writeln!(
            script,
            "for d in $(seq {DIRECTORIES}); do mkdir -p greeter/src/$d; for f in $(seq {per_directory}); do echo {branch} $d $f > greeter/src/$d/$f; done; done"
        );
        let _ = writeln!(script, "printf %s {branch} > greeter/src/text");
        script.push_str(turned(branch));
        let _ = writeln!(script, "git add -A && git commit -qm {branch}");
        if branch == "first" {
            script.push_str("git checkout -q -b other\n");
        }
    }
    script.push_str("git checkout -q first\n");
    scene.project.run("sh", &["-c", &script]).assert_code(0);
}

/// What is a file, a directory or a link in one branch and something else in the other.
fn turned(branch: &str) -> &'static str {
    match branch {
        "first" => {
            "cd greeter/src; echo a > a; mkdir -p b/c real; echo d > b/c/d; echo x > real/x; ln -s real e; echo run > run; cd ../..\n"
        }
        _ => {
            "cd greeter/src; rm -r a b e real; mkdir -p a/of/b e; echo c > a/of/b/c; echo b > b; echo f > e/f; ln -s b real; chmod +x run; cd ../..\n"
        }
    }
}

/// Checks a branch out, and waits until every container has it: how many seconds it took since the checkout was done.
fn checkout(scene: &mut Scene, branch: &str) -> f64 {
    let starts = starts(scene);
    let asked = Instant::now();
    scene
        .project
        .run("git", &["checkout", "-q", branch])
        .assert_code(0);
    let begun = Instant::now();
    let before = scene.events("done").len();
    scene.until("it is live", |scene| scene.events("done").len() > before);
    let took = begun.elapsed().as_secs_f64();
    let whole = asked.elapsed().as_secs_f64();
    let done = scene.events("done").pop().unwrap();
    say(&format!(
        "           {whole:.1} s with the checkout; {}",
        done["stages"]
    ));
    every_container_is_the_same(scene);
    let started: Vec<usize> = self::starts(scene)
        .iter()
        .zip(&starts)
        .map(|(now, then)| now - then)
        .collect();
    assert_eq!(started, [1, 1], "each was started once");
    took
}

fn every_container_is_the_same(scene: &Scene) {
    let here = scene
        .project
        .run("sh", &["-c", &format!("cd greeter/src && {HASH}")])
        .assert_code(0);
    for pod in greeters(scene) {
        let script = format!("cd /app/src && {HASH}");
        let there = scene
            .project
            .kubectl(&["exec", &pod, "--", "sh", "-c", &script]);
        assert_eq!(there.assert_code(0).stdout, here.stdout, "{pod}");
    }
}

fn greeters(scene: &Scene) -> Vec<String> {
    let mut pods = scene.project.pods();
    pods.retain(|pod| pod.starts_with("greeter"));
    pods.sort();
    assert_eq!(pods.len(), 2, "{pods:?}");
    pods
}

/// How often the service was started in each of its containers.
fn starts(scene: &Scene) -> Vec<usize> {
    let count = |pod: &String| {
        let log = scene.project.kubectl(&["logs", pod]).assert_code(0);
        log.stdout.lines().filter(|line| *line == "started").count()
    };
    greeters(scene).iter().map(count).collect()
}

/// How many seconds the same files take through one pipe into one container.
fn tar_pipe(scene: &Scene) -> f64 {
    let pod = greeters(scene).remove(0);
    let script = format!(
        "tar cf - -C greeter/src . | kubectl --kubeconfig {} exec -i {pod} -- sh -c 'mkdir -p /tmp/copy && tar xf - -C /tmp/copy'",
        scene.project.kubeconfig().display()
    );
    let begun = Instant::now();
    scene.project.run("sh", &["-c", &script]).assert_code(0);
    begun.elapsed().as_secs_f64()
}

/// A session that stands still while everything changes, and whose queue holds next to nothing.
fn the_kernel_loses_events_of_a_session_that_does_not_read(scene: &mut Scene) {
    scene.kill_session();
    let limit = in_node(scene, &format!("cat {QUEUED_EVENTS}"));
    in_node(scene, &format!("echo 16 > {QUEUED_EVENTS}"));
    scene.project.devenv(&["status"]).assert_code(0);
    let session = scene.session();
    in_node(scene, &format!("echo {} > {QUEUED_EVENTS}", limit.trim()));
    scene.attach_again();
    scene.write("page", "the new session follows");
    scene.until_answers("page", "the new session follows");
    signal(session, Signal::STOP);
    scene
        .project
        .run("git", &["checkout", "-q", "first"])
        .assert_code(0);
    signal(session, Signal::CONT);
    scene.until_answers("greeter", "first");
    scene.until("it is live", |scene| {
        scene
            .events("done")
            .iter()
            .any(|event| event["service"] == "greeter")
    });
    every_container_is_the_same(scene);
}

fn in_node(scene: &Scene, script: &str) -> String {
    let node = format!("k3d-{}-server-0", scene.project.cluster_name());
    let ran = scene.project.run(
        "docker",
        &["exec", "--privileged", &node, "sh", "-c", script],
    );
    ran.assert_code(0).stdout.clone()
}
