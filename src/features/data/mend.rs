//! Puts away what commands have left that were killed while they worked on data.

use std::{collections::BTreeSet, path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    exchange::{Settling, put_back},
    quiesce::resume,
    sanitize::remove_pods,
    site::{NOT_RUNNING, Site, Store},
};
use crate::{
    adapters::files,
    domain::{Failure, Failures, NoticeLevel, StepId},
    engine::Progress,
    features::Project,
    report::Outbox,
    state::{ExchangeRecord, KeptSnapshot, SnapshotStore},
};

/// How long services may take to be ready with the data that was put back.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// Puts back the data from before an exchange that was broken off, and removes data that belongs to nothing; says so.
/// The caller holds the lock. Where the environment does not run it is left to the command that starts it.
pub async fn mend(
    project: &Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<(), Failures> {
    if left(project)?.is_none() {
        return Ok(());
    }
    match Site::of(project, outbox).await {
        Ok(mut site) => mend_with(&mut site, outbox, cancel).await,
        Err(failure) if failure.code.0 == NOT_RUNNING => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// The running environment of a project, in which nothing is left of anybody who was killed.
pub(super) async fn mended<'a>(
    project: &'a Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<Site<'a>, Failures> {
    let mut site = Site::of(project, outbox).await?;
    mend_with(&mut site, outbox, cancel).await?;
    Ok(site)
}

/// The same where the environment is looked at already.
async fn mend_with(
    site: &mut Site<'_>,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<(), Failures> {
    let Some(left) = left(site.project)? else {
        return Ok(());
    };
    if let Some(record) = left.exchange {
        let text = format!(
            "the data from before is put back: devenv was killed when it was about to {}",
            record.doing
        );
        outbox.notice(NoticeLevel::Warning, text).await;
        let settling = Settling {
            outbox,
            cancel,
            deadline: READY_WITHIN,
        };
        put_back(site, &record, &settling).await?;
        site.look_again(outbox).await?;
    }
    if !left.directories.is_empty() {
        // What works on copies must not go on while they are removed.
        remove_pods(site).await?;
    }
    for directory in &left.directories {
        site.remove(directory).await?;
    }
    if !left.directories.is_empty() {
        // Who was killed may have brought them to rest.
        let progress = Progress::new(StepId::new("data", "mend"), outbox.clone());
        let _ = resume(site, &progress).await;
        let text = "removed data that belongs to no snapshot".to_owned();
        outbox.notice(NoticeLevel::Info, text).await;
    }
    Ok(())
}

/// What was left.
struct Left {
    exchange: Option<ExchangeRecord>,
    /// Data that belongs to nothing, relative to the directory of all volumes.
    directories: Vec<std::path::PathBuf>,
}

/// What was left, if anything was.
fn left(project: &Project) -> Result<Option<Left>, Failure> {
    let paths = &project.paths;
    let exchange = ExchangeRecord::load(paths)?;
    let snapshots = SnapshotStore::of(paths).list();
    let snapshots = snapshots.map_err(|error| error.failure())?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for kept in &snapshots {
        match kept {
            KeptSnapshot::Good(snapshot) => wanted.insert(snapshot.id.to_string()),
            // Which data belongs to it is not known, so that none is removed.
            KeptSnapshot::Unusable(..) => return Ok(only(exchange)),
        };
    }
    let mut directories = Vec::new();
    let moving = exchange.as_ref().map(|record| record.id.to_string());
    let prepared = SnapshotStore::prepared(paths).list();
    let prepared = prepared.map_err(|error| error.failure())?;
    let prepared = prepared.iter().filter_map(|kept| match kept {
        KeptSnapshot::Good(snapshot) => Some(snapshot.id.to_string()),
        // The dataset can be loaded again.
        KeptSnapshot::Unusable(..) => None,
    });
    for (store, wanted) in [
        (Store::Snapshots, wanted),
        (Store::Prepared, prepared.collect()),
        (Store::Exchange, moving.into_iter().collect()),
    ] {
        let names = names_in(&paths.volumes().join(store.directory()))?;
        let unwanted = names.into_iter().filter(|name| !wanted.contains(name));
        directories.extend(unwanted.map(|name| store.of(name)));
    }
    let is_nothing = exchange.is_none() && directories.is_empty();
    Ok((!is_nothing).then_some(Left {
        exchange,
        directories,
    }))
}

fn only(exchange: Option<ExchangeRecord>) -> Option<Left> {
    exchange.map(|record| Left {
        exchange: Some(record),
        directories: Vec::new(),
    })
}

fn names_in(directory: &Path) -> Result<Vec<String>, Failure> {
    if !files::exists(directory) {
        return Ok(Vec::new());
    }
    let found = files::list(directory).map_err(|error| error.failure())?;
    let names = found.iter().filter_map(|path| path.file_name()?.to_str());
    Ok(names.map(str::to_owned).collect())
}
