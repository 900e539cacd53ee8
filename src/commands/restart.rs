//! `devenv restart`

use std::time::Duration;

use super::{Context, Exit, begin::Rollout, project, session};
use crate::{
    domain::{ExitClass, Failure, Failures},
    features::{
        debug::undo_killed,
        restart::{Way, restart},
    },
    report::Report,
};

/// How long `restart` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(5);

/// Start services anew, and wait until they are ready
///
/// A service with `live` or `debug` is started anew in its containers, in milliseconds; the pods of all others are
/// replaced. Images and settings stay as they are: `devenv up` takes changes over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv restart payment
  devenv restart payment --pods   # another pod in any case
  devenv restart --service payment,order")]
pub struct Args {
    /// The services
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// The same as a list
    #[arg(
        long = "service",
        visible_alias = "services",
        value_name = "A,B",
        value_delimiter = ','
    )]
    pub services: Vec<String>,

    /// Replace the pods also where the processes alone can be started anew
    #[arg(long)]
    pub pods: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let names: Vec<String> = args.names.into_iter().chain(args.services).collect();
    if names.is_empty() {
        return Err(nothing_named(&project).into());
    }
    let mut services = project::services(&project, &names)?;
    services.sort();
    services.dedup();
    let _lock = context
        .begin_run(&project, "restart", Rollout::Awaited)
        .await?;
    undo_killed(&project, &context.outbox).await;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let way = if args.pods { Way::Pods } else { Way::Fastest };
    let report = restart(&project, &services, way, outbox, cancel, deadline).await?;
    context.outbox.report(Report::Restart(report)).await;
    Ok(Exit::Success)
}

fn nothing_named(project: &crate::features::Project) -> Failure {
    let known = project.environment.services.keys();
    let known: Vec<&str> = known.map(AsRef::as_ref).collect();
    Failure::new("usage.no-service", ExitClass::Usage, "no service is named")
        .help(format!(
            "devenv restart {}",
            known.first().unwrap_or(&"SERVICE")
        ))
        .help(format!("the services are {}", known.join(", ")))
}
