//! An edit of a file on this machine is live: in the running containers, in those that come later, and by a rollout.

#![expect(
    clippy::disallowed_methods,
    reason = "how often to measure is for who runs the tests to say"
)]

mod around;
mod checkout;
mod engine;
mod scene;
mod troubles;

use std::time::Duration;

use self::scene::{RESTART, SYNC, Scene, manifest};
use crate::{program::BASE, say};

/// How often an edit is measured; the figures of the documentation are of 50.
fn edits() -> usize {
    let asked = std::env::var("DEVENV_EDITS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(20)
}

/// The median and the 95th percentile, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    (at(50).as_secs_f64() * 1e3, at(95).as_secs_f64() * 1e3)
}

#[test]
fn an_edit_is_live_in_a_blink_and_one_that_changes_nothing_does_nothing() {
    let mut scene = Scene::up(
        "live-edit",
        &manifest(SYNC, "{ sync: [src:/app/src], budget: 1ms }"),
    );
    figures(&mut scene);
    an_identical_rewrite_does_nothing(&scene);
    files_come_and_go(&scene);
    an_edit_that_breaks_the_service_is_told_with_its_words(&mut scene);
    status_knows_the_last_edit(&scene);
    scene.end();
}

/// Prints what edits take, through the ingress and beside a copy by hand; bounds are for a machine with other work.
fn figures(scene: &mut Scene) {
    let measure = |service: &str| {
        let times = (0..edits()).map(|edit| {
            let text = format!("{service} {edit}");
            scene.write(service, &text);
            scene.until_answers(service, &text)
        });
        percentiles(times.collect())
    };
    let (page, page_slow) = measure("page");
    let (greeter, greeter_slow) = measure("greeter");
    let in_container = scene
        .events("done")
        .iter()
        .filter(|event| event["service"] == "page")
        .map(|event| Duration::from_secs_f64(event["totalMillis"].as_f64().unwrap() / 1e3))
        .collect::<Vec<_>>();
    let (bytes, bytes_slow) = percentiles(in_container);
    let by_hand = percentiles((0..5).map(|_| copy_by_hand(scene)).collect()).0;
    say(&format!(
        "           edit -> in the container: median {bytes:.0} ms, 95 % {bytes_slow:.0} ms ({:.2} of kubectl exec and tar, {by_hand:.0} ms)",
        bytes / by_hand
    ));
    say(&format!(
        "           edit -> answered: median {page:.0} ms, 95 % {page_slow:.0} ms; with a restart {greeter:.0} ms, 95 % {greeter_slow:.0} ms"
    ));
    assert!(bytes < by_hand, "a copy by hand is faster");
    assert!(page < 500.0 && greeter < 1000.0, "{page} {greeter}");
    scene.until_told("done", |event| event["overBudgetMillis"] == 1.0);
}

/// The same file by kubectl.
fn copy_by_hand(scene: &Scene) -> Duration {
    let pods = scene.project.pods();
    let pod = pods.iter().find(|pod| pod.starts_with("page")).unwrap();
    let script = format!(
        "tar cf - -C page/src text | kubectl --kubeconfig {} exec -i {pod} -- tar xf - -C /tmp",
        scene.project.kubeconfig().display()
    );
    let begun = std::time::Instant::now();
    scene.project.run("sh", &["-c", &script]).assert_code(0);
    begun.elapsed()
}

fn an_identical_rewrite_does_nothing(scene: &Scene) {
    let text = scene.project.read("greeter/src/text");
    let before = scene.events("done").len();
    scene.write("greeter", &text);
    scene.write("page", "a later edit");
    scene.until_answers("page", "a later edit");
    let told = scene.events("done").split_off(before);
    assert!(
        told.iter().all(|event| event["service"] == "page"),
        "{told:?}"
    );
}

fn files_come_and_go(scene: &Scene) {
    let project = &scene.project;
    project.write("page/src/deep/er/new", "new");
    project.write("page/src/run.sh", "#!/bin/sh\necho ran");
    project
        .run("chmod", &["755", "page/src/run.sh"])
        .assert_code(0);
    scene.write("page", "with new files");
    scene.until_answers("page", "with new files");
    assert_eq!(scene.exec("page", &["cat", "/app/src/deep/er/new"]), "new");
    assert_eq!(scene.exec("page", &["/app/src/run.sh"]), "ran\n");
    project.run("rm", &["-r", "page/src/deep"]).assert_code(0);
    scene.write("page", "without them");
    scene.until_answers("page", "without them");
    assert_eq!(scene.exec("page", &["ls", "/app/src"]), "run.sh\ntext\n");
}

