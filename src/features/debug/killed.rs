//! What killed commands have left, undone by commands that debug nothing.

use super::{lock, put_back, undo_left, written};
use crate::{
    domain::{Desired, Failure, NoticeLevel, ServiceName},
    features::{Project, observe::observe},
    report::Outbox,
};

/// Undoes what each `debug` that was killed has left.
///
/// What is set in a cluster that does not run is left for the next command. That something cannot be undone is worth a
/// line, and no reason for the caller to fail.
pub async fn undo_killed(project: &Project, outbox: &Outbox) {
    // Whoever cannot go on without the state says why it cannot be read.
    for service in written::services(&project.paths).unwrap_or_default() {
        // Somebody who has it debugs the service, or undoes it already.
        let Ok(_lock) = lock(project, &service) else {
            continue;
        };
        if let Err(failure) = undo(project, &service, outbox).await {
            let text = format!(
                "what a killed `devenv debug {service}` has left is not undone ({}); `devenv debug {service} --stop` \
                 tries again",
                failure.what
            );
            outbox.notice(NoticeLevel::Warning, text).await;
        }
    }
}

async fn undo(project: &Project, service: &ServiceName, outbox: &Outbox) -> Result<(), Failure> {
    if !project.environment.services.contains_key(service) {
        put_back(project, service, outbox).await?;
        return written::forget(&project.paths, service).map_err(|error| error.failure());
    }
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let desired = Desired::default();
    let mut sight = observe(project, &tools, record.as_ref(), &desired, outbox).await?;
    match sight.cluster.take() {
        Some(cluster) => undo_left(project, &tools, &sight, &cluster, service, outbox).await,
        None => put_back(project, service, outbox).await,
    }
}
