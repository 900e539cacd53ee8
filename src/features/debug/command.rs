//! How a process is started under its debugger. Pure: nothing is looked at.

use std::{collections::BTreeMap, path::Path};

use crate::domain::{Debug, DebugRuntime, PortNumber};

/// Where debuggers that an image lacks are put in its containers.
pub(super) const BROUGHT_TO: &str = ".devenv/debug";

/// Asks in a container that has Python whether a port is taken, or waits until it is not.
const PORT: &str = include_str!("port.py");

/// Whether a process waits for a debugger before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It runs at once.
    No,
    /// It begins when a debugger tells it to.
    ForDebugger,
}

/// Where a debugger comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Debugger {
    /// The image or the runtime has it.
    There,
    /// It is brought into the container.
    Brought,
}

/// What a service is started with to be debugged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The command; its own if `None`.
    pub(super) command: Option<Vec<String>>,
    /// Variables besides those that it has.
    pub(super) environment: Vec<(String, String)>,
}

/// The command of a service in what its container is started with: what follows devenv's init.
pub(super) fn own(started: &[String]) -> &[String] {
    let end_of_init = started.iter().position(|word| word == "--");
    end_of_init.map_or(started, |at| &started[at + 1..])
}

/// What runs a command, as far as its program tells.
pub(super) fn recognised(own: &[String]) -> Option<DebugRuntime> {
    match name(own.first()?) {
        "node" | "nodejs" | "npm" | "npx" | "yarn" | "pnpm" => Some(DebugRuntime::Node),
        "gunicorn" | "uvicorn" | "flask" | "celery" => Some(DebugRuntime::Python),
        "java" => Some(DebugRuntime::Jvm),
        name if is_python(name) => Some(DebugRuntime::Python),
        _ => None,
    }
}

/// What starts a service under its debugger; `variables` are those that the manifest gives it.
pub(super) fn start(
    debug: &Debug,
    own: &[String],
    wait: Wait,
    debugger: Debugger,
    variables: &BTreeMap<String, String>,
) -> Start {
    let port = debug.port;
    if !debug.command.is_empty() {
        return Start {
            command: Some(debug.command.clone()),
            environment: vec![("DEVENV_DEBUG_PORT".to_owned(), port.to_string())],
        };
    }
    match debug.runtime {
        DebugRuntime::Node => node(own, port, wait, variables),
        DebugRuntime::Python => python(own, port, wait, debugger, variables),
        DebugRuntime::Go => go(own, port, wait, debugger),
        DebugRuntime::Jvm => jvm(port, wait, variables),
        DebugRuntime::Other => Start {
            command: None,
            environment: Vec::new(),
        },
    }
}

fn node(
    own: &[String],
    port: PortNumber,
    wait: Wait,
    variables: &BTreeMap<String, String>,
) -> Start {
    let flag = match wait {
        Wait::No => format!("--inspect=0.0.0.0:{port}"),
        Wait::ForDebugger => format!("--inspect-brk=0.0.0.0:{port}"),
    };
    match own.split_first() {
        Some((program, arguments)) if ["node", "nodejs"].contains(&name(program)) => {
            let mut command = vec![program.clone(), flag];
            command.extend_from_slice(arguments);
            Start {
                command: Some(command),
                environment: Vec::new(),
            }
        }
        _ => Start {
            command: None,
            environment: vec![added("NODE_OPTIONS", " ", &flag, variables)],
        },
    }
}

fn python(
    own: &[String],
    port: PortNumber,
    wait: Wait,
    debugger: Debugger,
    variables: &BTreeMap<String, String>,
) -> Start {
    let (program, arguments) = own
        .split_first()
        .map_or(("python3", own), |(program, rest)| (program.as_str(), rest));
    let mut command = vec![python_of(own)];
    let of_interpreter = if is_python(name(program)) {
        interpreter_options(arguments)
    } else {
        0
    };
    command.extend_from_slice(&arguments[..of_interpreter]);
    // Modules that are frozen into the interpreter cannot be traced, and debugpy warns of them.
    let listening = format!("-Xfrozen_modules=off -m debugpy --listen 0.0.0.0:{port}");
    command.extend(listening.split(' ').map(str::to_owned));
    if wait == Wait::ForDebugger {
        command.push("--wait-for-client".to_owned());
    }
    if !is_python(name(program)) {
        if !program.contains('/') {
            command.push("-m".to_owned());
        }
        command.push(program.to_owned());
    }
    command.extend_from_slice(&arguments[of_interpreter..]);
    // A process that is started anew finds the port taken for a moment yet.
    let mut waiting = asks_for_port(own, port).to_vec();
    waiting.append(&mut command);
    let path = format!("/{BROUGHT_TO}");
    let environment = match debugger {
        Debugger::There => Vec::new(),
        Debugger::Brought => vec![added("PYTHONPATH", ":", &path, variables)],
    };
    Start {
        command: Some(waiting),
        environment,
    }
}

