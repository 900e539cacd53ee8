//! `devenv diff`

use super::{Context, Exit, history::Known, project};
use crate::{
    domain::Failures,
    features::{
        desire::desire,
        history::{RunName, Side, applied, differences},
    },
    report::{Diff, DiffSide, Report},
};

/// Tell what is different between what two runs applied, or one and what is there now
///
/// Keys of the manifest with all its layers, images and charts are compared. With one run it is compared with what an
/// `up` would apply now, with the same profiles and settings as given here; secrets are left out. `last` is the last run
/// that applied something.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv diff last                              # what changed since the last up?
  devenv diff 20260102T030405 20260102T040506
  devenv diff last -p minimal --exit-code       # 10 if anything differs")]
pub struct Args {
    /// The run: its id or the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    from: RunName,

    /// The run to compare it with; what is there now if not given
    #[arg(value_name = "RUN")]
    to: Option<RunName>,

    /// End with exit code 10 if anything differs
    #[arg(long)]
    exit_code: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = match args.to {
        Some(_) => project::open_deployed(context).await?,
        None => project::open(context).await?,
    };
    let known = Known::of(&project)?;
    let look = known.look();
    let side = |name: &RunName| {
        let (run, applying) = applied(known.runs.clone(), name)?;
        let run = look.run(&run);
        let about = DiffSide {
            id: run.id,
            short_id: run.short_id,
            started: run.started,
        };
        Ok::<_, Failures>((about, Side::from(applying)))
    };
    let (from, before) = side(&args.from)?;
    let (to, after) = if let Some(name) = &args.to {
        let (to, after) = side(name)?;
        (Some(to), after)
    } else {
        let services: Vec<_> = project.environment.services.keys().cloned().collect();
        let desired = desire(&project.environment, &services, &context.outbox).await?;
        (None, Side::of(&project, &desired))
    };
    let (keys, services) = differences(&before, &after);
    let is_same = keys.is_empty() && services.is_empty();
    let report = Diff {
        environment: project.environment.id.to_string(),
        from,
        to,
        keys,
        services,
    };
    context.outbox.report(Report::Diff(report)).await;
    Ok(if args.exit_code && !is_same {
        Exit::ChangesPending
    } else {
        Exit::Success
    })
}
