//! `devenv session`

use super::{Context, Exit, project};
use crate::{
    adapters::process,
    domain::{Failure, Failures, NoticeLevel},
    features::{Project, debug::undo_killed},
    manifest::NamedFiles,
    report::{Report, Session, SessionService, SessionStop},
    session::{self, Client, ClientError, Launch, LiveWork, Running, WasRunning},
    state::{SessionRequest, live_times},
};

/// See or end the session, the background process that keeps logs and makes edits live
///
/// `devenv up` starts it. There is one for each environment; it ends with `devenv stop` and `devenv down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show whether it runs, what it follows, and how fast edits are live
    #[command(after_help = "Examples:
  devenv session status
  devenv session status -o json | jq '.services[].times.p95Millis'")]
    Status,
    /// End it; until the next `devenv up` no logs are kept, and edits do not become live
    #[command(after_help = "Examples:
  devenv session stop")]
    Stop,
    /// Be the session, until it is ended
    #[command(
        hide = true,
        after_help = "Examples:
  devenv session run"
    )]
    Run {
        /// Let go of the command that started it
        #[arg(long, hide = true)]
        detached: bool,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    if let Action::Run { detached: true } = args.action {
        process::leave_starter();
    }
    let project = project::open_deployed(context).await?;
    match args.action {
        Action::Status => status(&project, context).await,
        Action::Stop => stop(&project, context).await,
        Action::Run { .. } => be(project, context).await,
    }
}

async fn status(project: &Project, context: &Context) -> Result<Exit, Failures> {
    let mut report = Session {
        environment: project.environment.id.to_string(),
        running: false,
        pid: None,
        since: None,
        version: None,
        services: Vec::new(),
    };
    let mut times = live_times(&project.paths.live_events()).map_err(|error| error.failure())?;
    let mut standings = match Client::connect(&project.paths).await {
        Ok(mut client) => {
            let running = client.running();
            report.running = true;
            report.pid = Some(running.pid);
            report.since = Some(running.since);
            report.version = Some(running.version);
            client.standings().await.map_err(|error| error.failure())?
        }
        Err(ClientError::NotRunning(_)) => std::collections::BTreeMap::new(),
        Err(error) => return Err(error.failure().into()),
    };
    let mut services: Vec<SessionService> = project
        .environment
        .services
        .keys()
        .map(|name| SessionService {
            name: name.to_string(),
            standing: standings.remove(name),
            times: times.remove(name.as_str()),
        })
        .collect();
    services.retain(|service| service.standing.is_some() || service.times.is_some());
    report.services = services;
    context.outbox.report(Report::Session(report)).await;
    Ok(Exit::Success)
}

async fn stop(project: &Project, context: &Context) -> Result<Exit, Failures> {
    let was_running = session::end(&project.paths).await? == WasRunning::Yes;
    let report = SessionStop {
        environment: project.environment.id.to_string(),
        was_running,
    };
    context.outbox.report(Report::SessionStop(report)).await;
    Ok(Exit::Success)
}

async fn be(project: Project, context: &Context) -> Result<Exit, Failures> {
    let paths = project.paths.clone();
    let reader = project::Reader::of(context, NamedFiles::Required)?;
    let undoing = project.clone();
    let work = LiveWork::new(project, move || reader.read().map(|(project, _)| project));
    let redactor = context.outbox.redactor();
    // Beside it: whoever starts the session waits until it answers.
    let (ended, ()) = tokio::join!(
        session::run(&paths, work, redactor, &context.cancel),
        Box::pin(undo_killed(&undoing, &context.outbox)),
    );
    ended?;
    Ok(Exit::Success)
}

/// Makes sure that a session lives. Its directories must exist.
pub(super) async fn ensure(context: &Context, project: &Project) -> Result<(), Failures> {
    if project.environment.is_live() {
        session::ensure(&launch(context, project), request(context)).await?;
    } else {
        // No service waits for it.
        ensure_if_possible(context, project).await;
    }
    Ok(())
}

/// The same where there is no way around the session: that none can be started is worth a line.
pub(super) async fn ensure_if_possible(context: &Context, project: &Project) {
    let ensured = session::ensure(&launch(context, project), request(context)).await;
    if let Err(failure) = ensured {
        warn("the session could not be started", &failure, context).await;
    }
}

/// Starts the session again if it was killed. No command needs it: that it cannot be is worth a line.
pub(super) async fn revive(context: &Context, project: &Project) {
    if let Err(failure) = try_to_revive(context, project).await {
        let what = "the session had ended unexpectedly, and cannot be started again";
        warn(what, &failure, context).await;
    }
}

/// The same, where the user asked for it: tells whether it was started, and why it cannot be.
pub(super) async fn try_to_revive(
    context: &Context,
    project: &Project,
) -> Result<Option<Running>, Failure> {
    session::revive(&launch(context, project)).await
}

async fn warn(what: &str, failure: &Failure, context: &Context) {
    let why = failure.why.join(": ");
    let text = format!("{what} ({why}); `devenv up` says more");
    context.outbox.notice(NoticeLevel::Warning, text).await;
}

fn launch<'a>(context: &'a Context, project: &'a Project) -> Launch<'a> {
    Launch {
        paths: &project.paths,
        variables: &context.variables,
        outbox: &context.outbox,
    }
}

fn request(context: &Context) -> SessionRequest {
    let sets = context.sets.iter();
    SessionRequest {
        directory: context.directory.clone(),
        file: context.file.clone(),
        profiles: context.profiles.clone(),
        sets: sets
            .map(|set| format!("{}={}", set.path, set.value))
            .collect(),
    }
}
