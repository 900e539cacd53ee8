//! Failures explained: real faults on a real cluster, met as a user meets them.

mod disk;
mod images;
mod machine;
mod memory;
mod scene;

use std::{
    fs::OpenOptions,
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use self::scene::{Scene, assert_is_failure_document, place_of};
use crate::program::Run;

/// The services that are broken at first, with the code and what the place of each failure shows.
const BROKEN: [(&str, &str, &str, &str); 7] = [
    ("nobuild", "image.build-failed", "nobuild/Dockerfile", "RUN"),
    ("big", "service.unschedulable", "devenv.yaml", "cpu: 64"),
    ("crash", "service.crash-loop", "devenv.yaml", "build: crash"),
    ("deaf", "service.probe-failing", "devenv.yaml", "ready:"),
    (
        "nocommand",
        "service.cannot-start",
        "devenv.yaml",
        "/app/server",
    ),
    (
        "noimage",
        "service.image-unavailable",
        "devenv.yaml",
        "image: nobody",
    ),
    (
        "oom",
        "service.out-of-memory",
        "devenv.yaml",
        "memory: 32Mi",
    ),
];

const BAD: &str = r#"services:
  healthy:
    build: app
    command: [perl, /serve.pl, alive]
    ports: [8080]
    expose: { host: healthy.localhost }
  crash:
    build: crash
  waiting:
    build: app
    command: [sleep, infinity]
    dependsOn: [crash]
  noimage:
    image: nobody.invalid/has/this:1
  nobuild:
    build: nobuild
  oom:
    build: app
    command: [perl, -e, "my $all = 'x' x (200 << 20); sleep"]
    resources: { limits: { memory: 32Mi } }
  big:
    build: app
    command: [sleep, infinity]
    resources: { requests: { cpu: 64 } }
  deaf:
    build: app
    command: [sh, -c, "echo nobody listens here; exec sleep infinity"]
    ports: [8080]
    ready: { http: /healthz, within: 10s }
  nocommand:
    build: app
    command: [/app/server, --port, "8080"]
"#;

const CRASH: &str = "FROM debian:bookworm-slim\n\
    CMD [\"sh\", \"-c\", \"exec >&2; echo starting; echo no such table: payments; exit 3\"]\n";
const NO_BUILD: &str = "FROM debian:bookworm-slim\nWORKDIR /app\n\
    RUN exec >&2; echo compiling; echo \"main.c:3: expected ;\"; exit 2\nCMD [\"sleep\", \"infinity\"]\n";

#[test]
fn what_fails_is_explained_and_mended_and_the_rest_stays_up() {
    let scene = Scene::new("failures");
    scene.write("crash/Dockerfile", CRASH);
    scene.write("nobuild/Dockerfile", NO_BUILD);
    scene.manifest(BAD);

    many_services_fail_side_by_side(&scene);
    the_next_run_tells_the_same_in_words(&scene);
    mending_touches_only_what_was_broken(&scene);
    a_service_broken_by_an_edit_goes_on_serving(&scene);
    what_is_written_while_an_up_reads_it_is_looked_at_again(&scene);
    images::an_image_that_cannot_be_had_or_run_is_told_with_its_reason(&scene);
    memory::a_node_that_runs_out_of_memory_is_told_and_the_others_go_on(&scene);
    a_service_that_dies_while_another_is_waited_for_is_told(&scene);
    a_killed_helm_is_repaired(&scene);
    a_cluster_changed_by_hand_is_put_right(&scene);
    what_does_not_go_holds_up_no_down(&scene);
    scene.end();
}

fn many_services_fail_side_by_side(scene: &Scene) {
    let up = scene.devenv(&["up", "-o", "json"]).assert_code(5);
    assert_is_failure_document(&up);
    let told = up.json();
    let told = told["failures"].as_array().unwrap();
    let names: Vec<_> = told.iter().map(|failure| &failure["service"]).collect();
    assert_eq!(names, BROKEN.map(|(service, ..)| service), "{up}");
    for ((service, code, file, text), failure) in BROKEN.iter().zip(told) {
        assert_eq!(failure["code"], *code, "{service}: {failure:#}");
        let place = (
            failure["place"]["file"].as_str().unwrap(),
            failure["place"]["line"].as_u64(),
        );
        assert_eq!(
            place,
            (*file, place_of(&scene.read(file), text)),
            "{service}"
        );
        assert!(!failure["help"].as_array().unwrap().is_empty(), "{service}");
        // Kubernetes has no part in a build.
        assert_eq!(
            evidence(failure, "kubernetes").is_empty(),
            *service == "nobuild",
            "{failure:#}"
        );
    }
    let lines = |index: usize, title: &str| evidence(&told[index], title);
    assert_eq!(
        lines(0, "last log lines of the build"),
        ["compiling", "main.c:3: expected ;"]
    );
    assert_eq!(
        lines(2, "last log lines of crash"),
        ["starting", "no such table: payments"]
    );
    assert_eq!(lines(2, "blocked by it"), ["waiting"]);
    assert_eq!(lines(3, "last log lines of deaf"), ["nobody listens here"]);
    assert!(lines(2, "kubernetes")[0].starts_with("Back-off restarting failed container"));

    scene.assert_serves("healthy", "alive");
    assert_eq!(scene.states()["healthy"], "ready");
    assert_eq!(scene.states()["waiting"], "absent");
    // The last to be known: the probe of `deaf`, 10 s after it was deployed.
    let run = scene.last_run();
    let slowest = [
        ("big", 5),
        ("noimage", 15),
        ("nocommand", 15),
        ("crash", 25),
        ("oom", 25),
        ("deaf", 14),
    ];
    for (service, seconds) in slowest {
        let took = run.step(&format!("ready:{service}")).took;
        assert!(
            took < Duration::from_secs(seconds),
            "{service} took {took:?}"
        );
    }
    let last = BROKEN
        .iter()
        .map(|(service, ..)| run.ended(service))
        .max()
        .unwrap();
    assert!(
        up.took < last + Duration::from_secs(3),
        "known after {last:?}\n{up}"
    );
}

fn evidence(failure: &serde_json::Value, title: &str) -> Vec<String> {
    let all = failure["evidence"].as_array().unwrap().iter();
    let mut found = all.filter(|evidence| evidence["title"] == title);
    let lines = found
        .next()
        .map(|evidence| evidence["lines"].as_array().unwrap());
    let lines = lines
        .into_iter()
        .flatten()
        .map(|line| line.as_str().unwrap().to_owned());
    lines.collect()
}

/// What is deployed already is not deployed again.
fn the_next_run_tells_the_same_in_words(scene: &Scene) {
    let pods = scene.pods();
    let up = scene.devenv(&["up"]).assert_code(5).assert_says(&[
        "error[image.build-failed]: the image of nobuild cannot be built: `RUN exec",
        "it ended with exit code 2",
        "error[service.unschedulable]: no node can take big",
        "its pod asks for 64 CPU, more than any node has left",
        "error[service.crash-loop]: crash stops with exit code 3",
        "blocked by it: waiting",
        "error[service.probe-failing]: deaf runs, but its readiness probe fails",
        "it was not ready within 10 s",
        "error[service.cannot-start]: the command of nocommand cannot be run: /app/server",
        "there is no `/app/server` in the image",
        "error[service.image-unavailable]: the image of noimage cannot be had: nobody.invalid/has/this:1",
        "docker pull nobody.invalid/has/this:1",
        "error[service.out-of-memory]: oom was killed for its memory use (OOMKilled)",
        "allow more: `resources: { limits: { memory: 64Mi } }`",
        "7 errors in 2 files",
    ]);
    up.assert_within(Duration::from_secs(30));
    assert_eq!(scene.pods(), pods);
    // The other code, where no build fails.
    let one = scene.devenv(&["up", "nocommand"]).assert_code(6);
    one.assert_within(Duration::from_secs(20));
}

fn mending_touches_only_what_was_broken(scene: &Scene) {
    scene.write(
        "crash/Dockerfile",
        &CRASH.replace("exit 3", "exec sleep infinity"),
    );
    scene.write("nobuild/Dockerfile", &NO_BUILD.replace("; exit 2", ""));
    let mended = BAD
        .replace(
            "image: nobody.invalid/has/this:1",
            "build: app\n    command: [sleep, infinity]",
        )
        .replace("memory: 32Mi", "memory: 512Mi")
        .replace("cpu: 64", "cpu: 10m")
        .replace(
            "echo nobody listens here; exec sleep infinity",
            "exec perl /serve.pl heard",
        )
        .replace(
            "[/app/server, --port, \"8080\"]",
            "[perl, /serve.pl, found]",
        );
    scene.manifest(&mended);
    let pod = scene.pod("healthy");
    let up = scene.devenv(&["up", "-o", "json"]).assert_code(0);
    let services = up.json()["services"].as_array().unwrap().clone();
    assert_eq!(services.len(), 9);
    assert!(
        services.iter().all(|service| service["state"] == "ready"),
        "{up}"
    );
    assert_eq!(scene.pod("healthy"), pod, "what was healthy was touched");
    assert!(
        !scene
            .last_run()
            .steps()
            .any(|step| step.ends_with(":healthy"))
    );
    scene.devenv(&["plan", "--exit-code"]).assert_code(0);
    // The rest goes on with what is needed.
    let rest = mended.split_once("  crash:").unwrap().0;
    scene.manifest(rest);
    scene.devenv(&["up"]).assert_code(0);
}

fn a_service_broken_by_an_edit_goes_on_serving(scene: &Scene) {
    let pod = scene.pod("healthy");
    let good = scene.read("devenv.yaml");
    scene.write(
        "devenv.yaml",
        &good.replace("[perl, /serve.pl, alive]", "[perl, -e, die 42]"),
    );
    let up = scene.devenv(&["up"]).assert_code(6);
    let up = up.assert_says(&[
        "error[service.crash-loop]: healthy stops with exit code 255",
        "command: [perl, -e, die 42]",
        "42 at -e line 1",
    ]);
    up.assert_within(Duration::from_secs(30));
    scene.assert_serves("healthy", "alive");
    assert!(scene.pods().contains(&pod), "the pod that served is gone");
    let status = scene.devenv(&["status"]).assert_code(6);
    status.assert_says(&["failed", "stops with exit code 255"]);
    scene.write("devenv.yaml", &good);
    scene.devenv(&["up"]).assert_code(0);
    assert_eq!(
        scene.pod("healthy"),
        pod,
        "the pod that served was replaced"
    );
}

/// As a build of this machine does, or whoever saves twice.
fn what_is_written_while_an_up_reads_it_is_looked_at_again(scene: &Scene) {
    // A disk that is busy may hold up the writer for as long as an `up` reads.
    let looked_again = (0..5).any(|_| looks_again_beside_a_writer(scene));
    assert!(looked_again, "it never looked again");
    scene.assert_serves_at_once("healthy", "alive");
    scene.devenv(&["plan", "--exit-code"]).assert_code(0);
}

fn looks_again_beside_a_writer(scene: &Scene) -> bool {
    let path = scene.directory().join("app/beside");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let rests = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = Rest(&rests);
        scope.spawn(|| {
            while !rests.load(Ordering::SeqCst) {
                file.write_all(b"more").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut up = scene.running(&["up"]);
        let looks_again = up.until_it_says_or_ends("once more, with what they are now");
        drop(end);
        up.end().assert_code(0);
        looks_again
    })
}

/// Ends the writing, however the test ends.
struct Rest<'a>(&'a AtomicBool);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// It counts as ready after 3 s, runs twice for 6 s, and is in back-off when the slow one is ready.
fn a_service_that_dies_while_another_is_waited_for_is_told(scene: &Scene) {
    let before = scene.read("devenv.yaml");
    let pair = "  fading: { build: app, command: [sh, -c, sleep 6; exit 4] }\n\
                \x20 slow:\n    build: app\n    command: [sh, -c, sleep 16; touch /go; exec sleep infinity]\n\
                \x20   ready: { command: [test, -e, /go] }\n";
    scene.write("devenv.yaml", &format!("{before}{pair}"));
    scene.devenv(&["up"]).assert_code(6).assert_says(&[
        "error[service.crash-loop]: fading stops with exit code 4",
        "sleep 6; exit 4",
    ]);
    let run = scene.last_run();
    assert!(run.step("ready:slow").took > Duration::from_secs(8));
    scene.write("devenv.yaml", &before);
    what_a_finalizer_keeps_is_named(scene);
    scene.devenv(&["up"]).assert_code(0);
}

/// A service that left the manifest is removed, and an object of it does not go.
fn what_a_finalizer_keeps_is_named(scene: &Scene) {
    let patch = |finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        let words = [
            "patch",
            "deployment",
            "slow",
            "--type",
            "merge",
            "-p",
            &patch,
        ];
        scene.kubectl(&words).assert_code(0);
    };
    patch(r#"["example.com/never"]"#);
    let up = scene.devenv(&["up"]).assert_code(5);
    up.assert_within(Duration::from_secs(40)).assert_says(&[
        "error[helm.held]: slow was deleted and does not go",
        "Deployment slow is kept by its finalizer example.com/never",
        "patch deployment slow --type merge",
    ]);
    patch("null");
}

/// With the nodes goes all that is in them, whoever waits for whom there.
fn what_does_not_go_holds_up_no_down(scene: &Scene) {
    let never = r#"{"metadata":{"finalizers":["example.com/never"]}}"#;
    let patch = [
        "patch",
        "deployment",
        "healthy",
        "--type",
        "merge",
        "-p",
        never,
    ];
    scene.kubectl(&patch).assert_code(0);
    let delete = ["delete", "deployment", "healthy", "--wait=false"];
    scene.kubectl(&delete).assert_code(0);
    let down = scene.devenv(&["down", "--yes"]).assert_code(0);
    down.assert_within(Duration::from_secs(40));
    scene.devenv(&["status"]).assert_code(5);
}

/// Helm waits for a hook of the chart when both are killed, so that the release stays `pending-install`.
fn a_killed_helm_is_repaired(scene: &Scene) {
    let before = scene.read("devenv.yaml");
    let image = scene.image_of("healthy");
    scene.write(
        "charts/slow/Chart.yaml",
        "apiVersion: v2\nname: slow\nversion: 0.1.0\n",
    );
    scene.write("charts/slow/templates/pod.yaml", &scene::hook(&image));
    scene.write(
        "devenv.yaml",
        &format!("{before}  slow:\n    chart: {{ path: charts/slow }}\n"),
    );
    let log = scene.home().join("killed.log");
    let devenv = scene.start(&["up", "slow"], &log);
    scene::until("the release is pending", || {
        let words = [
            "get",
            "secrets",
            "-l",
            "owner=helm,name=slow,status=pending-install",
            "-o",
            "name",
        ];
        !scene.kubectl(&words).assert_code(0).stdout.is_empty()
    });
    scene::kill_with_children(devenv);
    scene.write("charts/slow/templates/pod.yaml", &scene::deployment(&image));
    let up = scene.devenv(&["up"]).assert_code(0);
    up.assert_says(&["repair the release of slow"]);
    assert_eq!(scene.states()["slow"], "ready");
    scene.write("devenv.yaml", &before);
    scene.devenv(&["up"]).assert_code(0);
}

fn a_cluster_changed_by_hand_is_put_right(scene: &Scene) {
    let containers = scene.containers();
    let names: Vec<&str> = containers.iter().map(String::as_str).collect();
    let the = |role: &str| *names.iter().find(|name| name.ends_with(role)).unwrap();
    let docker = |words: &[&str]| -> Run { scene.run("docker", words).assert_code(0) };
    let comes_back = |what: &str| {
        scene.devenv(&["status"]).assert_code(5);
        let up = scene.devenv(&["up"]).assert_code(0).assert_says(&[what]);
        // Its pod is ready before the ingress is, and that is waited for.
        assert!(!up.stdout.contains("no pod of it is wanted"), "{up}");
        scene.assert_serves_at_once("healthy", "alive");
        scene.devenv(&["plan", "--exit-code"]).assert_code(0);
    };
    docker(&["stop", "--time", "1", the("serverlb")]);
    comes_back("start the cluster");
    docker(&["pause", the("server-0")]);
    comes_back("start the cluster");
    docker(&["kill", the("server-0")]);
    comes_back("start the cluster");
    docker(&[
        "stop",
        "--time",
        "1",
        the("serverlb"),
        the("server-0"),
        the("registry"),
    ]);
    comes_back("start the image registry");

    docker(&["rm", "--force", "--volumes", the("registry")]);
    scene.write(
        "app/Dockerfile",
        &format!("{}RUN true\n", scene.read("app/Dockerfile")),
    );
    scene
        .devenv(&["up"])
        .assert_code(0)
        .assert_says(&["start the image registry"]);
    scene.assert_serves("healthy", "alive");

    docker(&["rm", "--force", "--volumes", the("server-0")]);
    let status = scene.devenv(&["status"]).assert_code(5);
    status.assert_says(&["the container of its server was removed", "devenv up"]);
    comes_back("remove what is left of the cluster");
}
