//! `devenv exec`

use std::time::Duration;

use super::{
    Context, Exit, StreamKind, Streams,
    project::{self, Target},
    session,
};
use crate::{
    domain::{ExitClass, Failure, Failures, NoticeLevel},
    features::exec::{Connection, Copied, CopyOut, Ended, Input, Ran, Wanted, in_service, in_task},
    report::{Exec, Message, Outbox, OutputFormat, Report},
};

/// How long may pass before a task's command runs, when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(10);
/// The exit code of a program whose reader is gone, by the convention of shells: SIGPIPE.
const READER_GONE: u8 = 141;

/// Run a command in a container of a service, or run a task
///
/// In a service the command runs in the newest ready pod. A task gets a pod of its own, which is removed at
/// the end; without a command it runs the one of the manifest. Standard input, output and the exit code are
/// those of the command. In a loop over lines of standard input, give the command `</dev/null`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv exec postgres                        # a shell
  devenv exec order -- python3 manage.py migrate
  devenv exec postgres -- psql -U shop < dump.sql
  devenv exec test                            # the task `test`
  devenv exec test -- npm run one-test
  devenv exec test --copy-out /results/junit.xml:reports -- npm run integration")]
pub struct Args {
    /// The service or task
    #[arg(value_name = "SERVICE|TASK")]
    pub target: String,

    /// The container, where a pod of the service has several
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// Connect the terminal, also to a task, whose first output may be missed then
    #[arg(short, long, conflicts_with = "no_tty")]
    pub tty: bool,

    /// Connect plain streams, also on a terminal
    #[arg(long)]
    pub no_tty: bool,

    /// Copy a file or directory of the container to this machine when the command has ended, however it ended
    ///
    /// It arrives in the directory behind the colon, or in this one, under its last name; a file that is there is
    /// replaced. Links are left out.
    #[arg(long, value_name = "REMOTE[:LOCAL]")]
    pub copy_out: Vec<CopyOut>,

    /// Program and arguments; without them a shell, or the command of the task
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<String>,
}

/// When the user wants a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tty {
    Always,
    Never,
    /// Where the user has one.
    IfThere,
}

impl Args {
    const fn tty(&self, is_task: bool) -> Tty {
        match (self.tty, self.no_tty) {
            (true, _) => Tty::Always,
            (false, true) => Tty::Never,
            // What a task says before somebody is connected to its terminal would be lost.
            (false, false) if is_task => Tty::Never,
            (false, false) => Tty::IfThere,
        }
    }
}

