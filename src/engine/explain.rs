//! Turns a trouble into what the user is told: the sentence, the evidence, the line of the manifest, the mend.

use crate::domain::{
    Environment, ExitClass, Failure, ImageName, Service, Trouble, TroubleKind, node_architecture,
};

/// The explanation of `trouble`, with the last `log_lines` of the container that is in it.
pub fn explain(trouble: &Trouble, environment: &Environment, log_lines: Vec<String>) -> Failure {
    let service = &trouble.service;
    let words = Words::of(trouble, environment.services.get(service), &log_lines);
    let place = words.key.map(|key| format!("services.{service}.{key}"));
    let place = place.unwrap_or_else(|| format!("services.{service}"));
    let mut failure = Failure::new(words.code, ExitClass::NotReady, words.what)
        .of(service)
        .at(environment.provenance.place(&place).cloned())
        .with_evidence("kubernetes", sentences(&trouble.message))
        .with_evidence(format!("last log lines of {service}"), log_lines);
    for why in words.why {
        failure = failure.because(why);
    }
    for help in words.help {
        failure = failure.help(help);
    }
    failure
}

fn sentences(message: &str) -> Vec<String> {
    message
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What is said about one kind of trouble.
struct Words {
    code: &'static str,
    what: String,
    why: Vec<String>,
    /// The manifest key it goes back to, below the service.
    key: Option<&'static str>,
    help: Vec<String>,
}

impl Words {
    fn of(trouble: &Trouble, service: Option<&Service>, log_lines: &[String]) -> Self {
        let name = &trouble.service;
        let is_foreign = |said: &str| said.contains("exec format error");
        match &trouble.kind {
            TroubleKind::ImageUnavailable { image } => {
                Self::image(name.as_str(), image, &trouble.message, service)
            }
            // Which of the two it is depends on the container runtime.
            TroubleKind::CannotStart { .. } if is_foreign(&trouble.message) => {
                Self::foreign(name.as_str(), service)
            }
            TroubleKind::CrashLoop { .. } if log_lines.last().is_some_and(|it| is_foreign(it)) => {
                Self::foreign(name.as_str(), service)
            }
            TroubleKind::CannotStart { reason } => {
                Self::start(name.as_str(), reason, &trouble.message, service)
            }
            TroubleKind::CrashLoop {
                exit_code,
                signal,
                restarts,
            } => Self {
                code: "service.crash-loop",
                what: format!("{name} {}", ended(*exit_code, *signal, *restarts)),
                why: exit_code_meaning(*exit_code).into_iter().collect(),
                key: command_key(service),
                help: vec![
                    format!("devenv logs {name} --previous"),
                    format!("mend the service, then: devenv up {name}"),
                ],
            },
            TroubleKind::OutOfMemory { .. } => Self::memory(name.as_str(), service),
            TroubleKind::Unschedulable => Self {
                code: "service.unschedulable",
                what: format!("no node can take {name}"),
                why: requested(service).into_iter().collect(),
                key: Some(requests_key(&trouble.message)),
                help: vec![
                    "devenv status --resources".to_owned(),
                    "lower `resources.requests` of this service or `replicas` of others".to_owned(),
                ],
            },
            TroubleKind::Evicted => Self {
                code: "service.evicted",
                what: format!("the node threw {name} out"),
                why: vec!["the node runs short of disk space or memory".to_owned()],
                key: None,
                help: vec![
                    "df -h; docker system df".to_owned(),
                    "docker system prune; then: devenv up".to_owned(),
                ],
            },
            TroubleKind::ProbeFailing => Self {
                code: "service.probe-failing",
                what: format!("{name} runs, but its readiness probe fails"),
                why: service
                    .map(|s| format!("it was not ready within {} s", s.ready_within.as_secs()))
                    .into_iter()
                    .collect(),
                key: Some("ready"),
                help: vec![
                    format!("devenv logs {name}"),
                    "check path and port of `ready`, or give it more time: `ready: { within: 2m }`"
                        .to_owned(),
                ],
            },
            TroubleKind::PodRefused => Self {
                code: "service.pod-refused",
                what: format!("Kubernetes refuses to create the pods of {name}"),
                why: Vec::new(),
                key: None,
                help: vec!["mend what Kubernetes names, then: devenv up".to_owned()],
            },
        }
    }

    fn image(name: &str, image: &str, message: &str, service: Option<&Service>) -> Self {
        let built = service
            .and_then(Service::workload)
            .is_some_and(|workload| matches!(workload.image, ImageName::Build(_)));
        let refusal = Refusal::of(message);
        let help = match refusal {
            _ if built => vec!["build and push it again: devenv up".to_owned()],
            Some(Refusal::Login) => log_in(image),
            Some(Refusal::Replaced) => vec![
                format!("see whether this machine is given the same: docker pull {image}"),
                "name another registry in `image`, or mend the mirror".to_owned(),
            ],
            Some(Refusal::Platform) | None => vec![
                "check name and tag of `image`".to_owned(),
                format!("docker pull {image}"),
            ],
        };
        Self {
            code: "service.image-unavailable",
            what: format!("the image of {name} cannot be had: {image}"),
            why: refusal.map(Refusal::words).into_iter().collect(),
            key: Some(if built { "build" } else { "image" }),
            help,
        }
    }

    /// A program that the processor of the nodes does not know.
    fn foreign(name: &str, service: Option<&Service>) -> Self {
        Self {
            code: "service.cannot-start",
            what: format!("the command of {name} cannot be run: the nodes do not know its form"),
            why: vec![
                "it is a program for another processor, or a script without `#!` in its first line"
                    .to_owned(),
            ],
            key: command_key(service),
            help: vec![
                format!(
                    "build it for this machine's processor: linux/{}",
                    node_architecture()
                ),
                format!("devenv up {name}"),
            ],
        }
    }

    fn start(name: &str, reason: &str, message: &str, service: Option<&Service>) -> Self {
        let code = "service.cannot-start";
        if let Some(program) = missing_program(message) {
            return Self {
                code,
                what: format!("the command of {name} cannot be run: {program}"),
                why: vec![if message.contains("permission denied") {
                    format!("`{program}` may not be executed in the image")
                } else {
                    format!("there is no `{program}` in the image")
                }],
                key: command_key(service),
                help: vec![
                    "name a program of the image in `command`, or put it there in its Dockerfile"
                        .to_owned(),
                    format!("devenv up {name}"),
                ],
            };
        }
        Self {
            code,
            what: format!("the container of {name} cannot be started ({reason})"),
            why: Vec::new(),
            key: None,
            help: vec![
                "check `command`, `secrets` and `volumes` of the service".to_owned(),
                format!("devenv up {name}"),
            ],
        }
    }

    fn memory(name: &str, service: Option<&Service>) -> Self {
        let limit = service
            .and_then(Service::workload)
            .and_then(|w| w.resources.limit_memory);
        let (why, help) = match limit {
            Some(limit) => (
                format!("it used more memory than its limit of {limit}"),
                format!(
                    "allow more: `resources: {{ limits: {{ memory: {} }} }}`, then: devenv up {name}",
                    crate::domain::Memory::from_bytes(limit.bytes() * 2)
                ),
            ),
            None => (
                "the node ran out of memory".to_owned(),
                "devenv status --resources".to_owned(),
            ),
        };
        Self {
            code: "service.out-of-memory",
            what: format!("{name} was killed for its memory use (OOMKilled)"),
            why: vec![why],
            key: Some("resources.limits.memory"),
            help: vec![help],
        }
    }
}

/// Why a registry does not give an image that it may well have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Not to somebody whom it does not know.
    Login,
    /// Not for the processor of the nodes.
    Platform,
    /// What it gives is not what the digest stands for.
    Replaced,
}

