//! `devenv start`

use std::time::Duration;

use super::{Context, Exit, begin::Rollout, project, session};
use crate::{
    domain::{Failures, HostMoment},
    features::power::{is_there, nothing_to_start, start},
    report::Report,
};

/// How long `start` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(5);

/// Start a stopped environment, and wait until its services are ready
///
/// Builds and deploys nothing: what was there is there again. `devenv up` takes changes over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv start
  devenv start --timeout 2m")]
pub struct Args {}

/// Runs the command.
pub(super) async fn run(_: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    if !is_there(&project).await? {
        return Err(nothing_to_start().into());
    }
    context
        .confirm_commands(&project, "start", &[HostMoment::LiveBuild])
        .await?;
    let _lock = context
        .begin_run(&project, "start", Rollout::Awaited)
        .await?;
    context.undo_killed(&project).await?;
    session::ensure_if_possible(context, &project).await;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let report = start(&project, &context.outbox, &context.cancel, deadline).await?;
    // Of a cluster that did not run, now that it does.
    context.undo_killed(&project).await?;
    context.outbox.report(Report::Start(report)).await;
    Ok(Exit::Success)
}
