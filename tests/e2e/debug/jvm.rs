//! A service in Java under JDWP, with the debugger of the JDK.

use std::thread;

use serde_json::Value;

use super::{
    eventually, forwarded, get, gets_connections_as_before, interrupted, json_of, kubectl, pod_of,
    process_of,
};
use crate::{
    program::{BASE, Project, Running},
    say,
};

const SERVICES: &str = "services:
  greeter:
    build: greeter
    ports: [{ name: http, port: 8080 }]
    ready: { http: /healthz, within: 3m }
    debug: { runtime: jvm }
";

const GREETER: &str = r#"import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;

public class Greeter {
    static String greet(String name) {
        return "hello " + name;
    }

    static void answer(HttpExchange exchange) throws IOException {
        String name = exchange.getRequestURI().getPath().substring(1);
        byte[] text = (name.equals("healthz") ? "well" : greet(name)).getBytes();
        exchange.sendResponseHeaders(200, text.length);
        exchange.getResponseBody().write(text);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", Greeter::answer);
        server.start();
    }
}
"#;

/// The line that makes the greeting, which its probe does not come to.
const GREETS: &str = "stop at Greeter:8";
/// How often the probe asks in vain until the pod is not ready, as Kubernetes has it.
const UNREADY_AFTER: u64 = 3;

#[test]
fn a_java_service_stands_at_a_breakpoint_longer_than_its_probe_bears_and_everything_is_undone() {
    let project = Project::new("debug-jvm", SERVICES);
    write_greeter(&project);
    project.devenv(&["up", "--no-session"]).assert_code(0);
    a_request_stands_at_a_breakpoint(&project);
    nothing_runs_before_a_debugger_is_there(&project);
    project.end();
}

/// The image has no more of Java than the service needs, and what it is debugged with.
fn write_greeter(project: &Project) {
    let dockerfile = format!(
        "FROM {BASE}\nCOPY runtime /opt/java\nCOPY classes /app\nUSER 10001:10001\n\
         CMD [\"/opt/java/bin/java\", \"-cp\", \"/app\", \"Greeter\"]\n"
    );
    project.write("greeter/Dockerfile", &dockerfile);
    project.write("greeter/Greeter.java", GREETER);
    let compile = ["-g", "-d", "greeter/classes", "greeter/Greeter.java"];
    project.run("javac", &compile).assert_code(0);
    let modules = "java.base,jdk.httpserver,jdk.jdwp.agent";
    let link = ["--add-modules", modules, "--output", "greeter/runtime"];
    project.run("jlink", &link).assert_code(0);
}

fn a_request_stands_at_a_breakpoint(project: &Project) {
    let pods = project.pods();
    let (forward, greeter) = forwarded(project, "greeter");
    let mut debug = project.running(&["debug", "greeter", "--port", "0", "-o", "json"]);
    let told = json_of(&mut debug, "devenv.debug/1");
    assert_eq!(told["runtime"], "jvm", "{told}");
    assert!(variables(project).contains("jdwp"));
    let mut jdb = attached(project, &told);
    jdb.tell(GREETS);
    jdb.until_it_says("Set breakpoint Greeter:8");
    let asking = thread::spawn(move || get(&greeter, "/ann"));
    jdb.until_it_says("Greeter.greet(), line=8");
    jdb.tell("locals");
    jdb.until_it_says("name = \"ann\"");
    stands_longer_than_its_probe_bears(project);
    jdb.tell("clear Greeter:8");
    jdb.tell("cont");
    assert_eq!(asking.join().unwrap(), "hello ann");
    jdb.tell("exit");
    jdb.end().assert_code(0);
    interrupted(debug);
    assert_eq!(project.pods(), pods);
    is_as_before(project);
    interrupted(forward);
}

/// The kubelet asks in vain more often than it takes until a pod is not ready; the container is not started again.
fn stands_longer_than_its_probe_bears(project: &Project) {
    let pod = pod_of(project, "greeter");
    let events = format!("involvedObject.name={pod},reason=Unhealthy");
    let events = ["get", "events", "--field-selector", &events, "-o", "json"];
    let asked = || -> u64 {
        let events: Value = serde_json::from_str(&kubectl(project, &events)).unwrap();
        let events = events["items"].as_array().unwrap().iter();
        events.filter_map(|event| event["count"].as_u64()).sum()
    };
    let before = asked();
    let in_vain = eventually("the probe asks in vain", || {
        let in_vain = asked() - before;
        (in_vain > UNREADY_AFTER).then_some(in_vain)
    });
    let pod: Value =
        serde_json::from_str(&kubectl(project, &["get", "pod", &pod, "-o", "json"])).unwrap();
    let container = &pod["status"]["containerStatuses"][0];
    assert_eq!(container["ready"], false, "{container}");
    assert_eq!(container["restartCount"], 0, "{container}");
    say(&format!(
        "           the probe asked {in_vain} times in vain"
    ));
}

fn nothing_runs_before_a_debugger_is_there(project: &Project) {
    let words = ["debug", "greeter", "--wait", "--port", "0", "-o", "json"];
    let mut debug = project.running(&words);
    let told = json_of(&mut debug, "devenv.debug/1");
    let mut jdb = attached(project, &told);
    jdb.tell("stop in Greeter.main");
    jdb.until_it_says("Deferring breakpoint Greeter.main");
    jdb.tell("cont");
    jdb.until_it_says("Greeter.main(), line=20");
    jdb.tell("cont");
    let (forward, greeter) = forwarded(project, "greeter");
    eventually("the service answers", || {
        (get(&greeter, "/bob") == "hello bob").then_some(())
    });
    // It is ended with the debugger attached.
    interrupted(debug);
    drop(jdb);
    is_as_before(project);
    interrupted(forward);
}

fn attached(project: &Project, told: &Value) -> Running {
    let mut jdb = project.talking_to("jdb", &["-attach", told["address"].as_str().unwrap()]);
    jdb.until_it_says("Initializing jdb");
    jdb
}

fn is_as_before(project: &Project) {
    gets_connections_as_before(project, "greeter");
    assert!(!variables(project).contains("jdwp"));
    assert!(process_of(project, "greeter").contains("-cp /app Greeter"));
}

/// The variables of all processes in the container.
fn variables(project: &Project) -> String {
    let script = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'";
    let exec = ["exec", "greeter", "--no-tty", "--", "sh", "-c", script];
    project.devenv(&exec).assert_code(0).stdout
}
