//! What the environment comes to once files are hashed: images with their tags, releases with their inputs.
//!
//! Made by `features::desire`; compared with `Observed` by `plan`.

use std::{collections::BTreeMap, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Build, ServiceName, TaskName};

/// BLAKE3 of everything that goes into a release or an image: 32 hex digits, fit for a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputsHash(String);

impl InputsHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex()[..32].to_owned())
    }
    /// The hash of all that `stream` says, without keeping it.
    pub fn of_stream(stream: impl io::Read) -> io::Result<Self> {
        let hash = blake3::Hasher::new().update_reader(stream)?.finalize();
        Ok(Self(hash.to_hex()[..32].to_owned()))
    }
    /// A hash read back from a label.
    pub fn from_label(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose image: a service's or a task's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum BuildInput {
    /// A service's image.
    Service(ServiceName),
    /// A task's image.
    Task(TaskName),
}

impl std::fmt::Display for BuildInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => f.pad(name.as_str()),
            Self::Task(name) => f.pad(name.as_str()),
        }
    }
}

/// An image to have in the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredImage {
    /// The project: one repository for all its images, so that the registry takes a shared layer once.
    pub repository: String,
    /// Whose image it is: the first part of the tag.
    pub name: String,
    /// The hash of the context and of the build's settings: the second part of the tag.
    pub hash: InputsHash,
    /// How to build it.
    pub build: Build,
}

impl DesiredImage {
    /// Its tag in the repository.
    pub fn tag(&self) -> String {
        format!("{}-{}", self.name, self.hash.as_str())
    }

    /// The reference under which the host pushes it.
    pub fn host_reference(&self, port: super::PortNumber) -> String {
        format!("127.0.0.1:{port}/{}:{}", self.repository, self.tag())
    }

    /// The reference under which the cluster pulls it.
    pub fn cluster_reference(
        &self,
        cluster: &super::ClusterName,
        port: super::PortNumber,
    ) -> String {
        format!(
            "{}:{port}/{}:{}",
            cluster.registry_container(),
            self.repository,
            self.tag()
        )
    }
}

/// The chart of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum ReleaseChart {
    /// The embedded chart `charts/service`.
    Service,
    /// A chart in a directory, absolute.
    Path(PathBuf),
    /// A chart of a repository.
    Repository {
        /// Its URL.
        repo: String,
        /// The chart's name.
        name: String,
        /// The chart's version.
        version: String,
    },
    /// Plain manifests, wrapped into a chart: absolute paths, in order.
    Manifests(Vec<PathBuf>),
}

/// A release to have in the cluster.
#[derive(Clone, PartialEq)]
pub struct DesiredRelease {
    /// Its chart.
    pub chart: ReleaseChart,
    /// Its values, complete. They may hold secrets: never printed.
    pub values: serde_json::Value,
    /// Values files of the user's, under `values`; absolute.
    pub values_files: Vec<PathBuf>,
    /// The hash of chart, values and files.
    pub inputs: InputsHash,
}

impl std::fmt::Debug for DesiredRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesiredRelease")
            .field("chart", &self.chart)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

/// Images and releases to have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// The images that are built here.
    pub images: BTreeMap<BuildInput, DesiredImage>,
    /// One release a service.
    pub releases: BTreeMap<ServiceName, DesiredRelease>,
    /// For each hook of `afterUp`: the hash of the hook and of the releases it runs for.
    pub hooks: Vec<InputsHash>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_hash_of_its_bytes() {
        let bytes = vec![7; 200_000];
        let of_stream = InputsHash::of_stream(bytes.as_slice()).unwrap();
        assert_eq!(of_stream, InputsHash::of(&bytes));
        assert_eq!(of_stream.as_str().len(), 32);
    }
}