fn an_edit_that_breaks_the_service_is_told_with_its_words(scene: &mut Scene) {
    scene.write("greeter", "bad words");
    let told = scene.until_told("failed", |event| event["service"] == "greeter");
    let failure = &told["failures"][0];
    assert_eq!(failure["code"], "live.process-ended");
    assert!(
        failure.to_string().contains("cannot greet with bad words"),
        "{failure}"
    );
    scene.write("greeter", "good words");
    scene.until_answers("greeter", "good words");
    let pods = scene
        .project
        .kubectl(&["get", "pods", "-o", "json"])
        .assert_code(0)
        .json();
    for pod in pods["items"].as_array().unwrap() {
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(status["restartCount"], 0, "{status}");
    }
}

fn status_knows_the_last_edit(scene: &Scene) {
    scene.write("page", "the last");
    scene.until_answers("page", "the last");
    let status = scene
        .project
        .devenv(&["status", "-o", "json"])
        .assert_code(0)
        .json();
    let services = status["services"].as_array().unwrap();
    let page = services
        .iter()
        .find(|service| service["name"] == "page")
        .unwrap();
    assert_eq!(page["lastLive"]["file"], "page/src/text", "{page}");
    assert!(page["liveP50Millis"].as_f64().unwrap() > 0.0, "{page}");
    scene
        .project
        .devenv(&["status"])
        .assert_code(0)
        .assert_says(&["page/src/text"]);
}

#[test]
fn containers_that_come_later_have_the_edits_and_a_killed_session_goes_on() {
    let mut scene = Scene::up("live-later", &manifest(SYNC, RESTART));
    scene.project.write("greeter/src/extra", "for now");
    scene.write("greeter", "edited");
    scene.until_answers("greeter", "edited");
    a_replaced_pod_starts_with_the_edit(&mut scene);
    every_replica_is_served(&scene);
    what_changed_while_no_session_ran_is_caught_up_with(&mut scene);
    an_agent_that_is_killed_is_started_again(&mut scene);
    a_node_that_is_killed_comes_back_with_the_edits(&mut scene);
    without_a_session_everything_is_as_its_image(scene);
}

fn a_replaced_pod_starts_with_the_edit(scene: &mut Scene) {
    let pods = scene.project.pods();
    let old = pods.iter().find(|pod| pod.starts_with("greeter")).unwrap();
    scene
        .project
        .kubectl(&["delete", "pod", old])
        .assert_code(0);
    scene.until_told("adopted", |event| event["service"] == "greeter");
    scene.until_answers("greeter", "edited");
    let pods = scene.project.pods();
    let new = pods.iter().find(|pod| pod.starts_with("greeter")).unwrap();
    let log = scene.project.kubectl(&["logs", new]).assert_code(0);
    assert_eq!(log.stdout, "started\n", "once, with its files");
}

fn every_replica_is_served(scene: &Scene) {
    scene.project.devenv(&["scale", "greeter=2"]).assert_code(0);
    scene.write("greeter", "both");
    scene.until_answers("greeter", "both");
    let pods = scene.project.pods();
    let greeters = pods.iter().filter(|pod| pod.starts_with("greeter"));
    for pod in greeters {
        let text = scene
            .project
            .kubectl(&["exec", pod, "--", "cat", "/app/src/text"]);
        assert_eq!(text.assert_code(0).stdout, "both");
    }
    scene.project.devenv(&["scale", "greeter=1"]).assert_code(0);
}

fn what_changed_while_no_session_ran_is_caught_up_with(scene: &mut Scene) {
    let killed = scene.session();
    scene.kill_session();
    scene.write("greeter", "behind its back");
    scene
        .project
        .run("rm", &["greeter/src/extra"])
        .assert_code(0);
    let status = scene.project.devenv(&["status"]).assert_code(0);
    status.assert_says(&["the session had ended unexpectedly"]);
    scene.until_answers("greeter", "behind its back");
    assert_eq!(scene.exec("greeter", &["ls", "/app/src"]), "text\n");
    assert_ne!(scene.session(), killed);
    scene.attach_again();
}

