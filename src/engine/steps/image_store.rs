//! Where the nodes keep their images from one cluster to the next.
//!
//! Each node has a docker volume for its container runtime's images, which outlives the cluster: a new cluster
//! starts its pods without pulling and unpacking anything. See docs/decisions/0007.

use std::collections::BTreeMap;

use super::node_image::NodeImage;
use crate::{
    adapters::docker::{Docker, ENVIRONMENT, EngineVolume},
    domain::{EnvironmentId, Failure},
    engine::World,
};

/// The label that says by which node image a store was filled.
const NODE_IMAGE: &str = "devenv.node-image";

/// Readies the stores of the nodes that are about to be made from `node_image`: the server's, then the agents'.
///
/// None for an image that the engine does not hold yet: who fills them is not known before it is there. Stores
/// that another image filled are removed: an older runtime need not understand what a newer one wrote.
pub(super) async fn prepare(world: &World, node_image: &NodeImage) -> Result<Vec<String>, Failure> {
    let docker = &world.tools.docker;
    let image_id = match node_image.reference() {
        Some(reference) => docker.image_id(reference).await,
        None => Ok(None),
    };
    let Some(image_id) = image_id.map_err(|error| error.failure())? else {
        remove_all(world).await?;
        return Ok(Vec::new());
    };
    let id = &world.environment.id;
    let cluster = id.cluster();
    let nodes = cluster.node_containers(world.environment.cluster.agents);
    let wanted: Vec<EngineVolume> = nodes.map(|node| store(id, &node, &image_id)).collect();
    for old in outdated(&wanted, found(docker, id).await?) {
        remove(docker, &old).await?;
    }
    for store in &wanted {
        let created = docker.create_volume(store).await;
        created.map_err(|error| error.failure())?;
    }
    Ok(wanted.into_iter().map(|store| store.name).collect())
}

/// Removes all stores of the environment.
pub(super) async fn remove_all(world: &World) -> Result<(), Failure> {
    let docker = &world.tools.docker;
    for store in found(docker, &world.environment.id).await? {
        remove(docker, &store).await?;
    }
    Ok(())
}

fn store(id: &EnvironmentId, node: &str, image_id: &str) -> EngineVolume {
    let labels = [(ENVIRONMENT, id.as_str()), (NODE_IMAGE, image_id)];
    EngineVolume {
        name: format!("{node}-images"),
        labels: BTreeMap::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned()))),
    }
}

/// Those of `found` that are of no use to the nodes that want `wanted`.
fn outdated(wanted: &[EngineVolume], mut found: Vec<EngineVolume>) -> Vec<EngineVolume> {
    found.retain(|store| !wanted.contains(store));
    found
}

async fn found(docker: &Docker, id: &EnvironmentId) -> Result<Vec<EngineVolume>, Failure> {
    let found = docker.volumes_labelled(ENVIRONMENT, id.as_str()).await;
    found.map_err(|error| error.failure())
}

async fn remove(docker: &Docker, store: &EngineVolume) -> Result<(), Failure> {
    let removed = docker.remove_volume(&store.name).await;
    removed.map_err(|error| error.failure())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::environment;

    #[test]
    fn a_store_is_kept_for_the_node_that_filled_it_with_the_same_image() {
        let id = environment(&[]).id;
        let cluster = id.cluster();
        let stores = |agents: u32, image: &str| -> Vec<EngineVolume> {
            let nodes = cluster.node_containers(agents);
            nodes.map(|node| store(&id, &node, image)).collect()
        };
        let found = stores(1, "sha256:a");
        assert_eq!(outdated(&stores(1, "sha256:a"), found.clone()), []);
        assert_eq!(outdated(&stores(2, "sha256:a"), found.clone()), []);
        assert_eq!(outdated(&stores(0, "sha256:a"), found.clone()), found[1..]);
        assert_eq!(outdated(&stores(1, "sha256:b"), found.clone()), found);
    }
}