impl Refusal {
    /// Out of the words of containerd.
    fn of(message: &str) -> Option<Self> {
        const LOGIN: [&str; 4] = [
            "authorization failed",
            "401 Unauthorized",
            "403 Forbidden",
            "pull access denied",
        ];
        if message.contains("no match for platform") {
            return Some(Self::Platform);
        }
        if message.contains("unexpected commit digest") {
            return Some(Self::Replaced);
        }
        let is_login = LOGIN.iter().any(|words| message.contains(words));
        is_login.then_some(Self::Login)
    }

    fn words(self) -> String {
        match self {
            Self::Login => "its registry wants a login, or has no such image".to_owned(),
            Self::Platform => format!("there is none of it for linux/{}", node_architecture()),
            Self::Replaced => {
                "its registry, or what stands before it, gives something else under this digest"
                    .to_owned()
            }
        }
    }
}

/// How the cluster comes to know a login.
fn log_in(image: &str) -> Vec<String> {
    const HUB: &str = "https://index.docker.io/v1/";
    const KUBECTL: &str = "kubectl --kubeconfig \"$(devenv kubeconfig)\"";
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let first = image.split_once('/').map(|(first, _)| first);
    let server = first.filter(|first| is_host(first)).unwrap_or(HUB);
    vec![
        "check name and tag of `image`".to_owned(),
        format!(
            "or log in: {KUBECTL} create secret docker-registry login --docker-server={server} --docker-username=YOU --docker-password=TOKEN"
        ),
        format!(
            "and use it: {KUBECTL} patch serviceaccount default --patch '{{\"imagePullSecrets\":[{{\"name\":\"login\"}}]}}'"
        ),
    ]
}

