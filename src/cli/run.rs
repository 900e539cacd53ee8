//! One command from its arguments to its exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    Cli,
    flags::GlobalFlags,
    signals::{self, Interruption, TerminalState},
};
use crate::{
    adapters::{
        environment::HostVariables,
        host::{HostEnvironment, working_directory},
    },
    commands::{Assignment, Command, Consent, Context, Exit, StreamKind, Streams},
    domain::{ExitClass, Failure, Failures},
    output::{Colour, Glyphs, Reader, Redraw, Settings as OutputSettings, Style, Talk},
    report::{Message, Outbox, OutputFormat},
    state::{SessionRequest, Settings, UserPaths},
};

/// How long the last output may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long tasks that were left behind may take to end.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// Threads of the runtime: the work is waiting, not computing.
const WORKERS: usize = 2;
/// Columns where no terminal says how many there are.
const COLUMNS: usize = 100;

/// What the program finds itself in.
#[derive(Debug)]
pub(super) struct Surroundings {
    typed: Vec<String>,
    variables: HostVariables,
    pub(super) host: HostEnvironment,
    streams: Streams,
}

impl Surroundings {
    pub(super) fn look(words: &[OsString], variables: HostVariables) -> Self {
        let kind = |is_terminal| {
            if is_terminal {
                StreamKind::Terminal
            } else {
                StreamKind::Other
            }
        };
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let typed = words.iter().map(|word| word.to_string_lossy().into_owned());
        Self {
            typed: typed.collect(),
            host: HostEnvironment::from_variables(variables.iter().map(owned)),
            variables,
            streams: Streams {
                stdin: kind(io::stdin().is_terminal()),
                stdout: kind(io::stdout().is_terminal()),
                stderr: kind(io::stderr().is_terminal()),
            },
        }
    }

    /// How everything is shown.
    pub(super) fn output(
        &self,
        format: OutputFormat,
        talk: Talk,
        no_color: bool,
    ) -> OutputSettings {
        OutputSettings {
            format,
            talk,
            stdout: self.stdout_style(no_color),
            stderr: self.style(self.streams.stderr, no_color),
            redraw: match self.streams.stdout {
                StreamKind::Terminal => Redraw::Possible,
                StreamKind::Other => Redraw::Impossible,
            },
        }
    }

    pub(super) fn stdout_style(&self, no_color: bool) -> Style {
        self.style(self.streams.stdout, no_color)
    }

    fn style(&self, stream: StreamKind, no_color: bool) -> Style {
        let terminal = self.host.terminal;
        let plain = no_color || stream == StreamKind::Other || terminal.no_color || terminal.dumb;
        Style {
            colour: if plain { Colour::Plain } else { Colour::Ansi },
            glyphs: if self.host.shows_unicode() {
                Glyphs::Unicode
            } else {
                Glyphs::Ascii
            },
            width: self.width(stream),
        }
    }

    fn width(&self, stream: StreamKind) -> usize {
        let measured = || {
            (stream == StreamKind::Terminal)
                .then(|| console::Term::stderr().size_checked())
                .flatten()
                .map(|(_, columns)| usize::from(columns))
        };
        self.host
            .terminal
            .columns
            .or_else(measured)
            .unwrap_or(COLUMNS)
    }

    fn talk(&self, flags: &GlobalFlags) -> Talk {
        let moving = self.streams.stderr == StreamKind::Terminal
            && flags.output == OutputFormat::Text
            && flags.verbose < 2
            && !self.is_logging()
            && !self.host.terminal.ci
            && !self.host.terminal.dumb;
        if flags.quiet {
            Talk::Silent
        } else if moving {
            Talk::Live
        } else {
            Talk::Lines
        }
    }

    fn is_logging(&self) -> bool {
        self.host.devenv.contains_key("DEVENV_LOG")
    }
}

