//! What must hold whatever happens: nobody else is touched, one command at a time changes an environment, and
//! every way to end a command leaves something that the next one can go on from.

mod foreign;
mod identity;
mod interrupted;
mod killed;
mod neighbours;
mod swept;
mod writer;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::program::{BASE, Project};

/// Runs until it is asked to end, and ends at once then.
const SERVE: &str = "trap 'exit 0' TERM; echo serving; sleep infinity & wait";

/// A project whose services are built of `image`.
fn project(name: &str, rest: &str) -> Project {
    let mut project = Project::new(name, rest);
    project.trust();
    project.write("image/Dockerfile", &format!("FROM {BASE}\n"));
    project
}

/// Waits until `is_so`.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let has_time = begun.elapsed() < Duration::from_mins(1);
        assert!(has_time, "it never came to: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a file is there.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// What the records of all Helm releases say, one `name status` a line.
fn releases(project: &Project) -> Vec<String> {
    let kubeconfig = project.kubeconfig();
    let format = "{range .items[*]}{.metadata.labels.name} {.metadata.labels.status}{'\\n'}{end}";
    let template = format!("jsonpath={}", format.replace('\'', "\""));
    let words = [
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "get",
        "secrets",
        "--selector",
        "owner=helm",
        "--output",
        &template,
    ];
    let listed = project.quietly("kubectl", &words);
    listed.lines().map(str::to_owned).collect()
}

/// Nothing is pending, and each service has exactly one release that counts.
#[track_caller]
fn assert_deployed_once(project: &Project, services: &[&str]) {
    let releases = releases(project);
    let deployed = releases
        .iter()
        .filter_map(|line| line.strip_suffix(" deployed"));
    let mut deployed: Vec<&str> = deployed.collect();
    deployed.sort_unstable();
    assert_eq!(deployed, services, "{releases:?}");
    let is_settled = |line: &&String| !line.contains("pending");
    assert!(
        releases.iter().all(|line| is_settled(&line)),
        "{releases:?}"
    );
}

/// The environment is whole, and there is nothing left to do.
#[track_caller]
fn assert_converged(project: &Project, services: &[&str]) {
    project.devenv(&["plan", "--exit-code"]).assert_code(0);
    let running = |role: &str| (role.to_owned(), "running".to_owned());
    let mut containers = project.containers();
    // k3d may keep its helper.
    containers.remove("tools");
    let expected = ["registry", "server-0", "serverlb"].map(running);
    assert_eq!(containers, expected.into_iter().collect());
    assert_deployed_once(project, services);
    assert_eq!(project.pods().len(), services.len(), "{:?}", project.pods());
    assert_eq!(project.processes(), "");
}
