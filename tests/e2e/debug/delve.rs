//! The shop's Go service under Delve, with a client of the Debug Adapter Protocol.

use std::{io::Write as _, net::TcpStream, thread};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    adapter::Adapter,
    eventually, forwarded, gets_connections_as_before,
    inspector::{connect, get},
    interrupted, json_of, pod_of,
};
use crate::program::{Project, text_of};

const INVENTORY: &str = "examples/shop/inventory";

/// The service and its database, with arguments for the build.
fn services(arguments: &str) -> String {
    format!(
        "services:
  postgres:
    build: examples/shop/postgres
    ports: [5432]
    ready: {{ command: [pg_isready, -U, shop], within: 3m }}
  inventory:
    build: {{ context: {INVENTORY}, args: {{ {arguments} }} }}
    ports: [{{ name: http, port: 8080 }}]
    env: {{ DATABASE_URL: \"postgres://shop:shop@postgres:5432/shop\" }}
    dependsOn: [postgres]
    ready: {{ http: /healthz, within: 3m }}
    debug: {{ runtime: go }}
"
    )
}

/// As the Dockerfile says that it is built to be debugged.
const WITH_INFORMATION: &str = r#"VERSION: "1.0", STRIP: "", GCFLAGS: "-N -l""#;

#[test]
fn a_go_service_stands_at_a_breakpoint_of_delve_and_everything_is_undone() {
    let mut project = Project::new("debug-go", &services(r#"VERSION: "1.0""#));
    project.copy("examples/shop/postgres");
    project.copy(INVENTORY);
    project.devenv(&["up", "--no-session"]).assert_code(0);

    a_delve_that_does_not_run_in_any_container_is_refused(&mut project);
    a_program_without_debug_information_is_told_with_how_to_build_it(&project);
    project.manifest(&services(WITH_INFORMATION));
    project.devenv(&["up", "--no-session"]).assert_code(0);
    a_request_stands_at_a_breakpoint(&project);
    what_was_killed_while_it_stands_is_undone_by_the_next_up(&project);
    what_is_ended_while_it_begins_leaves_nothing(&project);
    nothing_runs_before_a_debugger_is_there(&project);
    project.end();
}

fn a_delve_that_does_not_run_in_any_container_is_refused(project: &mut Project) {
    project.write("bin/dlv", "#!/bin/sh\n");
    let bin = project.directory().join("bin").display().to_string();
    project.set("PATH", format!("{bin}:/usr/bin:/bin"));
    project
        .devenv(&["debug", "inventory", "--port", "0"])
        .assert_code(4)
        .assert_says(&["debug.no-debugger", "bin/dlv", "CGO_ENABLED=0 go install"]);
    project.unset("PATH");
}

fn a_program_without_debug_information_is_told_with_how_to_build_it(project: &Project) {
    let before = running(project);
    project
        .devenv(&["debug", "inventory", "--port", "0"])
        .assert_code(4)
        .assert_says(&["debug.no-information", "-ldflags", "-gcflags"]);
    assert_eq!(running(project), before, "it was not even started anew");
    is_without_delve(project);
}

fn a_request_stands_at_a_breakpoint(project: &Project) {
    let pod = pod_of(project, "inventory");
    let (forward, inventory) = forwarded(project, "inventory");
    let words = [
        "debug",
        "inventory",
        "--port",
        "0",
        "--ide",
        "vscode",
        "-o",
        "json",
    ];
    let mut debug = project.running(&words);
    let told = json_of(&mut debug, "devenv.debug/1");
    assert_eq!(told["runtime"], "go", "{told}");
    let mut delve = attached(
        project,
        &told,
        "stock.go",
        "SELECT available FROM stock WHERE",
    );
    for (sku, left) in [("mug", 120), ("chair", 3)] {
        let address = inventory.clone();
        let asking = thread::spawn(move || get(&address, &format!("/stock/{sku}")));
        let frame = stands_in(&mut delve, "main.(*store).level");
        assert_eq!(value(&mut delve, &frame, "sku"), format!("{sku:?}"));
        assert_eq!(value(&mut delve, &frame, "level.Available"), "0");
        delve.ask("continue", &json!({ "threadId": frame["thread"] }));
        let answer: Value = serde_json::from_str(&asking.join().unwrap()).unwrap();
        assert_eq!(answer, json!({ "sku": sku, "available": left }));
    }
    // It is ended while it stands, with a debugger attached.
    let unanswered = asked(&inventory, "/stock/lamp");
    stands_in(&mut delve, "main.(*store).level");
    interrupted(debug);
    drop(unanswered);
    assert_eq!(pod_of(project, "inventory"), pod);
    is_as_before(project);
    assert!(!project.directory().join(".vscode/launch.json").exists());
    eventually("the service answers", || {
        get(&inventory, "/stock/plant").contains("60").then_some(())
    });
    interrupted(forward);
}

/// Delve leaves the program standing when nobody is attached any more: it would never be ready again.
fn what_was_killed_while_it_stands_is_undone_by_the_next_up(project: &Project) {
    let (forward, inventory) = forwarded(project, "inventory");
    let mut debug = project.running(&["debug", "inventory", "--port", "0", "-o", "json"]);
    let told = json_of(&mut debug, "devenv.debug/1");
    let mut delve = attached(
        project,
        &told,
        "stock.go",
        "SELECT available FROM stock WHERE",
    );
    let unanswered = asked(&inventory, "/stock/lamp");
    stands_in(&mut delve, "main.(*store).level");
    debug.kill();
    project
        .devenv(&["up", "--no-session"])
        .assert_code(0)
        .assert_says(&["undid what a killed `devenv debug inventory` had left"]);
    drop(unanswered);
    is_as_before(project);
    assert!(get(&inventory, "/stock/plant").contains("60"));
    interrupted(forward);
}

/// Delve may have started the program already and not listen for signals yet.
fn what_is_ended_while_it_begins_leaves_nothing(project: &Project) {
    let mut debug = project.running(&["debug", "inventory", "--port", "0"]);
    debug.until("Delve runs", || {
        processes(project)
            .iter()
            .any(|line| line.contains("--headless"))
    });
    interrupted(debug);
    is_as_before(project);
    let (forward, inventory) = forwarded(project, "inventory");
    assert!(get(&inventory, "/stock/plant").contains("60"));
    interrupted(forward);
}

fn nothing_runs_before_a_debugger_is_there(project: &Project) {
    let words = ["debug", "inventory", "--wait", "--port", "0", "-o", "json"];
    let mut debug = project.running(&words);
    let told = json_of(&mut debug, "devenv.debug/1");
    let mut delve = attached(project, &told, "main.go", "store, err := openStore");
    let frame = stands_in(&mut delve, "main.run");
    assert_eq!(value(&mut delve, &frame, "version"), "\"1.0\"");
    delve.ask("continue", &json!({ "threadId": frame["thread"] }));
    let (forward, inventory) = forwarded(project, "inventory");
    eventually("the service answers", || {
        get(&inventory, "/healthz").contains("ok").then_some(())
    });
    interrupted(forward);
    debug.signal(Signal::TERM);
    debug.end().assert_code(0);
    is_as_before(project);
}

/// A request whose answer nobody waits for.
fn asked(address: &str, path: &str) -> TcpStream {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Attaches as the configuration for VS Code says, with a breakpoint at the line of a file that holds `text`.
fn attached(project: &Project, told: &Value, file: &str, text: &str) -> Adapter {
    let workspace = project.directory().display().to_string();
    let mut arguments = told["vscode"].clone();
    let from = arguments["substitutePath"][0]["from"].as_str().unwrap();
    let here = from.replace("${workspaceFolder}", &workspace);
    arguments["substitutePath"][0]["from"] = json!(here);
    let source = text_of(&format!("{INVENTORY}/{file}"));
    let line = source.lines().position(|line| line.contains(text)).unwrap();
    let line = u64::try_from(line).unwrap() + 1;
    let address = told["address"].as_str().unwrap();
    Adapter::attach(address, &arguments, &format!("{here}/{file}"), line)
}

/// Waits until it stands in a function: the frame, with its thread.
fn stands_in(delve: &mut Adapter, function: &str) -> Value {
    let stopped = delve.event("stopped");
    assert_eq!(stopped["reason"], "breakpoint", "{stopped}");
    let thread = &stopped["threadId"];
    let stack = delve.ask("stackTrace", &json!({ "threadId": thread }));
    let mut frame = stack["stackFrames"][0].clone();
    assert_eq!(frame["name"], function, "{stack}");
    frame["thread"] = thread.clone();
    frame
}

fn value(delve: &mut Adapter, frame: &Value, expression: &str) -> String {
    let asked = json!({ "expression": expression, "frameId": frame["id"], "context": "watch" });
    let value = delve.ask("evaluate", &asked);
    value["result"].as_str().unwrap().to_owned()
}

fn is_as_before(project: &Project) {
    gets_connections_as_before(project, "inventory");
    is_without_delve(project);
    let running = running(project);
    assert_eq!(running.len(), 1, "{running:?}");
}

/// The processes of the service, as its node sees them; its image has no shell to ask.
fn running(project: &Project) -> Vec<String> {
    let mut found = processes(project);
    found.retain(|line| {
        line.split_once(' ')
            .is_some_and(|(_, command)| command == "/inventory")
    });
    found
}

/// Delve runs nowhere, and what was brought is gone.
fn is_without_delve(project: &Project) {
    let processes = processes(project);
    assert!(
        !processes.iter().any(|line| line.contains("dlv")),
        "{processes:?}"
    );
    let words = [
        "exec",
        "inventory",
        "--no-tty",
        "--",
        "/.devenv/debug/dlv",
        "version",
    ];
    let run = project.devenv(&words);
    assert_ne!(run.code, Some(0), "{run}");
}

fn processes(project: &Project) -> Vec<String> {
    let server = format!("k3d-{}-server-0", project.cluster_name());
    let script =
        "cd /proc; for p in [0-9]*; do echo $p $(tr '\\0' ' ' <$p/cmdline); done 2>/dev/null";
    let all = project.quietly("docker", &["exec", &server, "sh", "-c", script]);
    all.lines().map(str::to_owned).collect()
}
