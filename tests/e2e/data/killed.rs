//! `kill -9` at every step of whatever works on data: afterwards there is the old data or the new, whole, and nothing
//! stands or is left over.

use std::{thread::sleep, time::Duration};

use super::{LEFT, RIGHT, Stage};
use crate::say;

/// How long after a step's line it is killed, in milliseconds: the steps that change something take some tens.
const AFTER: [u64; 5] = [0, 5, 14, 40, 80];
const SAVING: [&str; 3] = ["measure", "copy it", "hash"];
const RESTORING: [&str; 5] = [
    "started  copy",
    "started  put it into",
    "started  wait until left",
    "done     wait until left",
    "started  remove the data",
];
const IMPORTING: [&str; 3] = ["started  check", "started  unpack", "started  compare"];
const MANY: &str =
    "perl -e 'mkdir q(/data/many); open my $file, q(>), qq(/data/many/$_) for 1..20000'";
/// How soon a command is to end whose cluster went.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Loading and setting back go the same way; between them are the steps of the dataset.
const LOADING: [&str; 5] = [
    "started  make",
    "started  put them into",
    "started  base: command",
    "done     base: command",
    "started  remove the data",
];
const LOADING_AFTER: [u64; 2] = [0, 20];

#[test]
fn whoever_is_killed_leaves_the_old_data_or_the_new() {
    let stage = Stage::up("data-killed");
    stage.write("saved");
    stage.snapshot(&["save", "kept"]).assert_code(0);
    for step in SAVING {
        for after in AFTER {
            let words = ["snapshot", "save", "killed"];
            making_is_killed(&stage, &words, step, after);
        }
    }
    for step in ["started  write", "started  write", "done     write"] {
        exporting_is_killed(&stage, step);
    }
    stage
        .snapshot(&["export", "kept", "kept.tar.zst"])
        .assert_code(0);
    for step in IMPORTING {
        for after in LOADING_AFTER {
            let words = ["snapshot", "import", "kept.tar.zst", "--name", "killed"];
            making_is_killed(&stage, &words, step, after);
        }
    }
    let restoring = ["snapshot", "restore", "kept", "--yes"];
    both_outcomes(&stage, &restoring, &RESTORING, &AFTER);
    stage.project.write("datasets/base/dataset.yaml", DATASET);
    let loading = ["data", "load", "--dataset", "base", "--yes"];
    both_outcomes(&stage, &loading, &LOADING, &LOADING_AFTER);
    let setting_back = ["data", "reset", "--to", "base", "--no-backup", "--yes"];
    both_outcomes(&stage, &setting_back, &LOADING, &LOADING_AFTER);
    // Whatever is saved now takes its time.
    stage.inside(LEFT, MANY);
    its_cluster_goes(&stage, &["snapshot", "save", "killed"], "copy it while");
    stage.project.end();
}

/// What is in both services with it is the same as in the snapshot.
const DATASET: &str = "steps:
  - { service: left, command: [sh, -c, 'echo saved > /data/kept'] }
  - { service: right, command: [sh, -c, 'echo saved > /data/kept'] }
";

fn both_outcomes(stage: &Stage, words: &[&str], steps: &[&str], moments: &[u64]) {
    let mut outcomes = [0, 0];
    for step in steps {
        for after in moments {
            outcomes[usize::from(replacing_is_killed(stage, words, step, *after))] += 1;
        }
    }
    let [old, new] = outcomes;
    say(&format!(
        "           of those that were killed {old} left the old data, {new} the new"
    ));
    // Else it was not killed everywhere.
    assert!(old > 0 && new > 0, "{outcomes:?}");
}

/// Who makes the snapshot `killed` is killed: afterwards it is there whole, or not at all.
fn making_is_killed(stage: &Stage, words: &[&str], step: &str, after: u64) {
    let mut making = stage.project.running(words);
    if making.until_it_says_or_ends(step) {
        // The moment of the fault.
        sleep(Duration::from_millis(after));
    }
    making.kill_at_last();
    let listed = stage.snapshot(&["list", "-o", "json"]).assert_code(0);
    if listed.stdout.contains("\"killed\"") {
        stage.snapshot(&["verify", "killed"]).assert_code(0);
        stage.snapshot(&["remove", "killed"]).assert_code(0);
    }
    stage.snapshot(&["verify", "kept"]).assert_code(0);
    nothing_stands_or_is_left(stage);
}

fn exporting_is_killed(stage: &Stage, step: &str) {
    let words = ["snapshot", "export", "kept", "killed.tar.zst"];
    let mut exporting = stage.project.running(&words);
    exporting.until_it_says_or_ends(step);
    exporting.kill_at_last();
    let archive = stage.project.directory().join("killed.tar.zst");
    if archive.exists() {
        let words = ["verify", "--archive", "killed.tar.zst"];
        stage.snapshot(&words).assert_code(0);
        std::fs::rename(&archive, stage.project.root().join("killed")).unwrap();
    }
    let beside = std::fs::read_dir(stage.project.directory()).unwrap();
    let beside = beside.map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = beside
        .filter(|name| name.to_string_lossy().starts_with(".devenv-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    nothing_stands_or_is_left(stage);
}

/// Whether the new data is there.
fn replacing_is_killed(stage: &Stage, words: &[&str], step: &str, after: u64) -> bool {
    let text = format!("before-{after}");
    stage.write(&text);
    let mut replacing = stage.project.running(words);
    if replacing.until_it_says_or_ends(step) {
        sleep(Duration::from_millis(after));
    }
    replacing.kill_at_last();
    stage.project.devenv(&["up"]).assert_code(0);
    let [left, right] = stage.data();
    assert_eq!(left, right, "killed {after} ms after `{step}`");
    nothing_stands_or_is_left(stage);
    let is_new = left == "saved\n";
    assert!(is_new || left == format!("{text}\n"), "{left}");
    is_new
}

/// What works on data ends soon and says why; the data is the old or the new, in another cluster.
fn its_cluster_goes(stage: &Stage, words: &[&str], step: &str) {
    stage.write("of before");
    let mut work = stage.project.running(words);
    work.until_it_says(step);
    let node = format!("k3d-{}-server-0", stage.project.cluster_name());
    let remove = ["rm", "--force", "--volumes", &node];
    stage.project.run("docker", &remove).assert_code(0);
    let ended = work.end();
    assert_eq!(ended.code, Some(5), "{}", ended.said);
    assert!(ended.took < ENDS_WITHIN, "{:?}\n{}", ended.took, ended.said);
    let says_so = [node.as_str(), "the container of its server was removed"];
    let says_so = says_so.iter().any(|words| ended.said.contains(words));
    assert!(says_so, "{}", ended.said);
    stage.project.devenv(&["up"]).assert_code(0);
    let [left, right] = stage.data();
    assert_eq!(left, right);
    assert!(
        ["saved\n", "of before\n"].contains(&left.as_str()),
        "{left}"
    );
    nothing_stands_or_is_left(stage);
}

fn nothing_stands_or_is_left(stage: &Stage) {
    for service in [LEFT, RIGHT] {
        stage.ticks(service);
    }
    assert_eq!(
        stage.in_node("ls /var/lib/devenv/volumes/.exchange 2>/dev/null || true"),
        ""
    );
    let kept = stage.in_node("ls /var/lib/devenv/volumes/.snapshots");
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert!(!stage.project.data().join("exchange.json").exists());
}
