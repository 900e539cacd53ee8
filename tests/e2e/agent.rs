//! The agent in a node of a real cluster: files of containers that have no shell, no root and nothing to write to.

mod cgroups;
mod live;
mod volumes;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use devenv::adapters::{
    agent::{Agent, AgentFailure, Change, ContainerId, Content, Entry, EntryKind},
    docker::Docker,
    host::HostEnvironment,
};

use crate::{
    program::{BASE, Project},
    say,
};

/// The program itself is what the image without anything else runs.
const PROGRAM: &[u8] = include_bytes!(env!("DEVENV_AGENT"));
/// It goes into every node, and is part of devenv.
const _: () = assert!(PROGRAM.len() < 3_000_000, "the agent is small");
/// What the issue of an edit may take at most, of which this is the copy alone.
const A_BLINK: Duration = Duration::from_millis(30);
const FILES: usize = 10_000;

/// A root file system that may only be read, a user without rights, and a directory that is given to it.
const PODS: &str = r"apiVersion: apps/v1
kind: Deployment
metadata: { name: locked }
spec:
  selector: { matchLabels: { app: locked } }
  template:
    metadata: { labels: { app: locked } }
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: { runAsUser: 1234, runAsGroup: 1234, fsGroup: 1234 }
      containers:
        - name: locked
          image: IMAGE
          command: [sleep, infinity]
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }
          volumeMounts: [{ name: work, mountPath: /work }]
      volumes: [{ name: work, emptyDir: {} }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: bare }
spec:
  selector: { matchLabels: { app: bare } }
  template:
    metadata: { labels: { app: bare } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: bare, image: BARE, stdin: true }]
";

#[tokio::test(flavor = "multi_thread")]
async fn files_reach_any_container_in_a_blink_and_nothing_leaves_it() {
    let stage = Stage::up();
    let docker = docker().await;
    let node = format!("k3d-{}-server-0", stage.project.cluster_name());
    let agent = Agent::start(&docker, &node).await.unwrap();
    agent.ping().await.unwrap();
    an_edit_is_there_in_a_blink(&stage, &agent).await;
    many_files_arrive_as_they_are(&stage, &agent).await;
    a_user_without_rights_owns_what_is_written(&stage, &agent).await;
    what_may_only_be_read_is_named(&stage, &agent).await;
    an_image_without_anything_takes_files(&stage, &agent).await;
    a_link_leads_nobody_out(&stage, &agent).await;
    cgroups::what_containers_use_is_told(&stage, &agent).await;
    cgroups::containers_stand_at_once_and_go_on(&stage, &agent).await;
    a_killed_agent_is_noticed_and_another_goes_on(&stage, &docker, &node, &agent).await;
    cgroups::containers_go_on_when_their_agent_is_killed(&stage, &docker, &node).await;
    stage.project.end();
}

struct Stage {
    project: Project,
}

impl Stage {
    fn up() -> Self {
        let project = Project::new(
            "agent",
            "services:\n\
             \x20 plain: { build: image, command: [sleep, infinity] }\n\
             \x20 empty: { build: bare, replicas: 0 }\n",
        );
        project.write(
            "image/Dockerfile",
            &format!("FROM {BASE}\nRUN mkdir /app\n"),
        );
        project.write(
            "bare/Dockerfile",
            "FROM scratch\nCOPY program /\nENTRYPOINT [\"/program\", \"serve\"]\n",
        );
        let program = project.directory().join("bare/program");
        fs::File::create(&program).unwrap();
        write_program(&program);
        project
            .run("chmod", &["755", "bare/program"])
            .assert_code(0);
        project.devenv(&["up"]).assert_code(0);
        let stage = Self { project };
        stage.deploy_the_others();
        stage
    }

