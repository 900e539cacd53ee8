//! What an image starts, read from the registry that holds it.

use http::{Request, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{RegistryError, exchange};
use crate::domain::PortNumber;

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

/// An image's manifest, or an index of several.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
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
    let mut manifest: Manifest = image.get(&format!("manifests/{tag}")).await?;
    if manifest.config.is_none() {
        // What was built here is for one platform; beside it there may be what only tells how it was built.
        let is_image = |one: &&Descriptor| one.platform.as_ref().is_none_or(|p| p.os == "linux");
        let found = manifest.manifests.iter().find(is_image);
        let digest = &found
            .ok_or_else(|| image.no("it is for another platform"))?
            .digest;
        manifest = image.get(&format!("manifests/{digest}")).await?;
    }
    let config = manifest
        .config
        .ok_or_else(|| image.no("it has no configuration"))?;
    let configuration: Configuration = image.get(&format!("blobs/{}", config.digest)).await?;
    Ok(configuration.config)
}

/// An image in a registry.
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
}
