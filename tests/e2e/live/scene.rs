//! Two small live services and what is asked of them: `page` reads its file at every request, `greeter` at its start.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{BASE, Project, Running};

/// How long any condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Serves the text of a file; ends at its start if that text begins with `bad`.
const SERVER: &str = r#"use IO::Socket::INET;
my ($when, $file) = @ARGV;
sub text { open my $from, "<", $file or return "missing"; local $/; my $text = <$from>; return $text; }
my $kept = text();
print STDERR "started\n";
if ($kept =~ /^bad/) { print STDERR "cannot greet with $kept\n"; exit 3; }
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "no port";
while (1) {
    my $client = $server->accept or next;
    while (<$client>) { last if /^\r?$/ }
    my $text = $when eq "start" ? $kept : text();
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
    close $client;
}
"#;

/// The manifest, with what follows `live:` for each service.
pub(super) fn manifest(page: &str, greeter: &str) -> String {
    let service = |name: &str, when: &str, live: &str| {
        format!(
            "  {name}:
    build: {name}
    command: [perl, /server.pl, {when}, /app/src/text]
    ports: [8080]
    expose: {{ host: {name}.localhost, path: / }}
    ready: {{ http: /, within: 60s }}
    live: {live}
"
        )
    };
    let page = service("page", "request", page);
    let greeter = service("greeter", "start", greeter);
    format!("services:\n{page}{greeter}")
}

/// `page` is copied to, and reads again by itself.
pub(super) const SYNC: &str = "{ sync: [src:/app/src], onChange: none }";
/// `greeter` is copied to, and started anew.
pub(super) const RESTART: &str = "{ sync: [src:/app/src], rebuild: [Dockerfile] }";

/// A project with both services, and one who watches what the session says.
pub(super) struct Scene {
    pub(super) project: Project,
    attached: Option<Running>,
}

impl Scene {
    /// A project that is up.
    pub(super) fn up(name: &str, manifest: &str) -> Self {
        let mut scene = Self::new(name, manifest);
        scene.bring_up();
        scene
    }

    /// A project that is not up yet.
    pub(super) fn new(name: &str, manifest: &str) -> Self {
        let project = Project::new(name, manifest);
        for service in ["page", "greeter"] {
            let dockerfile =
                format!("FROM {BASE}\nCOPY server.pl /server.pl\nCOPY src /app/src\nUSER 1234\n");
            project.write(&format!("{service}/Dockerfile"), &dockerfile);
            project.write(&format!("{service}/server.pl"), SERVER);
            project.write(&format!("{service}/src/text"), "from the image");
        }
        Self {
            project,
            attached: None,
        }
    }

    pub(super) fn bring_up(&mut self) {
        self.project.devenv(&["up"]).assert_code(0);
        self.attach_again();
    }

    /// Watches the session that runs now.
    pub(super) fn attach_again(&mut self) {
        let attached = self.project.running(&["attach", "-o", "json"]);
        if let Some(before) = self.attached.replace(attached) {
            before.end();
        }
    }

    /// What the session said so far.
    pub(super) fn said(&self) -> String {
        self.attached.as_ref().unwrap().said()
    }

    /// What it said until its end, which comes by itself.
    pub(super) fn said_until_its_end(&mut self) -> String {
        self.attached.take().unwrap().end().said
    }

    /// Waits until something is so.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let said = self.said();
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{said}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until a service answers with a text; since when it was waited, and how long.
    #[track_caller]
    pub(super) fn until_answers(&self, service: &str, text: &str) -> Duration {
        let begun = Instant::now();
        let mut last = None;
        while last.as_deref() != Some(text) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{service} never answered {text:?}, but {last:?}\n{}",
                self.said()
            );
            std::thread::sleep(LOOK_AGAIN);
            last = self.answer(service);
        }
        begun.elapsed()
    }

    /// What a service answers through the ingress; `None` where it does not answer with 200.
    pub(super) fn answer(&self, service: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.project.ports.http)).ok()?;
        stream.set_read_timeout(Some(REQUEST_WITHIN)).ok()?;
        let request =
            format!("GET / HTTP/1.1\r\nHost: {service}.localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    /// Writes the text of a service.
    pub(super) fn write(&self, service: &str, text: &str) {
        self.project.write(&format!("{service}/src/text"), text);
    }

    /// The events of one kind so far.
    pub(super) fn events(&self, kind: &str) -> Vec<Value> {
        let said = self.said();
        let events = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["event"] == kind).collect()
    }

    /// Waits for an event of a kind that is as it should be.
    #[track_caller]
    pub(super) fn until_told(&mut self, kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.events(kind).into_iter().find(|event| is_it(event)) {
                return found;
            }
            let said = self.said();
            assert!(begun.elapsed() < PATIENCE, "never told: {kind}\n{said}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The output of a command in a pod of a service.
    #[track_caller]
    pub(super) fn exec(&self, service: &str, command: &[&str]) -> String {
        let words = [&["exec", service, "--"], command].concat();
        self.project.devenv(&words).assert_code(0).stdout.clone()
    }

    /// The session's process.
    #[track_caller]
    pub(super) fn session(&self) -> u32 {
        let status = self.project.devenv(&["session", "status", "-o", "json"]);
        let pid = status.assert_code(0).json()["pid"].as_u64();
        u32::try_from(pid.expect("a session runs")).unwrap()
    }

    /// Kills the session, which has no time to say anything.
    #[track_caller]
    pub(super) fn kill_session(&mut self) {
        signal(self.session(), Signal::KILL);
        self.until("the session is gone", |scene| {
            // One that is just dying answers no more, and is not gone yet.
            let words = ["session", "status", "-o", "json"];
            let status = scene.project.quietly(env!("CARGO_BIN_EXE_devenv"), &words);
            serde_json::from_str(&status).is_ok_and(|status: Value| status["running"] == false)
        });
    }

    pub(super) fn end(self) {
        let Self { project, attached } = self;
        project.devenv(&["session", "stop"]).assert_code(0);
        if let Some(attached) = attached {
            attached.end();
        }
        project.end();
    }
}

/// Sends a signal to a process.
pub(super) fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(process.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}
