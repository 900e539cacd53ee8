//! The command line: flags, dispatch, signals, exit codes.
//!
//! Called by `main` alone. Reads the arguments, makes the `Context` of the command, starts the reader of
//! its outbox and turns its end into an exit code. What a verb does is no business of this room.

mod flags;
mod help;
mod run;
mod signals;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
pub use help::command;

use self::{flags::GlobalFlags, run::Surroundings};
use crate::{
    adapters::environment::HostVariables,
    commands::{Command, Typed, with_names},
};

/// One command from a clone to a running Kubernetes environment: cluster, services and data
#[derive(Debug, Parser)]
#[command(
    name = "devenv",
    version,
    styles = help::STYLES,
    disable_help_subcommand = true,
    subcommand_required = true,
    max_term_width = 100,
)]
struct Cli {
    #[command(flatten)]
    flags: GlobalFlags,
    #[command(subcommand)]
    command: Command,
}

/// Runs the program.
pub fn main() -> ExitCode {
    // A shell that asks for completions must get nothing else, and at once.
    let typed = Typed {
        words: std::env::args_os().collect(),
        variables: HostVariables::read(),
    };
    clap_complete::CompleteEnv::with_factory(|| with_names(Cli::command(), &typed)).complete();
    let arguments = typed.words;
    let surroundings = Surroundings::look(&arguments, typed.variables);
    if arguments.len() <= 1 {
        return usage::show_overview(&surroundings);
    }
    match usage::parse(arguments) {
        Ok(cli) => run::run(cli, surroundings),
        Err(stop) => usage::show(&stop, &surroundings),
    }
}
