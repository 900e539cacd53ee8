//! `devenv init`

use std::path::PathBuf;

use super::{Context, Exit};
use crate::{
    domain::{ExitClass, Failure, Failures},
    features::init::{Wanted, Writing, create, fix},
    manifest,
    report::{OutputFormat, Report},
};

/// Write a first devenv.yaml from a compose file or Dockerfiles, or mend one
///
/// Without a compose file, every directory with a Dockerfile becomes a service. What cannot be
/// converted is listed, and stands as a comment in its place. Passwords go to files that are not
/// committed. A devenv.yaml that is there is never replaced: `--fix` mends its slips.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv init
  devenv init --from deploy/docker-compose.yml
  devenv init --fix --dry-run   # what it would change
  devenv init -f other.yaml")]
pub struct Args {
    /// The compose file to convert; found by itself in this directory
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    pub from: Option<PathBuf>,

    /// Mend the manifest that is there, where there is only one way
    #[arg(long)]
    pub fix: bool,

    /// With `--fix`: only show what would change
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    if args.fix {
        return mend(&args, context).await;
    }
    let wanted = Wanted {
        directory: context.directory.clone(),
        file: context.file.clone(),
        from: args.from,
    };
    let report = blocking(move || create(&wanted)).await?;
    context.outbox.report(Report::Init(report)).await;
    Ok(Exit::Success)
}

async fn mend(args: &Args, context: &Context) -> Result<Exit, Failures> {
    let here = crate::adapters::files::Project::new(context.directory.clone());
    let found = match context.file {
        Some(_) => None,
        None => manifest::find_project(&context.directory, &here),
    };
    let request = manifest::Request {
        directory: found.unwrap_or_else(|| context.directory.clone()),
        file: context.file.clone(),
        profiles: context.profiles.clone(),
        ..manifest::Request::default()
    };
    let writing = if args.dry_run {
        Writing::DryRun
    } else {
        Writing::Really
    };
    let fixed = blocking(move || fix(&request, writing)).await?;
    match fixed.left {
        None => {
            context.outbox.report(Report::Init(fixed.report)).await;
            Ok(Exit::Success)
        }
        Some(left) => {
            // With `-o json` there is one document: that of the failure.
            if context.format == OutputFormat::Text {
                context.outbox.report(Report::Init(fixed.report)).await;
            }
            Err(left)
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failures> + Send + 'static,
) -> Result<T, Failures> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let what = "init ended before its time";
            Err(Failure::new("internal.init", ExitClass::Internal, what)
                .caused_by(&error)
                .into())
        })
}