    /// What the manifest has no words for: of the images that were built.
    fn deploy_the_others(&self) {
        let image = |service: &str| {
            let path = "jsonpath={.spec.template.spec.containers[0].image}";
            let asked = ["get", "deployment", service, "-o", path];
            self.project.kubectl(&asked).assert_code(0).stdout
        };
        let pods = PODS
            .replace("IMAGE", &image("plain"))
            .replace("BARE", &image("empty"));
        self.project.write("pods.yaml", &pods);
        let applied = self.project.kubectl(&["apply", "-f", "pods.yaml"]);
        applied.assert_code(0);
        for name in ["locked", "bare"] {
            let deployment = format!("deployment/{name}");
            let status = ["rollout", "status", &deployment, "--timeout", "60s"];
            self.project.kubectl(&status).assert_code(0);
        }
    }

    fn container(&self, app: &str) -> ContainerId {
        let selector = match app {
            "plain" => "app.kubernetes.io/name=plain".to_owned(),
            other => format!("app={other}"),
        };
        let path = "jsonpath={.items[0].status.containerStatuses[0].containerID}";
        let pods = ["get", "pods", "-l", &selector, "-o", path];
        let id = self.project.kubectl(&pods).assert_code(0).stdout;
        id.parse().unwrap()
    }

    /// What a command in the container of `plain` says.
    fn inside(&self, command: &str) -> String {
        let words = ["exec", "plain", "--", "sh", "-c", command];
        self.project.devenv(&words).assert_code(0).stdout
    }
}

async fn docker() -> Docker {
    let variables = std::env::vars().filter(|(name, _)| name == "DOCKER_HOST");
    let host = HostEnvironment::from_variables(variables);
    Docker::connect(&host).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write_program(path: &Path) {
    fs::write(path, PROGRAM).unwrap();
}

/// The change of a file to what a file of the project holds.
fn file(project: &Project, path: &str) -> Change {
    Change {
        path: path.into(),
        content: Content::File {
            from: project.directory().join(path),
            mode: 0o644,
        },
    }
}

async fn an_edit_is_there_in_a_blink(stage: &Stage, agent: &Agent) {
    let container = stage.container("plain");
    let mut took = Vec::new();
    for edit in 0..60 {
        stage
            .project
            .write("edited", &format!("{edit}\n").repeat(2_000));
        let started = Instant::now();
        let change = [file(&stage.project, "edited")];
        assert_eq!(agent.change(&container, b"/app", &change).await.unwrap(), 1);
        took.push(started.elapsed());
    }
    assert_eq!(
        stage.inside("head -n 1 /app/edited; wc -l < /app/edited"),
        "59\n2000\n"
    );
    took.sort();
    let (median, late) = (took[30], took[57]);
    say(&format!(
        "a file into a container: {median:?} at the median, {late:?} at 95 %"
    ));
    assert!(median < A_BLINK, "{median:?}");
}

async fn many_files_arrive_as_they_are(stage: &Stage, agent: &Agent) {
    let container = stage.container("plain");
    let mut changes = Vec::new();
    for number in 0..FILES {
        let path = format!("many/{}/{number}", number % 100);
        stage.project.write(&path, &format!("{number}"));
        changes.push(file(&stage.project, &path));
    }
    let started = Instant::now();
    let count = agent.change(&container, b"/app", &changes).await.unwrap();
    assert_eq!(count as usize, FILES);
    say(&format!(
        "{FILES} files into a container: {:?}",
        started.elapsed()
    ));
    let listed = agent.list(&container, b"/app/many").await.unwrap();
    let files = listed.iter().filter(|entry| is_file(entry));
    assert_eq!(files.count(), FILES);
    for entry in listed.iter().filter(|entry| is_file(entry)) {
        let path = String::from_utf8(entry.path.clone()).unwrap();
        let (_, number) = path.split_once('/').unwrap();
        let EntryKind::File { hash, .. } = &entry.kind else {
            continue;
        };
        assert_eq!(hash, blake3::hash(number.as_bytes()).as_bytes(), "{path}");
    }
    let gone = Change {
        path: b"many".to_vec(),
        content: Content::Absent,
    };
    agent.change(&container, b"/app", &[gone]).await.unwrap();
    assert_eq!(stage.inside("ls -A /app"), "edited\n");
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File { .. })
}

