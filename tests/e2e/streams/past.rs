//! `logs` of what is gone: of a pod that was replaced, of lines that were dropped, of a cluster that does not answer.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use devenv::state::log_store::{Item, LogReader};
use rustix::process::Signal;
use serde_json::Value;

use super::{assert_complete, lines};
use crate::program::{Project, Run};

const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Says what would drive a terminal, then lines of two levels.
const TALKER: &str = r#"trap 'exit 0' TERM; printf '\033[31mred\033[0m \033]0;owned\007over\rwritten\n';
    echo '{"level":"info","msg":"calm"}'; echo '{"level":"error","msg":"broken"}'; echo '  at the trace';
    sleep infinity & wait"#;
/// Says more than is kept of a service.
const LOUD: &str = r#"trap 'exit 0' TERM; perl -e 'printf "loud %05d %s\n", $_, "x" x 2000 for 1..36000';
    sleep infinity & wait"#;
const LOUD_LINES: usize = 36_000;

/// What stands below `services` for what is done here; their image is that of the others.
pub(super) fn services() -> String {
    let service = |name, script: &str| {
        format!("  {name}: {{ build: image, command: [sh, -c, {script:?}] }}\n")
    };
    service("talker", TALKER) + &service("loud", LOUD)
}

pub(super) fn what_was_said_outlives_its_pod_and_its_cluster(project: &Project) {
    what_was_dropped_is_counted(project);
    a_replaced_pod_is_followed_and_told_afterwards(project);
    what_was_said_drives_no_terminal(&project.devenv(&["logs", "talker"]).assert_code(0));

    signal_to_server(project, "STOP");
    let silent = kept(project, &["counter"]);
    signal_to_server(project, "CONT");
    assert!(silent.stdout.contains("bye"), "{silent}");

    project.devenv(&["stop"]).assert_code(0);
    kept(project, &["counter"]).assert_says(&["it is stopped", "bye"]);
    every_option_holds_for_what_was_kept(project);
    project.devenv(&["down"]).assert_code(0);
    let gone = kept(project, &["talker"]).assert_says(&["it has not been brought up"]);
    what_was_said_drives_no_terminal(&gone);
    project
        .devenv(&["down", "--volumes", "--yes"])
        .assert_code(0);
    let nothing = project.devenv(&["logs", "talker"]).assert_code(5);
    nothing.assert_says(&["error[cluster.not-running]"]);
}

