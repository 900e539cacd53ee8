//! `devenv down`

use std::time::Duration;

use super::{Context, Exit, begin::Rollout, project};
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, Failures, HookMoment, HostMoment},
    features::{
        debug::undo_killed,
        down::{down, is_untouched, question},
    },
    plan::Extent,
    report::{Down, Report},
    session,
};

/// How long `down` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(5);

/// Remove the cluster; the data stays unless --volumes is given
///
/// Removes cluster, registry and network, and says what it left: the data of the services' volumes, and
/// images, so that the next `up` is fast. Nothing of another project is touched. There may be nothing to
/// remove.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv down
  devenv down --images          # frees more space; the next `up` takes longer
  devenv down --volumes         # the data too; asks first
  devenv down --volumes --yes
  devenv down --volumes --keep-snapshots   # `devenv up` begins with no data, and a snapshot can be restored")]
pub struct Args {
    /// Remove the images too: those that were built, and what its registry and its nodes keep of any
    #[arg(long)]
    pub images: bool,
    /// Remove the data too: volumes, images, and devenv's own state of this environment
    #[arg(long)]
    pub volumes: bool,
    /// Keep the snapshots: after the next `up` they can be restored
    #[arg(long, requires = "volumes")]
    pub keep_snapshots: bool,
}

impl Args {
    const fn extent(&self) -> Extent {
        match self {
            Self {
                volumes: true,
                keep_snapshots: true,
                ..
            } => Extent::AllButSnapshots,
            Self { volumes: true, .. } => Extent::Everything,
            Self { images: true, .. } => Extent::Images,
            _ => Extent::Cluster,
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    if is_untouched(&project).await? {
        let report = Down {
            environment: project.environment.id.to_string(),
            ..Down::default()
        };
        context.outbox.report(Report::Down(report)).await;
        return Ok(Exit::Success);
    }
    let moment = HostMoment::Hook(HookMoment::BeforeDown);
    context
        .confirm_commands(&project, "down", &[moment])
        .await?;
    let extent = args.extent();
    if extent >= Extent::AllButSnapshots
        && let Some(question) = question(&project, extent).await?
        && !context.confirm(&question).await?
    {
        return Err(declined().into());
    }
    let lock = context
        .begin_run(&project, "down", Rollout::GivenUp)
        .await?;
    undo_killed(&project, &context.outbox).await;
    session::end(&project.paths).await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let report = down(&project, extent, &context.outbox, &context.cancel, deadline).await?;
    if extent >= Extent::AllButSnapshots {
        // The lock lies in it, so this comes last; it is held until the directory is gone.
        files::remove_tree(project.paths.state()).map_err(|error| error.failure())?;
    }
    if extent == Extent::Everything {
        files::remove_tree(project.paths.data()).map_err(|error| error.failure())?;
    }
    drop(lock);
    context.outbox.report(Report::Down(report)).await;
    Ok(Exit::Success)
}

fn declined() -> Failure {
    Failure::new(
        "usage.declined",
        ExitClass::Usage,
        "nothing was removed, as you did not agree",
    )
    .help("devenv down   # keeps the data")
}