fn connection(tty: Tty, streams: Streams, format: OutputFormat) -> Result<Connection, Failure> {
    let is_there = streams.stdin == StreamKind::Terminal && streams.stdout == StreamKind::Terminal;
    let input = match streams.stdin {
        StreamKind::Terminal => Input::Keyboard,
        StreamKind::Other => Input::File,
    };
    match (tty, format) {
        (Tty::Always | Tty::IfThere, OutputFormat::Text) if is_there => Ok(Connection::Terminal),
        (Tty::Always, _) => Err(no_terminal()),
        (Tty::Never | Tty::IfThere, OutputFormat::Text) => Ok(Connection::Streams(input)),
        (Tty::Never | Tty::IfThere, OutputFormat::Json | OutputFormat::Yaml) => {
            Ok(Connection::Collected(input))
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open(context).await?;
    session::revive(context, &project).await;
    let target = project::target(&project, &args.target)?;
    let is_task = matches!(target, Target::Task(_));
    let connection = connection(args.tty(is_task), context.streams, context.format)?;
    let wanted = Wanted {
        connection,
        container: args.container,
        command: args.command,
        copy_out: args
            .copy_out
            .into_iter()
            .map(|copy| copy.below(&context.directory))
            .collect(),
    };
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let ended = match target {
        Target::Service(service) => {
            if wanted.command.is_empty() && connection != Connection::Terminal {
                return Err(no_command(&args.target).into());
            }
            Box::pin(in_service(&project, &service, &wanted, outbox, cancel)).await?
        }
        Target::Task(task) => {
            if wanted.container.is_some() {
                return Err(one_container(&args.target).into());
            }
            let deadline = context.timeout.unwrap_or(DEADLINE);
            Box::pin(in_task(&project, task, &wanted, deadline, outbox, cancel)).await?
        }
    };
    match ended {
        Ended::Ran(ran) => {
            tell_copied(&ran.copied, outbox).await;
            let failures = Failures::from_list(ran.copied.failures.clone());
            match failures {
                // What the command came to counts for more.
                Some(failures) if ran.code == 0 => return Err(failures),
                Some(failures) => {
                    for failure in failures.iter() {
                        let text = format!("{}: {}", failure.what, failure.why.join(": "));
                        outbox.notice(NoticeLevel::Warning, text).await;
                    }
                }
                None => {}
            }
            let code = ran.code;
            if let Connection::Collected(_) = connection {
                let report = collected(args.target, wanted.command, ran);
                outbox.report(Report::Exec(report)).await;
            }
            Ok(Exit::Child(code))
        }
        Ended::NotStarted { code, failure } => {
            let message = Message::Failures {
                exit_code: code,
                failures: Failures::from(*failure),
            };
            outbox.send(message).await;
            Ok(Exit::Child(code))
        }
        Ended::Interrupted => Ok(Exit::Class(ExitClass::Interrupted)),
        Ended::ReaderGone => Ok(Exit::Child(READER_GONE)),
    }
}

/// What a command came to whose output was collected.
fn collected(service: String, command: Vec<String>, ran: Ran) -> Exec {
    Exec {
        service,
        command,
        exit_code: ran.code,
        stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
        copied: ran.copied.files,
        left_out: ran.copied.left_out,
    }
}

/// Says what arrived on this machine, and what did not and was not meant to.
async fn tell_copied(copied: &Copied, outbox: &Outbox) {
    let files = &copied.files;
    let text = match files.as_slice() {
        [] => None,
        [file] => Some(format!("copied {}", file.to)),
        [first, ..] => Some(format!("copied {} files: {}, ...", files.len(), first.to)),
    };
    if let Some(text) = text {
        outbox.notice(NoticeLevel::Info, text).await;
    }
    if let [first, others @ ..] = copied.left_out.as_slice() {
        let more = match others.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let text = format!("links and the like are not copied: {first}{more}");
        outbox.notice(NoticeLevel::Warning, text).await;
    }
}

fn no_terminal() -> Failure {
    Failure::new(
        "usage.no-terminal",
        ExitClass::Usage,
        "--tty needs a terminal on standard input and output, and the output in text form",
    )
    .help("leave --tty out")
}

fn no_command(service: &str) -> Failure {
    Failure::new(
        "usage.no-command",
        ExitClass::Usage,
        format!("what should run in {service}?"),
    )
    .because("without a command there is a shell, and that needs a terminal")
    .help(format!("devenv exec {service} -- PROGRAM"))
}

fn one_container(task: &str) -> Failure {
    Failure::new(
        "usage.unknown-container",
        ExitClass::Usage,
        format!("the task {task} has one container: --container chooses among those of a service"),
    )
    .help(format!("devenv exec {task}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        let words = ["exec"].iter().chain(words);
        Line::try_parse_from(words).unwrap().args
    }

    const TERMINAL: Streams = Streams {
        stdin: StreamKind::Terminal,
        stdout: StreamKind::Terminal,
        stderr: StreamKind::Terminal,
    };

    #[test]
    fn the_flags_of_the_command_are_its_own() {
        let with = args(&["order", "--", "ls", "-c", "--tty"]);
        let without = args(&["order", "ls", "-c", "--tty"]);
        assert_eq!(with.command, ["ls", "-c", "--tty"]);
        assert_eq!(with.command, without.command);
        assert!(!without.tty && without.container.is_none());
        let chosen = args(&["order", "-c", "proxy", "ls"]);
        assert_eq!(chosen.container.as_deref(), Some("proxy"));
        assert_eq!(args(&["order", "--", "--version"]).command, ["--version"]);
    }

    #[test]
    fn the_terminal_is_connected_where_there_is_one_and_nobody_says_otherwise() {
        let text = OutputFormat::Text;
        let to = |tty, streams, format| connection(tty, streams, format).ok();
        assert_eq!(to(Tty::IfThere, TERMINAL, text), Some(Connection::Terminal));
        let piped = Streams {
            stdin: StreamKind::Other,
            ..TERMINAL
        };
        let streams = Connection::Streams(Input::File);
        assert_eq!(to(Tty::IfThere, piped, text), Some(streams));
        assert_eq!(to(Tty::Always, piped, text), None);
        let lines = Connection::Streams(Input::Keyboard);
        assert_eq!(to(Tty::Never, TERMINAL, text), Some(lines));
        let collected = Connection::Collected(Input::Keyboard);
        assert_eq!(
            to(Tty::IfThere, TERMINAL, OutputFormat::Json),
            Some(collected)
        );
    }

    #[test]
    fn a_task_gets_a_terminal_only_when_it_is_asked_for() {
        assert_eq!(args(&["test"]).tty(true), Tty::Never);
        assert_eq!(args(&["order"]).tty(false), Tty::IfThere);
        assert_eq!(args(&["-t", "test"]).tty(true), Tty::Always);
        assert_eq!(args(&["--no-tty", "order"]).tty(false), Tty::Never);
    }
}
