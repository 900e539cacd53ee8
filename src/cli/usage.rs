//! Arguments that are help, or no command: shown, and exit code 0 or 2.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{
    FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, help, run::Surroundings};
use crate::{
    domain::{ExitClass, Failure},
    output::{Colour, Reader, Talk},
    report::{Message, Outbox, OutputFormat},
};

/// Why there is no command to run.
#[derive(Debug)]
pub(super) struct Stop {
    error: clap::Error,
    format: OutputFormat,
    /// The command that explains the arguments.
    help: String,
}

/// The command line that `arguments` spell.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Cli, Box<Stop>> {
    let format = wanted_format(&arguments);
    let mut command = help::command();
    let help = help_for(&command, &arguments);
    command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| {
            Box::new(Stop {
                error,
                format,
                help,
            })
        })
}

/// `devenv VERB --help` for the verb among the arguments, else `devenv --help`.
fn help_for(command: &clap::Command, arguments: &[OsString]) -> String {
    let mut verbs = arguments
        .iter()
        .filter_map(|argument| command.find_subcommand(argument));
    verbs.next().map_or_else(
        || "devenv --help".to_owned(),
        |verb| format!("devenv {} --help", verb.get_name()),
    )
}

/// The form asked for in arguments that could not be read as a whole. The variable is looked at later.
fn wanted_format(arguments: &[OsString]) -> OutputFormat {
    let texts: Vec<&str> = arguments.iter().filter_map(|text| text.to_str()).collect();
    let value = texts.iter().enumerate().find_map(|(index, text)| {
        text.strip_prefix("--output=")
            .or_else(|| text.strip_prefix("-o").filter(|rest| !rest.is_empty()))
            .map(|value| value.trim_start_matches('='))
            .or_else(|| {
                matches!(*text, "-o" | "--output")
                    .then(|| texts.get(index + 1).copied())
                    .flatten()
            })
    });
    value.map_or(OutputFormat::Text, form)
}

fn form(name: &str) -> OutputFormat {
    clap::ValueEnum::from_str(name, true).unwrap_or_default()
}

/// Shows what `devenv` alone shows.
pub(super) fn show_overview(surroundings: &Surroundings) -> ExitCode {
    let overview = help::overview(&help::command());
    print(&overview, surroundings);
    // As other tools do: it was no command.
    ExitCode::from(ExitClass::Usage.code())
}

/// Shows help, or what is wrong with the arguments.
pub(super) fn show(stop: &Stop, surroundings: &Surroundings) -> ExitCode {
    match stop.error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print(&stop.error.render(), surroundings);
            ExitCode::SUCCESS
        }
        // A command that has others below it, and none of these.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print(&stop.error.render(), surroundings);
            ExitCode::from(ExitClass::Usage.code())
        }
        _ => fail(stop, surroundings),
    }
}

fn print(text: &clap::builder::StyledStr, surroundings: &Surroundings) {
    let text = match surroundings.stdout_style(false).colour {
        Colour::Ansi => text.ansi().to_string(),
        Colour::Plain => text.to_string(),
    };
    // Whoever closed standard output wants no more of it.
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

fn fail(stop: &Stop, surroundings: &Surroundings) -> ExitCode {
    let format = match stop.format {
        OutputFormat::Text => surroundings
            .host
            .devenv
            .get("DEVENV_OUTPUT")
            .map_or(OutputFormat::Text, |name| form(name)),
        other => other,
    };
    let exit_code = ExitClass::Usage.code();
    let (outbox, message_rx) = Outbox::new();
    let settings = surroundings.output(format, Talk::Silent, false);
    if let Ok(reader) = Reader::spawn(settings, message_rx, outbox.redactor().clone()) {
        futures::executor::block_on(async {
            let failures = failure(stop).into();
            outbox
                .send(Message::Failures {
                    exit_code,
                    failures,
                })
                .await;
            outbox.send(Message::End).await;
        });
        reader.finish(Duration::from_secs(5));
    }
    ExitCode::from(exit_code)
}

/// clap's error as a failure: its first paragraph is what failed, its tips are help.
fn failure(stop: &Stop) -> Failure {
    let error = &stop.error;
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let mut lines = what.trim_start_matches("error: ").lines();
    let mut failure = Failure::new(
        "usage.invalid",
        ExitClass::Usage,
        capital(lines.next().unwrap_or_default().trim_end_matches(':')),
    );
    for line in lines {
        failure = failure.because(line.trim());
    }
    for (kind, value) in error.context() {
        failure = match (kind, value) {
            (ContextKind::Suggested, ContextValue::StyledStrs(tips)) => tips
                .iter()
                .map(ToString::to_string)
                // Nobody who mistypes an option means a value that looks like one.
                .filter(|tip| !tip.contains("as a value"))
                .fold(failure, Failure::help),
            (
                ContextKind::SuggestedSubcommand
                | ContextKind::SuggestedArg
                | ContextKind::SuggestedValue,
                value,
            ) => failure.help(format!("did you mean {}?", quoted(value))),
            _ => failure,
        };
    }
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("Usage: "))
        .map(str::trim);
    match usage {
        Some(usage) => failure.help(format!("{usage}   # --help explains it")),
        None => failure.help(&stop.help),
    }
}

fn quoted(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(names) => {
            // clap puts the likeliest last.
            let names = names.iter().rev().map(|name| format!("`{name}`"));
            names.collect::<Vec<_>>().join(" or ")
        }
        other => format!("`{other}`"),
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + chars.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn the_form_is_found_in_arguments_that_make_no_sense() {
        for arguments in [
            &["devenv", "upp", "-o", "json"][..],
            &["devenv", "upp", "-ojson"],
            &["devenv", "--output=json", "upp"],
            &["devenv", "--nope", "--output", "json"],
        ] {
            assert_eq!(wanted_format(&words(arguments)), OutputFormat::Json);
        }
        assert_eq!(wanted_format(&words(&["devenv", "-o"])), OutputFormat::Text);
    }

    #[test]
    fn a_mistyped_option_is_not_taken_for_a_value() {
        let stop = parse(words(&["devenv", "version", "--nope"])).unwrap_err();
        let failure = failure(&stop);
        assert!(
            !failure.help.iter().any(|help| help.contains("-- --nope")),
            "{failure:?}"
        );
    }

    #[test]
    fn a_wrong_verb_is_a_usage_failure_that_proposes_the_right_one() {
        for (wrong, right) in [("versoin", "`version`"), ("statsu", "`status`")] {
            let failure = failure(&parse(words(&["devenv", wrong])).unwrap_err());
            assert_eq!(failure.class, ExitClass::Usage);
            let proposed = format!("did you mean {right}");
            assert!(failure.help[0].starts_with(&proposed), "{failure:?}");
        }
    }

    #[test]
    fn a_wrong_value_leads_to_the_help_of_its_verb() {
        for (arguments, help) in [
            (&["devenv", "logs", "--tail", "x"][..], "devenv logs --help"),
            (&["devenv", "-o", "x"], "devenv --help"),
        ] {
            let failure = failure(&parse(words(arguments)).unwrap_err());
            assert_eq!(failure.help.last().unwrap(), help, "{failure:?}");
        }
    }
}
