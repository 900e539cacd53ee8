//! One message of each kind.

use std::time::Duration;

use devenv_agent::{
    init_protocol,
    log_protocol::{FileId, LogPosition, LogRecord, RunId},
    protocol::{
        AgentError, Answer, ContainerId, FileProblem, FromAgent, Hello, Mounting, Owner, Principal,
        ProbeWhat, ProcessId, Request, ToAgent, Usage, VERSION,
    },
    volume_protocol,
};

fn container() -> ContainerId {
    "0a".repeat(32).parse().unwrap()
}

fn run() -> RunId {
    RunId {
        pod: "order-7c9d".to_owned(),
        uid: "uid-1".to_owned(),
        container: "order".to_owned(),
        run: 3,
    }
}

/// Names each of some messages.
fn named<T>(group: &str, messages: Vec<T>, name: fn(&T) -> &'static str) -> Vec<(String, T)> {
    let named = messages.into_iter().map(|message| {
        let name = name(&message);
        (format!("{group}-{name}"), message)
    });
    named.collect()
}

pub(crate) fn to_agent() -> Vec<(String, ToAgent)> {
    let id = 70_000;
    let mut all = named(
        "to-agent",
        vec![
            ToAgent::Chunk {
                id,
                bytes: b"some bytes".to_vec(),
            },
            ToAgent::End { id },
            ToAgent::Taken { id, bytes: 1 << 20 },
            ToAgent::Cancel { id },
        ],
        |message| match message {
            ToAgent::Request { .. } => "request",
            ToAgent::Chunk { .. } => "chunk",
            ToAgent::End { .. } => "end",
            ToAgent::Taken { .. } => "taken",
            ToAgent::Cancel { .. } => "cancel",
        },
    );
    let requests = named("request", requests(), |request| match request {
        Request::Ping => "ping",
        Request::Change { .. } => "change",
        Request::List { .. } => "list",
        Request::Control { .. } => "control",
        Request::Probe { .. } => "probe",
        Request::Freeze { .. } => "freeze",
        Request::Kill { .. } => "kill",
        Request::Remount { .. } => "remount",
        Request::Start { .. } => "start",
        Request::Usage { .. } => "usage",
        Request::Logs { .. } => "logs",
        Request::Volume { .. } => "volume",
        Request::Read { .. } => "read",
    });
    let sent = |(name, request)| (name, ToAgent::Request { id, request });
    all.extend(requests.into_iter().map(sent));
    all
}

fn requests() -> Vec<Request> {
    let container = container();
    let containers = vec![container.clone(), container.clone()];
    let process = ProcessId {
        pid: 4711,
        started: 1 << 40,
    };
    vec![
        Request::Ping,
        Request::Change {
            container: container.clone(),
            base: b"/app".to_vec(),
            owner: Some(Owner {
                user: Principal::Number(1000),
                group: Principal::Name("staff".to_owned()),
            }),
        },
        Request::List {
            container: container.clone(),
            directory: b"/app/\xff".to_vec(),
        },
        Request::Control {
            container: container.clone(),
            request: init_protocol::Request::Command {
                command: Some(vec!["node".to_owned(), "app.js".to_owned()]),
                environment: vec![("LEVEL".to_owned(), "debug".to_owned())],
            },
        },
        Request::Probe {
            address: "[fd00::1]:8080".parse().unwrap(),
            what: ProbeWhat::Http {
                path: "/healthz?deep=1".to_owned(),
            },
            within_ms: 30_000,
        },
        Request::Freeze {
            containers: containers.clone(),
            at_most_ms: 10_000,
        },
        Request::Kill {
            containers: containers.clone(),
        },
        Request::Remount {
            container: container.clone(),
            mountings: vec![Mounting {
                at: b"/data".to_vec(),
                root: b"/var/volumes".to_vec(),
                directory: b"db/data".to_vec(),
            }],
        },
        Request::Start {
            container: container.clone(),
            killed: vec![process],
        },
        Request::Usage { containers },
        Request::Logs {
            namespace: "shop".to_owned(),
            from: vec![LogPosition {
                run: run(),
                file: FileId(u64::MAX),
                offset: 123_456,
            }],
        },
        Request::Volume {
            root: b"/var/volumes".to_vec(),
            request: volume_protocol::Request::Exchange {
                one: b"db/data".to_vec(),
                other: b".exchange/1".to_vec(),
            },
        },
        Request::Read {
            container,
            file: b"/etc/passwd".to_vec(),
        },
    ]
}

