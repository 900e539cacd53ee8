//! What an image starts, as its manifest and configuration say.

use http::{Request, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{RegistryError, exchange};
use crate::domain::{PortNumber, node_architecture};

/// The longest manifest or configuration of an image that is read, in bytes.
const LONGEST: usize = 4 << 20;

/// What an image starts; both may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageCommand {
    /// The program with its first arguments.
    #[serde(default, deserialize_with = "or_empty")]
    pub entrypoint: Vec<String>,
    /// The arguments that follow, or all of it where there is no entrypoint.
    #[serde(default, deserialize_with = "or_empty")]
    pub cmd: Vec<String>,
}

/// An image without one writes `null`.
fn or_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// What a manifest leads to on the way to what an image starts, by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadsTo {
    /// The manifest for this machine, as it is an index of several.
    Manifest(String),
    /// The configuration.
    Configuration(String),
}

/// What the text of a manifest leads to; `None` if it is none of an image for this machine.
pub fn leads_to(manifest: &[u8]) -> Option<LeadsTo> {
    serde_json::from_slice::<Manifest>(manifest)
        .ok()?
        .leads_to()
}

/// What an image starts whose configuration has this text; `None` if it is none.
pub fn starts(configuration: &[u8]) -> Option<ImageCommand> {
    let read: Configuration = serde_json::from_slice(configuration).ok()?;
    Some(read.config)
}

/// An image's manifest, or an index of several.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

impl Manifest {
    fn leads_to(self) -> Option<LeadsTo> {
        if let Some(config) = self.config {
            return Some(LeadsTo::Configuration(config.digest));
        }
        // Beside images there may be what only tells how they were built.
        let is_for_this = |one: &Descriptor| one.platform.as_ref().is_none_or(Platform::is_this);
        let found = self.manifests.into_iter().find(is_for_this)?;
        Some(LeadsTo::Manifest(found.digest))
    }
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Platform {
    /// Whether it is that of the nodes.
    fn is_this(&self) -> bool {
        self.os == "linux" && self.architecture == node_architecture()
    }
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    config: ImageCommand,
}

/// What the image `repository:tag` in the registry on `port` starts.
pub async fn image_command(
    port: PortNumber,
    repository: &str,
    tag: &str,
) -> Result<ImageCommand, RegistryError> {
    let image = Image {
        port,
        repository,
        tag,
    };
    let manifest = |name| async move {
        let manifest: Manifest = image.get(&format!("manifests/{name}")).await?;
        let other = || image.no("it is for another platform");
        manifest.leads_to().ok_or_else(other)
    };
    let mut next = manifest(tag.to_owned()).await?;
    if let LeadsTo::Manifest(digest) = next {
        next = manifest(digest).await?;
    }
    let LeadsTo::Configuration(digest) = next else {
        return Err(image.no("it has no configuration"));
    };
    let configuration: Configuration = image.get(&format!("blobs/{digest}")).await?;
    Ok(configuration.config)
}

/// An image in a registry.
#[derive(Clone, Copy)]
struct Image<'a> {
    port: PortNumber,
    repository: &'a str,
    tag: &'a str,
}

impl Image<'_> {
    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T, RegistryError> {
        let Self {
            port, repository, ..
        } = *self;
        let request = Request::get(format!("/v2/{repository}/{what}"));
        match exchange(port, request, LONGEST).await? {
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map_err(|error| self.no(&error.to_string()))
            }
            (status, _) => Err(RegistryError::Unexpected { port, status }),
        }
    }

    fn no(&self, problem: &str) -> RegistryError {
        RegistryError::NoImage {
            port: self.port,
            name: format!("{}:{}", self.repository, self.tag),
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_it_starts_or_leaves_it_out() {
        let read = |text| serde_json::from_str::<Configuration>(text).unwrap().config;
        let both = read(r#"{"config":{"Entrypoint":["tini","--"],"Cmd":["app"]}}"#);
        assert_eq!((both.entrypoint.len(), both.cmd.len()), (2, 1));
        let neither = read(r#"{"config":{"Entrypoint":null}}"#);
        assert_eq!(neither, ImageCommand::default());
        assert_eq!(read("{}"), ImageCommand::default());
    }

    #[test]
    fn of_an_index_the_image_for_this_machine_is_taken_and_of_that_its_configuration() {
        let one = |digest: &str, os: &str, architecture: &str| {
            format!(
                r#"{{"digest":"{digest}","platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
            )
        };
        let index = [
            one("told", "unknown", "unknown"),
            one("other", "linux", "s390x"),
            one("intel", "linux", "amd64"),
            one("arm", "linux", "arm64"),
        ];
        let index = format!(r#"{{"manifests":[{}]}}"#, index.join(","));
        let expected = match std::env::consts::ARCH {
            "aarch64" => "arm",
            _ => "intel",
        };
        let found = leads_to(index.as_bytes());
        assert_eq!(found, Some(LeadsTo::Manifest(expected.to_owned())));
        let found = leads_to(br#"{"config":{"digest":"said"},"layers":[]}"#);
        assert_eq!(found, Some(LeadsTo::Configuration("said".to_owned())));
        assert_eq!(leads_to(br#"{"manifests":[]}"#), None);
    }
}
