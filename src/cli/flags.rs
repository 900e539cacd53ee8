//! The flags that every command has, each with its environment variable.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, builder::FalseyValueParser};

use crate::{
    commands::Assignment,
    domain::{ProfileName, parse_duration},
    report::OutputFormat,
};

const HEADING: &str = "Common options";

/// The flags that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct GlobalFlags {
    /// The manifest [default: devenv.yaml in this directory or above]
    #[arg(
        short,
        long,
        global = true,
        env = "DEVENV_FILE",
        value_name = "FILE",
        hide_env = true
    )]
    pub(super) file: Option<PathBuf>,

    /// Act as if started in this directory
    #[arg(
        short = 'C',
        long,
        global = true,
        env = "DEVENV_DIRECTORY",
        value_name = "DIR",
        hide_env = true
    )]
    pub(super) directory: Option<PathBuf>,

    // The variable is plural: another tool of the name sets DEVENV_PROFILE to something else.
    /// Lay a profile over the manifest; several: `-p a -p b` or `-p a,b`
    #[arg(
        short,
        long = "profile",
        global = true,
        env = "DEVENV_PROFILES",
        value_name = "PROFILE",
        value_delimiter = ',',
        hide_env = true
    )]
    pub(super) profiles: Vec<ProfileName>,

    /// Set a value of the manifest for this run, such as `services.order.replicas=2`; may be repeated
    #[arg(
        long = "set",
        global = true,
        env = "DEVENV_SET",
        value_name = "KEY=VALUE",
        hide_env = true
    )]
    pub(super) sets: Vec<Assignment>,

    /// The form of standard output
    #[arg(
        short,
        long,
        global = true,
        env = "DEVENV_OUTPUT",
        value_enum,
        default_value_t,
        value_name = "FORM",
        hide_env = true
    )]
    pub(super) output: OutputFormat,

    /// Say nothing but results and failures
    #[arg(short, long, global = true, env = "DEVENV_QUIET", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(super) quiet: bool,

    /// Say more; twice: also what devenv does inside
    #[arg(short, long, global = true, env = "DEVENV_VERBOSE", action = ArgAction::Count, hide_env = true)]
    pub(super) verbose: u8,

    /// Answer every question with yes
    #[arg(long, global = true, env = "DEVENV_YES", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(super) yes: bool,

    /// How long the command may take in all, such as `90s` or `5m`
    #[arg(
        long,
        global = true,
        env = "DEVENV_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        hide_env = true
    )]
    pub(super) timeout: Option<Duration>,

    /// Use no colours; so does `NO_COLOR`
    #[arg(long, global = true, env = "DEVENV_NO_COLOR", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(super) no_color: bool,
}
