//! `devenv doctor` on a cluster: nothing is wrong with one that is well, and what is broken is found and mended.

#![expect(clippy::disallowed_methods, reason = "breaks things by hand")]

mod canaries;
mod neighbours;

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::program::{Ports, Project, Run};

/// How long something that was broken may take to be so.
const PATIENCE: Duration = Duration::from_secs(30);

fn doctor(project: &Project, arguments: &[&str]) -> Run {
    let words = [&["doctor", "-o", "json"], arguments].concat();
    project
        .devenv(&words)
        .assert_within(Duration::from_secs(15))
}

fn found(run: &Run, id: &str) -> Option<Value> {
    let document = run.json();
    let findings = document["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).cloned()
}

/// Fails if anything is wrong but with the machine that the test runs on, whose disk may be nearly full.
#[track_caller]
fn assert_well(run: &Run) {
    let document = run.json();
    let findings = document["findings"].as_array().unwrap().iter();
    let mut problems = findings.filter(|finding| {
        finding["severity"] == "problem" && finding["mending"]["state"] != "mended"
    });
    assert!(
        problems.all(|problem| problem["id"] == "disk.full"),
        "{run}"
    );
}

#[track_caller]
fn one(run: &Run, id: &str) -> Value {
    found(run, id).unwrap_or_else(|| panic!("{id} was not found\n{run}"))
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_broken_is_found_and_mended_and_what_is_well_is_left_alone() {
    let project = Project::new("doctor", canaries::SERVICES);
    canaries::plant(&project);
    canaries::bring_up(&project);
    canaries::look_everywhere(&project);

    let well = doctor(&project, &[]);
    assert_well(&well);
    let what = |id: &str| one(&well, id)["what"].as_str().unwrap().to_owned();
    assert!(what("registry").contains(&project.ports.registry.to_string()));
    for whose in [
        "of the cluster's API",
        "in the private kubeconfig",
        "good for",
    ] {
        assert!(what("certificates").contains(whose), "{well}");
    }
    assert_eq!(what("session"), "the session runs");
    assert!(what("ports").ends_with("are the environment's"), "{well}");
    for id in ["docker", "cluster", "leftovers", "memory", "manifest"] {
        one(&well, id);
    }
    well.assert_within(Duration::from_secs(5));

    a_registry_that_stopped_is_started_once_its_port_is_free(&project);
    a_session_that_was_killed_is_started_again(&project);
    a_cluster_without_names_is_found(&project);
    let neighbours = neighbours::Neighbours::moved_in(&project);
    what_is_left_of_another_environment_goes_if_it_has_no_data(&project);
    neighbours.are_told_and_left_alone();
    drop(neighbours);
    project.end();
}

fn a_registry_that_stopped_is_started_once_its_port_is_free(project: &Project) {
    let registry = format!("k3d-{}-registry", project.cluster_name());
    let stop = project.run("docker", &["stop", "-t", "1", &registry]);
    stop.assert_code(0);
    let port = project.ports.registry;
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let broken = doctor(project, &["--fix"]).assert_code(4);
    let finding = one(&broken, "registry.stopped");
    assert_eq!(finding["mending"]["state"], "notMended", "{broken}");
    let holder = one(&broken, "cluster.port-in-use")["why"][0].clone();
    let process = format!("process {} holds it: ", std::process::id());
    assert!(holder.as_str().unwrap().starts_with(&process), "{broken}");
    drop(taken);
    let mended = doctor(project, &["--fix"]);
    assert_well(&mended);
    assert_eq!(
        one(&mended, "registry.stopped")["mending"]["state"],
        "mended"
    );
    until("the registry answers", || {
        found(&doctor(project, &[]), "registry").is_some()
    });
}

fn a_session_that_was_killed_is_started_again(project: &Project) {
    let session = || project.devenv(&["session", "status", "-o", "json"]).json();
    let pid = session()["pid"].to_string();
    project.run("kill", &["-9", &pid]).assert_code(0);
    until("the session was killed", || session()["running"] == false);
    let died = doctor(project, &[]);
    assert_eq!(one(&died, "session.died")["mending"]["state"], "possible");
    assert_eq!(session()["running"], false, "to look changes nothing");
    let mended = doctor(project, &["--fix"]);
    assert_well(&mended);
    assert_eq!(one(&mended, "session.died")["mending"]["state"], "mended");
    assert_eq!(session()["running"], true);
}

fn a_cluster_without_names_is_found(project: &Project) {
    let scale = |pods: &str| {
        let words = ["scale", "deployment", "coredns", "--replicas", pods];
        let words = [&["--namespace", "kube-system"], &words[..]].concat();
        project.kubectl(&words).assert_code(0);
    };
    scale("0");
    until("its DNS is gone", || {
        found(&doctor(project, &[]), "cluster.no-dns").is_some()
    });
    // What needs no name goes on.
    project.devenv(&["up"]).assert_code(0);
    scale("1");
    until("its DNS is back", || {
        found(&doctor(project, &[]), "cluster.no-dns").is_none()
    });
}

/// A second environment of the same user, in containers as far as it came.
struct Second<'a> {
    project: &'a Project,
    directory: PathBuf,
}

impl Second<'_> {
    const NAME: &'static str = "e2e-second";

    /// The id of the environment; empty as long as it has no state.
    fn id(&self) -> String {
        let state = self.project.home().join(".local/state/devenv");
        let all = std::fs::read_dir(state).unwrap().flatten();
        let mut names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .find(|name| name.starts_with(Self::NAME))
            .unwrap_or_default()
    }

    /// An image as `up` would have built it.
    fn has_an_image(&self) {
        let label = format!("LABEL devenv.environment={}", self.id());
        let import =
            "tar --create --files-from /dev/null | docker import --change \"$0\" - e2e-second:left";
        let words = ["-c", import, &label];
        self.project.run("sh", &words).assert_code(0);
    }

    fn in_docker(&self) -> String {
        let filter = format!("name=k3d-{}-", Self::NAME);
        let containers = ["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"];
        let networks = [
            "network",
            "ls",
            "--filter",
            &filter,
            "--format",
            "{{.Name}}",
        ];
        let volumes = ["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"];
        [&containers[..], &networks, &volumes]
            .map(|words| self.project.quietly("docker", words))
            .concat()
    }
}

