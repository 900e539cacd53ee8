//! Volumes of the engine.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder},
};

use super::{
    Docker, DockerError,
    client::{QUICK, REMOVES_WITHIN},
    containers::{LOOK_AGAIN, absent_is_fine},
};

/// How long a container that is on its way out may hold a volume.
const FREE_WITHIN: Duration = Duration::from_secs(10);

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
        self.volumes_with(&format!("{key}={value}")).await
    }

    /// The volumes that carry a label, `key` or `key=value`, by name.
    pub async fn volumes_with(&self, label: &str) -> Result<Vec<EngineVolume>, DockerError> {
        let filters = HashMap::from([("label", vec![label])]);
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
    ///
    /// One that is in use is waited for: a container that is being removed, as by a run that was killed, holds its
    /// volumes for a moment longer than it can be seen.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        let what = format!("remove the volume {name}");
        let started = Instant::now();
        loop {
            let options = RemoveVolumeOptionsBuilder::new().build();
            let remove = self.client().remove_volume(name, Some(options));
            match self.call(&what, REMOVES_WITHIN, remove).await {
                Err(DockerError::Refused { message, .. })
                    if message.contains("volume is in use") && started.elapsed() < FREE_WITHIN =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                removed => return absent_is_fine(removed),
            }
        }
    }
}
