//! Services under their debuggers, with clients of the debuggers' own protocols; and the ports that lead to them.

mod adapter;
mod delve;
mod inspector;
mod jvm;
mod killed;

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use self::{
    adapter::Adapter,
    inspector::{Inspector, get},
};
use crate::program::{Project, Running, text_of};

/// How long any condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A service of the shop, and one in Python.
const SERVICES: &str = r#"services:
  web:
    build: examples/shop/web
    ports: [{ name: http, port: 8080 }]
    env: { GATEWAY_URL: "http://gateway:8080" }
    ready: { http: /healthz, within: 3m }
    live: { sync: [src:/app/src] }
    debug: { runtime: node }
  greeter:
    build: greeter
    ports: [{ name: http, port: 8080 }]
    ready: { http: /healthz, within: 3m }
    debug: { runtime: python }
"#;

const GREETER: &str = r#"from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def greet(name):
    return f"hello {name}"


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        text = "well" if name == "healthz" else greet(name)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 8080), Greeter).serve_forever()
"#;

/// The line that makes the greeting, which its probe does not come to.
const GREETS: u64 = 5;

#[test]
fn a_breakpoint_is_hit_by_a_request_and_everything_is_undone() {
    let mut project = Project::new("debug", SERVICES);
    with_settings_of_pip(&mut project);
    project.copy("examples/shop/web");
    write_greeter(&project);
    project.devenv(&["up", "--no-session"]).assert_code(0);

    a_process_is_started_anew_in_its_container(&project);
    an_address_stays_when_the_pod_is_replaced(&project);
    a_shop_service_stands_at_a_breakpoint_of_nodes_inspector(&project);
    what_a_killed_debugging_left_is_undone(&project);
    a_python_service_stands_at_a_breakpoint_of_debugpy(&project);
    project.end();
}

/// The greeter, from the image that the shop's Python services begin with.
fn write_greeter(project: &Project) {
    let catalog = text_of("examples/shop/catalog/Dockerfile");
    let base = catalog.split_once("ENV SERVICE").unwrap().0;
    let dockerfile =
        format!("{base}COPY app.py .\nUSER 10001:10001\nCMD [\"python3\", \"app.py\"]\n");
    project.write("greeter/Dockerfile", &dockerfile);
    project.write("greeter/app.py", GREETER);
}

/// By which pip of this machine finds its packages.
fn with_settings_of_pip(project: &mut Project) {
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("PIP_")) {
        project.set(Box::leak(name.into_boxed_str()), value);
    }
}

/// What debugpy is told: a directory here is `/app` there.
fn same_as_app(here: &str) -> Value {
    json!({ "pathMappings": [{ "localRoot": here, "remoteRoot": "/app" }] })
}

fn a_process_is_started_anew_in_its_container(project: &Project) {
    let before = project.pods();
    let restart = ["restart", "web", "-o", "json"];
    let restarted = project.devenv(&restart).assert_code(0).json();
    assert_eq!(restarted["services"][0]["how"], "process", "{restarted}");
    let seconds = restarted["services"][0]["seconds"].as_f64().unwrap();
    crate::say(&format!(
        "           the process was ready after {:.0} ms",
        seconds * 1000.0
    ));
    assert_eq!(project.pods(), before);
    let restart = ["restart", "greeter", "--pods", "-o", "json"];
    let restarted = project.devenv(&restart).assert_code(0).json();
    assert_eq!(restarted["services"][0]["how"], "pods", "{restarted}");
    assert_ne!(project.pods(), before);
}

fn an_address_stays_when_the_pod_is_replaced(project: &Project) {
    let (forward, address) = forwarded(project, "greeter");
    assert_eq!(get(&address, "/ann"), "hello ann");
    let old = pod_of(project, "greeter");
    project
        .kubectl(&["delete", "pod", &old, "--wait=false"])
        .assert_code(0);
    // It waits for the next pod, however long that takes.
    assert_eq!(get(&address, "/bob"), "hello bob");
    eventually("another pod answers", || {
        (pod_of(project, "greeter") != old && get(&address, "/eve") == "hello eve").then_some(())
    });
    let taken = address.rsplit_once(':').unwrap().1;
    project
        .devenv(&["forward", "greeter", &format!("{taken}:8080")])
        .assert_code(4)
        .assert_says(&["host.port-in-use", "devenv", "0:8080"]);
    interrupted(forward);
}

