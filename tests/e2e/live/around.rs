//! What is around a session fails: watches of the kernel, a file that is huge, the machine's sleep and its clock, whoever
//! knows names, the API.

use std::{net::UdpSocket, path::PathBuf, time::Duration};

use rustix::process::Signal;

use super::scene::{RESTART, SYNC, Scene, manifest, signal};

const DEVENV: &str = env!("CARGO_BIN_EXE_devenv");
/// What the clock of a program is made wrong with.
const CLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/clock.c");
/// Whatever hangs: this long, and it is told.
const SOON: Duration = Duration::from_secs(8);
const HALF_AN_HOUR: i64 = 30 * 60;
const DAY: i64 = 24 * 60 * 60;

#[test]
fn edits_are_live_again_whatever_fails_around_a_session() {
    let mut scene = with_no_watcher("live-around");
    with_few_watches(&mut scene);
    a_huge_file_holds_up_no_edit(&mut scene);
    everything_stands_still_for_a_while(&mut scene);
    nobody_knows_names(&scene);
    the_api_hangs(&scene);
    the_clock_jumps(&mut scene);
    scene.end();
}

fn with_no_watcher(name: &str) -> Scene {
    let mut scene = Scene::new(name, &manifest(SYNC, RESTART));
    follows_without_watches(&mut scene, "inotify_instances", 0);
    scene.project.devenv(&["session", "stop"]).assert_code(0);
    scene
}

fn with_few_watches(scene: &mut Scene) {
    follows_without_watches(scene, "inotify_watches", 2);
    // From now on there are enough.
    scene.project.devenv(&["session", "stop"]).assert_code(0);
    scene.bring_up();
}

/// In a user namespace of its own the kernel has other limits, and real ones.
fn follows_without_watches(scene: &mut Scene, limit: &str, to: u32) {
    let limited = format!("echo {to} > /proc/sys/user/max_{limit} && exec \"$@\"");
    let words = ["--map-root-user", "sh", "-c", &limited, "sh", DEVENV, "up"];
    scene.project.run("unshare", &words).assert_code(0);
    scene.attach_again();
    let setting = limit.replacen('_', ".max_user_", 1);
    scene.until_told("notice", |event| {
        let text = event["text"].as_str().unwrap();
        text.contains(&format!("fs.{setting}")) && text.contains("looked at only every second")
    });
    let text = format!("seen with {to} {limit}");
    scene.write("page", &text);
    scene.until_answers("page", &text);
}

fn a_huge_file_holds_up_no_edit(scene: &mut Scene) {
    let words = ["--size", "10G", "page/src/big"];
    scene.project.run("truncate", &words).assert_code(0);
    scene.until_told("notice", |event| {
        let text = event["text"].as_str().unwrap();
        text.contains("page/src/big are not followed: it has 10.0 GiB")
    });
    scene.write("page", "beside a huge file");
    let took = scene.until_answers("page", "beside a huge file");
    assert!(took < Duration::from_secs(5), "{took:?}");
    scene.project.run("rm", &["page/src/big"]).assert_code(0);
}

/// As when the machine sleeps: no program of it runs, and time goes by.
fn everything_stands_still_for_a_while(scene: &mut Scene) {
    let session = scene.session();
    let containers = format!("name=^k3d-{}-", scene.project.cluster_name());
    let all = |verb: &str| {
        let script = format!("docker {verb} $(docker ps --quiet --filter '{containers}')");
        scene.project.run("sh", &["-c", &script]).assert_code(0);
    };
    signal(session, Signal::STOP);
    all("pause");
    // The fault itself.
    std::thread::sleep(Duration::from_secs(12));
    all("unpause");
    signal(session, Signal::CONT);
    let status = scene.project.devenv(&["status"]);
    status.assert_code(0).assert_within(Duration::from_secs(5));
    scene.write("page", "after a sleep");
    scene.until_answers("page", "after a sleep");
    assert_eq!(scene.session(), session);
}

/// The name server of the machine takes questions and answers none.
fn nobody_knows_names(scene: &Scene) {
    let _silent = UdpSocket::bind(("127.0.0.9", 53)).unwrap();
    let settings = "nameserver 127.0.0.9\noptions timeout:5 attempts:2\n";
    scene.project.write("resolv.conf", settings);
    let nameless = |words: &[&str]| {
        let mount = "mount --bind resolv.conf /etc/resolv.conf && exec \"$@\"";
        let words = [&["--mount", "sh", "-c", mount, "sh"], words].concat();
        scene.project.run("unshare", &words)
    };
    let slow = nameless(&["timeout", "3", "getent", "hosts", "nowhere.invalid"]);
    slow.assert_code(124);
    let dockerfile = format!("{}RUN true\n", scene.project.read("page/Dockerfile"));
    scene.project.write("page/Dockerfile", &dockerfile);
    let up = nameless(&[DEVENV, "up"]).assert_code(0);
    up.assert_within(Duration::from_secs(30));
    nameless(&[DEVENV, "status"])
        .assert_code(0)
        .assert_within(Duration::from_secs(3));
    let doctor = nameless(&[DEVENV, "doctor"]).assert_within(SOON);
    doctor.assert_says(&["[names.no-answer]", "page.localhost"]);
}

