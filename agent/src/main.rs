//! The agent: devenv's helper inside a node of the cluster.
//!
//! `devenv-agent serve` speaks the protocol on standard input and output until its input ends. It keeps nothing.

mod containers;
mod files;
mod serve;

use std::{io, process::ExitCode};

/// The exit code of a command line that is not understood.
const USAGE: u8 = 2;

#[expect(clippy::print_stderr, reason = "it has no other way to say it")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_none_or(|first| first != "serve") {
        eprintln!("usage: devenv-agent serve");
        return ExitCode::from(USAGE);
    }
    match serve::serve(&mut io::stdin().lock(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devenv-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
