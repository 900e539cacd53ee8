//! Live services of plain containers, seen by the agent of a container that stands for their node.

#![expect(
    clippy::disallowed_methods,
    reason = "containers made by hand, as the user's docker makes them"
)]

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use devenv::{
    adapters::{
        agent::{
            Agent, AgentFailure, ContainerId, INIT_SOCKET, Probe, ServiceState, install, program,
        },
        docker::Docker,
        host::HostEnvironment,
    },
    domain::Signal,
};

use crate::{program::BASE, say};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const USER: &str = "1234";
const PORT: u16 = 8080;
/// How often a restart is measured.
const RESTARTS: usize = 40;
/// Where the agent's program is in containers of live services.
const PROGRAMS: &str = "/.devenv/agent";

/// Answers every request, and notes the signal that it gets.
const SERVER: &str = r#"
    use IO::Socket::INET;
    $SIG{USR1} = sub { open my $file, ">", "/tmp/signalled"; };
    my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 8, ReuseAddr => 1) or die;
    while (1) {
        my $client = $server->accept or next;
        while (<$client>) { last if /^\r?$/ }
        print $client "HTTP/1.1 200 OK\r\n\r\n";
    }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_live_service_is_restarted_signalled_and_probed_and_runs_commands_as_its_own_user() {
    let variables = std::env::vars().filter(|(name, _)| name == "DOCKER_HOST");
    let host = HostEnvironment::from_variables(variables);
    let docker = Docker::connect(&host).await.unwrap();
    let node = Node::up(&docker).await;
    let agent = Agent::start(&docker, &node.name).await.unwrap();
    let service = node.service("live", &[], &["perl", "-e", SERVER]);
    it_comes_up(&agent, &service).await;
    commands_run_as_the_services_user(&agent, &service).await;
    a_signal_reaches_it(&agent, &service).await;
    a_restart_takes_milliseconds(&agent, &service).await;
    a_command_that_nobody_waits_for_is_killed(&agent, &service).await;
    what_is_refused_is_named(&agent, &node, &service).await;
    a_held_service_is_released(&agent, &node).await;
    a_container_that_ends_is_noticed(&agent, &service).await;
}

/// A container that sees all processes, as a node does, and the containers that stand for its pods'.
struct Node {
    name: String,
}

impl Node {
    async fn up(docker: &Docker) -> Self {
        let name = format!("devenv-e2e-{}-live", std::process::id());
        let node = Self { name };
        let directory = program().rsplit_once('/').unwrap().0.to_owned();
        let volume = format!("{}:{directory}", node.name);
        let name = &node.name;
        let sees_all = ["--privileged", "--pid", "host", "--volume", &volume];
        let run = ["run", "--detach", "--name", name];
        let sleeps = [BASE, "sleep", "infinity"];
        cli(&[&run[..], &sees_all, &sleeps].concat());
        install(docker, name).await.unwrap();
        node
    }

    /// Runs a command as the service of a container's init, which has the agent's program mounted.
    fn service(&self, name: &str, options: &[&str], command: &[&str]) -> Service {
        let agent = program();
        let (_, file) = agent.rsplit_once('/').unwrap();
        let volume = format!("{}:{PROGRAMS}:ro", self.name);
        let entrypoint = format!("{PROGRAMS}/{file}");
        let run = ["--volume", &volume, "--tmpfs", "/.devenv/run:mode=1777"];
        let run = [&run[..], &["--user", USER, "--entrypoint", &entrypoint]].concat();
        let init = ["init", "--socket", INIT_SOCKET];
        let init = [&init[..], options, &["--"], command].concat();
        self.container(name, &run, &init)
    }

