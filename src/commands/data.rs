//! `devenv data`

use std::{path::PathBuf, time::Duration};

use super::{
    Context, Exit, project,
    snapshot::{begin, declined, limits},
};
use crate::{
    adapters::files,
    domain::{
        DatasetBase, DatasetName, ExitClass, Failure, Failures, HookMoment, HostMoment,
        SnapshotName,
    },
    features::{
        Project,
        data::{Again, Backup, Load, ResetTo, find, import, load, remove, reset, restore},
    },
    manifest::dataset,
    report::{BrokenDataset, DataList, DatasetEntry, Report},
    state::Loaded,
};

/// How long loading may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(15);
/// What a file is called for as long as it is a snapshot of its own.
const IMPORTED: &str = "restore-from-file";

/// Load datasets, and set the data back
///
/// A dataset is a directory of the project, `datasets/<name>/`, that says how its data gets into the services. It is
/// loaded all or nothing: while that fails the data from before is there as it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Load a dataset in place of all data that there is
    #[command(after_help = "Examples:
  devenv data load --dataset checkout
  devenv data load checkout --if-changed --yes   # in CI: nothing to do where it was the last")]
    Load {
        /// Its name
        #[arg(value_name = "DATASET", required_unless_present = "dataset")]
        name: Option<DatasetName>,
        /// The same
        #[arg(long, value_name = "DATASET", conflicts_with = "name")]
        dataset: Option<DatasetName>,
        /// Do nothing if it was loaded last, as it is now
        #[arg(long)]
        if_changed: bool,
    },
    /// Set the data back to the dataset that was loaded last, else to what the first `up` made
    #[command(after_help = "Examples:
  devenv data reset
  devenv data reset --to checkout
  devenv data reset --no-backup --yes")]
    Reset {
        /// Load this dataset instead
        #[arg(long, value_name = "DATASET")]
        to: Option<DatasetName>,
        /// Make no snapshot of the data from now
        #[arg(long)]
        no_backup: bool,
    },
    /// Bring the data of a snapshot back, or that of a file that `snapshot export` wrote
    #[command(after_help = "Examples:
  devenv data restore --from before-migration
  devenv data restore --from cart-full.tar.zst")]
    Restore {
        /// The name of the snapshot, or the file
        #[arg(long, value_name = "SNAPSHOT|FILE")]
        from: String,
    },
    /// List the datasets of the project
    #[command(after_help = "Examples:
  devenv data list
  devenv data list -o json | jq -r '.datasets[].name'")]
    List,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    match args.action {
        Action::List => list_them(&project, context).await,
        Action::Load {
            name,
            dataset,
            if_changed,
        } => {
            let again = if if_changed { Again::Skip } else { Again::Load };
            let name = name.or(dataset).ok_or_else(nothing_named)?;
            load_it(&project, &name, again, context).await
        }
        Action::Reset { to, no_backup } => {
            let backup = if no_backup {
                Backup::None
            } else {
                Backup::Snapshot
            };
            reset_it(&project, to, backup, context).await
        }
        Action::Restore { from } => restore_it(&project, &from, context).await,
    }
}

fn nothing_named() -> Failure {
    Failure::new("usage.no-dataset", ExitClass::Usage, "no dataset is named")
        .help("devenv data list")
}

async fn load_it(
    project: &Project,
    name: &DatasetName,
    again: Again,
    context: &Context,
) -> Result<Exit, Failures> {
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let wanted = read(project, name, again, deadline)?;
    let question = format!("Load {name} in place of all data that there is? That is gone then.");
    if !context.confirm(&question).await? {
        return Err(declined().into());
    }
    let _lock = begin(project, "data load", context).await?;
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = Box::pin(load(project, &wanted, outbox, cancel)).await?;
    context.outbox.report(Report::DataLoad(report)).await;
    Ok(Exit::Success)
}

/// A dataset of a project, ready to be loaded.
pub(super) fn read(
    project: &Project,
    name: &DatasetName,
    again: Again,
    deadline: Duration,
) -> Result<Load, Failures> {
    let files = files::Project::new(project.environment.directory.clone());
    let chain = dataset::load(name, &project.environment, &files)?;
    let hash = dataset::hash(&chain, &files)?;
    Ok(Load {
        chain,
        hash,
        again,
        deadline,
    })
}