pub(crate) fn from_agent() -> Vec<(String, FromAgent)> {
    let id = 70_000;
    let mut all = named(
        "from-agent",
        vec![
            FromAgent::Hello(Hello {
                version: VERSION,
                pid: 1,
            }),
            FromAgent::Taken { id, bytes: 5 },
            FromAgent::Chunk {
                id,
                bytes: b"some bytes".to_vec(),
            },
        ],
        |message| match message {
            FromAgent::Hello(_) => "hello",
            FromAgent::Taken { .. } => "taken",
            FromAgent::Chunk { .. } => "chunk",
            FromAgent::Answer { .. } => "answer",
        },
    );
    let answers = named("answer", answers(), |answer| match answer {
        Answer::Pong => "pong",
        Answer::Changed { .. } => "changed",
        Answer::Listed { .. } => "listed",
        Answer::Control(_) => "control",
        Answer::Reached { .. } => "reached",
        Answer::Thawed { .. } => "thawed",
        Answer::Killed => "killed",
        Answer::Remounted { .. } => "remounted",
        Answer::Started => "started",
        Answer::Used(_) => "used",
        Answer::Volume(_) => "volume",
        Answer::WasRead { .. } => "was-read",
    });
    let sent = |answer| FromAgent::Answer { id, answer };
    all.extend(answers.into_iter().map(|(name, it)| (name, sent(Ok(it)))));
    let errors = named("error", errors(), |error| match error {
        AgentError::NoContainer(_) => "no-container",
        AgentError::File { .. } => "file",
        AgentError::Protocol(_) => "protocol",
        AgentError::Cancelled => "cancelled",
        AgentError::NoInit(_) => "no-init",
        AgentError::InitEnded(_) => "init-ended",
        AgentError::InitSilent(_) => "init-silent",
        AgentError::ControlGroup { .. } => "control-group",
        AgentError::NotRemounted { .. } => "not-remounted",
        AgentError::NotGone(_) => "not-gone",
        AgentError::StoodTooLong => "stood-too-long",
        AgentError::NotReached { .. } => "not-reached",
    });
    all.extend(errors.into_iter().map(|(name, it)| (name, sent(Err(it)))));
    all
}

fn answers() -> Vec<Answer> {
    let usage = Usage {
        cpu_us: 1,
        memory: 2,
        memory_limit: Some(3),
    };
    let killed = ProcessId {
        pid: 1,
        started: u64::MAX,
    };
    vec![
        Answer::Pong,
        Answer::Changed { count: 3 },
        Answer::Listed { count: 0 },
        Answer::Control(Err(init_protocol::Refusal::TookTooLong {
            output: b"last words".to_vec(),
        })),
        Answer::Reached {
            took_us: u64::try_from(Duration::from_mins(1).as_micros()).unwrap(),
            attempts: 12,
        },
        Answer::Thawed { stood_us: 9 },
        Answer::Killed,
        Answer::Remounted {
            killed: vec![killed],
        },
        Answer::Started,
        Answer::Used(vec![Some(usage), None]),
        Answer::Volume(volume_protocol::Answer::Hashed(volume_protocol::TreeHash(
            [7; 32],
        ))),
        Answer::WasRead { bytes: 1 << 40 },
    ]
}

fn errors() -> Vec<AgentError> {
    let reason = "Device or resource busy".to_owned();
    vec![
        AgentError::NoContainer(container()),
        AgentError::File {
            doing: "write".to_owned(),
            path: b"/app/\xff".to_vec(),
            problem: FileProblem::Other("not now".to_owned()),
        },
        AgentError::Protocol("why".to_owned()),
        AgentError::Cancelled,
        AgentError::NoInit(container()),
        AgentError::InitEnded(container()),
        AgentError::InitSilent(container()),
        AgentError::ControlGroup {
            doing: "freeze".to_owned(),
            container: container(),
            reason: reason.clone(),
        },
        AgentError::NotRemounted {
            container: container(),
            path: b"/data".to_vec(),
            reason,
        },
        AgentError::NotGone(container()),
        AgentError::StoodTooLong,
        AgentError::NotReached {
            last: "refused".to_owned(),
        },
    ]
}

pub(crate) fn records() -> Vec<(String, LogRecord)> {
    let stream = 2;
    named(
        "record",
        vec![
            LogRecord::Opened { stream, run: run() },
            LogRecord::File {
                stream,
                file: FileId(1),
            },
            LogRecord::Lines {
                stream,
                offset: 30,
                bytes: b"2026-01-02T03:04:05Z stdout F said\n".to_vec(),
            },
            LogRecord::Lost {
                stream,
                bytes: Some(1 << 33),
            },
            LogRecord::Ended { stream },
        ],
        |record| match record {
            LogRecord::Opened { .. } => "opened",
            LogRecord::File { .. } => "file",
            LogRecord::Lines { .. } => "lines",
            LogRecord::Lost { .. } => "lost",
            LogRecord::Ended { .. } => "ended",
        },
    )
}
