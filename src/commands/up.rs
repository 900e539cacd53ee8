//! `devenv up`

use std::time::Duration;

use super::{Context, Exit, project};
use crate::{
    domain::Failures,
    features::up::{Scope, Wanted, up},
    report::Report,
};

/// How long `up` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(15);

/// Bring the environment up: cluster, images, services
///
/// Creates what is missing, builds and deploys what changed, and waits until every service is ready.
/// With names, only these services and what they depend on. Run it again at any time: it does what is
/// left to do, also after a `kill -9`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv up
  devenv up payment order
  devenv up --services payment,order --profile minimal
  devenv up --timeout 10m -o json")]
pub struct Args {
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// The same as a list
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub services: Vec<String>,
}

impl Args {
    pub(super) fn all_names(&self) -> Vec<String> {
        self.names.iter().chain(&self.services).cloned().collect()
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open(context).await?;
    let wanted = Wanted {
        services: project::services(&project, &args.all_names())?,
        scope: Scope::WithDependencies,
        deadline: context.timeout.unwrap_or(DEADLINE),
    };
    let _lock = context.begin_run(&project.paths, "up").await?;
    let report = up(&project, &wanted, &context.outbox, &context.cancel).await?;
    context.outbox.report(Report::Up(report)).await;
    Ok(Exit::Success)
}