async fn reset_it(
    project: &Project,
    to: Option<DatasetName>,
    backup: Backup,
    context: &Context,
) -> Result<Exit, Failures> {
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let loaded = Loaded::of(&project.paths).map_err(|error| error.failure())?;
    let to = to.or_else(|| loaded.map(|loaded| loaded.dataset.name));
    let (to, words) = match to {
        Some(name) => {
            let wanted = read(project, &name, Again::Load, deadline)?;
            (
                ResetTo::Dataset(Box::new(wanted)),
                format!("the dataset {name}"),
            )
        }
        None => (ResetTo::FirstUp, "what the first `up` made".to_owned()),
    };
    if matches!(to, ResetTo::FirstUp) {
        let moment = HostMoment::Hook(HookMoment::AfterUp);
        context
            .confirm_commands(project, "data reset", &[moment])
            .await?;
    }
    let kept = match backup {
        Backup::Snapshot => "A snapshot is made of it first.",
        Backup::None => "What is there now is gone then.",
    };
    let question = format!("Set the data back to {words}? {kept}");
    if !context.confirm(&question).await? {
        return Err(declined().into());
    }
    let _lock = begin(project, "data reset", context).await?;
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = Box::pin(reset(project, &to, backup, outbox, cancel, deadline)).await?;
    context.outbox.report(Report::DataReset(report)).await;
    Ok(Exit::Success)
}

async fn restore_it(project: &Project, from: &str, context: &Context) -> Result<Exit, Failures> {
    let file = context.directory.join(from);
    let name = from.parse::<SnapshotName>().ok();
    let is_file = name.is_none() || (files::exists(&file) && find_quietly(project, from).is_none());
    let question = format!("Replace the data by that of {from}? What is there now is gone then.");
    if !context.confirm(&question).await? {
        return Err(declined().into());
    }
    let _lock = begin(project, "data restore", context).await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = match name.filter(|_| !is_file) {
        Some(name) => {
            let snapshot = find(project, &name)?;
            Box::pin(restore(project, &snapshot, &[], outbox, cancel, deadline)).await?
        }
        None => from_file(project, file, context, deadline).await?,
    };
    context.outbox.report(Report::SnapshotRestore(report)).await;
    Ok(Exit::Success)
}

fn find_quietly(project: &Project, name: &str) -> Option<SnapshotName> {
    let name: SnapshotName = name.parse().ok()?;
    find(project, &name).ok().map(|snapshot| snapshot.name)
}

/// Restores a file by way of a snapshot that goes again.
async fn from_file(
    project: &Project,
    file: PathBuf,
    context: &Context,
    deadline: Duration,
) -> Result<crate::report::SnapshotRestored, Failures> {
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let name: SnapshotName = IMPORTED.parse().map_err(|_| nothing_named())?;
    // One that was killed may have left it.
    if find_quietly(project, IMPORTED).is_some() {
        remove(project, &name, outbox).await?;
    }
    Box::pin(import(
        project,
        &file,
        Some(name.clone()),
        outbox,
        &limits(context),
    ))
    .await?;
    let snapshot = find(project, &name)?;
    let restored = Box::pin(restore(project, &snapshot, &[], outbox, cancel, deadline)).await;
    remove(project, &name, outbox).await?;
    restored
}

async fn list_them(project: &Project, context: &Context) -> Result<Exit, Failures> {
    let files = files::Project::new(project.environment.directory.clone());
    let catalogue = dataset::list(&files)?;
    let loaded = Loaded::of(&project.paths).map_err(|error| error.failure())?;
    let datasets = catalogue.good.into_iter().map(|listed| {
        let last = loaded
            .as_ref()
            .filter(|loaded| loaded.dataset.name == listed.name);
        let (extends, snapshot) = match listed.base {
            DatasetBase::Empty => (None, None),
            DatasetBase::Dataset(name) => (Some(name.to_string()), None),
            DatasetBase::Snapshot(name) => (None, Some(name.to_string())),
        };
        DatasetEntry {
            name: listed.name.to_string(),
            description: listed.description,
            extends,
            snapshot,
            loaded: last.map(|loaded| loaded.at),
        }
    });
    let broken = catalogue.broken.into_iter().map(|broken| BrokenDataset {
        name: broken.name,
        why: broken.failures.iter().map(|it| it.what.clone()).collect(),
    });
    let report = DataList {
        environment: project.environment.id.to_string(),
        datasets: datasets.collect(),
        broken: broken.collect(),
    };
    context.outbox.report(Report::DataList(report)).await;
    Ok(Exit::Success)
}
