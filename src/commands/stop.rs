//! `devenv stop`

use std::time::Duration;

use super::{Context, Exit, project};
use crate::{
    domain::Failures,
    features::{
        debug::undo_killed,
        power::{is_there, stop},
    },
    report::{Report, Stop},
    session,
    state::SessionLife,
};

/// How long `stop` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(2);

/// Stop the environment: frees processor and memory, keeps everything
///
/// The services are asked to end, then cluster and registry are stopped. `devenv start` goes on from there
/// in seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv stop
  devenv start")]
pub struct Args {}

/// Runs the command.
pub(super) async fn run(_: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    let life = SessionLife::of(&project.paths).map_err(|error| error.failure())?;
    if life == SessionLife::Gone && !is_there(&project).await? {
        // One that was killed must not come back.
        session::end(&project.paths).await?;
        let report = Stop {
            environment: project.environment.id.to_string(),
            ..Stop::default()
        };
        context.outbox.report(Report::Stop(report)).await;
        return Ok(Exit::Success);
    }
    let _lock = context.begin_run(&project.paths, "stop").await?;
    undo_killed(&project, &context.outbox).await;
    session::end(&project.paths).await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let report = stop(&project, &context.outbox, &context.cancel, deadline).await?;
    context.outbox.report(Report::Stop(report)).await;
    Ok(Exit::Success)
}
