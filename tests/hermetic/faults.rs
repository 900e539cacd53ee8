//! Faults that need no cluster, made for real: what stands where the manifest should, and directories that cannot be
//! written.

mod crowd;
mod places;
mod state;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::symlink, net::UnixListener},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{CommandOutput, TestEnvironment};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
services:
  web: { image: 'notes/web:1' }
  store: { image: 'redis:7' }
";
/// The longest that a user may have to wait for a refusal, on a machine that has other work.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A project whose docker engine is not there.
fn project() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    environment.write_project("devenv.yaml", MANIFEST);
    environment
}

/// The output holds all of the words, with the exit code.
#[track_caller]
fn assert_told(output: &CommandOutput, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output}");
    for word in words {
        assert!(output.stderr.contains(word), "{word}: {output}");
    }
}

/// Runs devenv in a shell that gives it only so much memory, for any number of processors, and only so much time.
fn in_bounds(environment: &TestEnvironment, arguments: &str) -> CommandOutput {
    let script =
        format!("ulimit -v 8000000; /usr/bin/timeout --kill-after=1 20 $DEVENV {arguments}");
    let begun = Instant::now();
    let output = environment.finished(&mut environment.shell(&script));
    let took = begun.elapsed();
    assert!(took < AT_ONCE, "{took:?}: {output}");
    output
}

#[test]
fn what_is_no_file_is_refused_as_a_manifest_and_waited_for_by_nobody() {
    let environment = TestEnvironment::new();
    let at = |name: &str| environment.project().join(name);
    let made = environment
        .shell("/usr/bin/mkfifo devenv.yaml pipe.yaml")
        .status();
    assert!(made.expect("a shell").success());
    let _socket = UnixListener::bind(at("socket.yaml")).expect("a socket");
    symlink("/dev/zero", at("endless.yaml")).expect("a link");
    symlink("circle.yaml", at("circle.yaml")).expect("a link");
    symlink("nowhere", at("dangling.yaml")).expect("a link");
    fs::create_dir(at("directory.yaml")).expect("a directory");
    let special = "is a pipe, a socket or a device, not a file";
    for (arguments, code, why, mend) in [
        ("plan", "manifest.unreadable", special, "write it to a file"),
        ("-f pipe.yaml plan", "manifest.unreadable", special, "`-f`"),
        (
            "-f socket.yaml plan",
            "manifest.unreadable",
            special,
            "`-f`",
        ),
        (
            "-f endless.yaml plan",
            "manifest.unreadable",
            special,
            "`-f`",
        ),
        (
            "-f circle.yaml plan",
            "manifest.unreadable",
            "symbolic links",
            "readable",
        ),
        (
            "-f dangling.yaml plan",
            "manifest.not-found",
            "there is no",
            "devenv init",
        ),
        (
            "-f directory.yaml plan",
            "manifest.unreadable",
            "a directory",
            "`-f`",
        ),
    ] {
        let output = in_bounds(&environment, arguments);
        assert_told(&output, 3, &[code, why, mend]);
    }
}

#[test]
fn a_manifest_of_any_size_or_depth_is_refused_before_it_takes_the_memory() {
    let environment = TestEnvironment::new();
    let path = environment.project().join("devenv.yaml");
    let file = fs::File::create(&path).expect("a file");
    // More than there is memory for.
    file.set_len(64 << 30).expect("a file with a hole");
    let output = in_bounds(&environment, "plan");
    assert_told(
        &output,
        3,
        &["manifest.too-complex", "larger than 10 MB", "profiles"],
    );

    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, below) in ('b'..='k').zip('a'..) {
        let items = vec![format!("*{below}"); 9].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    let deep = |brackets: usize| {
        let [open, close] = ["[", "]"].map(|bracket| bracket.repeat(brackets));
        format!("apiVersion: devenv/v1\nservices: {open}{close}\n")
    };
    for (text, code, why) in [
        (bomb, "manifest.too-complex", "more than 300000 values"),
        (
            deep(200),
            "manifest.too-complex",
            "nested more than 64 deep",
        ),
        (deep(100_000), "manifest.syntax", "recursion limit"),
    ] {
        environment.write_project("devenv.yaml", &text);
        let output = in_bounds(&environment, "plan");
        assert_told(&output, 3, &[code, why, "devenv.yaml:"]);
    }
}