/// The oldest went, and so many as is said.
fn what_was_dropped_is_counted(project: &Project) {
    until_kept(project, "loud", &format!("loud {LOUD_LINES} "));
    let told = project
        .devenv(&["logs", "loud", "-o", "json"])
        .assert_code(0);
    let said = lines(&told.stdout);
    let numbers: Vec<usize> = said
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .map(|message| message.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    let dropped = LOUD_LINES - numbers.len();
    assert!(
        numbers.iter().copied().eq(dropped + 1..=LOUD_LINES),
        "{dropped}"
    );
    let grouped = format!("{},{:03}", dropped / 1000, dropped % 1000);
    let notice =
        format!("loud: {grouped} lines were dropped here: the store holds 64 MB a service");
    assert!(told.stderr.contains(&notice), "{notice}: {}", told.stderr);
}

fn a_replaced_pod_is_followed_and_told_afterwards(project: &Project) {
    let crashed = restarted_pod(project);
    let before = counters(project);
    let mut following = project.running(&["logs", "-f", "counter", "-o", "json"]);
    following.until_it_says(&crashed);
    project.kubectl(&["delete", "pod", &crashed]).assert_code(0);
    let new = &counters(project) - &before;
    let new = new.first().unwrap();
    let says_ten = |text: &str| of_pod(&lines(text), new).count() >= 20;
    let said = loop {
        following.until_it_says(new);
        let said = following.said();
        if says_ten(&said) {
            break said;
        }
        std::thread::sleep(LOOK_AGAIN);
    };
    following.signal(Signal::INT);
    following.end().assert_code(130);
    let followed = lines(&said);
    assert_complete(&followed);
    assert_eq!(
        of_pod(&followed, &crashed).last().unwrap()["message"],
        "bye"
    );
    let first = |line: &&Value| line["message"] == "out 1" || line["message"] == "err 1";
    assert_eq!(of_pod(&followed, new).take(2).filter(first).count(), 2);

    let told = project
        .devenv(&["logs", "counter", "-o", "json"])
        .assert_code(0);
    let told = lines(&told.stdout);
    assert_complete(&told);
    let last_words = of_pod(&told, &crashed).filter(|line| line["message"] == "bye");
    let runs: Vec<_> = last_words
        .map(|line| line["run"].as_u64().unwrap())
        .collect();
    assert_eq!(runs, [0, 1], "both runs of the pod that is gone");
    let previous = project.devenv(&["logs", "counter", "--previous", "-o", "json"]);
    before_the_crash(&previous.assert_code(0), &crashed);
}

/// The run before the crash, and nothing else, is told of a pod that is gone.
fn before_the_crash(previous: &Run, crashed: &str) {
    let previous = lines(&previous.stdout);
    let of_crashed: Vec<&Value> = of_pod(&previous, crashed).collect();
    assert!(
        of_crashed.iter().all(|line| line["run"] == 0),
        "{of_crashed:?}"
    );
    assert_eq!(of_crashed.last().unwrap()["message"], "bye");
    assert_eq!(
        of_crashed.len(),
        previous.len(),
        "no other was started again"
    );
}

fn what_was_said_drives_no_terminal(told: &Run) {
    let visible = "^[[31mred^[[0m ^[]0;owned^Gover^Mwritten";
    assert!(told.stdout.contains(visible), "{told}");
    let drives = |character: char| character.is_control() && character != '\n';
    assert!(!told.stdout.contains(drives), "{told}");
}

/// Without a cluster: the part, the bounds and the filters.
fn every_option_holds_for_what_was_kept(project: &Project) {
    let talker = |options: &[&str]| kept(project, &[&["talker"], options].concat()).stdout;
    let errors = talker(&["--level", "error"]);
    assert!(
        errors.contains("broken") && errors.contains("at the trace"),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert_eq!(talker(&["--grep", "^cal"]).lines().count(), 1);
    assert_eq!(talker(&["--tail", "2"]), errors);

    let all = lines(&kept(project, &["counter", "-o", "json"]).stdout);
    assert_complete(&all);
    let since = all[all.len() / 2]["time"].as_str().unwrap();
    let later = kept(project, &["counter", "--since", since, "-o", "json"]);
    let later = lines(&later.stdout);
    let is_later = |line: &&Value| line["time"].as_str().unwrap() >= since;
    assert_eq!(later.len(), all.iter().filter(is_later).count());
    assert!(later.len() < all.len());

    let previous = kept(project, &["counter", "--previous", "-o", "json"]);
    let previous = lines(&previous.stdout);
    assert!(!previous.is_empty() && previous.iter().all(|line| line["run"] == 0));
    let startup = kept(project, &["starter", "--startup"]);
    startup.assert_says(&["of each container's last run", "warming", "serving"]);

    // There is nothing to follow.
    let follow = project.devenv(&["logs", "-f", "talker"]).assert_code(5);
    follow.assert_says(&[
        "calm",
        "this is what was kept",
        "error[cluster.not-running]",
    ]);
    let nothing = kept(project, &["talker", "--grep", "nobody said this"]);
    nothing.assert_says(&["none of 4 lines is of that kind"]);
}

/// Sends a signal to the process with the cluster's API.
fn signal_to_server(project: &Project, signal: &str) {
    let node = format!("k3d-{}-server-0", project.cluster_name());
    let command = format!(
        "for process in /proc/[0-9]*; do
            case $(cat $process/comm) in k3s*) kill -{signal} ${{process#/proc/}} ;; esac
        done"
    );
    let run = ["exec", &node, "sh", "-c", &command];
    project.run("docker", &run).assert_code(0);
}

/// Asks for logs where no cluster answers, which is said once.
fn kept(project: &Project, of: &[&str]) -> Run {
    let told = project.devenv(&[&["logs"], of].concat()).assert_code(0);
    let notices = told.stderr.matches("the cluster does not answer: ").count();
    assert_eq!(notices, 1, "{told}");
    told.assert_says(&["this is what was kept"])
        .assert_within(Duration::from_secs(30))
}

fn of_pod<'a>(lines: &'a [Value], pod: &str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["pod"] == pod)
}

/// The pods of the service that are not on their way out.
fn counters(project: &Project) -> BTreeSet<String> {
    let pods = project.pods().into_iter();
    pods.filter(|pod| pod.starts_with("counter-")).collect()
}

/// The pod of which a container was started again.
fn restarted_pod(project: &Project) -> String {
    let listed = project
        .kubectl(&["get", "pods", "-o", "json"])
        .assert_code(0);
    let pods = listed.json()["items"].as_array().unwrap().clone();
    let restarted = pods.iter().find(|pod| {
        let count = &pod["status"]["containerStatuses"][0]["restartCount"];
        count.as_u64() == Some(1)
            && pod["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with("counter-")
    });
    restarted.unwrap()["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until a service's store has a line that begins so.
fn until_kept(project: &Project, service: &str, words: &str) {
    let store = project.state().join("logs").join(service);
    let begun = Instant::now();
    let mut reader = loop {
        match LogReader::open(&store).unwrap() {
            Some(reader) => break reader,
            None => assert!(begun.elapsed() < PATIENCE, "nothing of {service} is kept"),
        }
        std::thread::sleep(LOOK_AGAIN);
    };
    let is_it = |item: &Item| matches!(item, Item::Line { line, .. } if line.bytes.starts_with(words.as_bytes()));
    while !reader.read().unwrap().iter().any(is_it) {
        assert!(begun.elapsed() < PATIENCE, "never kept: {words}");
        std::thread::sleep(LOOK_AGAIN);
    }
}
