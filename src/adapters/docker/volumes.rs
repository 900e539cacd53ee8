//! Volumes of the engine.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder},
};

use super::{Docker, DockerError, client::QUICK, containers::absent_is_fine};

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Docker {
    /// The volumes that carry the label `key=value`, by name.
    pub async fn volumes_labelled(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<EngineVolume>, DockerError> {
        let label = format!("{key}={value}");
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let what = format!("list the volumes with the label {label}");
        let found = self
            .call(&what, QUICK, self.client().list_volumes(Some(options)))
            .await?;
        let mut volumes: Vec<_> = found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| EngineVolume {
                name: volume.name,
                labels: volume.labels.into_iter().collect(),
            })
            .collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Makes an empty volume; one of that name that is there stays as it is.
    pub async fn create_volume(&self, volume: &EngineVolume) -> Result<(), DockerError> {
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            labels: Some(volume.labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let create = self.client().create_volume(request);
        let what = format!("create the volume {}", volume.name);
        self.call(&what, QUICK, create).await.map(|_| ())
    }

    /// Removes a volume with its data; none there is fine.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveVolumeOptionsBuilder::new().build();
        let remove = self.client().remove_volume(name, Some(options));
        let removed = self
            .call(&format!("remove the volume {name}"), QUICK, remove)
            .await;
        absent_is_fine(removed)
    }
}
