//! The session: one process, its socket, and what becomes of both when it ends, however it ends.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    engine::empty_engine_at,
    support::{CommandOutput, TestEnvironment},
};

/// How long anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
services:
  order:
    build: order
    live:
      sync: [{ from: src, to: /app/src }]
";

/// A project whose docker engine is not there, and its sessions, which end with it.
struct Project {
    environment: TestEnvironment,
}

impl Project {
    fn new() -> Self {
        let mut environment = TestEnvironment::new();
        environment.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
        environment.write_project("devenv.yaml", MANIFEST);
        environment.write_project("order/Dockerfile", "FROM scratch\n");
        environment.write_project("order/src/app.py", "");
        Self { environment }
    }

    /// The same with a docker engine, which is empty.
    fn with_engine() -> Self {
        let mut project = Self::new();
        let socket = project.environment.home().join("docker.sock");
        empty_engine_at(&socket);
        let host = format!("unix://{}", socket.display());
        project.environment.set("DOCKER_HOST", &host);
        project
    }

    fn devenv(&self, arguments: &[&str]) -> CommandOutput {
        self.environment.devenv(arguments)
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.environment.command();
        command.args(arguments);
        spawn(&mut command)
    }

    /// The directory of the environment's state.
    fn state(&self) -> PathBuf {
        let all = self.environment.home().join(".local/state/devenv");
        let mut entries = fs::read_dir(all).expect("a state directory");
        let entry = entries.next().expect("the environment").expect("an entry");
        entry.path()
    }

    /// The session's process as `session status` tells it, once it is another than `before`.
    fn pid_other_than(&self, before: Option<u64>) -> u64 {
        eventually("the session answers", || {
            self.pid().filter(|pid| Some(*pid) != before)
        })
    }

    fn pid(&self) -> Option<u64> {
        let output = self.devenv(&["session", "status", "-o", "json"]);
        assert_eq!(output.code, Some(0), "{output}");
        let document = output.document();
        assert_eq!(document["schema"], "devenv.session/1");
        document["pid"].as_u64()
    }

    /// Makes `up` start a session; there is no docker for the rest of it.
    fn up(&self) {
        let output = self.devenv(&["up"]);
        assert!(output.stderr.contains("docker.not-running"), "{output}");
    }

