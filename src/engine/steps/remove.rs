//! Removing cluster, registry, data and images.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;

use super::{image_store, volume_store};
use crate::{
    adapters::{docker::K3D_CLUSTER, files},
    domain::{Failure, FileKind},
    engine::{Finished, OwnContainers, Progress, World, remove_directory},
    plan::Spared,
};

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
    spared: Spared,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let places = &world.places;
    match spared {
        Spared::Nothing => directory(world, &places.data, progress).await?,
        Spared::Snapshots => {
            // First: whoever is killed after half of it has begun it for good.
            volume_store::empty_later(world)?;
            for path in without(&places.data, &places.snapshots)? {
                directory(world, &path, progress).await?;
            }
        }
    }
    Ok(Finished::Done)
}

/// What is in a directory but what is spared, which may lie deeper. Files come first: they say of the directories how
/// things stand, such as that an exchange was broken off.
fn without(directory: &Path, spared: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut directories) = (Vec::new(), Vec::new());
    for path in files::list(directory).map_err(|error| error.failure())? {
        let kind = files::kind_of(&path).map_err(|error| error.failure())?;
        if spared.contains(&path) {
            continue;
        }
        if spared.iter().any(|spared| spared.starts_with(&path)) {
            directories.extend(without(&path, spared)?);
        } else if kind == FileKind::Directory {
            directories.push(path);
        } else {
            found.push(path);
        }
    }
    found.append(&mut directories);
    Ok(found)
}

/// Removes a directory or a file of the environment.
async fn directory(world: &World, directory: &Path, progress: &Progress) -> Result<(), Failure> {
    let note = |text: &str| progress.note(text);
    remove_directory(&world.tools.docker, &world.helper_images, directory, note).await
}

async fn own(world: &World) -> Result<OwnContainers, Failure> {
    let id = &world.environment.id;
    OwnContainers::find(&world.tools.docker, id, &world.places.registry).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_but_what_is_spared_and_what_leads_there() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path();
        for directory in [
            "snapshots",
            "volumes/.snapshots/a",
            "volumes/.exchange",
            "volumes/db",
        ] {
            files::create_dir(&data.join(directory)).unwrap();
        }
        for file in ["snapshots/a.json", "volumes.json"] {
            files::write_private(&data.join(file), b"").unwrap();
        }
        let spared = ["snapshots", "volumes/.snapshots"].map(|path| data.join(path));
        let gone = ["volumes.json", "volumes/.exchange", "volumes/db"].map(|path| data.join(path));
        assert_eq!(without(data, &spared).unwrap(), gone);
        assert_eq!(
            without(&data.join("none"), &spared).map_err(|it| it.code.0),
            Err("files.not-found")
        );
    }
}
