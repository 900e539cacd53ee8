//! The overview of all verbs, grouped by purpose, and the look of the help.

use std::fmt::Write as _;

use clap::{
    CommandFactory,
    builder::{
        StyledStr, Styles,
        styling::{AnsiColor, Style},
    },
};

use super::Cli;
use crate::commands::{Command, Purpose};

/// The look of the help.
pub(super) const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new().dimmed())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Cyan.on_default())
    .invalid(AnsiColor::Yellow.on_default());

/// The whole command line, as the help and docs/cli.md show it.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    let overview = overview(&command);
    command = command
        .override_help(overview.clone())
        .after_long_help(StyledStr::new());
    command
}

/// What `devenv` alone shows.
pub(super) fn overview(command: &clap::Command) -> StyledStr {
    let styles = command.get_styles();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let placeholder = styles.get_placeholder();
    let widest = command
        .get_subcommands()
        .map(|verb| verb.get_name().len())
        .max()
        .unwrap_or(0);
    let mut text = StyledStr::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "{}\n\n{header}Usage:{header:#} {literal}devenv{literal:#} {placeholder}COMMAND{placeholder:#}",
        command.get_about().cloned().unwrap_or_default().ansi()
    );
    for purpose in Purpose::ALL {
        let verbs: Vec<&clap::Command> = Command::PURPOSES
            .iter()
            .filter(|(_, of)| *of == purpose)
            .filter_map(|(module, _)| command.find_subcommand(module.replace('_', "-")))
            .collect();
        if verbs.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{header}{}{header:#}", purpose.heading());
        for verb in verbs {
            let _ = writeln!(
                text,
                "  {literal}{:widest$}{literal:#}  {}",
                verb.get_name(),
                verb.get_about().cloned().unwrap_or_default().ansi()
            );
        }
    }
    let _ = write!(
        text,
        "\n{literal}devenv COMMAND --help{literal:#} explains a command with an example."
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_stands_in_the_overview() {
        let command = command();
        let text = overview(&command).to_string();
        for verb in command.get_subcommands() {
            assert!(text.contains(&format!("  {} ", verb.get_name())), "{text}");
        }
    }
}
