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
    let before =
        ALL.map(|service| stage.look(service, &format!("echo round {round} > /data/marked")));
    stage.inside(LEFT, "echo held > /dev/shm/held");
    let pods = stage.identities();
    let restored = stage.snapshot(&["restore", "stay", "--yes"]).assert_code(0);
    say(&format!(
        "           restored and ready after {:.1?}",
        restored.took
    ));
    assert!(
        !restored.stderr.contains("is replaced"),
        "{}",
        restored.stderr
    );
    assert_eq!(stage.identities(), pods);
    let held = stage.inside(LEFT, "ls /dev/shm");
    assert_eq!(held, "", "nobody could remove what the killed had there");
    for (service, before) in ALL.into_iter().zip(before) {
        let now = stage.look(service, "sleep 0.1");
        assert_eq!(now.marked, "kept", "{service}");
        assert_ne!(now.process, before.process, "{service}");
        assert_ne!(now.first, now.then, "{service} stands");
    }
}

fn a_service_that_is_killed_comes_back_with_the_data(stage: &Stage) {
    let before = stage.identity(LEFT);
    let seen = stage.look(LEFT, "true");
    stage.inside(LEFT, &format!("kill -9 {}", seen.process));
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

/// What is in the container of a service.
struct Seen {
    marked: String,
    /// The number of the service's process.
    process: String,
    /// The time that it wrote last, and a moment later.
    first: String,
    then: String,
}

impl Stage {
    /// Looks into the container of a service, whose first process is devenv's init; meanwhile a script is run.
    #[track_caller]
    fn look(&self, service: &str, script: &str) -> Seen {
        let script = format!(
            "tr '\\0' ' ' < /proc/1/cmdline; echo; cat /data/marked /data/now; {script}; cat /data/now; \
             cd /proc; for it in [0-9]*; do ! grep -qsx perl $it/comm || echo $it; done"
        );
        let said = self.inside(service, &script);
        let [init, marked, first, then, process] = said.lines().collect::<Vec<_>>()[..] else {
            panic!("{said}");
        };
        assert!(
            init.contains("devenv-agent") && init.contains(" init "),
            "{init}"
        );
        let [marked, process, first, then] = [marked, process, first, then].map(str::to_owned);
        Seen {
            marked,
            process,
            first,
            then,
        }
    }

    /// Which pods and containers there are.
    fn identities(&self) -> String {
        let path =
            "{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID}\n{end}";
        let output = format!("jsonpath={path}");
        let words = ["get", "pods", "-o", &output];
        self.project.kubectl(&words).assert_code(0).stdout
    }

    /// Something of the only pod of a service.
    #[track_caller]
    pub(super) fn of_pod(&self, service: &str, path: &str) -> String {
        let label = format!("devenv.service={service}");
        let output = format!("jsonpath={{.items[*]{}", &path[1..]);
        let words = ["get", "pods", "-l", &label, "-o", &output];
        self.project.kubectl(&words).assert_code(0).stdout
    }

    fn identity(&self, service: &str) -> String {
        self.of_pod(service, "{.status.containerStatuses[0].containerID}")
    }

    fn is_ready(&self, service: &str) -> bool {
        self.of_pod(service, "{.status.containerStatuses[0].ready}") == "true"
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