/// Ends with 0 in the container of a Python service if somebody listens on a port.
pub(super) fn asks_for_port(own: &[String], port: PortNumber) -> [String; 4] {
    [&python_of(own), "-c", PORT, &port.to_string()].map(str::to_owned)
}

/// The interpreter of a Python service.
pub(super) fn python_of(own: &[String]) -> String {
    let program = own.first().filter(|program| is_python(name(program)));
    program.cloned().unwrap_or_else(|| "python3".to_owned())
}

/// How many of the first arguments are the interpreter's, up to its script, `-m` or `-c`.
fn interpreter_options(arguments: &[String]) -> usize {
    let mut count = 0;
    while let Some(argument) = arguments.get(count) {
        match argument.as_str() {
            "-W" | "-X" => count += 2,
            "-" | "-m" | "-c" => break,
            option if option.starts_with('-') => count += 1,
            _ => break,
        }
    }
    count.min(arguments.len())
}

fn go(own: &[String], port: PortNumber, wait: Wait, debugger: Debugger) -> Start {
    let mut command = vec![delve(debugger), "exec".to_owned()];
    command.extend(own.first().cloned());
    let listening = format!("--headless --listen=:{port} --api-version=2 --accept-multiclient");
    command.extend(listening.split(' ').map(str::to_owned));
    // What comes through the cluster is not of the service's user.
    command.extend(["--only-same-user=false", "--check-go-version=false"].map(str::to_owned));
    if wait == Wait::No {
        command.push("--continue".to_owned());
    }
    if own.len() > 1 {
        command.push("--".to_owned());
        command.extend_from_slice(&own[1..]);
    }
    Start {
        command: Some(command),
        environment: Vec::new(),
    }
}

/// Delve in a container.
pub(super) fn delve(debugger: Debugger) -> String {
    match debugger {
        Debugger::There => "dlv".to_owned(),
        Debugger::Brought => format!("/{BROUGHT_TO}/dlv"),
    }
}

fn jvm(port: PortNumber, wait: Wait, variables: &BTreeMap<String, String>) -> Start {
    let suspend = match wait {
        Wait::No => "n",
        Wait::ForDebugger => "y",
    };
    let agent = format!(
        "-agentlib:jdwp=transport=dt_socket,server=y,suspend={suspend},address=0.0.0.0:{port}"
    );
    Start {
        command: None,
        environment: vec![added("JAVA_TOOL_OPTIONS", " ", &agent, variables)],
    }
}

/// A variable with something added to what the manifest says.
fn added(
    name: &str,
    separator: &str,
    value: &str,
    variables: &BTreeMap<String, String>,
) -> (String, String) {
    let value = match variables.get(name).filter(|before| !before.is_empty()) {
        Some(before) => format!("{before}{separator}{value}"),
        None => value.to_owned(),
    };
    (name.to_owned(), value)
}

fn name(program: &str) -> &str {
    let name = Path::new(program).file_name();
    name.and_then(|name| name.to_str()).unwrap_or(program)
}

