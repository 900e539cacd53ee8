//! `kill -9` at any moment is a way to stop: the next command goes on from there.

use super::{assert_converged, is_there, project, releases, swept};
use crate::program::{BASE, Project, Running};

const SERVICES: [&str; 2] = ["store", "web"];

/// Writes down each of its starts before it serves.
const STORE: &str = "echo start >> /data/starts; trap 'exit 0' TERM; sleep infinity & wait";
const WEB: &str = "trap 'exit 0' TERM; sleep infinity & wait";
/// Is held up for as long as there is `hold`.
const HOOK: &str =
    "echo began >> hook.log; while [ -e hold ]; do sleep 0.05; done; echo ended >> hook.log";

#[test]
fn a_killed_command_hinders_no_other_and_up_makes_whole_what_it_left() {
    let project = project(
        "killed",
        &format!(
            "services:\n\
             \x20 store:\n\
             \x20   build: image\n\
             \x20   command: [sh, -c, {STORE:?}]\n\
             \x20   volumes: [{{ name: data, path: /data, size: 10Mi }}]\n\
             \x20 web: {{ build: image, command: [sh, -c, {WEB:?}], dependsOn: [store] }}\n\
             hooks: {{ afterUp: [{{ command: [sh, -c, {HOOK:?}] }}] }}\n"
        ),
    );
    project.write("hold", "");
    killed_while_the_cluster_is_made(&project);
    killed_while_the_services_are_deployed(&project);
    killed_while_a_hook_runs(&project);
    killed_while_a_change_is_taken_over(&project);
    swept::sweep(&project);
    killed_while_it_is_stopped(&project);
    killed_while_it_is_taken_down(&project);
    project.end();
}

fn has(project: &Project, role: &str, state: &str) -> bool {
    project.containers().get(role).is_some_and(|is| is == state)
}

/// Starts a command and kills it at a moment.
#[track_caller]
fn kill_at(project: &Project, words: &[&str], moment: impl FnOnce(&mut Running)) {
    let mut running = project.running(words);
    moment(&mut running);
    running.kill();
}

/// Starts a command and kills it when it says that it starts a step.
#[track_caller]
fn kill_at_start_of(project: &Project, words: &[&str], step: &str) {
    let said = format!("started  {step}");
    kill_at(project, words, |running| running.until_it_says(&said));
}

/// Kills a command when the server has come to an end, and the rest of the cluster may have too.
#[track_caller]
fn kill_when_the_server_is(project: &Project, words: &[&str], state: Option<&str>) {
    let mut running = project.running(words);
    running.until("the server has ended", || {
        project.containers().get("server-0").map(String::as_str) == state
    });
    running.kill_at_last();
}

fn killed_while_the_cluster_is_made(project: &Project) {
    kill_at_start_of(project, &["up"], "start the image registry");
    kill_at(project, &["up"], |up| {
        up.until("the registry is there", || {
            project.containers().contains_key("registry")
        });
    });
    kill_at_start_of(project, &["up"], "create the cluster");
    for (role, state) in [
        ("tools", "running"),
        ("server-0", "created"),
        ("server-0", "running"),
        ("serverlb", "running"),
    ] {
        kill_at(project, &["up"], |up| {
            let is_past = || state == "created" && project.containers().contains_key(role);
            up.until(&format!("{role} {state}"), || {
                has(project, role, state) || is_past()
            });
        });
    }
    kill_at(project, &["up"], |up| {
        up.until("the kubeconfig is there", || {
            is_there(&project.kubeconfig())
        });
    });
}

fn killed_while_the_services_are_deployed(project: &Project) {
    kill_at_start_of(project, &["up"], "deploy store");
    // The whole group this time: Helm cannot tidy up.
    kill_at(project, &["up"], |up| {
        up.until("helm is at work", || {
            releases(project)
                .iter()
                .any(|line| line.starts_with("store pending"))
                || releases(project).contains(&"store deployed".to_owned())
        });
        let helm = project.quietly("pgrep", &["-P", &up.pid().to_string()]);
        for pid in helm.lines() {
            let _ = project.run("kill", &["-9", pid]);
        }
    });
    kill_at_start_of(project, &["up"], "wait until web is ready");
}

fn killed_while_a_hook_runs(project: &Project) {
    let count = |word: &str| {
        let log = project.quietly("cat", &["hook.log"]);
        log.lines().filter(|line| *line == word).count()
    };
    kill_at(project, &["up"], |up| {
        up.until("the hook runs", || count("began") == 1);
    });
    let mut up = project.running(&["up"]);
    up.until("the hook runs anew", || count("began") == 2);
    let _ = project.run("rm", &["hold"]).assert_code(0);
    up.end().assert_code(0);
    assert_eq!(
        (count("began"), count("ended")),
        (2, 1),
        "the killed one's was ended"
    );
    assert_converged(project, &SERVICES);
}

fn killed_while_a_change_is_taken_over(project: &Project) {
    project.write(
        "image/Dockerfile",
        &format!("FROM {BASE}\nRUN echo changed > /changed\n"),
    );
    kill_at_start_of(project, &["up"], "build the image of web");
    for step in [
        "push the image of store",
        "deploy store",
        "wait until store is ready",
    ] {
        // A step may have been done by what the killed one had begun: then the run ends by itself.
        let mut up = project.running(&["up"]);
        if up.until_it_says_or_ends(&format!("started  {step}")) {
            up.kill();
        } else {
            up.end().assert_code(0);
        }
    }
    project.devenv(&["up"]).assert_code(0);
    assert_converged(project, &SERVICES);
    for service in SERVICES {
        project
            .devenv(&["exec", service, "--", "test", "-e", "/changed"])
            .assert_code(0);
    }
}

fn killed_while_it_is_stopped(project: &Project) {
    kill_at_start_of(project, &["stop"], "ask the services to end");
    kill_at_start_of(project, &["stop"], "stop the cluster");
    kill_when_the_server_is(project, &["stop"], Some("exited"));
    project.devenv(&["up"]).assert_code(0);
    assert_converged(project, &SERVICES);
    kill_when_the_server_is(project, &["stop"], Some("exited"));
    project.devenv(&["stop"]).assert_code(0);
    let running = project
        .containers()
        .into_values()
        .filter(|state| state == "running");
    assert_eq!(running.count(), 0, "{:?}", project.containers());
    kill_at(project, &["start"], |start| {
        start.until("the server runs", || has(project, "server-0", "running"));
    });
    project.devenv(&["start"]).assert_code(0);
    assert_converged(project, &SERVICES);
}

fn killed_while_it_is_taken_down(project: &Project) {
    let starts = |project: &Project| {
        let read = ["exec", "store", "--", "cat", "/data/starts"];
        project.devenv(&read).assert_code(0).stdout.lines().count()
    };
    let before = starts(project);
    kill_at_start_of(project, &["down"], "remove the cluster");
    kill_when_the_server_is(project, &["down"], None);
    project.devenv(&["up"]).assert_code(0);
    assert_converged(project, &SERVICES);
    assert!(starts(project) > before, "the data is there still");
    kill_at_start_of(project, &["down", "--volumes", "--yes"], "remove the data");
}
