//! What an environment occupies on this machine: asked of docker and the disk, so also where the cluster
//! does not answer or the record is lost.

use super::Project;
use crate::{
    adapters::{
        docker::{ClusterContainer, ENVIRONMENT, EngineState},
        files,
    },
    domain::{Failure, Footprint, Presence},
    engine::{OwnContainers, Tools},
};

impl Project {
    /// What the environment occupies; fails where something of its name is not its own.
    pub(super) async fn footprint(&self, tools: &Tools) -> Result<Footprint, Failure> {
        let id = &self.environment.id;
        let network = id.cluster().network();
        let registry = self.paths.registry();
        let (own, has_network, images, stores) = futures::join!(
            OwnContainers::find(&tools.docker, id, &registry),
            tools.docker.has_network(&network),
            tools.docker.images_labelled(ENVIRONMENT, id.as_str()),
            tools.docker.volumes_labelled(ENVIRONMENT, id.as_str()),
        );
        let own = own?;
        let images = images.map_err(|error| error.failure())?;
        let stores = stores.map_err(|error| error.failure())?;
        let mut cluster = presence(&own.cluster);
        if has_network.map_err(|error| error.failure())? && cluster == Presence::Absent {
            cluster = Presence::Stopped;
        }
        Ok(Footprint {
            cluster,
            registry: presence(own.registry.as_slice()),
            images: images
                .into_iter()
                .map(|image| image.reference)
                .filter(|reference| is_built(reference, self.environment.project.as_str()))
                .collect(),
            image_stores: stores.into_iter().map(|store| store.name).collect(),
            registry_has_images: !children(&registry)?.is_empty(),
            volumes: children(&self.paths.volumes())?
                .into_iter()
                // Beside the volumes there is what snapshots hold.
                .filter(|name| !name.starts_with('.'))
                .collect(),
            snapshots: children(&self.paths.snapshots())?.len(),
        })
    }
}

/// Whether an image has a name that devenv gave it, whatever port its registry had then; the user may have
/// given it others.
fn is_built(reference: &str, project: &str) -> bool {
    let path = reference.strip_prefix("127.0.0.1:");
    let (_, path) = path
        .and_then(|path| path.split_once('/'))
        .unwrap_or_default();
    path.strip_prefix(project)
        .is_some_and(|tag| tag.starts_with(':'))
}

fn presence(containers: &[ClusterContainer]) -> Presence {
    let stands = |container: &ClusterContainer| {
        matches!(
            container.state,
            EngineState::Created | EngineState::Exited | EngineState::Dead | EngineState::Removing
        )
    };
    if containers.is_empty() {
        Presence::Absent
    } else if containers.iter().all(stands) {
        Presence::Stopped
    } else {
        Presence::Running
    }
}

/// The names in a directory, sorted; none if it is not there.
fn children(directory: &std::path::Path) -> Result<Vec<String>, Failure> {
    if !files::exists(directory) {
        return Ok(Vec::new());
    }
    let found = files::list(directory).map_err(|error| error.failure())?;
    let mut names: Vec<String> = found
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_user_gave_a_built_image_are_the_users() {
        assert!(is_built("127.0.0.1:5050/shop:order-1", "shop"));
        assert!(is_built("127.0.0.1:6060/shop:order-1", "shop"));
        for other in [
            "mine:1",
            "127.0.0.1:5050/shops:a",
            "127.0.0.1:5050/x/shop:a",
        ] {
            assert!(!is_built(other, "shop"), "{other}");
        }
    }
}
