//! What an environment occupies on this machine: asked of docker and the disk, so also where the cluster
//! does not answer or the record is lost.

use super::Project;
use crate::{
    adapters::{
        docker::{ClusterContainer, EngineState},
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
        let prefix = self.image_prefix();
        let (own, has_network, images) = futures::join!(
            OwnContainers::find(&tools.docker, id, &registry),
            tools.docker.has_network(&network),
            tools.docker.images_with_prefix(&prefix),
        );
        let own = own?;
        let images = images.map_err(|error| error.failure())?;
        let mut cluster = presence(&own.cluster);
        if has_network.map_err(|error| error.failure())? && cluster == Presence::Absent {
            cluster = Presence::Stopped;
        }
        let volumes = children(&self.paths.volumes())?;
        let has_data = !volumes.is_empty() || !children(&registry)?.is_empty();
        Ok(Footprint {
            cluster,
            registry: presence(own.registry.as_slice()),
            images: images.into_iter().map(|image| image.reference).collect(),
            volumes,
            has_data,
        })
    }

    /// How the references begin of the images that are built for this environment.
    pub(super) fn image_prefix(&self) -> String {
        let port = self.environment.cluster.registry_port;
        format!("127.0.0.1:{port}/{}:", self.environment.project)
    }
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
