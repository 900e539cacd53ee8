//! `devenv history`

use jiff::Timestamp;

use super::{Context, Exit, project};
use crate::{
    domain::Failures,
    features::{
        Project,
        history::{Filter, Look, RunName, Trouble, find},
    },
    report::{History, Report},
    state::{Holder, RecordedRun, RunId, runs},
};

/// Tell who changed what: the runs that changed this environment, and how they ended
///
/// Every command that changes the environment or its manifest is written down, and what the session deploys. The last 50
/// are known. `last` is the newest.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  devenv history
  devenv history --failed -n 5
  devenv history --service payment --command up
  devenv history show last
  devenv history -o json | jq -r '.runs[] | [.started, .user, .command, .result] | @tsv'"
)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Option<Action>,

    /// How many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    number: usize,

    /// Only runs of this command, such as `up` or `data load`
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// Only runs that had to do with this service
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,

    /// Only runs that failed, were interrupted or killed
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell all of one run: its steps, what it said, what it changed, why it failed
    #[command(after_help = "Examples:
  devenv history show
  devenv history show 20260102T030405
  devenv history show last -o json   # one document with all that is known")]
    Show {
        /// The run: its id or the beginning of it, or `last`
        #[arg(value_name = "RUN", default_value = "last")]
        run: RunName,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    let known = Known::of(&project)?;
    let report = match &args.action {
        None => Report::History(known.list(&project, &args)),
        Some(Action::Show { run }) => {
            let found = find(known.runs.clone(), run)?;
            let id = project.environment.id.as_str();
            Report::HistoryShow(Box::new(known.look().whole(id, found)))
        }
    };
    context.outbox.report(report).await;
    Ok(Exit::Success)
}

/// What is known of an environment's runs.
pub(super) struct Known {
    /// The runs, the newest first.
    pub(super) runs: Vec<RecordedRun>,
    ids: Vec<RunId>,
    holders: Vec<Holder>,
    now: Timestamp,
}

impl Known {
    pub(super) fn of(project: &Project) -> Result<Self, Failures> {
        // One that begins or ends while its journal is read was not killed.
        let before = Holder::of(&project.paths);
        let runs = runs(&project.paths).map_err(|error| error.failure())?;
        let after = Holder::of(&project.paths);
        Ok(Self {
            ids: runs.iter().map(|run| run.id.clone()).collect(),
            runs,
            holders: before.into_iter().chain(after).collect(),
            now: Timestamp::now(),
        })
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look {
            now: self.now,
            holders: &self.holders,
            all: &self.ids,
        }
    }

    fn list(&self, project: &Project, args: &Args) -> History {
        let filter = Filter {
            command: args.command.clone(),
            service: args.service.clone(),
            trouble: if args.failed {
                Trouble::Only
            } else {
                Trouble::Any
            },
        };
        let look = self.look();
        let shown = self.runs.iter().filter_map(|run| {
            let shown = look.run(run);
            filter.takes(run, &shown).then_some(shown)
        });
        History {
            environment: project.environment.id.to_string(),
            runs: shown.take(args.number).collect(),
            known: self.runs.len(),
        }
    }
}