fn an_agent_that_is_killed_is_started_again(scene: &mut Scene) {
    let node = format!("k3d-{}-server-0", scene.project.cluster_name());
    let script = "for comm in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $comm | grep -q 'devenv-agent-[0-9a-f]* serve' && kill -9 $(echo $comm | cut -d/ -f3); done; true";
    scene
        .project
        .run("docker", &["exec", &node, "sh", "-c", script])
        .assert_code(0);
    scene.write("page", "after the agent");
    scene.until_answers("page", "after the agent");
    scene.until_told("notice", |event| {
        event.to_string().contains("started again")
    });
}

/// The first process of a node is the cluster's API server, and everything in the node ends with it.
fn a_node_that_is_killed_comes_back_with_the_edits(scene: &mut Scene) {
    let node = format!("k3d-{}-server-0", scene.project.cluster_name());
    let inspect = ["inspect", "--format", "{{.State.Pid}}", &node];
    let first = scene.project.run("docker", &inspect).assert_code(0).stdout;
    let kill = format!("kill -9 {}", first.trim());
    let run = ["run", "--rm", "--privileged", "--pid", "host"];
    let kill = [&run[..], &[BASE, "sh", "-c", &kill]].concat();
    scene.project.run("docker", &kill).assert_code(0);
    scene.write("greeter", "while the node was away");
    scene.until_answers("greeter", "while the node was away");
    scene.until_told("notice", |event| {
        event.to_string().contains("answers again")
    });
    scene.write("greeter", "back as before");
    scene.until_answers("greeter", "back as before");
}

fn without_a_session_everything_is_as_its_image(mut scene: Scene) {
    scene.project.devenv(&["up", "--no-session"]).assert_code(0);
    scene.said_until_its_end();
    let project = &scene.project;
    let status = project
        .devenv(&["session", "status", "-o", "json"])
        .assert_code(0)
        .json();
    assert_eq!(status["running"], false);
    let deployment = project.kubectl(&["get", "deployment", "greeter", "-o", "json"]);
    let deployment = deployment.assert_code(0).json();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"][0], "perl", "{container}");
    scene.end();
}

#[test]
fn what_cannot_be_copied_is_rolled_out_and_what_cannot_be_built_leaves_the_old_running() {
    let mut scene = Scene::up("live-rollout", &manifest(SYNC, RESTART));
    let dockerfile = scene.project.read("greeter/Dockerfile");
    scene.project.write(
        "greeter/Dockerfile",
        &format!("{dockerfile}RUN sh -c 'echo no such thing; exit 7'\n"),
    );
    let told = scene.until_told("failed", |event| event["service"] == "greeter");
    assert!(
        told["failures"][0].to_string().contains("no such thing"),
        "{told}"
    );
    assert_eq!(told["left"], "asBefore");
    assert_eq!(scene.answer("greeter").as_deref(), Some("from the image"));
    scene.project.write(
        "greeter/Dockerfile",
        &format!("{dockerfile}RUN touch /tmp/rebuilt\n"),
    );
    let done = scene.until_told("done", |event| event["change"]["action"] == "rebuild");
    assert!(
        done["change"]["rule"]
            .as_str()
            .unwrap()
            .starts_with("devenv.yaml:"),
        "{done}"
    );
    assert_eq!(
        scene.exec("greeter", &["ls", "/tmp/rebuilt"]),
        "/tmp/rebuilt\n"
    );
    a_manifest_that_changes_is_applied(&mut scene);
    commands_wait_for_a_rollout_and_stop_gives_it_up(&mut scene, &dockerfile);
    a_session_ends_with_its_cluster(scene);
}

fn commands_wait_for_a_rollout_and_stop_gives_it_up(scene: &mut Scene, dockerfile: &str) {
    let rolls_out = |scene: &mut Scene, seconds: u32| {
        let slow = format!("{dockerfile}RUN sleep {seconds}; touch /tmp/slept\n");
        scene.project.write("greeter/Dockerfile", &slow);
        scene.until("the session rolls out", |scene| {
            let status = scene.project.devenv(&["status", "-o", "json"]);
            status.stdout.contains("devenv session (rebuild greeter)")
        });
    };
    rolls_out(scene, 5);
    let scaled = scene.project.devenv(&["scale", "greeter=2"]);
    scaled
        .assert_code(0)
        .assert_says(&["waits for", "rebuild greeter"]);
    assert_eq!(scene.exec("greeter", &["ls", "/tmp/slept"]), "/tmp/slept\n");
    rolls_out(scene, 1000);
    let stopped = scene.project.devenv(&["stop"]).assert_code(0);
    stopped.assert_says(&["gives up", "rebuild greeter"]);
    assert_eq!(scene.project.processes(), "");
    scene.project.write("greeter/Dockerfile", dockerfile);
    scene.project.devenv(&["start"]).assert_code(0);
    scene.attach_again();
    scene.until_answers("greeter", "followed as before");
}

