//! What `--fix` does itself: only what takes nothing from anybody.

use jiff::Timestamp;

use super::{Scope, leftovers};
use crate::{
    adapters::{
        docker::{Docker, ENVIRONMENT, K3D_CLUSTER},
        files,
    },
    domain::{EnvironmentId, Failure},
    engine::{OwnContainers, remove_directory},
    state::{Actor, EnvironmentLock, UserPaths},
};

/// Images of which an environment has left one on this machine, besides those of the settings.
const HELPER_IMAGES: [&str; 2] = ["registry:2", "docker.io/library/registry:2"];

/// How a removal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// All is gone.
    Done,
    /// The project is back, or there is data: nothing was touched.
    NotDead,
}

/// Starts the container of the registry.
pub async fn start_registry(scope: &Scope<'_>, container: &str) -> Result<(), Failure> {
    let docker = connect(scope).await?;
    let started = docker.start_container(container).await;
    started.map_err(|error| error.failure())
}

/// Removes what is left of an environment of this user that has neither project nor data, under its lock.
///
/// Its session must have ended.
pub async fn remove_environment(
    scope: &Scope<'_>,
    users: &UserPaths,
    id: &EnvironmentId,
) -> Result<Removal, Failure> {
    let paths = users.environment(id);
    files::create_private_dir(paths.state()).map_err(|error| error.failure())?;
    let now = Timestamp::now();
    let lock = EnvironmentLock::take(&paths, Actor::Command, "doctor --fix", now);
    let lock = lock.map_err(|error| error.failure(now))?;
    // Nothing is decided by what was seen before the lock was held.
    if !leftovers::is_dead(users, id) {
        return Ok(Removal::NotDead);
    }
    let docker = connect(scope).await?;
    let failed = |error: crate::adapters::docker::DockerError| error.failure();
    let own = OwnContainers::find(&docker, id, &paths.registry()).await?;
    for container in own.all() {
        let removed = docker.remove_container(&container.name).await;
        removed.map_err(failed)?;
    }
    let cluster = id.cluster();
    for (label, value) in [(ENVIRONMENT, id.as_str()), (K3D_CLUSTER, cluster.as_str())] {
        let volumes = docker.volumes_labelled(label, value).await;
        for volume in volumes.map_err(failed)? {
            docker.remove_volume(&volume.name).await.map_err(failed)?;
        }
    }
    let images = docker.images_labelled(ENVIRONMENT, id.as_str()).await;
    for image in images.map_err(failed)? {
        docker
            .remove_image(&image.reference)
            .await
            .map_err(failed)?;
    }
    let network = cluster.network();
    docker.remove_network(&network).await.map_err(failed)?;
    let images = helper_images(scope);
    remove_directory(&docker, &images, paths.data(), |_| ()).await?;
    // The lock lies in it, so this comes last; it is held until the directory is gone.
    files::remove_tree(paths.state()).map_err(|error| error.failure())?;
    drop(lock);
    Ok(Removal::Done)
}

async fn connect(scope: &Scope<'_>) -> Result<Docker, Failure> {
    let connected = Docker::connect(scope.host).await;
    connected.map_err(|error| error.failure())
}

/// Images with a `rm` of which one is likely to be local: they remove what belongs to root.
fn helper_images(scope: &Scope<'_>) -> Vec<String> {
    let images = &scope.settings.images;
    let of_settings = scope.settings.node_images.values().cloned();
    let own = [images.tools.clone(), images.registry.clone()];
    let known = HELPER_IMAGES.map(str::to_owned);
    of_settings
        .chain(own.into_iter().flatten())
        .chain(known)
        .collect()
}