/// `python`, `python3`, `python3.12`.
fn is_python(name: &str) -> bool {
    let version = name.strip_prefix("python");
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn debug(runtime: DebugRuntime, command: &str) -> Debug {
        let port = runtime.usual_port().or(PortNumber::new(4000));
        Debug {
            runtime,
            port: port.unwrap(),
            command: words(command),
        }
    }

    fn started(runtime: DebugRuntime, line: &str, wait: Wait, debugger: Debugger) -> Start {
        let variables = [("NODE_OPTIONS", "--trace-warnings"), ("PYTHONPATH", "/lib")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        start(
            &debug(runtime, ""),
            &words(line),
            wait,
            debugger,
            &variables.into(),
        )
    }

    fn line(runtime: DebugRuntime, own: &str, wait: Wait) -> String {
        let start = started(runtime, own, wait, Debugger::There);
        assert_eq!(start.environment, []);
        start.command.unwrap().join(" ")
    }

    #[test]
    fn node_gets_its_inspector_and_a_script_that_starts_it_gets_an_option() {
        use DebugRuntime::Node;
        assert_eq!(
            line(Node, "node src/app.js --port 1", Wait::No),
            "node --inspect=0.0.0.0:9229 src/app.js --port 1"
        );
        assert_eq!(
            line(Node, "/usr/bin/node app.js", Wait::ForDebugger),
            "/usr/bin/node --inspect-brk=0.0.0.0:9229 app.js"
        );
        let start = started(Node, "npm start", Wait::No, Debugger::There);
        assert_eq!(start.command, None);
        let (name, value) = &start.environment[0];
        assert_eq!(name, "NODE_OPTIONS");
        assert_eq!(value, "--trace-warnings --inspect=0.0.0.0:9229");
    }

    #[test]
    fn python_runs_under_debugpy_with_the_options_of_its_interpreter() {
        use DebugRuntime::Python;
        let debugpy = "-Xfrozen_modules=off -m debugpy --listen 0.0.0.0:5678";
        for (own, expected) in [
            ("python3 app.py -x", format!("python3 {debugpy} app.py -x")),
            (
                "python3.11 -u -W error -m shop",
                format!("python3.11 -u -W error {debugpy} -m shop"),
            ),
            (
                "gunicorn app:app",
                format!("python3 {debugpy} -m gunicorn app:app"),
            ),
            (
                "/venv/bin/flask run",
                format!("python3 {debugpy} /venv/bin/flask run"),
            ),
        ] {
            let line = line(Python, own, Wait::No);
            assert!(line.ends_with(&expected), "{line}");
        }
        let waits = line(Python, "python app.py", Wait::ForDebugger);
        assert!(waits.ends_with("--wait-for-client app.py"), "{waits}");
        let brought = started(Python, "python app.py", Wait::No, Debugger::Brought);
        assert_eq!(brought.environment[0].1, "/lib:/.devenv/debug");
    }

    #[test]
    fn a_go_program_is_run_by_delve() {
        assert_eq!(
            line(DebugRuntime::Go, "/inventory -v", Wait::No),
            "dlv exec /inventory --headless --listen=:2345 --api-version=2 --accept-multiclient \
             --only-same-user=false --check-go-version=false --continue -- -v"
        );
        let brought = started(DebugRuntime::Go, "/a", Wait::ForDebugger, Debugger::Brought);
        let brought = brought.command.unwrap();
        assert_eq!(brought[0], "/.devenv/debug/dlv");
        assert!(!brought.contains(&"--continue".to_owned()));
    }

    #[test]
    fn a_jvm_is_told_by_a_variable_and_any_other_by_the_manifest() {
        let start = started(
            DebugRuntime::Jvm,
            "java -jar a.jar",
            Wait::ForDebugger,
            Debugger::There,
        );
        assert_eq!(start.command, None);
        assert!(
            start.environment[0]
                .1
                .ends_with("suspend=y,address=0.0.0.0:5005")
        );
        let other = debug(DebugRuntime::Other, "rdbg --open");
        let none = BTreeMap::new();
        let start = super::start(
            &other,
            &words("ruby a.rb"),
            Wait::No,
            Debugger::There,
            &none,
        );
        assert_eq!(start.command, Some(words("rdbg --open")));
        assert_eq!(start.environment[0].1, "4000");
    }

    #[test]
    fn a_runtime_is_known_by_its_program() {
        let of = |line: &str| recognised(own(&words(line)));
        assert_eq!(
            of("/init --socket /s -- node a.js"),
            Some(DebugRuntime::Node)
        );
        assert_eq!(of("/usr/bin/python3.12 a.py"), Some(DebugRuntime::Python));
        assert_eq!(of("java -jar a.jar"), Some(DebugRuntime::Jvm));
        assert_eq!(of("pythonic"), None);
        assert_eq!(of("/inventory"), None);
    }
}
