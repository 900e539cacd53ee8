//! `devenv stop`

use std::time::Duration;

use super::{Context, Exit, begin::Rollout, project, session};
use crate::{
    domain::Failures,
    features::{
        debug::undo_killed,
        power::{is_there, stop},
    },
    plan::Patience,
    report::{Report, Stop},
    session::end,
    state::SessionLife,
};

/// How long `stop` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(2);

/// Stop the environment: frees processor and memory, keeps everything
///
/// The services are asked to end, and have a moment for it; then cluster and registry are stopped. The data is kept in
/// any case. `devenv start` goes on from there in seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv stop
  devenv stop --persist-data
  devenv start")]
pub struct Args {
    /// Kill no service: each has 30 s to end, or nothing is stopped; then all data is written to the disk
    #[arg(long)]
    pub persist_data: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    let life = SessionLife::of(&project.paths).map_err(|error| error.failure())?;
    if life == SessionLife::Gone && !is_there(&project).await? {
        // One that was killed must not come back.
        end(&project.paths).await?;
        let report = Stop {
            environment: project.environment.id.to_string(),
            ..Stop::default()
        };
        context.outbox.report(Report::Stop(report)).await;
        return Ok(Exit::Success);
    }
    let _lock = context
        .begin_run(&project, "stop", Rollout::GivenUp)
        .await?;
    undo_killed(&project, &context.outbox).await;
    end(&project.paths).await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let patience = if args.persist_data {
        Patience::UntilTheyHave
    } else {
        Patience::AMoment
    };
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let stopped = Box::pin(stop(&project, patience, outbox, cancel, deadline)).await;
    if stopped.is_err() && life != SessionLife::Gone {
        session::ensure_if_possible(context, &project).await;
    }
    context.outbox.report(Report::Stop(stopped?)).await;
    Ok(Exit::Success)
}
