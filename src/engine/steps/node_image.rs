//! Which image the nodes of a new cluster are made from.

use crate::{domain::Failure, engine::World};

/// Where k3s publishes its images.
const K3S: &str = "rancher/k3s";

/// The image of a node.
pub(super) enum NodeImage {
    /// By its reference.
    Named(String),
    /// The newest release of this Kubernetes version, such as `1.35`; k3d looks it up.
    NewestOf(String),
}

impl NodeImage {
    /// Its reference, if it is known.
    pub(super) fn reference(&self) -> Option<&str> {
        match self {
            Self::Named(reference) => Some(reference),
            Self::NewestOf(_) => None,
        }
    }

    /// How k3d is told of it.
    pub(super) fn for_k3d(&self) -> String {
        match self {
            Self::Named(reference) => reference.clone(),
            Self::NewestOf(version) => format!("+v{version}"),
        }
    }
}

/// The image that is set; else the newest of the Kubernetes version that this machine holds, so that a cluster can
/// be made anew without a network; else the newest there is.
pub(super) async fn resolve(world: &World) -> Result<NodeImage, Failure> {
    if let Some(image) = &world.node_image {
        return Ok(NodeImage::Named(image.clone()));
    }
    let minor = &world.environment.cluster.kubernetes;
    let pattern = format!("{K3S}:v{minor}.*");
    let held = world.tools.docker.images_called(&pattern).await;
    let held = held.map_err(|error| error.failure())?;
    let references = held.iter().map(|image| image.reference.as_str());
    Ok(newest(references, minor).map_or_else(
        || NodeImage::NewestOf(minor.clone()),
        |reference| NodeImage::Named(reference.to_owned()),
    ))
}

/// The newest release of the version `minor` among references of images.
fn newest<'a>(references: impl Iterator<Item = &'a str>, minor: &str) -> Option<&'a str> {
    let release = |reference: &str| -> Option<semver::Version> {
        let tag = reference.strip_prefix(K3S)?.strip_prefix(":v")?;
        let release: semver::Version = tag.parse().ok()?;
        let is_final = release.pre.starts_with("k3s");
        (is_final && format!("{}.{}", release.major, release.minor) == minor).then_some(release)
    };
    references
        .filter_map(|reference| Some((release(reference)?, reference)))
        .max()
        .map(|(_, reference)| reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_of_the_version_is_taken_and_no_other_image() {
        let held = [
            "rancher/k3s:v1.35.4-k3s1",
            "rancher/k3s:v1.35.10-k3s1",
            "rancher/k3s:v1.34.99-k3s1",
            "rancher/k3s:v1.35.11-rc1-k3s1",
            "rancher/k3s:latest",
            "mine/k3s:v1.35.12-k3s1",
        ];
        assert_eq!(
            newest(held.into_iter(), "1.35"),
            Some("rancher/k3s:v1.35.10-k3s1")
        );
        assert_eq!(newest(held.into_iter(), "1.33"), None);
    }
}
