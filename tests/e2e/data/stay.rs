//! Data is exchanged in containers that go on, and where that cannot be, in others.

use std::time::{Duration, Instant};

use super::{LEFT, RIGHT, Stage, manifest, service};
use crate::say;

/// A service whose image was not built for it.
const TAKEN: &str = "taken";
const ALL: [&str; 3] = [LEFT, RIGHT, TAKEN];

pub(super) fn containers_stay_while_their_data_is_exchanged(stage: &Stage) {
    let image = stage.of_pod(LEFT, "{.spec.containers[0].image}");
    let taken = service(TAKEN, &format!("image: {image:?}"));
    stage.project.manifest(&format!("{}{taken}", manifest()));
    stage.project.devenv(&["up"]).assert_code(0);
    stage.mark("kept");
    stage.snapshot(&["save", "stay"]).assert_code(0);
    for round in 1..=3 {
        pods_stay_and_processes_are_new(stage, round);
    }
    a_service_that_is_killed_comes_back_with_the_data(stage);
    a_pod_that_is_made_later_has_the_data(stage);
    where_no_init_answers_the_pod_is_replaced(stage);
    stage.snapshot(&["remove", "stay"]).assert_code(0);
    stage.project.manifest(&manifest());
    stage.project.devenv(&["up"]).assert_code(0);
    stage.write("first");
}

fn pods_stay_and_processes_are_new(stage: &Stage, round: u32) {
    stage.mark(&format!("round {round}"));
    let before = ALL.map(|service| (stage.identity(service), stage.process(service)));
    let restored = stage.snapshot(&["restore", "stay", "--yes"]);
    say(&format!(
        "           {}",
        restored
            .assert_code(0)
            .stderr
            .replace('\n', "\n           ")
    ));
    for (service, (identity, process)) in ALL.into_iter().zip(before) {
        assert_eq!(stage.marked(service), "kept\n", "{service}");
        assert_eq!(stage.identity(service), identity, "{service}");
        assert_ne!(stage.process(service), process, "{service}");
        stage.ticks(service);
    }
}

fn a_service_that_is_killed_comes_back_with_the_data(stage: &Stage) {
    let before = stage.identity(LEFT);
    let script = format!("kill -9 {}", stage.process(LEFT));
    stage.inside(LEFT, &script);
    eventually("it is started again", || {
        let now = stage.identity(LEFT);
        now != before && stage.is_ready(LEFT)
    });
    let restarts = stage.of_pod(LEFT, "{.status.containerStatuses[0].restartCount}");
    assert_eq!(restarts, "1");
    let last = "{.status.containerStatuses[0].lastState.terminated.exitCode}";
    assert_eq!(stage.of_pod(LEFT, last), "137");
    assert_eq!(stage.marked(LEFT), "kept\n");
    stage.ticks(LEFT);
}

fn a_pod_that_is_made_later_has_the_data(stage: &Stage) {
    let name = stage.of_pod(TAKEN, "{.metadata.name}");
    let deleted = stage.project.kubectl(&["delete", "pod", &name]);
    deleted.assert_code(0);
    eventually("another pod is ready", || stage.is_ready(TAKEN));
    assert_eq!(stage.marked(TAKEN), "kept\n");
    stage.ticks(TAKEN);
}

fn where_no_init_answers_the_pod_is_replaced(stage: &Stage) {
    stage.mark("last");
    stage.inside(RIGHT, "rm /.devenv/run/init");
    let [left, right, _] = ALL.map(|service| stage.identity(service));
    let restore = stage.snapshot(&["restore", "stay", "--yes"]);
    restore.assert_code(0);
    for service in ALL {
        assert_eq!(stage.marked(service), "kept\n", "{service}");
    }
    assert_eq!(stage.identity(LEFT), left);
    assert_ne!(stage.identity(RIGHT), right);
}

impl Stage {
    /// Something of the only pod of a service.
    #[track_caller]
    fn of_pod(&self, service: &str, path: &str) -> String {
        self.pods_of(service, &format!("{{.items[0]{}", &path[1..]))
    }

    #[track_caller]
    fn pods_of(&self, service: &str, path: &str) -> String {
        let label = format!("app.kubernetes.io/name={service}");
        let output = format!("jsonpath={path}");
        let words = ["get", "pods", "-l", &label, "-o", &output];
        self.project.kubectl(&words).assert_code(0).stdout
    }

    /// Which pod and container a service has.
    fn identity(&self, service: &str) -> String {
        self.of_pod(
            service,
            "{.metadata.uid} {.items[0].status.containerStatuses[0].containerID}",
        )
    }

    fn is_ready(&self, service: &str) -> bool {
        self.pods_of(service, "{.items[*].status.containerStatuses[*].ready}") == "true"
    }

    /// The number of the process of a service, which its container's init runs.
    fn process(&self, service: &str) -> String {
        let script = "tr '\\0' ' ' < /proc/1/cmdline; echo; cd /proc; \
                      for it in [0-9]*; do ! grep -qsx perl $it/comm || echo $it; done";
        let said = self.inside(service, script);
        assert!(
            said.contains("devenv-agent") && said.contains(" init "),
            "{said}"
        );
        said.lines().last().unwrap().to_owned()
    }

    fn mark(&self, text: &str) {
        for service in ALL {
            self.inside(service, &format!("echo {text} > /data/marked"));
        }
    }

    fn marked(&self, service: &str) -> String {
        self.inside(service, "cat /data/marked")
    }
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