#[test]
fn an_unknown_service_or_profile_is_told_with_what_was_meant() {
    let environment = project();
    environment.write_project("profiles/minimal.yaml", "only: [web]\n");
    for verb in ["up", "restart", "logs", "exec", "forward", "open"] {
        let output = environment.devenv([verb, "wbe"]);
        let meant = ["usage.unknown-service", "`wbe`", "did you mean `web`?"];
        assert_told(&output, 2, &meant);
    }
    let output = environment.devenv(["up", "-p", "minmal"]);
    let meant = ["manifest.unknown-profile", "did you mean `minimal`?"];
    assert_told(&output, 3, &meant);
    let state = environment.home().join(".local/state/devenv");
    assert!(!state.exists(), "a slip leaves something behind");
}

#[test]
fn names_with_control_characters_are_shown_and_never_obeyed() {
    let environment = TestEnvironment::new();
    let name = "a\u{1b}[31m\nerror: \u{9b}2J\r\u{202e}b.yaml";
    let directory = environment.project().join(name);
    fs::create_dir(&directory).expect("Linux takes any name");
    let path = format!("{name}/devenv.yaml");
    environment.write_project(&path, "apiVersion: devenv/v1\nservices: 1\n");
    for arguments in [
        &["-f", name, "plan"][..],
        &["-f", path.as_str(), "plan"],
        &["-f", path.as_str(), "plan", "-o", "json"],
        &["-C", name, "plan"],
        &["-C", name, "config", "validate"],
    ] {
        let output = environment.devenv(arguments);
        assert_eq!(output.code, Some(3), "{output}");
        let said = format!("{}{}", output.stdout, output.stderr);
        let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(harmful), "{arguments:?}: {said:?}");
        assert!(!said.contains("\nerror: "), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_signal_ends_a_command_that_waits_for_docker_with_its_own_code() {
    let soon = Duration::from_secs(5);
    for (signals, code, within) in [
        (&[Signal::INT][..], 130, soon),
        (&[Signal::TERM], 143, soon),
        (&[Signal::HUP], 143, soon),
        (&[Signal::INT, Signal::INT], 130, Duration::from_secs(1)),
    ] {
        let mut environment = project();
        let socket = environment.home().join("docker.sock");
        // It takes connections and never answers.
        let _silent = UnixListener::bind(&socket).expect("a fresh name");
        environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
        let mut up = environment.command();
        up.args(["up", "--no-session"]);
        up.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut up = up.spawn().expect("it can be started");
        until("it is at work", || is_at_work(&environment));
        let pid = i32::try_from(up.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a process");
        let mut said = BufReader::new(up.stderr.take().expect("it is piped"));
        let mut first = String::new();
        let begun = Instant::now();
        for signal in signals {
            kill_process(pid, *signal).expect("it goes on");
            if first.is_empty() {
                said.read_line(&mut first).expect("it says something");
            }
        }
        assert_eq!(first, "stopping; press Ctrl-C again to stop at once\n");
        assert_eq!(up.wait().expect("it ends").code(), Some(code));
        let took = begun.elapsed();
        assert!(took < within, "{signals:?}: {took:?}");
    }
}

/// Whether a run has written that it began.
fn is_at_work(environment: &TestEnvironment) -> bool {
    let state = environment.home().join(".local/state/devenv");
    let ours = fs::read_dir(state).into_iter().flatten().flatten();
    let mut journals = ours.map(|entry| entry.path().join("journal"));
    journals.any(|journal| fs::read_dir(journal).is_ok_and(|mut runs| runs.next().is_some()))
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
