//! Removing cluster, registry, data and images.

use std::{path::Path, time::Duration};

use futures::future::try_join_all;

use super::image_store;
use crate::{
    adapters::files,
    domain::{ExitClass, Failure},
    engine::{Finished, OwnContainers, Progress, World},
};

/// The label that k3d gives a cluster's volume.
const K3D_CLUSTER: &str = "k3d.cluster";
const REMOVE_WITHIN: Duration = Duration::from_mins(5);

/// Removes the cluster's containers, volume and network, whatever state they are in.
pub(in crate::engine) async fn cluster(world: &World) -> Result<Finished, Failure> {
    containers(world).await?;
    world.memory.removed()?;
    Ok(Finished::Done)
}

/// The same, without a word to the memory: the cluster is still one that is to be created.
pub(super) async fn containers(world: &World) -> Result<(), Failure> {
    let docker = &world.tools.docker;
    let own = own(world).await?;
    let removing = own
        .cluster
        .iter()
        .map(|container| docker.remove_container(&container.name));
    let removed = try_join_all(removing).await;
    removed.map_err(|error| error.failure())?;
    let name = world.environment.id.cluster();
    let volumes = docker.volumes_labelled(K3D_CLUSTER, name.as_str()).await;
    for volume in volumes.map_err(|error| error.failure())? {
        let removed = docker.remove_volume(&volume.name).await;
        removed.map_err(|error| error.failure())?;
    }
    if world.memory.identity().is_none() {
        // Half made: what docker was copying into it when the creation was ended is not all there.
        image_store::remove_all(world).await?;
    }
    let network = name.network();
    if let Some(registry) = &own.registry {
        let taken_off = docker.disconnect(&network, &registry.name).await;
        taken_off.map_err(|error| error.failure())?;
    }
    let removed = docker.remove_network(&network).await;
    removed.map_err(|error| error.failure())
}

/// Removes the container of the registry.
pub(in crate::engine) async fn registry(world: &World) -> Result<Finished, Failure> {
    let own = own(world).await?;
    let Some(registry) = own.registry else {
        return Ok(Finished::Skipped("it is gone already".to_owned()));
    };
    let removed = world.tools.docker.remove_container(&registry.name).await;
    removed.map_err(|error| error.failure())?;
    Ok(Finished::Done)
}

/// Removes images from the docker engine, and what the registry and the nodes keep. Images in the engine that
/// another name keeps lose only this one.
pub(in crate::engine) async fn images(
    world: &World,
    images: &[String],
    progress: &Progress,
) -> Result<Finished, Failure> {
    for image in images {
        progress.note(image.as_str());
        let removed = world.tools.docker.remove_image(image).await;
        removed.map_err(|error| error.failure())?;
    }
    progress.note("what the nodes keep");
    image_store::remove_all(world).await?;
    progress.note("what the registry keeps");
    directory(world, &world.places.registry, progress).await?;
    Ok(Finished::Done)
}

/// Removes the environment's data.
pub(in crate::engine) async fn data(
    world: &World,
    progress: &Progress,
) -> Result<Finished, Failure> {
    directory(world, &world.places.data, progress).await?;
    Ok(Finished::Done)
}

/// Removes a directory of the environment.
///
/// What containers wrote may belong to root: where the user may not remove it, a container does.
async fn directory(world: &World, directory: &Path, progress: &Progress) -> Result<(), Failure> {
    let path = directory.to_owned();
    let removal = tokio::task::spawn_blocking(move || files::remove_tree(&path));
    let Ok(removed) = removal.await else {
        return Err(still_there(directory));
    };
    let Err(error) = removed else {
        return Ok(());
    };
    progress.note("some of it belongs to root: a container removes it");
    let Some(image) = helper_image(world).await? else {
        return Err(still_there(directory).caused_by(&error));
    };
    let children = files::list(directory).map_err(|error| error.failure())?;
    let names = children
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let names: Vec<String> = names.collect();
    let docker = &world.tools.docker;
    let code = docker
        .remove_tree(directory, &names, &image, REMOVE_WITHIN)
        .await
        .map_err(|error| error.failure())?;
    if code != 0 {
        return Err(still_there(directory));
    }
    files::remove_tree(directory).map_err(|error| error.failure())
}

/// An image that is local already and has a `rm`.
async fn helper_image(world: &World) -> Result<Option<String>, Failure> {
    for image in &world.helper_images {
        let held = world.tools.docker.image_id(image).await;
        if held.map_err(|error| error.failure())?.is_some() {
            return Ok(Some(image.clone()));
        }
    }
    Ok(None)
}

fn still_there(directory: &Path) -> Failure {
    let directory = directory.display();
    Failure::new(
        "data.not-removed",
        ExitClass::Data,
        format!("what is in {directory} could not be removed"),
    )
    .because("files in it belong to root, as containers wrote them")
    .help(format!("sudo rm -rf {directory}"))
}

async fn own(world: &World) -> Result<OwnContainers, Failure> {
    let id = &world.environment.id;
    OwnContainers::find(&world.tools.docker, id, &world.places.registry).await
}