fn a_shop_service_stands_at_a_breakpoint_of_nodes_inspector(project: &Project) {
    let pods = project.pods();
    let (forward, web) = forwarded(project, "web");
    project.write(
        ".vscode/launch.json",
        "{ \"configurations\": [] } // mine\n",
    );
    let words = [
        "debug", "web", "--port", "0", "--ide", "vscode", "-o", "json",
    ];
    let mut debug = project.running(&words);
    let told = json_of(&mut debug, "devenv.debug/1");
    assert_eq!(told["runtime"], "node", "{told}");
    let address = told["address"].as_str().unwrap();
    let launch = project.read(".vscode/launch.json");
    assert!(
        launch.contains("devenv: web") && launch.contains("// mine"),
        "{launch}"
    );
    assert_eq!(told["vscode"]["remoteRoot"], "/app/src");
    assert_eq!(
        service(project, "web")["spec"]["publishNotReadyAddresses"],
        true
    );

    let source = text_of("examples/shop/web/src/app.js");
    let reads = source
        .lines()
        .position(|line| line.contains("content = await fs.readFile"));
    let mut inspector = Inspector::attach(address);
    let breakpoint = json!({ "url": "file:///app/src/app.js", "lineNumber": reads });
    let set = inspector.ask("Debugger.setBreakpointByUrl", &breakpoint);
    assert_eq!(set["locations"].as_array().unwrap().len(), 1, "{set}");
    let asking = thread::spawn(move || get(&web, "/static/style.css"));
    let paused = inspector.wait_for("Debugger.paused");
    let frame = &paused["callFrames"][0];
    assert_eq!(frame["functionName"], "sendFile", "{paused}");
    assert_eq!(frame["location"]["lineNumber"], json!(reads));
    let name = json!({ "callFrameId": frame["callFrameId"], "expression": "name" });
    let name = inspector.ask("Debugger.evaluateOnCallFrame", &name);
    assert_eq!(name["result"]["value"], "style.css");
    // It stands longer than its probe bears; its pod stays.
    let unready = ["get", "pod", &pod_of(project, "web"), "-o", "json"];
    eventually("the pod is not ready", || {
        let pod: Value = serde_json::from_str(&kubectl(project, &unready)).unwrap();
        let ready = &pod["status"]["containerStatuses"][0]["ready"];
        (ready == false).then_some(())
    });
    let slices = [
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=web",
        "-o",
        "json",
    ];
    let slices: Value = serde_json::from_str(&kubectl(project, &slices)).unwrap();
    let conditions = &slices["items"][0]["endpoints"][0]["conditions"];
    assert_eq!(conditions["ready"], true, "it still gets its connections");
    inspector.ask("Debugger.resume", &json!({}));
    assert!(
        asking.join().unwrap().contains('{'),
        "the request is answered"
    );

    interrupted(debug);
    is_as_before(project, &pods);
    let launch = project.read(".vscode/launch.json");
    assert_eq!(launch, "{ \"configurations\": [] } // mine\n");
    interrupted(forward);
}

fn what_a_killed_debugging_left_is_undone(project: &Project) {
    let pods = project.pods();
    let mut debug = project.running(&["debug", "web", "--port", "0", "--ide", "jetbrains"]);
    debug.until_it_says("undoes all of it");
    let file = ".idea/runConfigurations/devenv_web.xml";
    assert!(project.read(file).contains("devenv: web"));
    project
        .devenv(&["debug", "web", "--port", "0"])
        .assert_code(8)
        .assert_says(&["debug.running"]);
    debug.kill();
    assert!(process_of(project, "web").contains("--inspect"));
    project.devenv(&["debug", "web", "--stop"]).assert_code(0);
    assert!(!project.directory().join(file).exists());
    is_as_before(project, &pods);
}

