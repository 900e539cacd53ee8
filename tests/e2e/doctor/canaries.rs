//! Secrets of every kind, which must be nowhere that anybody reads: not in what is printed, kept, bundled, or given to a program as an
//! argument.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::program::{BASE, Project, Run};

/// The secrets, by where they are.
const CANARIES: [&str; 9] = [
    "canary1-of-a-secret-file",
    "canary2-of-a-variable",
    "canary3-of-a-url",
    "canary4-of-a-build-argument",
    "canary5-of-chart-values",
    "canary6-of-a-values-file",
    "canary7-of-a-kubernetes-secret",
    "canary8-of-a-flag",
    "canary9-of-a-task",
];

/// The services: `app` says all that it knows, the others are a chart and plain objects.
pub(super) const SERVICES: &str = "services:
  app:
    build: { context: app, args: { NPM_TOKEN: canary4-of-a-build-argument } }
    resources: { requests: { memory: 16Mi } }
    env: { API_TOKEN: canary2-of-a-variable, CACHE: 'redis://:canary3-of-a-url@cache:6379' }
    secrets: [.env.app]
  keys:
    chart: { path: charts/keys, values: { adminPassword: canary5-of-chart-values }, valuesFiles: [keys.yaml] }
  plain: { manifests: [k8s/secret.yaml] }
tasks:
  say: { build: app, command: [sh, -c, 'echo the key is $ACCESS_KEY'], env: { ACCESS_KEY: canary9-of-a-task } }
";
const SAYS_ALL: &str = "echo token $API_TOKEN file $ANYTHING cache $CACHE; exec sleep infinity";

pub(super) fn plant(project: &Project) {
    let command = serde_json::json!(["sh", "-c", SAYS_ALL]);
    let dockerfile = format!("FROM {BASE}\nARG NPM_TOKEN\nCMD {command}\n");
    project.write("app/Dockerfile", &dockerfile);
    project.write(".env.app", "ANYTHING=canary1-of-a-secret-file\n");
    project.write("keys.yaml", "clientSecret: canary6-of-a-values-file\n");
    let chart = "apiVersion: v2\nname: keys\nversion: 0.1.0\n";
    project.write("charts/keys/Chart.yaml", chart);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: keys }\n\
                  stringData: { a: {{ .Values.adminPassword }}, b: {{ .Values.clientSecret }} }\n";
    project.write("charts/keys/templates/secret.yaml", secret);
    let plain = "apiVersion: v1\nkind: Secret\nmetadata: { name: plain }\n\
                 stringData: { anything: canary7-of-a-kubernetes-secret }\n";
    project.write("k8s/secret.yaml", plain);
}

/// Brings the project up with one more secret on the command line, and looks at the arguments of all programs meanwhile.
pub(super) fn bring_up(project: &Project) {
    let watch = Watch::begin();
    let set = format!("services.app.env.SET_PASSWORD={}", CANARIES[7]);
    let up = project.devenv(&["up", "--set", &set]).assert_code(0);
    let seen = watch.end();
    assert_clean("what `up` says", &up);
    // The test itself gives the one of the flag to devenv.
    let leaked: Vec<&String> = seen
        .iter()
        .filter(|line| !line.contains(" up --set "))
        .collect();
    assert!(
        leaked.is_empty(),
        "in the arguments of programs: {leaked:#?}"
    );
}

/// Reads everything that can be read of the environment.
pub(super) fn look_everywhere(project: &Project) {
    let bundle = project.directory().join("bundle.tar.zst");
    for words in [
        &["status", "-o", "json"][..],
        &["status", "--resources"],
        &["logs"],
        &["logs", "-o", "json"],
        &["plan", "-o", "json"],
        &["validate", "--all-services", "-o", "json"],
        &["config", "show"],
        &["config", "show", "-o", "json"],
        &["config", "explain", "services.app.env.API_TOKEN"],
        &["history", "-o", "json"],
        &["history", "show", "-o", "json"],
        &["diff", "-o", "json"],
        &["session", "status", "-o", "json"],
        &["docs", "generate"],
        &["doctor", "--bundle", "bundle.tar.zst", "-o", "json"],
    ] {
        assert_clean(&words.join(" "), &project.devenv(words));
    }
    let logs = project.devenv(&["logs", "app"]).assert_code(0);
    let starred = "token [redacted] file [redacted] cache redis://:[redacted]@cache:6379";
    assert!(logs.stdout.contains(starred), "{logs}");
    let unpacked = unpacked(&bundle);
    assert!(unpacked.contains("logs.txt"), "{unpacked}");
    assert_none("the bundle", &unpacked);
    let manifest = project.read("devenv.yaml");
    let slip = manifest.replace("API_TOKEN: canary2", "port: { a: 1 }, API_TOKEN: canary2");
    project.write("devenv.yaml", &slip);
    let refused = project.devenv(&["up"]).assert_code(3);
    assert!(
        refused.stderr.contains("API_TOKEN"),
        "it quotes the line: {refused}"
    );
    assert_clean("what quotes the manifest", &refused);
    project.write("devenv.yaml", &manifest);
    assert_none_kept(&project.state());
}

/// Fails if a file of the state has a secret in it, what services said included; a session that was killed is started
/// again with the flags that it had.
fn assert_none_kept(state: &Path) {
    let mut left = vec![state.to_owned()];
    while let Some(path) = left.pop() {
        if path == state.join("session.json") {
            continue;
        }
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert_none(
                &path.display().to_string(),
                &String::from_utf8_lossy(&bytes),
            );
        }
    }
}

#[track_caller]
fn assert_clean(what: &str, run: &Run) {
    // Not what the test itself has typed.
    assert_none(what, &format!("{}{}", run.stdout, run.stderr));
}

#[track_caller]
fn assert_none(what: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} is in {what}: {text}");
    }
}

/// All of an archive as one text.
fn unpacked(archive: &PathBuf) -> String {
    let plain = zstd::Decoder::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut archive = tar::Archive::new(plain);
    let mut all = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        all += &format!("\n== {}\n", entry.path().unwrap().display());
        entry.read_to_string(&mut all).unwrap();
    }
    all
}

/// Looks at the arguments of all programs of this machine, again and again.
struct Watch {
    is_over: Arc<AtomicBool>,
    looking: JoinHandle<Vec<String>>,
}

impl Watch {
    fn begin() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let looking = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(arguments().filter(|line| CANARIES.iter().any(|c| line.contains(c))));
                std::thread::sleep(Duration::from_millis(5));
            }
            seen.sort();
            seen.dedup();
            seen
        });
        Self { is_over, looking }
    }

    fn end(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.looking.join().unwrap()
    }
}

/// The command lines of all processes that are there.
fn arguments() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| {
        let bytes = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    })
}