/// Runs the command and shows how it ended.
pub(super) fn run(cli: Cli, surroundings: Surroundings) -> ExitCode {
    let (outbox, message_rx) = Outbox::new();
    let talk = surroundings.talk(&cli.flags);
    let settings = surroundings.output(cli.flags.output, talk, cli.flags.no_color);
    let Ok(reader) = Reader::spawn(settings, message_rx, outbox.redactor().clone()) else {
        return ExitCode::from(ExitClass::Internal.code());
    };
    let terminal = TerminalState::remember();
    let ending = if cli.command.is_instant() {
        instant(cli, surroundings, outbox.clone())
    } else {
        with_runtime(cli, surroundings, &outbox, &terminal)
    };
    let code = futures::executor::block_on(last_words(ending, &outbox));
    reader.finish(LAST_WORDS);
    terminal.restore();
    ExitCode::from(code)
}

/// How a command ended, and the signal that came meanwhile.
struct Ending {
    result: Result<Exit, Failures>,
    interruption: Interruption,
}

impl From<Failures> for Ending {
    fn from(failures: Failures) -> Self {
        Self {
            result: Err(failures),
            interruption: Interruption::default(),
        }
    }
}

impl Ending {
    fn exit_code(&self) -> u8 {
        let signal = self.interruption.exit_code();
        match &self.result {
            Ok(exit @ Exit::Class(ExitClass::Interrupted)) => signal.unwrap_or(exit.code()),
            Ok(exit) => exit.code(),
            Err(failures) => signal.unwrap_or(failures.exit_code()),
        }
    }
}

async fn last_words(ending: Ending, outbox: &Outbox) -> u8 {
    let exit_code = ending.exit_code();
    if let Err(failures) = ending.result {
        outbox
            .send(Message::Failures {
                exit_code,
                failures,
            })
            .await;
    }
    outbox.send(Message::End).await;
    exit_code
}

/// Runs a command that needs no runtime, and no settings that could be wrong.
fn instant(cli: Cli, surroundings: Surroundings, outbox: Outbox) -> Ending {
    let result = context(cli.flags, surroundings, Settings::default(), outbox)
        .and_then(|context| futures::executor::block_on(cli.command.run(&context)));
    Ending {
        result,
        interruption: Interruption::default(),
    }
}

fn with_runtime(
    cli: Cli,
    surroundings: Surroundings,
    outbox: &Outbox,
    terminal: &TerminalState,
) -> Ending {
    start_logging(&cli.flags, &surroundings);
    // A second call is refused, and then the first one's provider is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli { flags, command } = cli;
    let (settings, settings_failures) = match settings(&surroundings) {
        Ok(settings) => (settings, None),
        Err(failures) if command.works_without_settings() => (Settings::default(), Some(failures)),
        Err(failures) => return failures.into(),
    };
    let mut context = match context(flags, surroundings, settings, outbox.clone()) {
        Ok(context) => context,
        Err(failures) => return failures.into(),
    };
    context.settings_failures = settings_failures;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Failures::from(no_runtime(&error)).into(),
    };
    let ending = runtime.block_on(supervised(command, &context, terminal));
    runtime.shutdown_timeout(LEFT_BEHIND);
    ending
}

async fn supervised(command: Command, context: &Context, terminal: &TerminalState) -> Ending {
    let listening = signals::listen(
        context.cancel.clone(),
        context.outbox.clone(),
        terminal.clone(),
    );
    match listening {
        Ok(interruption) => {
            let ending = Ending {
                result: Box::pin(command.run(context)).await,
                interruption,
            };
            let failures = ending.result.as_ref().err();
            context.outbox.end_run(ending.exit_code(), failures);
            ending
        }
        Err(error) => Failures::from(no_runtime(&error)).into(),
    }
}

fn no_runtime(error: &io::Error) -> Failure {
    Failure::new(
        "internal.no-runtime",
        ExitClass::Internal,
        "devenv cannot start its threads or listen for signals",
    )
    .caused_by(error)
    .help("ulimit -a   # the system may be out of processes or files")
}

fn settings(surroundings: &Surroundings) -> Result<Settings, Failures> {
    match UserPaths::of(&surroundings.host) {
        Ok(paths) => Settings::load(paths.config_file()).map_err(|error| error.failure().into()),
        // A command that needs the paths says itself that there are none.
        Err(_) => Ok(Settings::default()),
    }
}