    fn connect(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.state().join("session.sock")).expect("a session");
        stream.set_read_timeout(Some(SOON)).expect("a time");
        BufReader::new(stream)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let output = self.devenv(&["session", "stop"]);
        // A test that failed says why itself.
        if !std::thread::panicking() {
            assert_eq!(output.code, Some(0), "{output}");
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started")
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn signal(name: &str, pid: u64) {
    let pid = i32::try_from(pid).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    let signal = match name {
        "TERM" => rustix::process::Signal::TERM,
        _ => rustix::process::Signal::KILL,
    };
    rustix::process::kill_process(pid, signal).expect("it runs");
}

/// Whether a process of this id runs; one that ended and that nobody waited for does not.
fn runs(pid: u64) -> bool {
    text(&PathBuf::from(format!("/proc/{pid}/stat")))
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[expect(clippy::disallowed_methods, reason = "a test's own look")]
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn say(to: &mut BufReader<UnixStream>, line: &str) -> Value {
    let stream = to.get_mut();
    stream.write_all(line.as_bytes()).expect("it listens");
    stream.write_all(b"\n").expect("it listens");
    hear(to)
}

fn hear(from: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).expect("it answers");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn without_a_session_there_is_nothing_to_show_stop_or_attach_to() {
    let project = Project::new();
    let status = project.devenv(&["session", "status"]);
    assert_eq!(status.code, Some(0), "{status}");
    assert!(status.stdout.ends_with("session not running\n"), "{status}");
    let stop = project.devenv(&["session", "stop"]);
    assert_eq!(stop.to_string(), "No session was running\n");
    insta::assert_snapshot!(project.devenv(&["attach"]), @r"
    ------- stderr -------
    error[session.not-running]: no session of this environment runs
      try:
        devenv up   # starts it
    [exit code: 5]
    ");
}

#[test]
fn a_session_in_the_foreground_ends_in_order_when_it_is_asked_to() {
    for way in ["TERM", "stop"] {
        let project = Project::new();
        let mut session = project.spawn(&["session", "run"]);
        let pid = project.pid_other_than(None);
        assert_eq!(pid, u64::from(session.id()));
        let state = project.state();
        let mode = |name: &str| {
            let about = fs::metadata(state.join(name)).expect("it is there");
            about.permissions().mode() & 0o777
        };
        assert_eq!((mode("session.sock"), mode("session.lock")), (0o600, 0o600));
        let second = project.devenv(&["session", "run"]);
        assert_eq!(second.code, Some(8), "{second}");
        assert!(second.stderr.contains("session.running"), "{second}");
        if way == "stop" {
            let output = project.devenv(&["session", "stop", "-o", "json"]);
            assert_eq!(output.document()["wasRunning"], true, "{output}");
        } else {
            signal(way, pid);
        }
        assert_eq!(session.wait().expect("it ends").code(), Some(0), "{way}");
        assert!(!state.join("session.sock").exists());
        assert_eq!(project.pid(), None);
    }
}

#[test]
fn the_socket_answers_as_the_protocol_says() {
    let project = Project::new();
    let mut session = project.spawn(&["session", "run"]);
    let pid = project.pid_other_than(None);
    let mut client = project.connect();
    let greeting = hear(&mut client);
    assert_eq!(greeting["session"], 1);
    assert_eq!(greeting["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(greeting["pid"], pid);
    assert!(greeting["since"].is_string());
    let status = say(&mut client, r#"{"request":"status"}"#);
    assert_eq!(status, serde_json::json!({ "services": {} }));
    for nonsense in [r#"{"request":"dance"}"#, "{", "\u{1b}[2J"] {
        let error = say(&mut client, nonsense);
        assert!(error["error"].is_string(), "{error}");
    }
    let mut greedy = project.connect();
    hear(&mut greedy);
    // It may be cut off before all of it is said.
    let _ = greedy.get_mut().write_all("x".repeat(65 * 1024).as_bytes());
    let error = hear(&mut greedy);
    assert!(error["error"].as_str().expect("a text").contains("65536"));
    let stopping = say(&mut client, r#"{"request":"stop"}"#);
    assert_eq!(stopping, serde_json::json!({ "stopping": true }));
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("it is closed");
    assert_eq!(rest, "");
    assert_eq!(session.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_is_attached_shows_the_last_events_and_ends_with_the_session() {
    let project = Project::new();
    // One start to make the directory, in which an earlier session left what it did.
    project.up();
    project.devenv(&["session", "stop"]).document_of_stop();
    let store = project.state().join("live.jsonl");
    let change =
        r#"{"file":"order/src/app.py","files":1,"action":"restart","rule":null,"containers":1}"#;
    let done = format!(
        r#"{{"at":"2026-01-02T03:04:05Z","service":"order","event":"done","change":{change},"totalMillis":84.0,"stages":[{{"name":"copy","millis":3.0}}],"overBudgetMillis":null}}"#
    );
    let torn = &done[..done.len() / 2];
    let mut file = fs::File::create(&store).expect("a store");
    write!(file, "{done}\n{torn}").expect("room");
    let mut session = project.spawn(&["session", "run"]);
    project.pid_other_than(None);
    let shown = project.spawn(&["attach"]);
    let documents = project.spawn(&["attach", "-o", "json"]);
    let all_there = |child: Child| {
        let mut lines = BufReader::new(child.stdout.expect("a pipe"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("an event");
        (line, lines)
    };
    let (text, mut rest) = all_there(shown);
    assert_eq!(
        text,
        "03:04:05  order: order/src/app.py → live in 84 ms (copy 3)\n"
    );
    let (line, mut no_more) = all_there(documents);
    let document: Value = serde_json::from_str(&line).expect("a document");
    assert_eq!(document["schema"], "devenv.live/1");
    assert_eq!(document["change"]["action"], "restart");
    let status = project.devenv(&["session", "status", "-o", "json"]);
    let times = &status.document()["services"][0]["times"];
    assert_eq!(
        (&times["changes"], &times["p95Millis"]),
        (&1.into(), &84.0.into())
    );
    project.devenv(&["session", "stop"]).document_of_stop();
    for lines in [&mut rest, &mut no_more] {
        let mut left = String::new();
        lines.read_to_string(&mut left).expect("it ends");
        assert_eq!(left, "");
    }
    assert_eq!(session.wait().expect("it ends").code(), Some(0));
}

#[test]
fn up_starts_one_session_and_leaves_it_alone_the_next_time() {
    let project = Project::new();
    project.up();
    let pid = project.pid_other_than(None);
    project.up();
    assert_eq!(project.pid(), Some(pid));
    // It leads a session of its own: no terminal can end it.
    let stat = text(&PathBuf::from(format!("/proc/{pid}/stat")));
    let (_, numbers) = stat.rsplit_once(')').expect("a process");
    let session: Option<&str> = numbers.split_whitespace().nth(3);
    assert_eq!(session, Some(&*pid.to_string()));
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).expect("a process of ours");
    assert_eq!(directory, Path::new("/"));
}

#[test]
fn up_with_other_flags_replaces_the_session_and_says_so() {
    let project = Project::new();
    project.up();
    let pid = project.pid_other_than(None);
    let output = project.devenv(&["up", "--set", "services.order.replicas=2"]);
    assert!(
        output.stderr.contains("started with other flags"),
        "{output}"
    );
    project.pid_other_than(Some(pid));
    eventually("it is gone", || (!runs(pid)).then_some(()));
}

#[test]
fn every_environment_has_a_session_unless_none_is_wanted() {
    let project = Project::new();
    let output = project.devenv(&["up", "--no-session"]);
    assert!(output.stderr.contains("docker.not-running"), "{output}");
    assert_eq!(project.pid(), None);
    // One where nothing is live keeps the logs.
    let plain = MANIFEST.split("    live:").next().expect("a manifest");
    project.environment.write_project("devenv.yaml", plain);
    project.up();
    project.pid_other_than(None);
}

#[test]
fn a_pipe_behind_up_ends_when_up_does() {
    // The second one is open beside the standard streams.
    for script in [
        "$DEVENV up 2>&1",
        "exec 9>&1; $DEVENV up 9>&9 2>&1 >/dev/null",
    ] {
        let project = Project::new();
        let mut shell = spawn(&mut project.environment.shell(script));
        let mut pipe = shell.stdout.take().expect("a pipe");
        let (said_tx, said_rx) = mpsc::channel();
        std::thread::spawn(move || {
            let mut said = String::new();
            let read = pipe.read_to_string(&mut said).map(|_| said);
            // The test may have given up.
            let _ = said_tx.send(read);
        });
        let said = said_rx.recv_timeout(SOON).expect("the pipe is closed");
        let said = said.expect("it is text");
        assert!(said.contains("docker.not-running"), "{script}: {said}");
        shell.wait().expect("it ends");
        let pid = project.pid_other_than(None);
        assert!(runs(pid));
    }
}

#[test]
fn a_session_that_was_killed_is_started_again_by_whoever_comes_next() {
    let project = Project::new();
    project.up();
    let killed = project.pid_other_than(None);
    signal("KILL", killed);
    eventually("it is gone", || (!runs(killed)).then_some(()));
    assert_eq!(project.pid(), None);
    assert!(project.state().join("session.sock").exists());
    // Both want it at once; neither has a docker to look at.
    let both = [["status"], ["logs"]].map(|verb| project.spawn(&verb));
    let said = both.map(|child| {
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    let notice = "the session had ended unexpectedly; it is started again";
    assert!(said.iter().any(|said| said.contains(notice)), "{said:?}");
    let pid = project.pid_other_than(Some(killed));
    // The one that came second may still be asking for the lock.
    eventually("one is left", || {
        (sessions_of(&project) == [pid]).then_some(())
    });
    let again = project.devenv(&["status"]);
    assert!(!again.stderr.contains("unexpectedly"), "{again}");
    assert_eq!(project.pid(), Some(pid));
}

#[test]
fn a_session_that_was_killed_and_then_stopped_does_not_come_back() {
    let project = Project::new();
    project.up();
    let killed = project.pid_other_than(None);
    // Another may be asking for the lock, and would have it.
    eventually("there is one", || {
        (sessions_of(&project) == [killed]).then_some(())
    });
    signal("KILL", killed);
    eventually("it is gone", || (!runs(killed)).then_some(()));
    let stop = project.devenv(&["session", "stop"]);
    assert_eq!(stop.to_string(), "No session was running\n");
    let status = project.devenv(&["status"]);
    assert!(!status.stderr.contains("unexpectedly"), "{status}");
    assert!(sessions_of(&project).is_empty());
}

#[test]
fn a_session_that_cannot_start_says_why_and_how_to_do_without() {
    let project = Project::new();
    project.up();
    project.devenv(&["session", "stop"]).document_of_stop();
    // A directory in the place of its socket.
    fs::create_dir(project.state().join("session.sock")).expect("a directory");
    let output = project.devenv(&["up"]);
    assert_eq!(output.code, Some(5), "{output}");
    for words in [
        "session.not-started",
        "it ended at once",
        "session.sock",
        "--no-session",
    ] {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
    assert!(!project.state().join("session.json").exists());
    fs::remove_dir(project.state().join("session.sock")).expect("an empty directory");
}

#[test]
fn a_session_ends_by_itself_where_there_is_no_cluster_and_nobody_makes_one() {
    let project = Project::with_engine();
    let mut session = project.spawn(&["session", "run"]);
    let pid = project.pid_other_than(None);
    assert_eq!(session.wait().expect("it ends").code(), Some(0));
    assert!(!runs(pid));
    assert_eq!(project.pid(), None);
}

#[test]
fn stop_and_down_end_the_session_first() {
    let project = Project::with_engine();
    let state = {
        let output = project.devenv(&["up"]);
        assert_ne!(output.code, Some(0), "there is no k3d: {output}");
        project.state()
    };
    for verb in [&["stop"][..], &["down"], &["down", "--volumes", "--yes"]] {
        let output = project.devenv(&["up"]);
        assert_ne!(output.code, Some(0), "there is no k3d: {output}");
        let pid = project.pid_other_than(None);
        let output = project.devenv(verb);
        assert_eq!(output.code, Some(0), "{verb:?}: {output}");
        // It lets go of its lock before it ends.
        eventually("it is gone", || (!runs(pid)).then_some(()));
        assert!(!state.join("session.sock").exists(), "{verb:?}");
        assert!(!state.join("session.json").exists(), "{verb:?}");
    }
    assert!(!state.exists());
}

/// The processes that are a session of the project.
fn sessions_of(project: &Project) -> Vec<u64> {
    let place = project.environment.project().display().to_string();
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_ours = |pid: &u64| {
        let arguments = text(&PathBuf::from(format!("/proc/{pid}/cmdline")));
        arguments.contains(&place) && arguments.contains("--detached") && runs(*pid)
    };
    pids.filter(is_ours).collect()
}

impl CommandOutput {
    /// That a session was stopped.
    fn document_of_stop(&self) {
        assert_eq!(self.stdout, "✓ ended the session\n", "{self}");
    }
}
