//! Directories that are not there or cannot be written, met by a user to whom permissions apply.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use super::{assert_told, project};
use crate::support::{CommandOutput, TestEnvironment};

/// The user, and the group, that owns nothing else.
const NOBODY: u32 = 65534;

/// Runs devenv as a user to whom permissions apply: root may write anywhere.
fn as_nobody(environment: &TestEnvironment, script: &str) -> CommandOutput {
    let root = environment.home();
    let root = root.parent().expect("the directory of the environment");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        give_away(root);
    }
    // A program that is open can be run wherever it lies, once nobody is another user any more.
    let drop = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/env";
    let drop = if is_root { drop } else { "" };
    let script = format!("exec 3<$DEVENV; DEVENV=\"{drop} /proc/self/fd/3\"; {script}");
    environment.finished(&mut environment.shell(&script))
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory of ours") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

fn forbid_writing(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).expect("our own");
}

/// The names in a directory.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a directory of ours");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_project_that_cannot_be_written_is_brought_up_and_only_what_writes_into_it_is_refused() {
    let environment = project();
    let directory = environment.project();
    forbid_writing(&directory);
    for words in ["plan", "up --no-session"] {
        let output = as_nobody(&environment, &format!("$DEVENV {words}"));
        // As far as without docker.
        assert_told(&output, 4, &["docker.not-running"]);
    }
    let shown = "`ls -ld $TEST_ENVproject`";
    for words in [
        "config set services.web.replicas=2",
        "docs generate",
        "init -f other.yaml",
    ] {
        let output = as_nobody(&environment, &format!("$DEVENV {words}"));
        assert_told(
            &output,
            4,
            &["files.no-permission", "Permission denied", shown],
        );
    }
    assert_eq!(names(&directory), ["devenv.yaml"]);
    assert_eq!(environment.read_project("devenv.yaml"), super::MANIFEST);
}

#[test]
fn state_that_cannot_be_written_is_told_with_its_place_before_anything_is_done() {
    let environment = project();
    let state = environment.home().join("state");
    fs::create_dir(&state).expect("a fresh name");
    forbid_writing(&state);
    let output = as_nobody(
        &environment,
        "XDG_STATE_HOME=$HOME/state $DEVENV up --no-session",
    );
    assert_told(
        &output,
        4,
        &["files.no-permission", "home/state/devenv", "ls -ld"],
    );
    assert_eq!(names(&state), [""; 0]);
    // Whoever only looks needs none.
    let output = as_nobody(&environment, "XDG_STATE_HOME=$HOME/state $DEVENV history");
    assert_eq!(output.code, Some(0), "{output}");

    let output = as_nobody(&environment, "HOME=/nonexistent $DEVENV up --no-session");
    assert_told(
        &output,
        4,
        &["files.no-permission", "/nonexistent", "`ls -ld /`"],
    );
    let output = as_nobody(&environment, "HOME=/dev/null $DEVENV up --no-session");
    assert_told(&output, 4, &["/dev/null/.config", "Not a directory"]);
    let output = as_nobody(&environment, "unset HOME; $DEVENV up --no-session");
    assert_told(&output, 4, &["state.no-home", "export HOME="]);
}

#[test]
fn a_place_for_temporary_files_is_not_needed() {
    let environment = project();
    forbid_writing(&environment.home().join("../tmp"));
    for place in ["$TMPDIR", "/nonexistent", "/dev/full"] {
        for words in [
            "plan",
            "up --no-session",
            "config set services.web.replicas=2",
        ] {
            let output = as_nobody(&environment, &format!("TMPDIR={place} $DEVENV {words}"));
            let is_written = words.starts_with("config");
            let expected = if is_written { 0 } else { 4 };
            assert_eq!(output.code, Some(expected), "{output}");
            assert!(
                is_written || output.stderr.contains("docker.not-running"),
                "{output}"
            );
        }
    }
}

#[test]
fn a_file_system_that_can_no_longer_be_written_is_told_and_one_that_runs_nothing_does_no_harm() {
    let environment = project();
    let [project, home] = [environment.project(), environment.home()];
    // In name spaces of its own: for this command alone.
    let with = |option: &str, place: &Path, words: &str| {
        let place = place.display();
        let mount = format!(
            "here=$PWD; /usr/bin/mount --bind {place} {place} && /usr/bin/mount -o remount,bind,{option} {place} && cd $here"
        );
        let script = format!(
            "/usr/bin/unshare --map-root-user --mount /bin/sh -c '{mount} && exec $DEVENV {words}'"
        );
        environment.finished(&mut environment.shell(&script))
    };
    let change = "config set services.web.replicas=2";
    let output = with("ro", &project, change);
    assert_told(&output, 4, &["files.read-only", "Read-only file system"]);
    assert_eq!(environment.read_project("devenv.yaml"), super::MANIFEST);
    let output = with("ro", &home, "up --no-session");
    assert_told(&output, 4, &["files.read-only", ".local/state/devenv"]);
    // Whoever only looks needs none.
    let output = with("ro", &home, "history");
    assert_eq!(output.code, Some(0), "{output}");
    for place in [&project, &home] {
        let output = with("noexec", place, change);
        assert_eq!(output.code, Some(0), "{output}");
    }
}
