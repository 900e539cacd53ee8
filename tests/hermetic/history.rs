//! `devenv history` and `devenv diff`: what journals tell, whoever wrote them.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::PathBuf,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{CommandOutput, TestEnvironment};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
services:
  web:
    image: notes/web:1.10
    replicas: 1
    secrets: [.env.web]
";
const SECRET: &str = "hunter2hunter2";

struct Project(TestEnvironment);

impl Project {
    /// A project whose docker engine is not there.
    fn new() -> Self {
        let mut environment = TestEnvironment::new();
        environment.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
        environment.write_project("devenv.yaml", MANIFEST);
        environment.write_project(".env.web", &format!("TOKEN={SECRET}\n"));
        Self(environment)
    }

    fn devenv(&self, arguments: &[&str]) -> CommandOutput {
        self.0.devenv(arguments)
    }

    /// A document that its published schema allows.
    #[expect(clippy::disallowed_methods, reason = "a file of the repository")]
    fn document(&self, arguments: &[&str], schema: &str) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        let document = self.devenv(&arguments).document();
        let path = format!(
            "{}/docs/json/{schema}.schema.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let schema = fs::read_to_string(path).expect("it is published");
        let schema = serde_json::from_str(&schema).expect("it is JSON");
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{document:#}");
        document
    }

    fn code(&self, arguments: &[&str]) -> String {
        let failed = self.document(arguments, "failure");
        failed["failures"][0]["code"]
            .as_str()
            .expect("a code")
            .to_owned()
    }

    /// The directory of the journals, which a command has made.
    fn journals(&self) -> PathBuf {
        let state = self.0.home().join(".local/state/devenv");
        let mut environments = fs::read_dir(state).expect("a command was there");
        let environment = environments.next().expect("one").expect("it is listed");
        environment.path().join("journal")
    }

    /// Writes a journal by hand, for a run that began in that second of a minute long ago.
    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn journal(&self, second: u32, command: &str, lines: &[Value]) {
        let name = format!("20260102T0304{second:02}.000000Z-{command}.jsonl");
        let header = json!({
            "schema": "devenv.journal/1", "command": command, "version": "0.1.0", "pid": 4_194_304,
            "started": format!("2026-01-02T03:04:{second:02}Z"), "uid": 1000, "user": "ann",
            "typed": [command],
        });
        let lines: String = [&[header], lines]
            .concat()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(self.journals().join(name), lines).expect("the directory is there");
    }
}

fn applying(replicas: u32, tag: &str) -> Value {
    let web = json!({
        "images": [format!("notes/web:{tag}")], "chart": null, "replicas": replicas, "inputs": tag,
    });
    json!({ "event": "applying", "elapsed": { "secs": 1, "nanos": 0 }, "applying": {
        "manifest": { "name": "notes", "services": { "web": { "replicas": replicas } } },
        "services": { "web": web },
        "changes": [{ "service": "web", "before": null, "after": web }],
    } })
}

fn deployed(outcome: &str) -> [Value; 2] {
    let step = json!({ "id": "deploy:web", "title": "deploy web", "reason": "it is not there",
        "stage": "deploy", "service": "web", "needs": [] });
    let took = json!({ "secs": 2, "nanos": 0 });
    [
        json!({ "event": "planReady", "steps": [step] }),
        json!({ "event": "stepFinished", "step": "deploy:web", "outcome": outcome, "took": took,
            "elapsed": { "secs": 4, "nanos": 0 } }),
    ]
}

fn ended(exit_code: u8) -> Value {
    json!({ "event": "commandEnded", "exitCode": exit_code, "failures": [],
        "elapsed": { "secs": 5, "nanos": 0 } })
}

fn column(history: &Value, key: &str) -> Vec<String> {
    let runs = history["runs"].as_array().expect("runs").iter();
    runs.map(|run| match &run[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
    .collect()
}

#[test]
fn what_commands_did_is_told_without_secrets() {
    let project = Project::new();
    project
        .0
        .write_project(".git/HEAD", "ref: refs/heads/fix\n");
    let nothing = project.devenv(&["history"]);
    insta::assert_snapshot!(nothing, @"no run has changed this environment yet");
    assert_eq!(project.code(&["history", "show"]), "history.no-runs");
    assert_eq!(project.code(&["diff", "last"]), "history.no-runs");

    let set = project.devenv(&["config", "set", "services.web.replicas=2"]);
    assert_eq!(set.code, Some(0), "{set}");
    // By the name of the key, and because a file of secrets has the value.
    let set = project.devenv(&["config", "set", "services.web.env.DB_PASSWORD=geheim"]);
    assert_eq!(set.code, Some(0), "{set}");
    let greeting = format!("services.web.env.GREETING={SECRET}");
    let up = project.devenv(&["up", "--no-session", "--set", &greeting]);
    assert_eq!(up.code, Some(4), "{up}");

    let history = project.document(&["history"], "history");
    assert_eq!(
        column(&history, "command"),
        ["up", "config set", "config set"]
    );
    assert_eq!(
        column(&history, "result"),
        ["failed", "succeeded", "succeeded"]
    );
    assert_eq!(
        column(&history, "changed"),
        [
            "",
            "services.web.env.DB_PASSWORD: nothing -> [redacted]",
            "services.web.replicas: 1 -> 2",
        ]
    );
    let uid = rustix::process::getuid().as_raw().to_string();
    assert_eq!(column(&history, "uid"), vec![uid; 3]);
    let failed = project.document(&["history", "--failed"], "history");
    assert_eq!(column(&failed, "command"), ["up"]);
    assert_eq!(failed["runs"][0]["exitCode"], 4);
    assert_eq!(failed["runs"][0]["codes"][0], "docker.not-running");
    let of_web = project.document(&["history", "--service", "web", "-n", "1"], "history");
    assert_eq!(column(&of_web, "command"), ["config set"]);

    let shown = project.document(&["history", "show", "last"], "history-show");
    assert_eq!(shown["branch"], "fix");
    assert_eq!(shown["failures"][0]["code"], "docker.not-running");
    let typed = shown["run"]["typed"].as_array().expect("words");
    assert_eq!(typed[3], "services.web.env.GREETING=[redacted]");
    let text = project.devenv(&["history", "show"]);
    assert!(text.stdout.contains("error[docker.not-running]"), "{text}");
    assert_eq!(project.code(&["diff", "last"]), "history.nothing-applied");

    no_journal_has_a_secret_or_a_reader(&project);
}

#[expect(clippy::disallowed_methods, reason = "files of the program")]
fn no_journal_has_a_secret_or_a_reader(project: &Project) {
    let journals = fs::read_dir(project.journals()).expect("it is there");
    for journal in journals {
        let path = journal.expect("it is listed").path();
        let mode = path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        let text = fs::read_to_string(&path).expect("text");
        for secret in [SECRET, "geheim"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_run_without_an_end_was_killed_and_a_damaged_one_is_told_as_far_as_it_goes() {
    let project = Project::new();
    let set = project.devenv(&["config", "set", "services.web.replicas=2"]);
    assert_eq!(set.code, Some(0), "{set}");
    let [plan, done] = deployed("done");
    project.journal(1, "up", &[plan, applying(1, "1.9"), done, ended(0)]);
    let broken = json!({ "event": "stepFinished", "step": 7 });
    let [plan, _] = deployed("done");
    project.journal(2, "up", &[plan, applying(2, "1.10"), broken]);
    let ugly = json!({ "event": "notice", "level": "info", "text": "a\u{1b}]0;x\u{7}\u{202e}b" });
    project.journal(3, "stop", &[ugly, ended(130)]);
    let history = project.document(&["history", "-n", "9"], "history");
    assert_eq!(
        column(&history, "result"),
        ["succeeded", "interrupted", "killed", "succeeded"]
    );
    assert_eq!(column(&history, "brokenLines"), ["0", "0", "1", "0"]);
    assert_eq!(history["runs"][3]["changed"], "+web");
    assert_eq!(history["runs"][2]["changed"], "");
    let list = project.devenv(&["history"]);
    assert!(
        list.stdout.contains("killed") && list.stdout.contains("(damaged)"),
        "{list}"
    );
    let shown = project.devenv(&["history", "show", "20260102T030403"]);
    assert!(shown.stdout.contains("a^[]0;x^G<U+202E>b"), "{shown}");
    let shown = project.devenv(&["history", "show", "20260102T030402"]);
    assert!(shown.stdout.contains("1 line of its journal"), "{shown}");
    assert_eq!(
        project.code(&["history", "show", "20260102"]),
        "history.ambiguous-run"
    );
    assert_eq!(
        project.code(&["history", "show", "2025"]),
        "history.unknown-run"
    );
}

#[test]
fn one_that_goes_on_is_told_from_one_that_was_killed() {
    let mut project = Project::new();
    // An engine that never answers.
    let socket = project.0.home().join("docker.sock");
    let _engine = UnixListener::bind(&socket).expect("a fresh name");
    let host = format!("unix://{}", socket.display());
    project.0.set("DOCKER_HOST", &host);
    let mut up = project.0.command();
    up.args(["up", "--no-session"]);
    up.stdout(Stdio::null()).stderr(Stdio::null());
    let mut up = up.spawn().expect("it can be started");
    let begun = Instant::now();
    let last = || {
        let history = project.document(&["history"], "history");
        column(&history, "result").first().cloned()
    };
    while last().as_deref() != Some("running") {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(20), "{:?}", last());
        sleep(Duration::from_millis(20));
    }
    up.kill().expect("it goes on");
    up.wait().expect("it ends");
    assert_eq!(last().as_deref(), Some("killed"));
}

#[test]
fn what_two_runs_applied_is_compared_by_keys_and_images() {
    let project = Project::new();
    let set = project.devenv(&["config", "set", "services.web.replicas=3"]);
    assert_eq!(set.code, Some(0), "{set}");
    project.journal(1, "up", &[applying(1, "1.9"), ended(0)]);
    project.journal(2, "up", &[applying(2, "1.10"), ended(0)]);
    let (first, second) = ("20260102T030401", "20260102T030402");
    insta::assert_snapshot!(project.devenv(&["diff", first, second]), @r"
    20260102T030401 (2026-01-02 03:04) → 20260102T030402 (2026-01-02 03:04)
      services.web.replicas: 1 → 2
      image of web: notes/web:1.9 → notes/web:1.10
    ");
    insta::assert_snapshot!(project.devenv(&["diff", second, "last"]), @"nothing differs between 20260102T030402 (2026-01-02 03:04) and 20260102T030402 (2026-01-02 03:04)");
    let now = project.document(&["diff", "last", "--exit-code"], "diff");
    let replicas = json!({ "key": "services.web.replicas", "before": 2, "after": 3 });
    assert!(
        now["keys"].as_array().expect("keys").contains(&replicas),
        "{now:#}"
    );
    assert_eq!((&now["to"], &now["services"]), (&Value::Null, &json!([])));
    let code = |arguments: &[&str]| project.devenv(arguments).code;
    assert_eq!(code(&["diff", "last", "--exit-code"]), Some(10));
    assert_eq!(code(&["diff", "last"]), Some(0));
    assert_eq!(code(&["diff", second, "last", "--exit-code"]), Some(0));
}