fn a_python_service_stands_at_a_breakpoint_of_debugpy(project: &Project) {
    let (forward, greeter) = forwarded(project, "greeter");
    let mut debug = project.running(&["debug", "greeter", "--port", "0", "-o", "json"]);
    let told = json_of(&mut debug, "devenv.debug/1");
    let address = told["address"].as_str().unwrap();
    let here = project.directory().join("greeter").display().to_string();
    let file = format!("{here}/app.py");
    let mut debugpy = Adapter::attach(address, &same_as_app(&here), &file, GREETS);
    let asking = thread::spawn(move || get(&greeter, "/ann"));
    let stopped = debugpy.event("stopped");
    assert_eq!(stopped["reason"], "breakpoint", "{stopped}");
    let thread = json!({ "threadId": stopped["threadId"] });
    let stack = debugpy.ask("stackTrace", &thread);
    let frame = &stack["stackFrames"][0];
    assert_eq!(
        (&frame["name"], &frame["line"]),
        (&json!("greet"), &json!(GREETS))
    );
    let name = json!({ "expression": "name", "frameId": frame["id"], "context": "watch" });
    assert_eq!(debugpy.ask("evaluate", &name)["result"], "'ann'");
    debugpy.ask("continue", &thread);
    assert_eq!(asking.join().unwrap(), "hello ann");
    // Another process, and then another pod: both run under their debuggers.
    let restarted = project.devenv(&["restart", "greeter", "-o", "json"]);
    assert_eq!(
        restarted.assert_code(0).json()["services"][0]["how"],
        "process"
    );
    assert!(process_of(project, "greeter").contains("debugpy"));
    let pod = pod_of(project, "greeter");
    project
        .kubectl(&["delete", "pod", &pod, "--wait=false"])
        .assert_code(0);
    debug.until_it_says("is debugged now");
    eventually("the new pod runs under its debugger", || {
        process_of(project, "greeter")
            .contains("debugpy")
            .then_some(())
    });
    debug.signal(Signal::TERM);
    debug.end().assert_code(0);
    assert!(!process_of(project, "greeter").contains("debugpy"));
    let left = ["exec", "greeter", "--no-tty", "--", "ls", "/.devenv"];
    assert!(
        !project
            .devenv(&left)
            .assert_code(0)
            .stdout
            .contains("debug")
    );
    interrupted(forward);
}

/// The pods are those of before, and `web` runs in its own as the image says.
fn is_as_before(project: &Project, pods: &[String]) {
    assert_eq!(project.pods(), pods);
    gets_connections_as_before(project, "web");
    let process = process_of(project, "web");
    assert!(!process.contains("--inspect"), "{process}");
}

/// The Kubernetes Service sends connections to ready pods alone, and carries no mark.
fn gets_connections_as_before(project: &Project, name: &str) {
    let service = service(project, name);
    assert!(
        service["spec"]["publishNotReadyAddresses"].is_null(),
        "{service}"
    );
    let mark = &service["metadata"]["annotations"]["devenv.debug"];
    assert!(mark.is_null(), "{service}");
}

/// Has a service answer on this machine, for as long as the first lives.
fn forwarded(project: &Project, service: &str) -> (Running, String) {
    let mut forward = project.running(&["forward", service, "0:8080", "-o", "json"]);
    let told = json_of(&mut forward, "devenv.forward/1");
    let address = told["ports"][0]["address"].as_str().unwrap().to_owned();
    (forward, address)
}

fn interrupted(running: Running) {
    running.signal(Signal::INT);
    running.end().assert_code(0);
}

fn service(project: &Project, name: &str) -> Value {
    serde_json::from_str(&kubectl(project, &["get", "service", name, "-o", "json"])).unwrap()
}

fn kubectl(project: &Project, words: &[&str]) -> String {
    let kubeconfig = project.kubeconfig().display().to_string();
    let words = [&["--kubeconfig", &kubeconfig], words].concat();
    project.quietly("kubectl", &words)
}

/// The pod of a service that is to stay.
fn pod_of(project: &Project, service: &str) -> String {
    let prefix = format!("{service}-");
    let mut pods = project.pods();
    pods.retain(|pod| pod.starts_with(&prefix));
    pods.pop().unwrap_or_default()
}

/// The command lines of all processes in a container.
fn process_of(project: &Project, service: &str) -> String {
    let script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
    let exec = ["exec", service, "--no-tty", "--", "sh", "-c", script];
    let all = project.devenv(&exec).assert_code(0).stdout;
    all.replace(script, "")
}

/// The document of a command that runs on.
fn json_of(running: &mut Running, schema: &str) -> Value {
    let find = |said: &str| -> Option<Value> {
        let mut lines = said.lines().filter(|line| line.contains(schema));
        serde_json::from_str(lines.next()?).ok()
    };
    running.until_it_says(schema);
    find(&running.said()).unwrap_or_else(|| panic!("{}", running.said()))
}

#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came to: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}
