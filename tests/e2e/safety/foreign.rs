//! Whom devenv must not ask, and who must not look into what it keeps.

use std::{ffi::OsStr, net::IpAddr, os::unix::fs::PermissionsExt as _, path::Path};

use super::{SERVE, project};
use crate::{cluster::stage::listening_sockets, program::Project};

#[test]
fn the_decoy_counts_what_goes_to_the_current_context() {
    let project = Project::empty("decoy");
    let asked = project.run("kubectl", &["get", "pods", "--request-timeout=2s"]);
    assert_ne!(asked.code, Some(0), "{asked}");
    let by_kubectl = project.decoy().visitors();
    assert!(by_kubectl > 0, "{asked}");
    let asked = project.run("helm", &["list"]);
    assert!(project.decoy().visitors() > by_kubectl, "{asked}");
}

#[test]
fn no_command_asks_the_current_context_and_nobody_else_reads_what_is_kept() {
    let project = project(
        "foreign",
        &format!(
            "services: {{ web: {{ build: image, command: [sh, -c, {SERVE:?}] }} }}\n\
             tasks: {{ say: {{ build: image, command: [echo, said] }} }}\n\
             hooks: {{ afterUp: [{{ command: [sh, -c, kubectl get pods --output name > hook.seen] }}] }}\n"
        ),
    );
    openly(&project, &["plan"]);
    openly(&project, &["up"]);
    assert_eq!(project.decoy().visitors(), 0);
    assert!(
        project.read("hook.seen").starts_with("pod/web-"),
        "a hook asks the environment's cluster"
    );
    assert_private(&project);
    assert_loopback_only(&project);
    for words in [
        &["plan", "--exit-code"][..],
        &["status"],
        &["status", "--resources"],
        &["logs", "web"],
        &["exec", "web", "--", "true"],
        &["exec", "say"],
        &["scale", "web=2"],
        &["restart", "web"],
        &["kubeconfig"],
        &["validate", "--all-services"],
        &["history"],
        &["stop"],
        &["start"],
    ] {
        openly(&project, words);
        assert_eq!(project.decoy().visitors(), 0, "{words:?}");
    }
    // The start has written it anew.
    assert_private(&project);
    openly(&project, &["down"]);
    assert_private_directories(&project);
    project.end();
}

/// Runs devenv for a user whose files are open to all.
fn openly(project: &Project, arguments: &[&str]) {
    let script = "umask 000; exec \"$0\" \"$@\"";
    let words = ["-c", script, env!("CARGO_BIN_EXE_devenv")];
    project
        .run("sh", &[&words, arguments].concat())
        .assert_code(0);
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

fn assert_private_directories(project: &Project) {
    let state = project.state();
    let id = state.file_name().unwrap();
    let data = project.home().join(".local/share/devenv").join(id);
    for directory in [
        &state,
        &data,
        state.parent().unwrap(),
        data.parent().unwrap(),
    ] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
}

fn assert_private(project: &Project) {
    assert_private_directories(project);
    assert_eq!(mode(&project.kubeconfig()), 0o600);
    let state = project.state();
    let data = project.home().join(".local/share/devenv");
    let data = data.join(state.file_name().unwrap());
    let trust = state.with_file_name("trust.json");
    let mut left = vec![state, data, trust];
    while let Some(path) = left.pop() {
        // What services, the registry and Helm keep is theirs; nobody else comes through the directory above it.
        let above = path.parent().and_then(Path::file_name);
        let theirs = ["volumes", "registry", "helm"].map(OsStr::new);
        if above.is_some_and(|above| theirs.contains(&above)) || !path.exists() {
            continue;
        }
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
}

/// Every port of the cluster is open, and to this machine alone.
fn assert_loopback_only(project: &Project) {
    let kubeconfig = devenv::adapters::files::read_text(&project.kubeconfig()).unwrap();
    let (_, rest) = kubeconfig.split_once("server: https://127.0.0.1:").unwrap();
    let api: u16 = rest.lines().next().unwrap().trim().parse().unwrap();
    let sockets = listening_sockets();
    for port in [
        project.ports.http,
        project.ports.https,
        project.ports.registry,
        api,
    ] {
        let of_port = sockets.iter().filter(|socket| socket.port() == port);
        let addresses: Vec<IpAddr> = of_port.map(std::net::SocketAddr::ip).collect();
        let is_local = !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback);
        assert!(is_local, "port {port} on {addresses:?}");
    }
}
