//! Sets the data back: to a dataset, or to what it was before anything was done.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;

use super::{
    load::{Load, empty, load},
    prune::prune_own,
    save::{Save, save},
    snapshots::no_name,
};
use crate::{
    domain::{Desired, Failures, Maker, SnapshotName},
    features::{
        Project,
        up::{completed, run},
    },
    plan,
    report::{DataReset, Outbox},
};

/// What the names of snapshots begin with that a reset makes first.
const BACKUP: &str = "before-reset-";

/// Whether the data from now is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    /// As a snapshot.
    Snapshot,
    /// It is gone.
    None,
}

/// What the data is set back to.
#[derive(Debug, Clone)]
pub enum ResetTo {
    /// A dataset.
    Dataset(Box<Load>),
    /// What the services and the hooks make of empty volumes, as the first `up` did.
    FirstUp,
}

/// Sets the data back. The caller holds the lock.
pub async fn reset(
    project: &Project,
    to: &ResetTo,
    backup: Backup,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<DataReset, Failures> {
    let kept = match backup {
        Backup::None => None,
        Backup::Snapshot => Some(keep(project, outbox, cancel, deadline).await?),
    };
    let loaded = match to {
        ResetTo::Dataset(wanted) => load(project, wanted, outbox, cancel).await?,
        ResetTo::FirstUp => {
            let emptied = empty(project, outbox, cancel, deadline).await?;
            run_hooks(project, outbox, cancel, deadline).await?;
            emptied
        }
    };
    if kept.is_some() {
        prune_own(project, outbox).await?;
    }
    Ok(DataReset {
        environment: project.environment.id.to_string(),
        dataset: loaded.dataset,
        backup: kept.map(|name| name.to_string()),
        total_seconds: loaded.total_seconds,
    })
}

/// Makes a snapshot of the data as it is.
async fn keep(
    project: &Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<SnapshotName, Failures> {
    let now = Timestamp::now().to_zoned(TimeZone::system());
    let name = format!("{BACKUP}{}", now.strftime("%Y%m%d-%H%M%S"));
    // Made of letters, digits and hyphens.
    let name: SnapshotName = name.parse().map_err(|error| no_name(&error))?;
    let wanted = Save {
        name: name.clone(),
        services: Vec::new(),
        note: Some("made by `devenv data reset`".to_owned()),
        maker: Maker::Devenv,
        deadline,
    };
    save(project, &wanted, outbox, cancel).await?;
    Ok(name)
}

/// Runs the hooks that the first `up` ran.
async fn run_hooks(
    project: &Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<(), Failures> {
    let plan = plan::hooks_after_up(&project.environment);
    if plan.is_empty() {
        return Ok(());
    }
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let world = project.world(Desired::default(), tools, record.as_ref());
    completed(run(&plan, &world, outbox, cancel, deadline).await).map(|_| ())
}
