//! What services said is kept: through rotations, a crash, a killed agent and a killed collector.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use devenv::{
    adapters::{
        docker::Docker,
        host::HostEnvironment,
        kube::{ClusterView, Connection},
    },
    features::logs::{Collector, Pods, collect},
    state::log_store::{Item, LogReader},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    program::{BASE, Project},
    say,
};

/// Lines of a run: enough for two rotations at the kubelet's 10 MB.
const LINES: u64 = 250_000;
/// Written in parts of a second each, so that it rotates while they are written.
const WRITER: &str = "for part in $(seq 0 24); do \
                      seq -f 'line %09.0f of a service that has a lot to say for itself' $((part * 10000)) $((part * 10000 + 9999)); \
                      sleep 1; done; exit 1";
const PATIENCE: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_kept_once_and_in_order_through_rotations_a_crash_and_kills() {
    let project = Project::empty("kept");
    project.manifest(&format!(
        "services:\n\x20 writer: {{ build: image, command: [sh, -c, {WRITER:?}] }}\n"
    ));
    project.write("image/Dockerfile", &format!("FROM {BASE}\n"));
    project.devenv(&["up"]).assert_code(0);
    let stores = project.state().join("logs");
    let store = stores.join("writer");

    let first = Running::start(&project, &stores).await;
    until("the first part is kept", &store, |said| {
        reached(said, 0) > 50_000
    })
    .await;
    kill_agents(&project);
    until("it goes on with another agent", &store, |said| {
        reached(said, 0) > 120_000
    })
    .await;
    first.stop().await;
    the_rest_comes_from_the_cluster(&project);
    let second = Running::start(&project, &stores).await;
    until("the run after the crash is kept", &store, |said| {
        reached(said, 1) == LINES
    })
    .await;
    say(&format!(
        "the agent took {} s of processor time for the second half",
        agents_took(&project)
    ));
    second.stop().await;
    assert!(rotated(&project), "no file was rotated");
    the_crashed_run_is_told(&project);

    let said = read(&store);
    for run in [0, 1] {
        let numbers: Vec<u64> = said[&run].iter().map(|line| number(line)).collect();
        let expected: Vec<u64> = (0..LINES).collect();
        assert!(numbers == expected, "run {run}: {}", first_wrong(&numbers));
    }
    say(&format!("kept {} lines of 2 runs, each once", 2 * LINES));
    project.end();
}

/// What was stored and what the cluster has behind it, no line twice. The writer may have begun anew meanwhile.
fn the_rest_comes_from_the_cluster(project: &Project) {
    let asked = ["logs", "writer", "--tail", "60000", "-o", "json"];
    let told = project.devenv(&asked).assert_code(0).stdout;
    let numbers: Vec<u64> = told.lines().map(|line| number(&message(line).0)).collect();
    assert_eq!(numbers.len(), 60_000);
    let mut runs = numbers.chunk_by(|_, next| *next != 0);
    assert!(
        runs.all(|run| run.is_sorted_by(|a, b| a < b)),
        "a line twice"
    );
}

fn the_crashed_run_is_told(project: &Project) {
    let asked = [
        "logs",
        "writer",
        "--grep",
        "line 0000010[0-9]{2} ",
        "-o",
        "json",
    ];
    let told = project.devenv(&asked).assert_code(0).stdout;
    for run in [0, 1] {
        let of_run = told
            .lines()
            .map(message)
            .filter(|(_, its)| *its == Some(run));
        assert_eq!(of_run.count(), 100, "run {run}");
    }
}

/// The message of a document, and its run.
fn message(line: &str) -> (String, Option<u64>) {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    (
        line["message"].as_str().unwrap().to_owned(),
        line["run"].as_u64(),
    )
}

/// A collector that runs.
struct Running {
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _view_tx: watch::Sender<Arc<ClusterView>>,
}

impl Running {
    async fn start(project: &Project, stores: &Path) -> Self {
        let variables = std::env::vars().filter(|(name, _)| name == "DOCKER_HOST");
        let host = HostEnvironment::from_variables(variables);
        let view = ClusterView {
            connection: Connection::Live,
            workloads: Vec::new(),
            pods: Vec::new(),
            warnings: Vec::new(),
        };
        let (view_tx, view_rx) = watch::channel(Arc::new(view));
        let collector = Collector {
            docker: Docker::connect(&host).await.unwrap(),
            namespace: "default".to_owned(),
            pods: Pods {
                view_rx,
                services: ["writer".parse().unwrap()].into(),
            },
            trouble: Arc::new(|failure| say(&format!("the collector says: {}", failure.what))),
        };
        let nodes = vec![format!("k3d-{}-server-0", project.cluster_name())];
        let cancel = CancellationToken::new();
        let (told, directory) = (cancel.clone(), PathBuf::from(stores));
        let task = tokio::spawn(async move {
            collect(collector, nodes, directory, &told).await.unwrap();
        });
        Self {
            cancel,
            task,
            _view_tx: view_tx,
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

type Said = BTreeMap<u32, Vec<String>>;

fn read(store: &Path) -> Said {
    let mut said = Said::new();
    let Some(mut reader) = LogReader::open(store).unwrap() else {
        return said;
    };
    loop {
        let items = reader.read().unwrap();
        if items.is_empty() {
            return said;
        }
        for item in items {
            let Item::Line { origin, line } = item else {
                panic!("{item:?}");
            };
            let text = String::from_utf8(line.bytes).unwrap();
            said.entry(origin.run.run).or_default().push(text);
        }
    }
}

fn reached(said: &Said, run: u32) -> u64 {
    let last = said.get(&run).and_then(|lines| lines.last());
    last.map_or(0, |line| number(line) + 1)
}

fn number(line: &str) -> u64 {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

fn first_wrong(numbers: &[u64]) -> String {
    let wrong = (0..).zip(numbers).find(|(index, number)| index != *number);
    format!(
        "{} lines; the first that is wrong: {wrong:?}",
        numbers.len()
    )
}

async fn until(what: &str, store: &Path, is_so: impl Fn(&Said) -> bool) {
    let begun = Instant::now();
    while !is_so(&read(store)) {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn kill_agents(project: &Project) {
    with_agents(project, "kill -9 ${process#/proc/}");
}

/// The processor time of the agents that run, in seconds.
fn agents_took(project: &Project) -> f64 {
    let ticks = with_agents(project, "cut -d ' ' -f 14,15 $process/stat");
    let ticks = ticks
        .split_whitespace()
        .map(|text| text.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// Runs a command in the node for the process of each agent.
fn with_agents(project: &Project, command: &str) -> String {
    let every_agent = format!(
        "for process in /proc/[0-9]*; do
            case $(readlink $process/exe) in /var/lib/devenv/agent/*) {command} ;; esac
        done"
    );
    in_node(project, &every_agent)
}

fn rotated(project: &Project) -> bool {
    in_node(project, "ls /var/log/pods/default_writer*/*").contains(".log.")
}

fn in_node(project: &Project, command: &str) -> String {
    let node = format!("k3d-{}-server-0", project.cluster_name());
    let run = ["exec", &node, "sh", "-c", command];
    project.run("docker", &run).assert_code(0).stdout
}
