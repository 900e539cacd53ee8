//! `devenv snapshot`

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Context, Exit, begin::Rollout, project};
use crate::{
    adapters::files,
    domain::{
        ExitClass, Failure, Failures, Maker, Memory, Retention, SanitizeRules, ServiceName,
        SnapshotName, parse_duration,
    },
    features::{
        Project,
        data::{
            Limits, Pruning, Save, export, export_sanitized, find, import, list, prune, prune_own,
            remove, restore, restore_sanitized, save, verify, verify_file,
        },
    },
    manifest::sanitize,
    report::{Report, SnapshotShown},
    state::EnvironmentLock,
};

/// How long saving and restoring may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(10);

/// Save the data of all services at one instant, and bring it back
///
/// A snapshot holds every volume as it was at the same moment: all services that have volumes stand while it is made.
/// Databases start from it as after a power cut.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Save the data as it is now
    #[command(after_help = "Examples:
  devenv snapshot save before-migration
  devenv snapshot save cart-full --note 'cart with 200 items, for the paging bug'
  devenv snapshot save users --services postgres")]
    Save {
        /// Its name: lower-case letters, digits and `-`
        name: SnapshotName,
        /// Save only the data of these services
        #[arg(
            long,
            visible_alias = "service",
            value_name = "A,B",
            value_delimiter = ','
        )]
        services: Vec<String>,
        /// What it is, for those who see the list
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// List the snapshots, the newest first
    #[command(after_help = "Examples:
  devenv snapshot list
  devenv snapshot list -o json | jq -r '.snapshots[].name'")]
    List,
    /// Show what a snapshot holds
    #[command(after_help = "Examples:
  devenv snapshot show before-migration")]
    Show {
        /// Its name
        #[arg(value_name = "SNAPSHOT")]
        name: SnapshotName,
    },
    /// Bring the data of a snapshot back; the data from now is gone then
    #[command(after_help = "Examples:
  devenv snapshot restore before-migration
  devenv snapshot restore before-migration --services postgres --yes
  devenv snapshot restore production --sanitize rules.yaml")]
    Restore {
        /// Its name
        #[arg(value_name = "SNAPSHOT")]
        name: SnapshotName,
        /// Restore only the data of these services
        #[arg(
            long,
            visible_alias = "service",
            value_name = "A,B",
            value_delimiter = ','
        )]
        services: Vec<String>,
        /// Replace rows and values by the rules in this file; the data of services that it does not name stays (see
        /// docs/sanitize.md)
        #[arg(long, value_name = "RULES", conflicts_with = "services")]
        sanitize: Option<PathBuf>,
    },
    /// Compare the data of a snapshot, or of an exported one, with what was saved
    #[command(after_help = "Examples:
  devenv snapshot verify before-migration
  devenv snapshot verify --archive cart-full.tar.zst")]
    Verify {
        /// Its name
        #[arg(value_name = "SNAPSHOT", required_unless_present = "archive")]
        name: Option<SnapshotName>,
        /// A file that `export` wrote
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        archive: Option<PathBuf>,
    },
    /// Write a snapshot to one file, which another machine can import
    #[command(after_help = "Examples:
  devenv snapshot export cart-full cart-full.tar.zst
  devenv snapshot export production shareable.tar.zst --sanitize rules.yaml")]
    Export {
        /// Its name
        #[arg(value_name = "SNAPSHOT")]
        name: SnapshotName,
        /// The file: a tar archive, compressed with zstd; nothing may be there
        #[arg(value_name = "FILE")]
        archive: PathBuf,
        /// Replace rows and values by the rules in this file, and leave out what it does not name (see docs/sanitize.md)
        #[arg(long, value_name = "RULES")]
        sanitize: Option<PathBuf>,
    },
    /// Make a snapshot of a file that `export` wrote
    #[command(after_help = "Examples:
  devenv snapshot import cart-full.tar.zst
  devenv snapshot import cart-full.tar.zst --name from-ann")]
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        archive: PathBuf,
        /// What it is called here; as it was there if left out
        #[arg(long, value_name = "NAME")]
        name: Option<SnapshotName>,
    },
    /// Remove the oldest snapshots: all that any of the bounds is against
    ///
    /// Without any of the bounds here, those of `snapshots` in devenv.yaml count, else those of the settings of this machine.
    #[command(after_help = "Examples:
  devenv snapshot prune                       # by what devenv.yaml says
  devenv snapshot prune --keep 5
  devenv snapshot prune --older-than 14d --max-size 10Gi
  devenv snapshot prune --keep 5 --dry-run")]
    Prune {
        /// Keep so many, the newest
        #[arg(long, value_name = "NUMBER")]
        keep: Option<usize>,
        /// Remove those that are older, such as `72h` or `30d`
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        older_than: Option<Duration>,
        /// Keep as many of the newest as hold no more data together, such as `5Gi`
        #[arg(long, value_name = "SIZE")]
        max_size: Option<Memory>,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a snapshot
    #[command(after_help = "Examples:
  devenv snapshot remove before-migration")]
    Remove {
        /// Its name
        #[arg(value_name = "SNAPSHOT")]
        name: SnapshotName,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    match args.action {
        Action::Save {
            name,
            services,
            note,
        } => {
            let services = project::services(&project, &services)?;
            let deadline = context.timeout.unwrap_or(DEADLINE);
            let wanted = Save {
                name,
                services,
                note,
                maker: Maker::User,
                deadline,
            };
            save_it(&project, &wanted, context).await
        }
        Action::List => {
            let report = list(&project)?;
            context.outbox.report(Report::SnapshotList(report)).await;
            Ok(Exit::Success)
        }
        Action::Show { name } => {
            let report = SnapshotShown {
                environment: project.environment.id.to_string(),
                snapshot: (&find(&project, &name)?).into(),
            };
            context.outbox.report(Report::SnapshotShow(report)).await;
            Ok(Exit::Success)
        }
        Action::Restore {
            name,
            services,
            sanitize,
        } => {
            let wanted = match sanitize {
                Some(rules) => Wanted::ByRules(Box::new(read_rules(&project, &rules, context)?)),
                None => Wanted::Services(project::services(&project, &services)?),
            };
            restore_it(&project, &name, &wanted, context).await
        }
        Action::Verify { name, archive } => match (name, archive) {
            (Some(name), _) => verify_it(&project, &name, context).await,
            (None, archive) => {
                let file = context.directory.join(archive.unwrap_or_default());
                let limits = limits(context);
                let report = verify_file(&project, &file, &context.outbox, &limits).await?;
                context.outbox.report(Report::SnapshotVerify(report)).await;
                Ok(Exit::Success)
            }
        },
        Action::Export {
            name,
            archive,
            sanitize,
        } => export_it(&project, &name, &archive, sanitize.as_deref(), context).await,
        Action::Import { archive, name } => import_it(&project, &archive, name, context).await,
        Action::Prune {
            keep,
            older_than,
            max_size,
            dry_run,
        } => {
            let retention = Retention {
                keep,
                older_than,
                max_size,
            };
            let retention = match (retention.is_none(), project.retention()) {
                (true, said) if said.is_none() => return Err(no_bounds().into()),
                (true, said) => said,
                (false, _) => retention,
            };
            let pruning = if dry_run {
                Pruning::DryRun
            } else {
                Pruning::Real
            };
            prune_them(&project, retention, pruning, context).await
        }
        Action::Remove { name } => remove_it(&project, &name, context).await,
    }
}

async fn save_it(project: &Project, wanted: &Save, context: &Context) -> Result<Exit, Failures> {
    let _lock = begin(project, "snapshot save", context).await?;
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = Box::pin(save(project, wanted, outbox, cancel)).await?;
    Box::pin(prune_own(project, outbox)).await?;
    context.outbox.report(Report::SnapshotSave(report)).await;
    Ok(Exit::Success)
}

/// What is restored of a snapshot.
enum Wanted {
    /// The data of these services, of all if there are none.
    Services(Vec<ServiceName>),
    /// What rules leave.
    ByRules(Box<SanitizeRules>),
}

async fn restore_it(
    project: &Project,
    name: &SnapshotName,
    wanted: &Wanted,
    context: &Context,
) -> Result<Exit, Failures> {
    let snapshot = find(project, name)?;
    let whose = match wanted {
        Wanted::Services(services) if services.is_empty() => snapshot.services(),
        Wanted::Services(services) => services.iter().collect(),
        Wanted::ByRules(rules) => {
            let kept = rules.keep.iter().map(|kept| &kept.what);
            rules.services.keys().chain(kept).collect()
        }
    };
    let whose: Vec<&str> = whose.into_iter().map(AsRef::as_ref).collect();
    let question = format!(
        "Replace the data of {} by that of {name}? What is there now is gone then.",
        whose.join(", ")
    );
    if !context.confirm(&question).await? {
        return Err(declined().into());
    }
    let _lock = begin(project, "snapshot restore", context).await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = match wanted {
        Wanted::Services(services) => {
            let restoring = restore(project, &snapshot, services, outbox, cancel, deadline);
            Box::pin(restoring).await?
        }
        Wanted::ByRules(rules) => {
            let limits = limits(context);
            let restoring = restore_sanitized(project, &snapshot, rules, outbox, &limits);
            Box::pin(restoring).await?
        }
    };
    context.outbox.report(Report::SnapshotRestore(report)).await;
    Ok(Exit::Success)
}

async fn verify_it(
    project: &Project,
    name: &SnapshotName,
    context: &Context,
) -> Result<Exit, Failures> {
    let snapshot = find(project, name)?;
    let _lock = begin(project, "snapshot verify", context).await?;
    let limits = limits(context);
    let report = Box::pin(verify(project, &snapshot, &context.outbox, &limits)).await?;
    let exit = if report.is_good() {
        Exit::Success
    } else {
        Exit::Class(ExitClass::Data)
    };
    context.outbox.report(Report::SnapshotVerify(report)).await;
    Ok(exit)
}

async fn export_it(
    project: &Project,
    name: &SnapshotName,
    file: &Path,
    rules: Option<&Path>,
    context: &Context,
) -> Result<Exit, Failures> {
    let snapshot = find(project, name)?;
    let file = context.directory.join(file);
    let rules = rules.map(|rules| read_rules(project, rules, context));
    let rules = rules.transpose()?;
    let _lock = begin(project, "snapshot export", context).await?;
    let (outbox, limits) = (&context.outbox, limits(context));
    let report = match &rules {
        None => Box::pin(export(project, &snapshot, &file, outbox, &limits)).await?,
        Some(rules) => {
            let exporting = export_sanitized(project, &snapshot, rules, &file, outbox, &limits);
            Box::pin(exporting).await?
        }
    };
    context.outbox.report(Report::SnapshotExport(report)).await;
    Ok(Exit::Success)
}

fn read_rules(
    project: &Project,
    file: &Path,
    context: &Context,
) -> Result<SanitizeRules, Failures> {
    let files = files::Project::new(project.environment.directory.clone());
    let file = context.directory.join(file);
    sanitize::load(&file, &project.environment, &files)
}

async fn import_it(
    project: &Project,
    file: &Path,
    name: Option<SnapshotName>,
    context: &Context,
) -> Result<Exit, Failures> {
    let file = context.directory.join(file);
    let _lock = begin(project, "snapshot import", context).await?;
    let limits = limits(context);
    let report = Box::pin(import(project, &file, name, &context.outbox, &limits)).await?;
    context.outbox.report(Report::SnapshotImport(report)).await;
    Ok(Exit::Success)
}

async fn prune_them(
    project: &Project,
    retention: Retention,
    pruning: Pruning,
    context: &Context,
) -> Result<Exit, Failures> {
    let _lock = begin(project, "snapshot prune", context).await?;
    let report = Box::pin(prune(project, retention, pruning, &context.outbox)).await?;
    context.outbox.report(Report::SnapshotPrune(report)).await;
    Ok(Exit::Success)
}

async fn remove_it(
    project: &Project,
    name: &SnapshotName,
    context: &Context,
) -> Result<Exit, Failures> {
    let _lock = begin(project, "snapshot remove", context).await?;
    let report = Box::pin(remove(project, name, &context.outbox)).await?;
    context.outbox.report(Report::SnapshotRemove(report)).await;
    Ok(Exit::Success)
}

/// How long a command on data may work.
pub(super) fn limits(context: &Context) -> Limits<'_> {
    Limits::new(&context.cancel, context.timeout.unwrap_or(DEADLINE))
}

/// Begins a command that works on data.
pub(super) async fn begin(
    project: &Project,
    command: &str,
    context: &Context,
) -> Result<EnvironmentLock, Failures> {
    context.begin_run(project, command, Rollout::Awaited).await
}

fn no_bounds() -> Failure {
    Failure::new(
        "usage.no-bounds",
        ExitClass::Usage,
        "nothing says which snapshots are to go",
    )
    .help("devenv snapshot prune --keep 5")
    .help("say it for always in devenv.yaml: snapshots: { keep: 5 }")
}

/// The failure of a command that would take data away, and was not agreed to.
pub(super) fn declined() -> Failure {
    Failure::new(
        "usage.declined",
        ExitClass::Usage,
        "nothing was changed, as you did not agree",
    )
    .help("devenv snapshot save NAME   # keeps the data as it is now")
}
