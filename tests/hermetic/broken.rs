//! Environments that are broken in one way each: `up` says one thing, with its cause and what mends it, and `doctor`
//! finds the same.

#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use std::{
    any::Any,
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    engine::{empty_engine_at, engine_at},
    ports::hold_port,
    support::TestEnvironment,
};

/// A project that can be brought up where nothing is broken.
const MANIFEST: &str = "\
apiVersion: devenv/v1
name: notes
cluster: { ports: { http: HTTP, https: TLS }, registry: { port: REGISTRY } }
services:
  web: { image: 'notes/web:1' }
";
const UP: [&str; 2] = ["up", "--no-session"];
/// The longest that a user may have to wait for the message: docker has 3 s to answer, and tools have more.
const SOON: Duration = Duration::from_secs(15);

/// What holds for as long as the environment is looked at.
type Held = Box<dyn Any>;

/// An environment that is broken.
struct Broken {
    what: &'static str,
    /// The code of the one message.
    code: &'static str,
    /// The cause and what mends it, in parts.
    says: [&'static str; 2],
    exit: i32,
    breaks: fn(&mut TestEnvironment) -> Held,
    /// Whether `doctor` finds it too; otherwise it is nothing that is wrong with the machine or the project.
    doctor: bool,
}

const BROKEN: [Broken; 20] = [
    Broken {
        what: "docker is not installed, or does not run",
        code: "docker.not-running",
        says: [
            "nothing listens at unix:///nowhere/docker.sock",
            "sudo systemctl start docker",
        ],
        exit: 4,
        breaks: |it| {
            it.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "the docker daemon went away and left its socket",
        code: "docker.not-running",
        says: ["Connection refused", "sudo systemctl start docker"],
        exit: 4,
        breaks: |it| {
            let socket = at(it, "left.sock");
            drop(UnixListener::bind(&socket).expect("a fresh name"));
            it.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "the docker daemon hangs",
        code: "docker.no-answer",
        says: ["said nothing for 3 s", "sudo systemctl restart docker"],
        exit: 4,
        breaks: |it| {
            let socket = at(it, "silent.sock");
            let silent = UnixListener::bind(&socket).expect("a fresh name");
            it.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
            Box::new(silent)
        },
        doctor: true,
    },
    Broken {
        what: "something else answers where docker should",
        code: "docker.no-answer",
        says: ["the connection was broken off", "journalctl -u docker"],
        exit: 4,
        breaks: |it| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            it.set("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    drop(stream);
                }
            });
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "docker is too old",
        code: "docker.too-old",
        says: ["speaks API 1.24", "install a newer engine"],
        exit: 4,
        breaks: |it| {
            let socket = at(it, "old.sock");
            engine_at(&socket, "1.24");
            it.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "docker is looked for over ssh",
        code: "docker.unsupported-host",
        says: [
            "ssh://me@build.example",
            "set DOCKER_HOST to an engine on this machine",
        ],
        exit: 4,
        breaks: |it| {
            it.set("DOCKER_HOST", "ssh://me@build.example");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "docker's context names nothing",
        code: "docker.bad-context",
        says: ["no docker context `gone`", "docker context use NAME"],
        exit: 4,
        breaks: |it| {
            it.set("DOCKER_HOST", "");
            it.set("DOCKER_CONTEXT", "gone");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "k3d is missing",
        code: "tool.missing",
        says: ["`k3d` is not installed", "https://k3d.io"],
        exit: 4,
        breaks: |it| {
            remove(it, "bin/k3d");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "Helm is missing",
        code: "tool.missing",
        says: ["`helm` is not installed", "https://helm.sh"],
        exit: 4,
        breaks: |it| {
            remove(it, "bin/helm");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "k3d may not be run",
        code: "tool.not-executable",
        says: ["bin/k3d may not be executed", "chmod +x"],
        exit: 4,
        breaks: |it| {
            let k3d = fs::Permissions::from_mode(0o644);
            fs::set_permissions(at(it, "../bin/k3d"), k3d).expect("it is ours");
            it.write_home(".config/devenv/config.yaml", &settings(it));
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "k3d is older than the project asks for",
        code: "tool.version",
        says: ["k3d >=6, and 5.8.3 is installed", "devenv.yaml:3:18"],
        exit: 4,
        breaks: |it| {
            let asks = "requires: { k3d: '>=6' }\ncluster:";
            let asks = it.read_project("devenv.yaml").replace("cluster:", asks);
            it.write_project("devenv.yaml", &asks);
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "Helm fails whatever it is asked",
        code: "helm.failed",
        says: ["cannot ask helm for its version", "helm: cannot execute"],
        exit: 5,
        breaks: |it| {
            it.fake_tool("helm", "echo 'helm: cannot execute' >&2; exit 126");
            nothing()
        },
        doctor: false,
    },
    Broken {
        what: "a port is taken",
        code: "cluster.port-in-use",
        says: ["holds it: ", "--set cluster.ports.https="],
        exit: 4,
        breaks: |it| {
            let manifest = it.read_project("devenv.yaml");
            let port = manifest
                .split("https: ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next());
            let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
            Box::new(TcpListener::bind(("127.0.0.1", port)).expect("a free port"))
        },
        doctor: true,
    },
    Broken {
        what: "the settings of the machine are broken",
        code: "settings.invalid",
        says: ["unknown field `volums`", "known keys are"],
        exit: 3,
        breaks: |it| {
            it.write_home(".config/devenv/config.yaml", "volums: directory\n");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "there is no home",
        code: "state.no-home",
        says: ["neither XDG_CONFIG_HOME nor HOME", "export HOME="],
        exit: 4,
        breaks: |it| {
            it.set("HOME", "");
            nothing()
        },
        doctor: false,
    },
    Broken {
        what: "the home is no directory",
        code: "files.failed",
        says: [
            "Not a directory",
            "`/dev/null` stands where a directory should",
        ],
        exit: 4,
        breaks: |it| {
            it.set("HOME", "/dev/null");
            nothing()
        },
        doctor: false,
    },
    Broken {
        what: "the state is a file",
        code: "files.failed",
        says: [
            "Not a directory",
            "home/state` stands where a directory should",
        ],
        exit: 4,
        breaks: |it| {
            it.write_home("state", "");
            let state = at(it, "state");
            it.set("XDG_STATE_HOME", &state.display().to_string());
            nothing()
        },
        doctor: false,
    },
    Broken {
        what: "a newer devenv wrote the state",
        code: "state.newer",
        says: ["has form 99", "a newer one"],
        exit: 4,
        breaks: |it| {
            let state = state_of(it);
            fs::write(
                state.join("record.json"),
                r#"{ "schema": 99, "clusters": [] }"#,
            )
            .expect("it is there");
            nothing()
        },
        doctor: true,
    },
    Broken {
        what: "another command is at work",
        code: "lock.held",
        says: ["(devenv up, since ", "wait until it is done"],
        exit: 8,
        breaks: |it| {
            let socket = at(it, "held.sock");
            let silent = UnixListener::bind(&socket).expect("a fresh name");
            let mut other = it.command();
            other.args(UP).stdout(Stdio::null()).stderr(Stdio::null());
            other.env("DOCKER_HOST", format!("unix://{}", socket.display()));
            let other = Killed(other.spawn().expect("it can be started"));
            let lock = state_of(it).join("lock");
            let begun = Instant::now();
            while !fs::read(&lock).is_ok_and(|text| !text.is_empty()) {
                assert!(begun.elapsed() < SOON, "it never took the lock");
                std::thread::sleep(Duration::from_millis(5));
            }
            // It would have given docker up by the time that a busy machine comes to the next command.
            kill_process(Pid::from_child(&other.0), Signal::STOP).expect("it runs");
            Box::new((silent, other))
        },
        doctor: false,
    },
    Broken {
        what: "there is no project",
        code: "manifest.not-found",
        says: ["there is no `devenv.yaml`", "`devenv init` writes one"],
        exit: 3,
        breaks: |it| {
            remove(it, "project/devenv.yaml");
            nothing()
        },
        doctor: false,
    },
];

/// A command that ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nothing() -> Held {
    Box::new(())
}

/// A path below the home.
fn at(environment: &TestEnvironment, path: &str) -> PathBuf {
    environment.home().join(path)
}

fn remove(environment: &TestEnvironment, path: &str) {
    fs::remove_file(at(environment, "..").join(path)).expect("it is there");
}

/// Settings that name the tools of the environment.
fn settings(environment: &TestEnvironment) -> String {
    let k3d = at(environment, "..").join("bin/k3d");
    format!("binaries: {{ k3d: {:?} }}\n", k3d.display().to_string())
}

/// The directory of the environment's state, which a command has made that was refused.
fn state_of(environment: &TestEnvironment) -> PathBuf {
    let refused = [&UP[..], &["--set", "cluster.kubernetes=0.1"]].concat();
    let _ = environment.devenv(refused);
    let made = environment.devenv(["config", "set", "services.web.replicas=1"]);
    assert_eq!(made.code, Some(0), "{made}");
    let states = at(environment, ".local/state/devenv");
    let mut states = fs::read_dir(states).expect("it was made");
    states.next().expect("one").expect("it is listed").path()
}

/// What is whole before something is broken.
fn whole() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    environment.fake_tool("k3d", "echo k3d version v5.8.3");
    environment.fake_tool("helm", "echo v3.17.0");
    let socket = environment.home().join("docker.sock");
    empty_engine_at(&socket);
    environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    let free = [(); 3].map(|()| hold_port());
    let mut manifest = MANIFEST.to_owned();
    for (word, port) in ["HTTP", "TLS", "REGISTRY"].into_iter().zip(&free) {
        let port = port.local_addr().expect("it is bound").port();
        manifest = manifest.replace(word, &port.to_string());
    }
    environment.write_project("devenv.yaml", &manifest);
    environment
}

/// The ids of what `doctor` finds, or the codes of what keeps it from looking.
fn found(environment: &TestEnvironment) -> Vec<String> {
    let document = environment.devenv(["doctor", "-o", "json"]).document();
    let all = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let findings = all("findings").into_iter();
    let problems = findings.filter(|finding| finding["severity"] == "problem");
    let ids = problems.map(|finding| finding["id"].clone());
    let codes = all("failures").into_iter().map(|it| it["code"].clone());
    let text = |id: serde_json::Value| id.as_str().expect("a text").to_owned();
    ids.chain(codes).map(text).collect()
}

#[test]
fn each_of_twenty_broken_environments_is_told_in_one_message_with_what_mends_it() {
    for broken in BROKEN {
        let mut environment = whole();
        let held = (broken.breaks)(&mut environment);
        let begun = Instant::now();
        let output = environment.devenv(UP);
        let took = begun.elapsed();
        assert!(took < SOON, "{}: {took:?}", broken.what);
        assert_eq!(output.code, Some(broken.exit), "{}: {output}", broken.what);
        let said = &output.stderr;
        assert_eq!(
            said.matches("error[").count(),
            1,
            "{}: {output}",
            broken.what
        );
        let code = format!("error[{}]: ", broken.code);
        for word in [code.as_str(), "try:"].iter().chain(&broken.says) {
            assert!(said.contains(word), "{}: {word}: {output}", broken.what);
        }
        if broken.doctor {
            let found = found(&environment);
            assert!(
                found.iter().any(|id| id == broken.code),
                "{}: {found:?}",
                broken.what
            );
        }
        drop(held);
    }
}
