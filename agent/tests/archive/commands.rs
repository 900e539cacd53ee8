//! `devenv-agent pack` and `unpack` as they are called.

use std::{
    fs::{self, File},
    io::{Read, Write},
    process::{Command, Output, Stdio},
};

use devenv_agent::{
    archive::{Failure, Limits, VolumeId, Writer},
    protocol::{AgentError, FileProblem},
};

use crate::stage::Stage;

fn agent(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devenv-agent"));
    command.args(words).stdin(Stdio::null());
    command
}

fn failure(output: &Output) -> Failure {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    serde_json::from_slice(&output.stderr).unwrap()
}

#[test]
fn what_one_agent_packs_devenv_puts_into_an_archive_and_another_agent_unpacks() {
    let stage = Stage::new();
    fs::create_dir(stage.at("volume")).unwrap();
    fs::write(stage.at("volume/a"), "contents").unwrap();
    let top = stage.at("");
    let mut writer = Writer::archive(Vec::new(), b"{}", Limits::default()).unwrap();
    for service in ["db", "web"] {
        let mut packing = agent(&["pack", top.to_str().unwrap(), "volume", service, "data"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = VolumeId::new(service.as_bytes(), b"data").unwrap();
        let mut part = packing.stdout.take().unwrap();
        writer.packed(&id, &mut part).unwrap();
        assert!(packing.wait().unwrap().success());
    }
    let archive = writer.finish().unwrap();
    let output = stage.unpack(&archive);
    let told = r#"[{"service":"db","volume":"data","files":1,"bytes":8},{"service":"web","volume":"data","files":1,"bytes":8}]"#;
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{told}\n")
    );
    for service in ["db", "web"] {
        let path = format!("root/restored/{service}/data/a");
        assert_eq!(fs::read(stage.at(&path)).unwrap(), b"contents");
    }
}

#[test]
fn what_cannot_be_packed_is_told_in_one_line_of_json() {
    let stage = Stage::new();
    let top = stage.at("");
    let top = top.to_str().unwrap();
    for (path, expected) in [
        ("nowhere", FileProblem::NotThere),
        ("outside/file", FileProblem::NotThere),
        ("../outside", FileProblem::Path),
    ] {
        let output = agent(&["pack", top, path, "db", "data"]).output().unwrap();
        let Failure::Node(AgentError::File { problem, .. }) = failure(&output) else {
            panic!("{output:?}");
        };
        assert_eq!(problem, expected, "{path}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn whoever_does_not_take_what_is_packed_ends_it() {
    let stage = Stage::new();
    fs::write(stage.at("outside/large"), vec![b'x'; 16 << 20]).unwrap();
    let top = stage.at("");
    let mut packing = agent(&["pack", top.to_str().unwrap(), "outside", "db", "data"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = packing.stdout.take().unwrap();
    output.read_exact(&mut [0; 512]).unwrap();
    drop(output);
    let output = packing.wait_with_output().unwrap();
    let Failure::Archive(error) = failure(&output) else {
        panic!("{output:?}");
    };
    assert_eq!(error.member.as_deref(), Some("volumes/db/data/large"));
}

#[test]
fn a_command_line_that_says_something_else_begins_nothing() {
    for words in [
        &["pack"][..],
        &["pack", "/", "tmp", "db"],
        &["pack", "/", "tmp", "db", "data", "more"],
        &["pack", "/", "tmp", "db", "../data"],
        &["unpack", "/"],
        &["unpack", "/", "tmp", "more"],
    ] {
        let output = agent(words).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{words:?}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn what_a_killed_agent_has_left_goes_when_the_next_unpacks() {
    let stage = Stage::new();
    let mut writer = Writer::archive(Vec::new(), b"{}", Limits::default()).unwrap();
    let id = VolumeId::new(b"db", b"data").unwrap();
    let top = stage.at("");
    let mut packing = agent(&["pack", top.to_str().unwrap(), "outside", "db", "data"]);
    let part = packing.output().unwrap().stdout;
    writer.packed(&id, &mut &part[..]).unwrap();
    let archive = writer.finish().unwrap();
    let mut agent = agent(&["unpack", stage.at("root").to_str().unwrap(), "restored"])
        .stdin(Stdio::piped())
        .stderr(File::create(stage.at("stderr")).unwrap())
        .spawn()
        .unwrap();
    let mut input = agent.stdin.take().unwrap();
    input.write_all(&archive[..archive.len() - 1024]).unwrap();
    let names = || fs::read_dir(stage.at("root")).unwrap().count();
    while names() == 0 {
        assert!(agent.try_wait().unwrap().is_none());
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(names(), 1);
    assert_eq!(stage.takes(&archive).len(), 1);
    assert_eq!(names(), 0);
}
