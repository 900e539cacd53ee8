//! Files of the state that are damaged, newer, or left by somebody who is gone.

#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{MANIFEST, assert_told};
use crate::{engine::empty_engine_at, support::TestEnvironment};

/// A project with an engine that has nothing, and with tools.
fn project() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    let socket = environment.home().join("docker.sock");
    empty_engine_at(&socket);
    environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    environment.write_project("devenv.yaml", MANIFEST);
    let up = environment.devenv(["up", "--no-session"]);
    assert_told(&up, 4, &["tool.missing"]);
    environment
}

/// The directories of the environment's state and data.
fn directories(environment: &TestEnvironment) -> [PathBuf; 2] {
    ["state", "share"].map(|base| {
        let all = environment.home().join(".local").join(base).join("devenv");
        let mut entries = fs::read_dir(all).expect("a command was there");
        entries.next().expect("one").expect("it is listed").path()
    })
}

fn write(path: &std::path::Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the directory is there");
}

fn read(path: &std::path::Path) -> Vec<u8> {
    fs::read(path).expect("it is there")
}

#[test]
fn a_newer_record_is_refused_by_whatever_changes_something_and_left_alone() {
    let environment = project();
    let [state, _] = directories(&environment);
    let record = state.join("record.json");
    let newer = br#"{ "schema": 99, "clusters": [] }"#;
    write(&record, newer);
    for words in [
        &["up", "--no-session"][..],
        &["down"],
        &["down", "--volumes", "--yes"],
        &["status"],
    ] {
        let output = environment.devenv(words);
        assert_told(
            &output,
            4,
            &["state.newer", "99", "use that version of devenv"],
        );
        assert_eq!(read(&record), newer, "{words:?}");
    }
}

#[test]
fn whatever_is_in_a_file_of_the_state_is_answered_and_the_data_stays() {
    let environment = project();
    let [state, data] = directories(&environment);
    let kept = data.join("volumes/kept");
    write(&kept, b"data");
    for name in [
        "state/record.json",
        "state/lock",
        "state/session.json",
        "state/live.jsonl",
        "data/loaded.json",
    ] {
        let (base, file) = name.split_once('/').expect("both");
        let path = if base == "state" { &state } else { &data }.join(file);
        for bytes in [
            &b""[..],
            b"{",
            b"null",
            b"[]",
            b"{}",
            b"{\"schema\":1",
            b"\xff\xfe\0\0",
        ] {
            for verb in ["status", "history"] {
                write(&path, bytes);
                let output = environment.devenv([verb]);
                let is_answered = matches!(output.code, Some(0 | 4 | 5));
                assert!(is_answered, "{name} {bytes:?} {verb}: {output}");
            }
        }
        let _ = fs::remove_file(&path);
    }
    assert_eq!(read(&kept), b"data");
}

#[test]
fn a_damaged_record_is_kept_aside_and_told_once() {
    let environment = project();
    let [state, _] = directories(&environment);
    write(&state.join("record.json"), b"{ \"schema\": 1, \"clus");
    let output = environment.devenv(["status"]);
    assert_told(&output, 5, &["was damaged", "record.json.bad"]);
    assert_eq!(
        read(&state.join("record.json.bad")),
        b"{ \"schema\": 1, \"clus"
    );
    let again = environment.devenv(["status"]);
    assert!(!again.stderr.contains("was damaged"), "{again}");
}

#[test]
fn a_lock_counts_as_long_as_it_is_held_whatever_its_file_says() {
    let environment = project();
    let [state, _] = directories(&environment);
    let lock = state.join("lock");
    let by = |pid: u32| {
        format!(r#"{{"pid":{pid},"command":"devenv down","since":"2026-01-02T03:04:05Z"}}"#)
    };
    // The number of one that was killed, which the machine has given to another since: the test's own.
    write(&lock, by(std::process::id()).as_bytes());
    let status = environment.devenv(["status"]);
    assert!(!status.to_string().contains("at work"), "{status}");
    let up = environment.devenv(["up", "--no-session"]);
    assert_told(&up, 4, &["tool.missing"]);

    let mut holder = environment
        .shell(
            "exec /usr/bin/flock --no-fork \"$HOME\"/.local/state/devenv/*/lock /usr/bin/sleep 60",
        )
        .stdout(Stdio::null())
        .spawn()
        .expect("it can be started");
    let pid = holder.id();
    let begun = Instant::now();
    let told = [format!("pid {pid}"), format!("kill {pid}")];
    loop {
        write(&lock, by(pid).as_bytes());
        let up = environment.devenv(["up", "--no-session"]);
        if up.code == Some(8) {
            assert_told(&up, 8, &["lock.held", "devenv down", &told[0], &told[1]]);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{up}");
    }
    let status = environment.devenv(["status"]);
    assert!(status.to_string().contains(&told[0]), "{status}");
    holder.kill().expect("it goes on");
    holder.wait().expect("it ends");
    let up = environment.devenv(["up", "--no-session"]);
    assert_told(&up, 4, &["tool.missing"]);
}
