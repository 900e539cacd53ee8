//! `devenv status`

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Context, Exit, StreamKind, project, session};
use crate::{
    adapters::kube::{ClusterView, LiveView},
    domain::{Failure, Failures, NoticeLevel},
    engine::Tools,
    features::{
        Project,
        status::{Detail, look, what_is_wrong},
    },
    report::{OutputFormat, Report, Status},
};

/// Between two looks where nothing tells of a change: ages grow, and docker is not watched.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Changes come in bursts: after one, so long for the rest of it.
const BURST: Duration = Duration::from_millis(300);

/// Show how the services are, and why one is not ready
///
/// Exits with 0 if every deployed service is ready, with 5 if the cluster does not run, with 6 if a service
/// is not ready.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv status
  devenv status --resources
  devenv status --watch
  devenv status -o json | jq '.services[] | select(.state != \"ready\")'")]
pub struct Args {
    /// Processor and memory in use of services and nodes, against requests and limits, and what would not fit
    #[arg(long)]
    pub resources: bool,

    /// Show it anew at every change, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let tools = project.tools().await?;
    let detail = if args.resources {
        Detail::Resources
    } else {
        Detail::States
    };
    if args.watch {
        return watch(context, &project, &tools, detail).await;
    }
    let seen = look(&project, &tools, detail, &context.outbox).await?;
    if let Some(why) = &seen.without_figures {
        say_no_figures(why, context).await;
    }
    if seen.is_outdated {
        say_outdated(context).await;
    }
    let exit = what_is_wrong(&seen.status).map_or(Exit::Success, Exit::Class);
    context.outbox.report(Report::Status(seen.status)).await;
    Ok(exit)
}

async fn say_no_figures(why: &Failure, context: &Context) {
    let text = format!("no figures of use: {}", why.what);
    context.outbox.notice(NoticeLevel::Info, text).await;
}

async fn say_outdated(context: &Context) {
    let text = "the settings under `cluster` changed since the cluster was created; \
                they hold after: devenv down && devenv up";
    context.outbox.notice(NoticeLevel::Warning, text).await;
}

/// Shows the status at every change until the user has enough.
async fn watch(
    context: &Context,
    project: &Project,
    tools: &Tools,
    detail: Detail,
) -> Result<Exit, Failures> {
    // On a terminal the last one is drawn over: ages may grow. In a stream only changes are news.
    let is_drawn_over =
        context.streams.stdout == StreamKind::Terminal && context.format == OutputFormat::Text;
    let mut shown: Option<Status> = None;
    let mut news: Option<News> = None;
    loop {
        if let Some(news) = &mut news {
            news.view_rx.borrow_and_update();
        }
        let looking = Box::pin(look(project, tools, detail, &context.outbox));
        let Some(seen) = context.cancel.run_until_cancelled(looking).await else {
            return Ok(Exit::Success);
        };
        let seen = seen?;
        if let (Some(why), None) = (&seen.without_figures, &shown) {
            say_no_figures(why, context).await;
        }
        if seen.is_outdated && shown.is_none() {
            say_outdated(context).await;
        }
        let plain = ageless(&seen.status);
        if is_drawn_over || shown.as_ref() != Some(&plain) {
            shown = Some(plain);
            context.outbox.item(Report::Status(seen.status)).await;
        }
        news = seen
            .cluster
            .map(|cluster| news.unwrap_or_else(|| News::of(cluster.watch())));
        let waiting = tokio::time::timeout(LOOK_AGAIN, changed(news.as_mut()));
        if context.cancel.run_until_cancelled(waiting).await.is_none() {
            return Ok(Exit::Success);
        }
    }
}

/// The live view of the cluster, and what was read of it.
struct News {
    view_rx: watch::Receiver<Arc<ClusterView>>,
    _view: LiveView,
}

impl News {
    fn of(view: LiveView) -> Self {
        Self {
            view_rx: view.subscribe(),
            _view: view,
        }
    }
}

/// Ends a moment after something changed in the cluster.
async fn changed(news: Option<&mut News>) {
    let Some(news) = news else {
        return std::future::pending().await;
    };
    if news.view_rx.changed().await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(BURST).await;
}

/// A status without what changes by itself.
fn ageless(status: &Status) -> Status {
    let mut status = status.clone();
    status.at_work = status.at_work.map(|_| String::new());
    for service in &mut status.services {
        service.age_seconds = None;
    }
    status
}
