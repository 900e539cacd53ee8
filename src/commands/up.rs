//! `devenv up`

use std::{path::PathBuf, time::Duration};

use super::{Context, Exit, attach, begin::Rollout, data, project, session};
use crate::{
    adapters::files,
    domain::{Failures, HostMoment, NoticeLevel},
    features::{
        Project,
        data::{Again, load},
        up::{Scope, Wanted, up},
    },
    report::Report,
    state::Loaded,
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
  devenv up --attach             # then shows every edit as it becomes live
  devenv up --timeout 10m -o json")]
pub struct Args {
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// The same as a list
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub services: Vec<String>,

    /// When all is up, show every edit as it becomes live, until Ctrl-C
    #[arg(long, conflicts_with = "no_session")]
    pub attach: bool,

    /// Have no session: what runs is what the images have, edits do not become live, and no logs are kept
    #[arg(long)]
    pub no_session: bool,
}

/// What becomes of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionUse {
    /// It goes on in the background.
    Background,
    /// What it does is shown in the end.
    Attached,
    /// None is started.
    Unused,
}

impl Args {
    const fn session_use(&self) -> SessionUse {
        match (self.attach, self.no_session) {
            (true, _) => SessionUse::Attached,
            (false, true) => SessionUse::Unused,
            (false, false) => SessionUse::Background,
        }
    }

    pub(super) fn all_names(&self) -> Vec<String> {
        self.names.iter().chain(&self.services).cloned().collect()
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let mut project = project::open(context).await?;
    let wanted = Wanted {
        services: project::services(&project, &args.all_names())?,
        scope: Scope::WithDependencies,
        deadline: context.timeout.unwrap_or(DEADLINE),
    };
    context
        .confirm_commands(&project, "up", &HostMoment::ALL)
        .await?;
    let session_use = args.session_use();
    let lock = context.begin_run(&project, "up", Rollout::Awaited).await?;
    context.undo_killed(&project).await?;
    match session_use {
        SessionUse::Background | SessionUse::Attached => session::ensure(context, &project).await?,
        SessionUse::Unused => {
            crate::session::end(&project.paths).await?;
            // Nobody would bring edits into what waits for them.
            project.environment.stand_alone();
        }
    }
    let data = data_before(&project)?;
    let report = up(&project, &wanted, &context.outbox, &context.cancel).await?;
    // Of a cluster that did not run, now that it does.
    context.undo_killed(&project).await?;
    load_dataset(&project, data, wanted.deadline, context).await?;
    match session_use {
        SessionUse::Background | SessionUse::Unused => {
            context.outbox.report(Report::Up(report)).await;
            Ok(Exit::Success)
        }
        SessionUse::Attached => {
            // The first of a stream of documents.
            context.outbox.item(Report::Up(report)).await;
            // It is up; how long somebody looks on is no part of the run.
            context.outbox.end_run(Exit::Success.code(), None);
            drop(lock);
            attach::follow(context, &project).await
        }
    }
}

/// Whether there was data before `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataBefore {
    /// None: whatever there is afterwards was made by the services themselves.
    None,
    /// Some, and nobody wants to lose it.
    Some,
}

fn data_before(project: &Project) -> Result<DataBefore, Failures> {
    let volumes = files::list(&project.paths.volumes()).map_err(|error| error.failure())?;
    let is_volume = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.')
    };
    Ok(if volumes.iter().any(is_volume) {
        DataBefore::Some
    } else {
        DataBefore::None
    })
}

/// Loads the dataset that the profiles name, where that takes nothing away.
async fn load_dataset(
    project: &Project,
    before: DataBefore,
    deadline: Duration,
    context: &Context,
) -> Result<(), Failures> {
    let Some(name) = &project.environment.dataset else {
        return Ok(());
    };
    let loaded = Loaded::of(&project.paths).map_err(|error| error.failure())?;
    if loaded.is_some_and(|loaded| loaded.dataset.name == *name) {
        return Ok(());
    }
    if before == DataBefore::Some {
        let text = format!(
            "the profile wants the dataset {name}, and there is other data: devenv data load {name}"
        );
        context.outbox.notice(NoticeLevel::Warning, text).await;
        return Ok(());
    }
    let wanted = data::read(project, name, Again::Load, deadline)?;
    let loading = load(project, &wanted, &context.outbox, &context.cancel);
    Box::pin(loading).await.map(|_| ())
}
