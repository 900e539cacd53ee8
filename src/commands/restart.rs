//! `devenv restart`

use std::time::Duration;

use super::{Context, Exit, project, session};
use crate::{
    domain::{ExitClass, Failure, Failures},
    features::restart::restart,
    report::Report,
};

/// How long `restart` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(5);

/// Replace the pods of services, and wait until the new ones are ready
///
/// Images and settings stay as they are: `devenv up` takes changes over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv restart payment
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
    let _lock = context.begin_run(&project.paths, "restart").await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = restart(&project, &services, outbox, cancel, deadline).await?;
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
