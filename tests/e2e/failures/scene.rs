//! A project whose services fail on purpose, and what is asked about it.

#![expect(
    clippy::disallowed_methods,
    reason = "looks at the processes of this machine"
)]

use std::{
    collections::BTreeMap,
    ops::Deref,
    process::Child,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::program::{BASE, Project, Run, text_of};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(1);

/// An HTTP server on port 8080 that answers everything with its argument.
const SERVE: &str = r#"use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die $!;
my $body = "$ARGV[0]\n";
while (my $client = $listener->accept) {
    while (<$client>) { last if /^\r?$/ }
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    close $client;
}
"#;

/// A project with an image `app` that serves.
pub(super) struct Scene {
    project: Project,
}

impl Deref for Scene {
    type Target = Project;
    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Scene {
    pub(super) fn new(name: &str) -> Self {
        Self::of(Project::empty(name))
    }

    pub(super) fn of(project: Project) -> Self {
        project.write("app/Dockerfile", &format!("FROM {BASE}\nCOPY serve.pl /\n"));
        project.write("app/serve.pl", SERVE);
        Self { project }
    }

    pub(super) fn end(self) {
        self.project.end();
    }

    /// Asks a service by its host name until it answers so.
    pub(super) fn assert_serves(&self, service: &str, answer: &str) {
        // The ingress may still be on its way.
        let patience = ["--retry", "60", "--retry-delay", "1", "--retry-all-errors"];
        let asked = self.curl(service, &patience);
        assert_eq!(asked.stdout.trim(), answer);
    }

    /// Asks a service by its host name once: who says that it is up has waited for its address.
    pub(super) fn assert_serves_at_once(&self, service: &str, answer: &str) {
        assert_eq!(self.curl(service, &[]).stdout.trim(), answer);
    }

    fn curl(&self, service: &str, patience: &[&str]) -> Run {
        let url = format!("http://127.0.0.1:{}/", self.ports.http);
        let host = format!("Host: {service}.localhost");
        let words = ["-sS", "--fail", "--max-time", "5", "-H", &host, &url];
        self.run("curl", &[patience, &words].concat())
            .assert_code(0)
    }

    /// The state of each service, as `status` tells it.
    pub(super) fn states(&self) -> BTreeMap<String, String> {
        let status = self.devenv(&["status", "-o", "json"]).json();
        let services = status["services"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        services
            .map(|service| (text(&service["name"]), text(&service["state"])))
            .collect()
    }

    /// The one pod of a service.
    pub(super) fn pod(&self, service: &str) -> String {
        let mut pods = self.pods();
        pods.retain(|pod| pod.starts_with(&format!("{service}-")));
        assert_eq!(pods.len(), 1, "{pods:?}");
        pods.remove(0)
    }

    /// The image that a service runs, as the cluster pulls it.
    pub(super) fn image_of(&self, service: &str) -> String {
        let path = "jsonpath={.spec.template.spec.containers[0].image}";
        let asked = self.kubectl(&["get", "deployment", service, "-o", path]);
        asked.assert_code(0).stdout
    }

    /// The names of the environment's containers.
    pub(super) fn containers(&self) -> Vec<String> {
        let id = self
            .state()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let filter = format!("name={id}");
        let words = ["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"];
        let listed = self.run("docker", &words).assert_code(0);
        listed.stdout.lines().map(str::to_owned).collect()
    }

    /// What the journal has of the last run.
    pub(super) fn last_run(&self) -> Journal {
        let journal = self.state().join("journal");
        let text = self.run(
            "sh",
            &[
                "-c",
                "cat \"$(ls \"$0\"/*.jsonl | tail -n 1)\"",
                journal.to_str().unwrap(),
            ],
        );
        Journal::of(&text.assert_code(0).stdout)
    }
}

/// Waits for a condition of the cluster, asking again and again.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < PATIENCE,
            "it never came true that {what}"
        );
    }
}

/// When a step ended, and how long it had taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    at: Duration,
    pub(super) took: Duration,
}

/// The steps of a run.
pub(super) struct Journal(BTreeMap<String, Ended>);

impl Journal {
    fn of(text: &str) -> Self {
        let events = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let steps = events.filter(|event| event["event"] == "stepFinished");
        let duration =
            |value: &Value| -> Duration { serde_json::from_value(value.clone()).unwrap() };
        Self(
            steps
                .map(|event| {
                    let ended = Ended {
                        at: duration(&event["elapsed"]),
                        took: duration(&event["took"]),
                    };
                    (event["step"].as_str().unwrap().to_owned(), ended)
                })
                .collect(),
        )
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn step(&self, id: &str) -> Ended {
        *self
            .0
            .get(id)
            .unwrap_or_else(|| panic!("no step {id}: {:?}", self.0))
    }

    /// When the last step of a service ended.
    pub(super) fn ended(&self, service: &str) -> Duration {
        let suffix = format!(":{service}");
        let its = self.0.iter().filter(|(id, _)| id.ends_with(&suffix));
        its.map(|(_, ended)| ended.at).max().unwrap()
    }
}

/// Standard output is one `devenv.failure/1`, as its published schema has it, with the exit code of the program.
pub(super) fn assert_is_failure_document(run: &Run) {
    let schema: Value = serde_json::from_str(&text_of("docs/json/failure.schema.json")).unwrap();
    let document = run.json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{run}");
    assert_eq!(
        document["exitCode"].as_i64(),
        run.code.map(i64::from),
        "{run}"
    );
}

/// The line, from 1, that holds a text.
pub(super) fn place_of(text: &str, part: &str) -> Option<u64> {
    let line = text.lines().position(|line| line.contains(part))?;
    u64::try_from(line + 1).ok()
}

/// Ends a process and what it started, as a power cut would.
pub(super) fn kill_with_children(mut process: Child) {
    let pid = process.id().to_string();
    let children = children_of(&pid);
    assert!(!children.is_empty(), "helm does not run");
    process.kill().unwrap();
    process.wait().unwrap();
    for child in children {
        let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
        // It may have gone with its parent.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn children_of(parent: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let pids = processes.filter_map(|name| name.into_string().ok());
    let is_child = |pid: &String| {
        // A process may end while it is looked at; what is no process has no such file.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("PPid:").map(str::trim) == Some(parent))
    };
    pids.filter(is_child).collect()
}

/// A pod for which Helm waits before it installs anything, and which never ends.
pub(super) fn hook(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: slow-hook\n  annotations:\n    \
         helm.sh/hook: pre-install\n    helm.sh/hook-delete-policy: before-hook-creation\n\
         spec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 1\n  containers:\n    \
         - {{ name: slow, image: {image:?}, command: [sleep, infinity] }}\n"
    )
}

/// A deployment without hooks.
pub(super) fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: slow }}\nspec:\n  \
         selector: {{ matchLabels: {{ app: slow }} }}\n  template:\n    \
         metadata: {{ labels: {{ app: slow }} }}\n    spec:\n      containers:\n        \
         - {{ name: slow, image: {image:?}, command: [sleep, infinity] }}\n"
    )
}