fn context(
    flags: GlobalFlags,
    mut surroundings: Surroundings,
    settings: Settings,
    outbox: Outbox,
) -> Result<Context, Failures> {
    let of_session = sets_of_session(&mut surroundings.variables);
    let directory = working_directory(flags.directory.as_deref()).map_err(|error| {
        let wanted = flags
            .directory
            .as_deref()
            .map_or_else(|| ".".into(), |path| path.display().to_string());
        Failure::new(
            "usage.no-directory",
            ExitClass::Usage,
            format!("The directory {wanted} cannot be used"),
        )
        .caused_by(&error)
        .help(format!("ls -ld {wanted}"))
    })?;
    Ok(Context {
        directory,
        command_line: super::command,
        typed: surroundings.typed,
        file: flags.file,
        profiles: flags.profiles,
        sets: flags.sets.into_iter().chain(of_session).collect(),
        consent: if flags.yes {
            Consent::Given
        } else {
            Consent::Ask
        },
        timeout: flags.timeout,
        variables: surroundings.variables,
        host: surroundings.host,
        settings,
        settings_failures: None,
        format: flags.output,
        streams: surroundings.streams,
        outbox,
        cancel: CancellationToken::new(),
    })
}

/// What the command that started this session was given by `--set`.
fn sets_of_session(variables: &mut HostVariables) -> Vec<Assignment> {
    let text = variables.take(SessionRequest::SETS_VARIABLE);
    let sets = text.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
    let sets = sets.unwrap_or_default();
    sets.iter().filter_map(|set| set.parse().ok()).collect()
}

/// Writes what devenv does inside to standard error, if it was asked for.
fn start_logging(flags: &GlobalFlags, surroundings: &Surroundings) {
    let asked = surroundings
        .host
        .devenv
        .get("DEVENV_LOG")
        .map(String::as_str)
        .or(match flags.verbose {
            0 | 1 => None,
            2 => Some("devenv=debug"),
            _ => Some("debug"),
        });
    let Some(filter) = asked else {
        return;
    };
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(filter);
    // A second call is refused, and then the first one's subscriber is there.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(surroundings.streams.stderr == StreamKind::Terminal)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            typed: Vec::new(),
            variables: variables.iter().copied().collect(),
            host: HostEnvironment::from_variables(
                variables
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            ),
            streams: Streams {
                stdin: StreamKind::Terminal,
                stdout: StreamKind::Terminal,
                stderr: StreamKind::Terminal,
            },
        }
    }

    #[test]
    fn colours_are_left_out_for_who_cannot_or_will_not_see_them() {
        let colour = |variables: &[(&str, &str)], no_color| {
            surroundings(variables).stdout_style(no_color).colour
        };
        assert_eq!(colour(&[("TERM", "xterm")], false), Colour::Ansi);
        assert_eq!(colour(&[("TERM", "xterm")], true), Colour::Plain);
        assert_eq!(colour(&[("NO_COLOR", "1")], false), Colour::Plain);
        assert_eq!(colour(&[("TERM", "dumb")], false), Colour::Plain);
        let mut piped = surroundings(&[]);
        piped.streams.stdout = StreamKind::Other;
        assert_eq!(piped.stdout_style(false).colour, Colour::Plain);
    }

    #[test]
    fn nothing_moves_in_ci() {
        let flags = |words: &[&str]| {
            let words = ["devenv", "version"].iter().chain(words);
            <Cli as clap::Parser>::try_parse_from(words).unwrap().flags
        };
        let terminal = surroundings(&[("TERM", "xterm")]);
        assert_eq!(terminal.talk(&flags(&[])), Talk::Live);
        assert_eq!(terminal.talk(&flags(&["-vv"])), Talk::Lines);
        assert_eq!(terminal.talk(&flags(&["-o", "json"])), Talk::Lines);
        assert_eq!(terminal.talk(&flags(&["-q"])), Talk::Silent);
        assert_eq!(
            surroundings(&[("CI", "true")]).talk(&flags(&[])),
            Talk::Lines
        );
    }
}
