//! The docker daemon is killed while files are edited: everything in the cluster ends with it.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::scene::{RESTART, SYNC, Scene, manifest, signal};

const PID_FILE: &str = "/var/run/docker.pid";
/// How long a manager of services, where there is one, has to start it again by itself.
const BY_ITSELF: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[test]
fn edits_are_live_again_after_the_docker_daemon_was_killed() {
    let mut scene = Scene::up("live-docker", &manifest(SYNC, RESTART));
    scene.write("greeter", "before");
    scene.until_answers("greeter", "before");
    let session = scene.session();
    let daemon = Daemon::running();
    signal(daemon.pid, Signal::KILL);
    scene.write("greeter", "while docker was away");
    scene.write("page", "and this too");
    daemon.start_again();
    scene.until_answers("greeter", "while docker was away");
    scene.until_answers("page", "and this too");
    scene.until_told("notice", |event| {
        event.to_string().contains("does not answer")
    });
    scene.until_told("notice", |event| {
        event.to_string().contains("answers again")
    });
    scene.write("greeter", "back as before");
    scene.until_answers("greeter", "back as before");
    assert_eq!(scene.session(), session, "it went on all the while");
    an_up_that_docker_dies_under_ends_at_once_and_the_next_one_goes_on(&scene);
    scene.end();
}

fn an_up_that_docker_dies_under_ends_at_once_and_the_next_one_goes_on(scene: &Scene) {
    let dockerfile = "page/Dockerfile";
    let good = scene.project.read(dockerfile);
    // What docker leaves at work when it is killed ends by itself.
    let marker = format!("45.{}", std::process::id());
    scene
        .project
        .write(dockerfile, &format!("{good}RUN sleep {marker}\n"));
    let mut up = scene.project.running(&["up"]);
    let sleeps = format!("sleep\0{marker}\0");
    up.until("the image is built", || is_running(&sleeps));
    let daemon = Daemon::running();
    signal(daemon.pid, Signal::KILL);
    let ended = up.end();
    // Whatever it said: others need docker too.
    daemon.start_again();
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    assert!(matches!(ended.code, Some(4 | 5)), "{ended:?}");
    let ended = ended.assert_says(&["error[docker.", "journalctl -u docker"]);
    assert!(!ended.said.contains("internal"), "{}", ended.said);
    scene.project.write(dockerfile, &good);
    scene.project.devenv(&["up"]).assert_code(0);
    scene.until_answers("page", "and this too");
}

/// Whether a process of this command line, with its NULs, runs on this machine.
fn is_running(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    commands.into_iter().any(|line| line == command.as_bytes())
}

/// The docker daemon of this machine.
struct Daemon {
    pid: u32,
    command: Vec<String>,
}

impl Daemon {
    fn running() -> Self {
        let pid = pid().expect("docker says which process it is");
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let words = command.split('\0').filter(|word| !word.is_empty());
        Self {
            pid,
            command: words.map(str::to_owned).collect(),
        }
    }

    /// Waits until one answers; starts it where nobody else does.
    fn start_again(&self) {
        let begun = Instant::now();
        let mut is_started = false;
        while !answers() {
            assert!(begun.elapsed() < WITHIN, "docker does not come back");
            if !is_started && begun.elapsed() >= BY_ITSELF && !self.is_another_there() {
                is_started = true;
                Command::new("setsid")
                    .arg("--fork")
                    .args(&self.command)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Whether a new daemon begins already.
    fn is_another_there(&self) -> bool {
        pid().is_some_and(|pid| {
            pid != self.pid && std::path::Path::new(&format!("/proc/{pid}")).exists()
        })
    }
}

fn pid() -> Option<u32> {
    std::fs::read_to_string(PID_FILE).ok()?.trim().parse().ok()
}

fn answers() -> bool {
    let asked = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}