/// The processes of Kubernetes in the node, which take connections and answer nothing.
struct Hung(Vec<u32>);

impl Hung {
    fn of(scene: &Scene) -> Self {
        let server = format!("k3d-{}-server-0", scene.project.cluster_name());
        let words = ["top", &server, "-eo", "pid,comm"];
        let listed = scene.project.run("docker", &words).assert_code(0);
        let pid = |line: &str| {
            let (pid, command) = line.trim().split_once(char::is_whitespace)?;
            let is_kubernetes = command.trim().starts_with("k3s");
            is_kubernetes.then(|| pid.parse().unwrap())
        };
        let hung = Self(listed.stdout.lines().filter_map(pid).collect());
        assert!(!hung.0.is_empty(), "{listed}");
        hung.0.iter().for_each(|pid| signal(*pid, Signal::STOP));
        hung
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal(*pid, Signal::CONT));
    }
}

fn the_api_hangs(scene: &Scene) {
    let hung = Hung::of(scene);
    let told = |words: &[&str], code: i32| {
        let run = scene.project.devenv(words).assert_code(code);
        run.assert_within(SOON)
    };
    told(&["status"], 5).assert_says(&["cluster broken", "not done within", "unknown"]);
    told(&["exec", "page", "--", "true"], 5).assert_says(&["cluster.not-running"]);
    told(&["restart", "page"], 5).assert_says(&["cluster.not-running"]);
    told(&["logs", "page"], 0).assert_says(&["this is what was kept", "started"]);
    told(&["doctor"], 4).assert_says(&["problem[kube.timeout]"]);
    drop(hung);
    scene.project.devenv(&["up"]).assert_code(0);
    scene.write("greeter", "the API is back");
    scene.until_answers("greeter", "the API is back");
}

/// The clock of devenv alone: that of the machine is other people's too.
struct Clock {
    off: PathBuf,
}

impl Clock {
    fn of(scene: &mut Scene) -> Self {
        let root = scene.project.root();
        let (library, off) = (root.join("clock.so"), root.join("clock.off"));
        let library = library.to_str().unwrap().to_owned();
        let words = ["-shared", "-fPIC", "-o", &library, CLOCK, "-ldl"];
        scene.project.run("cc", &words).assert_code(0);
        let clock = Self { off };
        clock.set(0);
        scene.project.set("DEVENV_CLOCK_OFF", clock.path());
        scene.project.set("LD_PRELOAD", library);
        clock
    }

    fn path(&self) -> &str {
        self.off.to_str().unwrap()
    }

    /// In seconds; exchanged as a whole, as it is read at any time.
    fn set(&self, off: i64) {
        let new = self.off.with_extension("new");
        std::fs::write(&new, off.to_string()).unwrap();
        std::fs::rename(&new, &self.off).unwrap();
    }
}

fn the_clock_jumps(scene: &mut Scene) {
    scene.project.devenv(&["session", "stop"]).assert_code(0);
    let clock = Clock::of(scene);
    let dockerfile = format!("{}RUN sleep 1\n", scene.project.read("greeter/Dockerfile"));
    scene.project.write("greeter/Dockerfile", &dockerfile);
    let mut up = scene.project.running(&["up"]);
    up.until_it_says("build the image of greeter");
    clock.set(-HALF_AN_HOUR);
    up.until_it_says("deploy greeter");
    clock.set(HALF_AN_HOUR);
    up.end()
        .assert_code(0)
        .assert_within(Duration::from_mins(1));
    scene.attach_again();
    for (off, text) in [
        (-HALF_AN_HOUR, "earlier"),
        (HALF_AN_HOUR, "later"),
        (0, "now"),
    ] {
        clock.set(off);
        scene.write("page", text);
        scene.until_answers("page", text);
    }
    the_certificate_is_of_another_time(scene, &clock);
    scene.write("page", "the clock is right");
    scene.until_answers("page", "the clock is right");
}

fn the_certificate_is_of_another_time(scene: &Scene, clock: &Clock) {
    let told = |words: &[&str], code: i32| {
        let run = scene.project.devenv(words).assert_code(code);
        run.assert_within(SOON)
    };
    clock.set(-2 * DAY);
    told(&["status"], 5).assert_says(&["is not good yet, only from 20", "unknown"]);
    let early = told(&["up"], 5);
    early.assert_says(&[
        "error[kube.certificate]",
        "it was set back",
        "set the clock",
    ]);
    clock.set(30 * 365 * DAY + HALF_AN_HOUR);
    let late = told(&["up"], 5);
    late.assert_says(&[
        "is no longer good: it ended at 20",
        "devenv stop && devenv start",
    ]);
    let doctor = scene.project.devenv(&["doctor"]);
    doctor.assert_says(&[
        "problem[certificate.expired]",
        "docker's clock is 10950 days behind",
    ]);
    clock.set(0);
    scene.project.devenv(&["up"]).assert_code(0);
}
