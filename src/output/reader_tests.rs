use super::{super::style::samples::PLAIN, *};
use crate::{
    domain::{
        ExitClass, Failure, Finding, NoticeLevel, Outcome, Place, Stage, StepId, StepSummary,
        Trouble, TroubleKind,
    },
    report::{Doctor, DoctorFinding, Kubeconfig, Outbox, PlanReport, PlanStep},
};

/// What is on standard output and standard error after `messages`.
fn show(format: OutputFormat, talk: Talk, messages: Vec<Message>) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let settings = Settings {
        format,
        talk,
        stdout: PLAIN,
        stderr: PLAIN,
        redraw: Redraw::Possible,
    };
    let mut show = Show::new(settings, Redactor::default(), &mut stdout, &mut stderr);
    for message in messages {
        show.message(message);
    }
    show.end();
    (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn report() -> Report {
    Report::Kubeconfig(Kubeconfig {
        path: "/kubeconfig".into(),
        context: "k3d-shop".into(),
    })
}

fn failed() -> Message {
    Message::Failures {
        exit_code: 5,
        failures: Failure::new("cluster.gone", ExitClass::Cluster, "The cluster is gone").into(),
    }
}

fn notice() -> Message {
    Message::Event(EventKind::Notice {
        level: NoticeLevel::Warning,
        text: "look".into(),
    })
}

#[test]
fn data_goes_to_stdout_and_talk_to_stderr() {
    let (stdout, stderr) = show(
        OutputFormat::Text,
        Talk::Lines,
        vec![notice(), Message::Report(Box::new(report()))],
    );
    assert_eq!(stdout, "/kubeconfig\n");
    assert_eq!(stderr, "warning: look\n");
}

#[test]
fn json_is_exactly_one_document_also_when_the_command_fails_late() {
    let messages = vec![
        notice(),
        Message::Report(Box::new(report())),
        Message::Bytes(OutputStream::Stdout, b"child\n".to_vec()),
        failed(),
    ];
    let (stdout, stderr) = show(OutputFormat::Json, Talk::Lines, messages);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["schema"], "devenv.failure/1");
    assert_eq!(document["exitCode"], 5);
    assert_eq!(document["failures"][0]["code"], "cluster.gone");
    assert_eq!(stderr, "warning: look\nchild\n");
}

#[test]
fn quiet_shows_failures_and_nothing_else() {
    let (stdout, stderr) = show(OutputFormat::Text, Talk::Silent, vec![notice(), failed()]);
    assert_eq!(stdout, "");
    assert_eq!(stderr, "error[cluster.gone]: The cluster is gone\n");
}

#[test]
fn a_document_that_is_watched_is_drawn_over_the_last_one() {
    let item = || Message::Item(Box::new(report()));
    let (stdout, _) = show(OutputFormat::Text, Talk::Silent, vec![item(), item()]);
    assert_eq!(stdout, "/kubeconfig\n\x1b[1F\x1b[0J/kubeconfig\n");
    let (stdout, _) = show(OutputFormat::Json, Talk::Silent, vec![item(), item()]);
    assert_eq!(stdout.lines().count(), 2);
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_pipe_is_no_noise() {
    let mut stderr = Vec::new();
    let settings = Settings {
        format: OutputFormat::Text,
        talk: Talk::Lines,
        stdout: PLAIN,
        stderr: PLAIN,
        redraw: Redraw::Impossible,
    };
    let mut show = Show::new(settings, Redactor::default(), Closed, &mut stderr);
    show.message(Message::Report(Box::new(report())));
    show.end();
    assert_eq!(stderr, b"");
}

#[test]
fn the_reader_ends_when_it_is_told_to_although_senders_are_left() {
    let (outbox, message_rx) = Outbox::new();
    let settings = Settings {
        format: OutputFormat::Json,
        talk: Talk::Silent,
        stdout: PLAIN,
        stderr: PLAIN,
        redraw: Redraw::Impossible,
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    futures::executor::block_on(async {
        outbox.report(report()).await;
        outbox.send(Message::End).await;
    });
    Show::new(settings, Redactor::default(), &mut stdout, &mut stderr).run(message_rx);
    assert!(stdout.starts_with(b"{"));
    drop(outbox);
}

/// What would name the window, clear the screen, go back in the line, reorder text and colour it, if it got there.
const HOSTILE: &str = "fine\u{1b}]0;owned\u{7}\u{1b}[2J\rover\u{202e}written\u{9b}31m\u{2028}";

/// Everything that others may say: an event of Kubernetes, metadata of a chart in what Helm says, titles, names, lines of tools.
fn said_by_others() -> Vec<Message> {
    let step = StepId::new("deploy", "web");
    let hostile = || HOSTILE.to_owned();
    let mut failure = Failure::new("helm.failed", ExitClass::Cluster, hostile())
        .because(hostile())
        .with_evidence(hostile(), vec![hostile()])
        .help(hostile());
    failure.place = Some(Box::new(Place {
        file: HOSTILE.into(),
        line: 1,
        column: 1,
        length: 400,
        source_line: hostile(),
    }));
    let trouble = Trouble {
        service: "web".parse().unwrap(),
        pod: Some(hostile()),
        container: Some(hostile()),
        kind: TroubleKind::CannotStart { reason: hostile() },
        message: hostile(),
        is_final: false,
    };
    let summary = StepSummary {
        id: step.clone(),
        title: hostile(),
        reason: hostile(),
        stage: Stage::Images,
        service: None,
        needs: Vec::new(),
    };
    let plan = PlanReport {
        environment: hostile(),
        steps: vec![PlanStep::from(&summary)],
    };
    let finding = Finding::problem("disk.full", hostile())
        .because(hostile())
        .seen(HOSTILE, vec![hostile()])
        .fix(hostile());
    let doctor = Doctor {
        environment: Some(hostile()),
        findings: vec![DoctorFinding::from(&finding)],
        bundle: None,
    };
    let events = [
        EventKind::RunStarted { command: hostile() },
        EventKind::PlanReady {
            steps: vec![summary],
        },
        EventKind::StepStarted { step: step.clone() },
        EventKind::StepProgress {
            step: step.clone(),
            note: hostile(),
        },
        EventKind::ServiceTrouble { trouble },
        EventKind::Notice {
            level: NoticeLevel::Warning,
            text: hostile(),
        },
        EventKind::StepFinished {
            step,
            outcome: Outcome::Failed {
                failure: Box::new(failure.clone()),
            },
            took: Duration::from_secs(1),
        },
    ];
    let items = [Report::Plan(plan), Report::Doctor(doctor)];
    let failures = Message::Failures {
        exit_code: 5,
        failures: failure.into(),
    };
    let events = events.into_iter().map(Message::Event);
    let items = items
        .into_iter()
        .map(|report| Message::Item(Box::new(report)));
    events.chain(items).chain([failures]).collect()
}

#[test]
fn what_others_say_drives_no_terminal() {
    for format in [OutputFormat::Text, OutputFormat::Json, OutputFormat::Yaml] {
        for talk in [Talk::Lines, Talk::Live] {
            let (stdout, stderr) = show(format, talk, said_by_others());
            let all = format!("{stdout}{stderr}");
            assert!(
                all.matches("owned").count() > 5,
                "{format:?} {talk:?}: {all:?}"
            );
            for part in [
                "\u{1b}]",
                "\u{7}",
                "\u{1b}[2J",
                "\rover",
                "\u{202e}",
                "\u{9b}",
                "\u{2028}",
            ] {
                assert!(
                    !all.contains(part),
                    "{part:?} in {format:?} {talk:?}: {all:?}"
                );
            }
        }
    }
}