fn ended(exit_code: i32, signal: Option<i32>, restarts: u32) -> String {
    let times = match restarts {
        0 => "as soon as it is started".to_owned(),
        1 => "twice".to_owned(),
        n => format!("{} times", n + 1),
    };
    match signal {
        Some(signal) => format!("was ended by signal {signal}, {times}"),
        None => format!("stops with exit code {exit_code}, {times}"),
    }
}

/// What a shell or the kernel means by an exit code, where it has a meaning of its own.
fn exit_code_meaning(exit_code: i32) -> Option<String> {
    let meaning = match exit_code {
        0 => "it ends without an error: a service must keep running",
        126 => "exit code 126: the command cannot be executed",
        127 => "exit code 127: the command is not in the image",
        137 => "exit code 137: it was killed (SIGKILL)",
        139 => "exit code 139: it crashed (SIGSEGV)",
        143 => "exit code 143: it was asked to end (SIGTERM)",
        _ => return None,
    };
    Some(meaning.to_owned())
}

/// The program that the container runtime could not start: `exec: "/app/server": stat ...: no such file`.
fn missing_program(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("exec: \"")?;
    let (program, _) = rest.split_once('"')?;
    Some(program)
}

/// What says which program a service runs: its own command, else its image.
fn command_key(service: Option<&Service>) -> Option<&'static str> {
    let workload = service?.workload()?;
    Some(match &workload.image {
        _ if !workload.command.is_empty() => "command",
        _ if !workload.args.is_empty() => "args",
        ImageName::Build(_) => "build",
        ImageName::Reference(_) => "image",
    })
}

/// What the scheduler says a node has too little of.
fn requests_key(message: &str) -> &'static str {
    let message = message.to_lowercase();
    match (
        message.contains("insufficient cpu"),
        message.contains("insufficient memory"),
    ) {
        (true, false) => "resources.requests.cpu",
        (false, true) => "resources.requests.memory",
        _ => "resources.requests",
    }
}