async fn a_user_without_rights_owns_what_is_written(stage: &Stage, agent: &Agent) {
    let container = stage.container("locked");
    let change = [file(&stage.project, "edited")];
    agent
        .change(&container, b"/work/src", &change)
        .await
        .unwrap();
    let words = ["exec", "deploy/locked", "--", "stat", "-c", "%u:%g %a"];
    let told = [&words[..], &["/work/src/edited", "/work/src"]].concat();
    let told = stage.project.kubectl(&told).assert_code(0).stdout;
    // A directory for the group keeps its group: that is how the volume came.
    let (file, directory) = told.trim().split_once('\n').unwrap();
    assert!(file.ends_with(":1234 644"), "{told}");
    assert!(directory.contains(":1234 "), "{told}");
}

async fn what_may_only_be_read_is_named(stage: &Stage, agent: &Agent) {
    let container = stage.container("locked");
    let change = [file(&stage.project, "edited")];
    let refused = agent.change(&container, b"/etc", &change).await;
    let failure = refused.unwrap_err().failure();
    assert_eq!(failure.code.0, "agent.file");
    assert!(failure.what.contains("/etc/edited"), "{}", failure.what);
    assert!(failure.what.contains("read-only"), "{}", failure.what);
}

async fn an_image_without_anything_takes_files(stage: &Stage, agent: &Agent) {
    let container = stage.container("bare");
    let change = [file(&stage.project, "edited")];
    agent
        .change(&container, b"/deep/down", &change)
        .await
        .unwrap();
    let listed = agent.list(&container, b"/deep").await.unwrap();
    let paths: Vec<&[u8]> = listed.iter().map(|entry| &*entry.path).collect();
    assert_eq!(paths, [&b"down"[..], b"down/edited"]);
}

/// The node's own files are what a link of a container would lead to.
async fn a_link_leads_nobody_out(stage: &Stage, agent: &Agent) {
    let container = stage.container("plain");
    stage.inside("mkdir /var/lib/devenv; ln -s /var/lib/devenv /app/node; ln -s ../../../../../../tmp /app/up");
    for path in ["node/e2e-out", "up/e2e-out"] {
        let mut change = file(&stage.project, "edited");
        change.path = path.into();
        agent.change(&container, b"/app", &[change]).await.unwrap();
    }
    // They are where the container itself sees them.
    assert_eq!(
        stage.inside("ls /var/lib/devenv /tmp"),
        "/tmp:\ne2e-out\n\n/var/lib/devenv:\ne2e-out\n"
    );
    let node = format!("k3d-{}-server-0", stage.project.cluster_name());
    let found = [
        "exec",
        &node,
        "find",
        "/var/lib/devenv",
        "/tmp",
        "-name",
        "e2e-out",
    ];
    assert_eq!(stage.project.run("docker", &found).stdout, "");
    let local = stage.project.directory().join("link");
    symlink("edited", &local).unwrap();
    let link = Change {
        path: b"link".to_vec(),
        content: Content::Link {
            target: b"edited".to_vec(),
        },
    };
    agent.change(&container, b"/app", &[link]).await.unwrap();
    assert_eq!(stage.inside("readlink /app/link"), "edited\n");
}

async fn a_killed_agent_is_noticed_and_another_goes_on(
    stage: &Stage,
    docker: &Docker,
    node: &str,
    agent: &Agent,
) {
    let every_agent = "for process in /proc/[0-9]*; do
            case $(readlink $process/exe) in /var/lib/devenv/agent/*) kill -9 ${process#/proc/} ;; esac
        done";
    let kill = ["exec", node, "sh", "-c", every_agent];
    stage.project.run("docker", &kill).assert_code(0);
    let gone = agent.ping().await.unwrap_err();
    assert!(matches!(gone, AgentFailure::Gone { .. }), "{gone:?}");
    let another = Agent::start(docker, node).await.unwrap();
    let container = stage.container("plain");
    let change = [file(&stage.project, "edited")];
    another.change(&container, b"/app", &change).await.unwrap();
}