    fn container(&self, name: &str, options: &[&str], command: &[&str]) -> Service {
        let name = format!("{}-{name}", self.name);
        let run = ["run", "--detach", "--name", &name];
        let id = cli(&[&run[..], options, &[BASE], command].concat());
        let address = "{{.NetworkSettings.IPAddress}}";
        let address: IpAddr = cli(&["inspect", "--format", address, &name])
            .parse()
            .unwrap();
        Service {
            id: id.parse().unwrap(),
            name,
            address: SocketAddr::new(address, PORT),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let filter = format!("name={}", self.name);
        let containers = cli(&["ps", "--all", "--quiet", "--filter", &filter]);
        let remove = ["rm", "--force", "--volumes"];
        cli(&remove
            .into_iter()
            .chain(containers.lines())
            .collect::<Vec<_>>());
        cli(&["volume", "rm", &self.name]);
    }
}

/// A container of a live service.
struct Service {
    id: ContainerId,
    name: String,
    address: SocketAddr,
}

/// What docker says, which must not fail.
fn cli(arguments: &[&str]) -> String {
    let done = Command::new("docker").args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// What a script beside a service says.
async fn say_beside(agent: &Agent, service: &Service, script: &str) -> String {
    let command = ["sh", "-c", script].map(str::to_owned);
    let ran = agent.run(&service.id, &command, PATIENCE).await.unwrap();
    String::from_utf8(ran.output).unwrap()
}

/// Waits until a script beside a service says something.
async fn until_said(agent: &Agent, service: &Service, script: &str, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while say_beside(agent, service, script).await != what {
        assert!(Instant::now() < deadline, "{script}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn http() -> Probe {
    let path = "/ready".to_owned();
    Probe::Http { path }
}

fn code<T: std::fmt::Debug>(result: Result<T, AgentFailure>) -> &'static str {
    result.unwrap_err().failure().code.0
}

async fn it_comes_up(agent: &Agent, service: &Service) {
    for what in [http(), Probe::Tcp] {
        agent.probe(service.address, &what, PATIENCE).await.unwrap();
    }
    let status = agent.service_status(&service.id).await.unwrap();
    assert!(
        matches!(status.state, ServiceState::Running { .. }),
        "{status:?}"
    );
    assert_eq!(status.starts, 1);
}

async fn commands_run_as_the_services_user(agent: &Agent, service: &Service) {
    assert_eq!(
        say_beside(agent, service, "id -u; pwd").await,
        format!("{USER}\n/\n")
    );
    let fails = ["sh", "-c", "exit 7"].map(str::to_owned);
    let ran = agent.run(&service.id, &fails, PATIENCE).await.unwrap();
    assert_eq!((ran.code, &*ran.output), (7, &b""[..]));
}

async fn a_signal_reaches_it(agent: &Agent, service: &Service) {
    agent.signal(&service.id, Signal::User1).await.unwrap();
    until_said(agent, service, "ls /tmp", "signalled\n").await;
}

async fn a_restart_takes_milliseconds(agent: &Agent, service: &Service) {
    let (mut answered, mut reached) = (Vec::new(), Vec::new());
    for _ in 0..RESTARTS {
        let asked = Instant::now();
        let restarted = agent.restart(&service.id, Signal::Terminate, PATIENCE);
        restarted.await.unwrap();
        answered.push(asked.elapsed());
        agent
            .probe(service.address, &http(), PATIENCE)
            .await
            .unwrap();
        reached.push(asked.elapsed());
    }
    let status = agent.service_status(&service.id).await.unwrap();
    assert_eq!(status.starts as usize, 1 + RESTARTS);
    answered.sort();
    reached.sort();
    let (median, late) = (RESTARTS / 2, RESTARTS * 95 / 100);
    say(&format!(
        "a live service: restarted in {:?} at the median and {:?} at 95 %, answers again after {:?} and {:?}",
        answered[median], answered[late], reached[median], reached[late]
    ));
}

async fn a_command_that_nobody_waits_for_is_killed(agent: &Agent, service: &Service) {
    let long = ["sh", "-c", "echo $$ > /tmp/long; exec sleep 600"].map(str::to_owned);
    tokio::select! {
        ran = agent.run(&service.id, &long, PATIENCE) => panic!("{ran:?}"),
        () = until_said(agent, service, "test -s /tmp/long && echo begun", "begun\n") => {}
    }
    let is_there = "kill -0 $(cat /tmp/long) 2> /dev/null || echo gone";
    until_said(agent, service, is_there, "gone\n").await;
}

async fn what_is_refused_is_named(agent: &Agent, node: &Node, service: &Service) {
    let run = async |command: &[&str], within| {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        agent.run(&service.id, &command, within).await
    };
    let slow = ["sh", "-c", "echo waits; sleep 600"];
    let failure = run(&slow, Duration::from_millis(100))
        .await
        .unwrap_err()
        .failure();
    assert_eq!(failure.code.0, "agent.took-too-long");
    assert_eq!(failure.evidence[0].lines, ["waits"]);
    let missing = run(&["no-such-program"], PATIENCE).await;
    assert_eq!(code(missing), "agent.not-run");
    let plain = node.container("plain", &[], &["sleep", "infinity"]);
    assert_eq!(code(agent.service_status(&plain.id).await), "agent.no-init");
    let short = Duration::from_millis(50);
    let failure = agent.probe(plain.address, &http(), short).await;
    let failure = failure.unwrap_err().failure();
    assert_eq!(failure.code.0, "agent.not-reached");
    assert!(
        failure.what.ends_with("connection refused"),
        "{}",
        failure.what
    );
}

async fn a_held_service_is_released(agent: &Agent, node: &Node) {
    let held = node.service("held", &["--hold", "600"], &["perl", "-e", SERVER]);
    let deadline = Instant::now() + PATIENCE;
    // Its init has to begin first.
    let status = loop {
        match agent.service_status(&held.id).await {
            Ok(status) => break status,
            Err(failure) => assert!(Instant::now() < deadline, "{failure:?}"),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    assert_eq!((status.state, status.starts), (ServiceState::Held, 0));
    let refused = agent.signal(&held.id, Signal::Terminate).await;
    assert_eq!(code(refused), "agent.init-refused");
    agent.release(&held.id).await.unwrap();
    agent.probe(held.address, &http(), PATIENCE).await.unwrap();
}

async fn a_container_that_ends_is_noticed(agent: &Agent, service: &Service) {
    let begins = ["sh", "-c", "touch /tmp/begun; exec sleep 600"].map(str::to_owned);
    let (ran, ()) = tokio::join!(agent.run(&service.id, &begins, PATIENCE), async {
        until_said(agent, service, "ls /tmp/begun", "/tmp/begun\n").await;
        cli(&["kill", &service.name]);
    });
    assert_eq!(code(ran), "agent.init-ended");
    assert_eq!(
        code(agent.service_status(&service.id).await),
        "agent.refused"
    );
}
