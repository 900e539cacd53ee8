use super::{super::style::samples::PLAIN, *};
use crate::{
    domain::{ExitClass, Failure, NoticeLevel},
    report::{Kubeconfig, Outbox},
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
