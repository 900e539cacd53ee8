//! What charts claim: each claim that leaves it to the cluster where its data is gets a directory among the environment's
//! volumes. See docs/decisions/0016.

use std::path::Path;

use crate::{
    adapters::{
        helm::{HelmError, ReleaseRequest},
        kube::{Claims, KubeError, Unreadable, claims_in},
    },
    domain::{Failure, ServiceName},
    engine::{World, steps::volumes},
    plan::VOLUMES_IN_NODE,
};

/// Has a place for what a chart is about to claim. Gives what is to be told of data that is not kept, once it is
/// installed: a chart that cannot be read is for Helm to refuse.
pub(super) async fn reserve(
    world: &World,
    request: &ReleaseRequest,
    rendered: Result<String, HelmError>,
) -> Result<Option<String>, Failure> {
    let service = &request.service;
    match claimed(rendered, &request.namespace) {
        Ok(claims) => keep(world, service, claims).await,
        Err(why) => Ok(Some(format!(
            "it is not known which volumes {service} claims, so that their data goes with the cluster: {why}"
        ))),
    }
}

/// The same for more pods of what is installed.
pub(super) async fn reserve_for(
    world: &World,
    service: &ServiceName,
    replicas: u32,
) -> Result<Option<String>, Failure> {
    let cluster = world.checked_cluster().await?;
    let claims = cluster.claims_of_sets(service, replicas).await;
    let claims = claims.map_err(|error| error.failure().of(service))?;
    keep(world, service, claims).await
}

/// Why it is not known what a chart claims.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    NotRendered(#[from] HelmError),
    #[error(transparent)]
    NotRead(#[from] Unreadable),
}

fn claimed(rendered: Result<String, HelmError>, namespace: &str) -> Result<Claims, Unknown> {
    Ok(claims_in(&rendered?, namespace)?)
}

async fn keep(
    world: &World,
    service: &ServiceName,
    claims: Claims,
) -> Result<Option<String>, Failure> {
    let Claims {
        mut keepable,
        mut others,
    } = claims;
    if !keepable.is_empty() {
        let cluster = world.checked_cluster().await?;
        let failed = |error: KubeError| error.failure().of(service);
        let elsewhere = cluster.bound_elsewhere(&keepable).await.map_err(failed)?;
        keepable.retain(|claim| !elsewhere.contains(&claim.name));
        let names = keepable.iter().map(|claim| claim.name.as_str());
        volumes::make(world, service, names).await?;
        let root = Path::new(VOLUMES_IN_NODE);
        let reserved = cluster.reserve(service, &keepable, root).await;
        reserved.map_err(failed)?;
        let bound = "it was bound to a volume of the cluster's before devenv knew of it";
        others.extend(elsewhere.iter().map(|name| format!("{name}: {bound}")));
    }
    Ok((!others.is_empty()).then(|| {
        let others = others.join("; ");
        format!("of {service} the data of these claims goes with the cluster: {others}")
    }))
}