fn requested(service: Option<&Service>) -> Option<String> {
    let workload = service?.workload()?;
    let cpu = workload
        .resources
        .request_cpu
        .map(|cpu| format!("{cpu} CPU"));
    let memory = workload
        .resources
        .request_memory
        .map(|memory| format!("{memory} of memory"));
    let wanted: Vec<String> = cpu.into_iter().chain(memory).collect();
    if wanted.is_empty() {
        return None;
    }
    let pods = match workload.replicas {
        0 | 1 => "its pod".to_owned(),
        n => format!("each of its {n} pods"),
    };
    Some(format!(
        "{pods} asks for {}, more than any node has left",
        wanted.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Place, Provenance, Source,
        testing::{environment, name},
    };

    /// `order` with these keys written in the manifest, in lines from 1.
    fn shop(keys: &[&str], command: &[&str]) -> Environment {
        let mut shop = environment(&[("order", &[])]);
        let order = shop.services.get_mut(&name("order")).unwrap();
        let Source::Workload(workload) = &mut order.source else {
            panic!("the sample is no workload");
        };
        workload.command = command.iter().map(ToString::to_string).collect();
        workload.resources.request_cpu = Some("64".parse().unwrap());
        let mut provenance = Provenance::default();
        for (index, key) in keys.iter().enumerate() {
            let place = Place {
                file: "devenv.yaml".into(),
                line: index + 1,
                column: 1,
                length: 1,
                source_line: (*key).to_owned(),
            };
            provenance.insert(format!("services.order.{key}"), place);
        }
        shop.provenance = provenance;
        shop
    }

    fn explained(kind: TroubleKind, message: &str, shop: &Environment) -> Failure {
        explained_by(kind, message, Vec::new(), shop)
    }

    fn explained_by(
        kind: TroubleKind,
        message: &str,
        log_lines: Vec<String>,
        shop: &Environment,
    ) -> Failure {
        let trouble = Trouble {
            service: name("order"),
            pod: None,
            container: None,
            kind,
            message: message.to_owned(),
            is_final: true,
        };
        explain(&trouble, shop, log_lines)
    }

    fn line(failure: &Failure) -> &str {
        failure.place.as_ref().unwrap().source_line.as_str()
    }

    #[test]
    fn a_crash_goes_back_to_the_command_or_to_what_the_image_is_built_from() {
        let crash = TroubleKind::CrashLoop {
            exit_code: 3,
            signal: None,
            restarts: 1,
        };
        let keys = ["build", "command"];
        let built = explained(crash.clone(), "Back-off", &shop(&keys[..1], &[]));
        assert_eq!(line(&built), "build");
        let told = explained(crash, "Back-off", &shop(&keys, &["serve"]));
        assert_eq!(line(&told), "command");
        assert_eq!(told.what, "order stops with exit code 3, twice");
    }

    #[test]
    fn a_program_for_another_processor_is_told_whoever_says_it() {
        let shop = shop(&["command"], &["serve"]);
        let start = TroubleKind::CannotStart {
            reason: "RunContainerError".to_owned(),
        };
        let told = explained(start, "exec: \"serve\": exec format error", &shop);
        let crash = TroubleKind::CrashLoop {
            exit_code: 1,
            signal: None,
            restarts: 1,
        };
        let lines = vec!["exec /serve: exec format error".to_owned()];
        let logged = explained_by(crash, "Back-off", lines, &shop);
        for told in [told, logged] {
            assert_eq!(told.code.0, "service.cannot-start");
            assert!(told.why[0].contains("another processor"), "{told:?}");
            assert_eq!(line(&told), "command");
        }
    }

    #[test]
    fn a_registry_that_refuses_says_why_and_a_login_is_shown() {
        let mut shop = shop(&["image"], &[]);
        let order = shop.services.get_mut(&name("order")).unwrap();
        let Source::Workload(workload) = &mut order.source else {
            panic!("the sample is no workload");
        };
        workload.image = ImageName::Reference("shop/a:1".to_owned());
        let unavailable = |image: &str, message: &str| {
            let kind = TroubleKind::ImageUnavailable {
                image: image.to_owned(),
            };
            explained(kind, message, &shop)
        };
        let private = unavailable(
            "shop.test:5000/a:1",
            "pull access denied: authorization failed",
        );
        assert!(private.why[0].contains("wants a login"));
        assert!(
            private.help[1].contains("--docker-server=shop.test:5000 "),
            "{private:?}"
        );
        let hub = unavailable("shop/a:1", "unexpected status: 401 Unauthorized");
        assert!(hub.help[1].contains("index.docker.io"), "{hub:?}");
        let foreign = unavailable("shop/a:1", "no match for platform in manifest");
        assert!(foreign.why[0].contains("none of it for linux/"));
        let replaced = "failed commit on ref: unexpected commit digest sha256:1, expected sha256:2";
        let replaced = unavailable("shop/a@sha256:2", replaced);
        assert!(replaced.why[0].contains("gives something else"));
        assert!(replaced.help[0].ends_with("docker pull shop/a@sha256:2"));
        assert_eq!(unavailable("shop/a:1", "not found").why, [""; 0]);
    }

    #[test]
    fn a_program_that_the_image_lacks_is_named() {
        let reason = || TroubleKind::CannotStart {
            reason: "RunContainerError".to_owned(),
        };
        let shop = shop(&["command"], &["serve"]);
        for (message, why) in [
            (
                "unable to start container process: exec: \"serve\": executable file not found in $PATH",
                "there is no `serve` in the image",
            ),
            (
                "unable to start container process: exec: \"/data\": permission denied",
                "`/data` may not be executed in the image",
            ),
        ] {
            assert_eq!(explained(reason(), message, &shop).why, [why]);
        }
        let other = explained(reason(), "secret \"x\" not found", &shop);
        assert!(
            other
                .what
                .ends_with("cannot be started (RunContainerError)")
        );
    }

    #[test]
    fn what_no_node_has_is_told_with_the_line_that_asks_for_it() {
        let shop = shop(&["resources.requests", "resources.requests.cpu"], &[]);
        let told = |message| explained(TroubleKind::Unschedulable, message, &shop);
        let cpu = told("0/1 nodes are available: 1 Insufficient cpu.");
        assert_eq!(line(&cpu), "resources.requests.cpu");
        assert_eq!(
            cpu.why,
            ["its pod asks for 64 CPU, more than any node has left"]
        );
        let other = told("0/1 nodes are available: 1 node(s) didn't match.");
        assert_eq!(line(&other), "resources.requests");
    }
}
