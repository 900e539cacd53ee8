//! `devenv docs`

use std::path::PathBuf;

use super::{Context, Exit, project};
use crate::{
    domain::{ExitClass, Failure, Failures},
    features::handbook::{handbook, place, written},
    manifest::NamedFiles,
    report::{DocsGenerated, Report},
};

/// Write the project's page for those who are new to it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write from the manifest what runs, how it fits together, what one has to give, and what to type
    ///
    /// What belongs to this machine alone is not in it: it is the same wherever it is written, and can be committed.
    #[command(after_help = "Examples:
  devenv docs generate
  devenv docs generate --check   # in CI: exit code 9 if it is not current
  devenv docs generate --out README.environment.md")]
    Generate {
        /// Write nothing; fail if the file is not current
        #[arg(long)]
        check: bool,
        /// The file, relative to the project
        #[arg(long, value_name = "FILE", default_value = "docs/ENVIRONMENT.md")]
        out: PathBuf,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let Action::Generate { check, out } = args.action;
    let request = project::request(context, NamedFiles::Assumed);
    let place = place(&request.directory, &out)?;
    let page = handbook(&request)?;
    let is_current = written(&place.path)?.as_deref() == Some(page.as_bytes());
    let file = place.shown.display().to_string();
    if check && !is_current {
        return Err(Failure::new(
            "docs.not-current",
            ExitClass::Checks,
            format!("{file} is not what the manifest says now"),
        )
        .help(format!("devenv docs generate --out {file}"))
        .into());
    }
    if !is_current {
        place.write(&page)?;
    }
    let report = DocsGenerated {
        file,
        written: !is_current,
    };
    context.outbox.report(Report::DocsGenerate(report)).await;
    Ok(Exit::Success)
}