fn a_session_ends_with_its_cluster(mut scene: Scene) {
    let filter = format!("name=^k3d-{}-", scene.project.cluster_name());
    let script = format!("docker rm --force $(docker ps --all --quiet --filter '{filter}')");
    scene.write("greeter", "as it went");
    scene.project.run("sh", &["-c", &script]).assert_code(0);
    let said = scene.said_until_its_end();
    assert!(said.contains("the cluster is gone"), "{said}");
    scene.bring_up();
    scene.until_answers("greeter", "as it went");
    scene.end();
}

fn a_manifest_that_changes_is_applied(scene: &mut Scene) {
    let good = scene.project.read("devenv.yaml");
    scene.project.write(
        "devenv.yaml",
        &good.replace("  greeter:\n", "  greeter:\n    colour: red\n"),
    );
    let told = scene.until_told("failed", |event| event["service"].is_null());
    assert_eq!(
        told["failures"][0]["code"], "manifest.unknown-key",
        "{told}"
    );
    let changed = good.replace("  greeter:\n", "  greeter:\n    env: { COLOUR: red }\n");
    scene.project.write("devenv.yaml", &changed);
    scene.until_told("done", |event| event["change"]["action"] == "redeploy");
    assert_eq!(scene.exec("greeter", &["printenv", "COLOUR"]), "red\n");
    scene.write("greeter", "followed as before");
    scene.until_answers("greeter", "followed as before");
}

#[test]
fn mounted_directories_and_what_a_build_on_this_machine_makes_are_live() {
    let mount = "{ mount: [src:/app/src], onChange: none }";
    let build =
        "{ build: { command: [sh, make.sh], on: [words] }, sync: [out/text:/app/src/text] }";
    let mut scene = Scene::new("live-made", &manifest(mount, build));
    scene
        .project
        .devenv(&["up"])
        .assert_code(2)
        .assert_says(&["trust.not-confirmed", "  | sh make.sh"]);
    scene.project.devenv(&["up", "--yes"]).assert_code(0);
    let make = "! grep -q broken words || { echo no such word >&2; exit 1; }\nmkdir -p out && tr a-z A-Z < words > out/text\n";
    scene.project.write("greeter/make.sh", make);
    scene.project.write("greeter/words", "hello");
    scene.bring_up();
    scene.write("page", "read where it is");
    scene.until_answers("page", "read where it is");
    scene.project.write("greeter/words", "good morning");
    scene.until_answers("greeter", "GOOD MORNING");
    scene.project.write("greeter/words", "broken");
    let told = scene.until_told("failed", |event| event["service"] == "greeter");
    assert_eq!(told["failures"][0]["code"], "live.build-failed", "{told}");
    assert!(told.to_string().contains("no such word"), "{told}");
    assert_eq!(scene.answer("greeter").as_deref(), Some("GOOD MORNING"));
    scene.project.write("greeter/words", "good evening");
    scene.until_answers("greeter", "GOOD EVENING");
    let done = scene.until_told("done", |event| event["service"] == "greeter");
    let stages: Vec<&str> = done["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["detect", "build", "copy", "restart", "ready"]);
    a_build_that_came_with_an_edit_runs_when_it_is_confirmed(&mut scene, &manifest(mount, build));
    scene.end();
}

fn a_build_that_came_with_an_edit_runs_when_it_is_confirmed(scene: &mut Scene, manifest: &str) {
    let other = "sh -c 'touch foreign; sh make.sh'";
    let manifest = manifest.replace("[sh, make.sh]", "[sh, -c, touch foreign; sh make.sh]");
    scene.project.manifest(&manifest);
    scene.until_told("done", |event| event["change"]["action"] == "redeploy");
    scene.project.write("greeter/words", "good night");
    let told = scene.until_told("failed", |event| {
        event["failures"][0]["code"] == "trust.not-confirmed"
    });
    assert!(told.to_string().contains(other), "{told}");
    let foreign = scene.project.directory().join("greeter/foreign");
    assert!(!foreign.exists(), "it ran without a yes");
    scene.project.devenv(&["up", "--yes"]).assert_code(0);
    scene.project.write("greeter/words", "good morning again");
    scene.until_answers("greeter", "GOOD MORNING AGAIN");
    assert!(foreign.exists());
}
