//! What is done to a service that runs: restart, scale.

use crate::{
    domain::{Failure, NoticeLevel, ServiceName},
    engine::{Finished, Progress, World, steps::claims},
};

/// Has all pods of a service replaced; does not wait for the new ones.
pub(in crate::engine) async fn restart(
    world: &World,
    service: &ServiceName,
) -> Result<Finished, Failure> {
    let cluster = world.checked_cluster().await?;
    world.installing(service);
    let restarted = cluster.restart(service).await;
    restarted.map_err(|error| error.failure().of(service))?;
    Ok(Finished::Done)
}

/// Sets how many pods a service has; does not wait for them.
pub(in crate::engine) async fn scale(
    world: &World,
    service: &ServiceName,
    replicas: u32,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let cluster = world.checked_cluster().await?;
    let found = world.environment.services.get(service);
    if found.is_some_and(|service| service.workload().is_none()) {
        let lost = claims::reserve_for(world, service, replicas).await?;
        if let Some(lost) = lost {
            progress.outbox().notice(NoticeLevel::Warning, lost).await;
        }
    }
    let scaled = cluster.scale(service, replicas).await;
    scaled.map_err(|error| error.failure().of(service))?;
    Ok(Finished::Done)
}
