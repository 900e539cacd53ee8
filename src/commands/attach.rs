//! `devenv attach`

use super::{Context, Exit, project};
use crate::{
    adapters::terminal,
    domain::{Failures, NoticeLevel},
    features::Project,
    report::Report,
    session::{Client, Said},
};

/// How many events of before are shown first.
const TAIL: usize = 10;

/// Show every edit as it becomes live, with what its time went to
///
/// The last events come first. Ctrl-C ends the showing; the session goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv attach
  devenv attach -o json | jq 'select(.event == \"done\") | .totalMillis'")]
pub struct Args {}

/// Runs the command.
pub(super) async fn run(_: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    super::session::revive(context, &project).await;
    follow(context, &project).await
}

/// Shows what the session does until the user has enough, or it ends.
pub(super) async fn follow(context: &Context, project: &Project) -> Result<Exit, Failures> {
    let showing = async {
        let mut client = Client::connect(&project.paths).await?;
        client.attach(TAIL).await?;
        let text = if project.environment.is_live() {
            "edits are shown as they become live; Ctrl-C ends this, and the session goes on"
        } else {
            "no service has `live`, so there are no edits to show; Ctrl-C ends this, and the session goes on"
        };
        context.outbox.notice(NoticeLevel::Info, text).await;
        loop {
            match client.next().await? {
                Said::Event(event) => context.outbox.item(Report::Live(*event)).await,
                Said::Missed(missed) => {
                    let text =
                        format!("events that were not shown, as they came too fast: {missed}");
                    context.outbox.notice(NoticeLevel::Warning, text).await;
                }
                Said::End => return Ok(()),
            }
        }
    };
    tokio::select! {
        shown = showing => {
            shown.map_err(|error: crate::session::ClientError| error.failure())?;
            context.outbox.notice(NoticeLevel::Info, "the session has ended").await;
        }
        () = context.cancel.cancelled() => {}
        // `| head` has all it wanted.
        () = terminal::output_closed() => {}
    }
    Ok(Exit::Success)
}