impl Drop for Second<'_> {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        self.project
            .quietly("docker", &["rmi", "--force", "e2e-second:left"]);
        let filter = format!("name=k3d-{}-", Self::NAME);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm"]),
        ] {
            let listed = [&list[..], &["--filter", &filter]].concat();
            for one in self.project.quietly("docker", &listed).lines() {
                self.project
                    .quietly("docker", &[&remove[..], &[one]].concat());
            }
        }
    }
}

fn what_is_left_of_another_environment_goes_if_it_has_no_data(project: &Project) {
    let second = Second {
        project,
        directory: project.root().join("second"),
    };
    std::fs::create_dir(&second.directory).unwrap();
    let Ports {
        http,
        https,
        registry,
    } = Ports::free();
    let manifest = format!(
        "apiVersion: devenv/v1\nname: {}\n\
         cluster: {{ ports: {{ http: {http}, https: {https} }}, registry: {{ port: {registry} }} }}\n\
         services: {{ app: {{ image: nothing }} }}\n",
        Second::NAME
    );
    std::fs::write(second.directory.join("devenv.yaml"), manifest).unwrap();
    let mut up = project.running(&["up", "-C", second.directory.to_str().unwrap()]);
    up.until("a node is there", || {
        second.in_docker().contains("-server-0")
    });
    up.kill();
    let killed = project.devenv(&[
        "doctor",
        "-C",
        second.directory.to_str().unwrap(),
        "-o",
        "json",
    ]);
    one(&killed, "run.killed");
    one(&killed, "clusters.others");

    std::fs::remove_dir_all(&second.directory).unwrap();
    let unasked = doctor(project, &["--fix"]);
    let finding = one(&unasked, "leftover.environment");
    assert_eq!(finding["mending"]["state"], "notMended", "nobody said yes");
    let state = project.home().join(".local/state/devenv");
    let volumes = |name: &str| {
        let all = std::fs::read_dir(project.home().join(".local/share/devenv")).unwrap();
        let ours = all.map(|entry| entry.unwrap().path());
        let ours = ours.filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(Second::NAME)
        });
        ours.map(|path| path.join("volumes").join(name))
            .next()
            .unwrap()
    };
    let data = volumes("db");
    std::fs::create_dir(&data).unwrap();
    let with_data = doctor(project, &["--fix", "--yes"]);
    let finding = one(&with_data, "leftover.data");
    assert_eq!(finding["mending"]["state"], "byUser", "{with_data}");
    assert!(
        finding["fix"].to_string().contains("sudo rm -rf "),
        "{finding}"
    );
    assert!(data.exists());

    std::fs::remove_dir(&data).unwrap();
    second.has_an_image();
    let mended = doctor(project, &["--fix", "--yes"]);
    assert_well(&mended);
    assert_eq!(
        one(&mended, "leftover.environment")["mending"]["state"],
        "mended",
        "{mended}"
    );
    assert_eq!(second.in_docker(), "");
    let image = project.quietly("docker", &["images", "--quiet", "e2e-second:left"]);
    assert_eq!(image, "");
    let left = std::fs::read_dir(state).unwrap().count();
    assert_eq!(left, 1, "only the first environment has state");
    one(&doctor(project, &[]), "leftovers");
}
