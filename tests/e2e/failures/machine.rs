//! What is wrong with the machine: a port that is taken, an engine that is down, silent or not permitted.

#![expect(clippy::disallowed_methods, reason = "makes the faults by hand")]

use std::{
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    time::Duration,
};

use super::scene::{assert_is_failure_document, place_of};
use crate::program::{BASE, Project, Run};

/// The user, and the group, that owns nothing.
const NOBODY: &str = "65534";

fn project(name: &str) -> Project {
    let project = Project::new(name, "services:\n  app:\n    build: app\n");
    project.write(
        "app/Dockerfile",
        &format!("FROM {BASE}\nCMD [\"sleep\", \"infinity\"]\n"),
    );
    project
}

#[test]
fn a_taken_port_is_named_with_its_process_and_nothing_is_made() {
    let project = project("taken");
    let (own, ports) = (std::process::id(), project.ports);
    for (port, key) in [
        (ports.http, "cluster.ports.http"),
        (ports.https, "cluster.ports.https"),
        (ports.registry, "cluster.registry.port"),
    ] {
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let up = project.devenv(&["up", "-o", "json"]).assert_code(4);
        let up = up.assert_within(Duration::from_secs(5));
        assert_is_failure_document(&up);
        let failure = &up.json()["failures"][0];
        assert_eq!(failure["code"], "cluster.port-in-use");
        let line = place_of(&project.read("devenv.yaml"), &port.to_string());
        assert_eq!(failure["place"]["line"].as_u64(), line);
        let up = project.devenv(&["up"]).assert_code(4);
        up.assert_says(
            &[
                &format!("port {port} on this machine is taken"),
                &format!("process {own} holds it: "),
                &format!("kill {own}"),
                &format!("--set {key}="),
                "1 error",
            ][..4],
        );
        drop(taken);
        assert_eq!(project.left_in_docker(), "");
    }
    let both =
        [ports.http, ports.registry].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let up = project.devenv(&["up"]).assert_code(4);
    up.assert_says(&["2 errors in devenv.yaml"]);
    drop(both);
    assert_eq!(project.left_in_docker(), "");
    project.end();
}

#[test]
fn an_engine_that_is_absent_down_silent_or_forbidden_is_told_apart_at_once() {
    let mut project = project("engine");
    let socket = project.root().join("docker.sock");
    project.set("DOCKER_HOST", format!("unix://{}", socket.display()));
    let told = |run: Run, code: &str, within: u64| {
        let run = run
            .assert_code(4)
            .assert_within(Duration::from_secs(within));
        run.assert_says(&[&format!("error[{code}]"), socket.to_str().unwrap(), "try:"])
    };
    let found = |run: Run, code: &str| {
        let run = run.assert_code(4).assert_within(Duration::from_secs(8));
        run.assert_says(&[&format!("problem[{code}]"), socket.to_str().unwrap()])
    };
    told(project.devenv(&["up"]), "docker.not-running", 2);
    found(project.devenv(&["doctor"]), "docker.not-running");
    let listener = UnixListener::bind(&socket).unwrap();
    told(project.devenv(&["up"]), "docker.no-answer", 8);
    found(project.devenv(&["doctor"]), "docker.no-answer");
    drop(listener);
    let down = told(project.devenv(&["up"]), "docker.not-running", 2);
    down.assert_says(&["Connection refused", "sudo systemctl start docker"]);
    told(project.devenv(&["status"]), "docker.not-running", 2);

    std::fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    let forbidden = told(as_nobody(&project, &["up"]), "docker.no-permission", 2);
    forbidden.assert_says(&["Permission denied", "sudo usermod -aG docker $USER"]);
    let forbidden = found(as_nobody(&project, &["doctor"]), "docker.no-permission");
    forbidden.assert_says(&["sudo usermod -aG docker $USER"]);
    drop(listener);

    project.unset("DOCKER_HOST");
    assert_eq!(project.left_in_docker(), "");
    project.end();
}

/// Runs devenv as a user to whom permissions apply: root may use any socket.
fn as_nobody(project: &Project, arguments: &[&str]) -> Run {
    if !rustix::process::geteuid().is_root() {
        return project.devenv(arguments);
    }
    let binary = project.root().join("devenv");
    if !binary.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_devenv"), &binary).unwrap();
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let owner = format!("{NOBODY}:{NOBODY}");
    let (root, socket) = (
        text(project.root()),
        text(&project.root().join("docker.sock")),
    );
    project.run("chown", &["-R", &owner, &root]).assert_code(0);
    project.run("chown", &["0:0", &socket]).assert_code(0);
    let binary = text(&binary);
    // The settings of this machine may lie where nobody can read them.
    let mut words = vec![
        "-u",
        "DEVENV_CONFIG",
        "setpriv",
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
    ];
    words.extend(["--clear-groups", &binary]);
    words.extend(arguments);
    project.run("env", &words)
}
