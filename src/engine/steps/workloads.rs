//! What is done to a service that runs: restart, scale.

use crate::{
    domain::{Failure, ServiceName},
    engine::{Finished, World},
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
) -> Result<Finished, Failure> {
    let cluster = world.checked_cluster().await?;
    let scaled = cluster.scale(service, replicas).await;
    scaled.map_err(|error| error.failure().of(service))?;
    Ok(Finished::Done)
}
