//! What a `debug` that was killed has left is undone by whichever command comes next.

use serde_json::json;

use super::{
    SERVICES, adapter::Adapter, eventually, forwarded, get, gets_connections_as_before,
    interrupted, json_of, process_of, same_as_app, service, with_settings_of_pip, write_greeter,
};
use crate::program::Project;

const LAUNCH: &str = ".vscode/launch.json";
const BEFORE: &str = "{ \"configurations\": [] } // mine\n";
const UNDOES: &str = "undid what a killed `devenv debug greeter` had left";
/// The first line that runs.
const IMPORTS: u64 = 1;

#[test]
fn whichever_command_comes_next_undoes_what_a_killed_debugging_left() {
    let (services, greeter) = SERVICES.split_once("  web:").unwrap();
    let (_, greeter) = greeter.split_once("  greeter:").unwrap();
    let live = "    live: { sync: [app.py:/app/app.py] }\n";
    let services = format!("{services}  greeter:{greeter}{live}");
    let mut project = Project::new("debug-killed", &services);
    with_settings_of_pip(&mut project);
    write_greeter(&project);
    project.write(LAUNCH, BEFORE);
    project.devenv(&["up", "--no-session"]).assert_code(0);

    a_debugging_that_runs_is_left_alone(&project);
    the_next_command_undoes_it(&project);
    a_cluster_that_was_stopped_meanwhile_is_as_before_when_it_is_up(&project);
    a_configuration_that_is_to_stay_stays(&project);
    nothing_runs_before_a_debugger_is_there(&project);
    a_session_that_starts_undoes_it(&project);
    what_is_for_an_ide_is_put_back_without_a_cluster(project);
}

fn a_debugging_that_runs_is_left_alone(project: &Project) {
    let mut debug = project.running(&["debug", "greeter", "--port", "0"]);
    debug.until_it_says("undoes all of it");
    let up = project.devenv(&["up", "--no-session"]).assert_code(0);
    assert!(!up.stderr.contains(UNDOES), "{up}");
    assert!(process_of(project, "greeter").contains("debugpy"));
    interrupted(debug);
    is_as_before(project);
}

fn the_next_command_undoes_it(project: &Project) {
    for next in [["up", "--no-session"], ["restart", "greeter"]] {
        let pods = project.pods();
        killed(project);
        project.devenv(&next).assert_code(0).assert_says(&[UNDOES]);
        assert_eq!(project.pods(), pods);
        is_as_before(project);
        let again = project.devenv(&next).assert_code(0);
        assert!(!again.stderr.contains(UNDOES), "{again}");
    }
}

fn a_cluster_that_was_stopped_meanwhile_is_as_before_when_it_is_up(project: &Project) {
    killed(project);
    let server = format!("k3d-{}-server-0", project.cluster_name());
    project.run("docker", &["stop", &server]).assert_code(0);
    project
        .devenv(&["up", "--no-session"])
        .assert_code(0)
        .assert_says(&[UNDOES]);
    is_as_before(project);
}

fn a_configuration_that_is_to_stay_stays(project: &Project) {
    let words = [
        "debug",
        "greeter",
        "--port",
        "0",
        "--ide",
        "vscode",
        "--keep-ide",
    ];
    for is_killed in [false, true] {
        project.write(LAUNCH, BEFORE);
        let mut debug = project.running(&words);
        debug.until_it_says("undoes all of it");
        if is_killed {
            debug.kill();
            project
                .devenv(&["debug", "greeter", "--stop"])
                .assert_code(0);
        } else {
            interrupted(debug);
        }
        assert!(project.read(LAUNCH).contains("devenv: greeter"));
        assert!(!process_of(project, "greeter").contains("debugpy"));
    }
    project.write(LAUNCH, BEFORE);
}

fn nothing_runs_before_a_debugger_is_there(project: &Project) {
    let words = ["debug", "greeter", "--wait", "--port", "0", "-o", "json"];
    let mut debug = project.running(&words);
    let told = json_of(&mut debug, "devenv.debug/1");
    let here = project.directory().join("greeter").display().to_string();
    let (address, file) = (told["address"].as_str().unwrap(), format!("{here}/app.py"));
    let mut debugpy = Adapter::attach(address, &same_as_app(&here), &file, IMPORTS);
    let stopped = debugpy.event("stopped");
    let thread = json!({ "threadId": stopped["threadId"] });
    let stack = debugpy.ask("stackTrace", &thread);
    assert_eq!(stack["stackFrames"][0]["line"], IMPORTS, "{stack}");
    debugpy.ask("continue", &thread);
    let (forward, greeter) = forwarded(project, "greeter");
    eventually("the service answers", || {
        (get(&greeter, "/ann") == "hello ann").then_some(())
    });
    interrupted(forward);
    interrupted(debug);
    is_as_before(project);
}

/// As after the end of all processes at once.
fn a_session_that_starts_undoes_it(project: &Project) {
    project.devenv(&["up"]).assert_code(0);
    killed(project);
    let session = ["session", "status", "-o", "json"];
    let running = project.devenv(&session).assert_code(0).json();
    let pid = running["pid"].as_i64().unwrap().to_string();
    project.run("kill", &["-9", &pid]).assert_code(0);
    project.devenv(&["status"]).assert_code(0);
    eventually("the service is not debugged", || {
        let debugged = process_of(project, "greeter").contains("debugpy");
        (!debugged && project.read(LAUNCH) == BEFORE).then_some(())
    });
    eventually("its connections go where they went", || {
        let service = service(project, "greeter");
        let mark = &service["metadata"]["annotations"]["devenv.debug"];
        mark.is_null().then_some(())
    });
    is_as_before(project);
}

fn what_is_for_an_ide_is_put_back_without_a_cluster(project: Project) {
    killed(&project);
    project.devenv(&["down"]).assert_code(0);
    assert_eq!(project.read(LAUNCH), BEFORE);
    project.end();
}

/// A debugging is killed when all of it is set.
fn killed(project: &Project) {
    let words = ["debug", "greeter", "--port", "0", "--ide", "vscode"];
    let mut debug = project.running(&words);
    debug.until_it_says("undoes all of it");
    debug.kill();
    assert!(project.read(LAUNCH).contains("devenv: greeter"));
    assert!(process_of(project, "greeter").contains("debugpy"));
    let mark = &service(project, "greeter")["metadata"]["annotations"]["devenv.debug"];
    assert!(mark.is_string(), "{mark}");
}

fn is_as_before(project: &Project) {
    gets_connections_as_before(project, "greeter");
    assert!(!process_of(project, "greeter").contains("debugpy"));
    assert_eq!(project.read(LAUNCH), BEFORE);
}
