//! `kill -9` at every step of saving and restoring: afterwards there is the old data or the new, whole, and nothing
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

#[test]
fn whoever_is_killed_leaves_the_old_data_or_the_new() {
    let stage = Stage::up("data-killed");
    stage.write("saved");
    stage.snapshot(&["save", "kept"]).assert_code(0);
    for step in SAVING {
        for after in AFTER {
            saving_is_killed(&stage, step, after);
        }
    }
    let mut outcomes = [0, 0];
    for step in RESTORING {
        for after in AFTER {
            outcomes[usize::from(restoring_is_killed(&stage, step, after))] += 1;
        }
    }
    let [old, new] = outcomes;
    say(&format!(
        "           of restores that were killed {old} left the old data, {new} the new"
    ));
    // Else it was not killed everywhere.
    assert!(old > 0 && new > 0, "{outcomes:?}");
    stage.project.end();
}

fn saving_is_killed(stage: &Stage, step: &str, after: u64) {
    let mut saving = stage.project.running(&["snapshot", "save", "killed"]);
    if saving.until_it_says_or_ends(step) {
        // The moment of the fault.
        sleep(Duration::from_millis(after));
    }
    saving.kill_at_last();
    let listed = stage.snapshot(&["list", "-o", "json"]).assert_code(0);
    if listed.stdout.contains("\"killed\"") {
        stage.snapshot(&["verify", "killed"]).assert_code(0);
        stage.snapshot(&["remove", "killed"]).assert_code(0);
    }
    stage.snapshot(&["verify", "kept"]).assert_code(0);
    nothing_stands_or_is_left(stage);
}

/// Whether the new data is there.
fn restoring_is_killed(stage: &Stage, step: &str, after: u64) -> bool {
    let text = format!("before-{after}");
    stage.write(&text);
    let words = ["snapshot", "restore", "kept", "--yes"];
    let mut restoring = stage.project.running(&words);
    if restoring.until_it_says_or_ends(step) {
        sleep(Duration::from_millis(after));
    }
    restoring.kill_at_last();
    stage.project.devenv(&["up"]).assert_code(0);
    let [left, right] = stage.data();
    assert_eq!(left, right, "killed {after} ms after `{step}`");
    nothing_stands_or_is_left(stage);
    let is_new = left == "saved\n";
    assert!(is_new || left == format!("{text}\n"), "{left}");
    is_new
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
