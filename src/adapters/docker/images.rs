//! The images the engine holds.

use std::{collections::HashMap, time::Duration};

use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};

use super::{
    Docker, DockerError,
    client::{QUICK, REMOVES_WITHIN},
    containers::{ENVIRONMENT, absent_is_fine},
};

/// An image under one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// `repository:tag`.
    pub reference: String,
    /// `sha256:...`, the same under every name.
    pub id: String,
    /// Its size on disk in bytes, layers that it shares with others included.
    pub size: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The environment that it was built for, by its label.
    pub environment: Option<String>,
}

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteImage {
    /// It has it.
    There,
    /// It has not; in its words.
    Absent {
        /// The words.
        said: String,
    },
    /// It does not tell everybody: the image is private, or there is none.
    Denied {
        /// The words.
        said: String,
    },
}

impl RemoteImage {
    /// What the answer to the question means, if it is one.
    fn of(error: DockerError) -> Result<Self, DockerError> {
        let DockerError::Refused {
            status, message, ..
        } = &error
        else {
            return Err(error);
        };
        let said = message.clone();
        match status {
            404 => Ok(Self::Absent { said }),
            // The engine gives what it heard from the registry as its own failure.
            _ if message.contains("manifest unknown") => Ok(Self::Absent { said }),
            401 | 403 => Ok(Self::Denied { said }),
            _ => Err(error),
        }
    }
}

impl Docker {
    /// The id of an image, `sha256:...`; `None` if the engine does not hold it.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, DockerError> {
        let inspect = self.client().inspect_image(reference);
        let what = format!("look for the image {reference}");
        match self.call(&what, QUICK, inspect).await {
            Ok(image) => Ok(image.id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the registry of an image has it, as it tells those without a login.
    pub async fn remote_image(
        &self,
        reference: &str,
        within: Duration,
    ) -> Result<RemoteImage, DockerError> {
        let asking = self.client().inspect_registry_image(reference, None);
        let what = format!("ask the registry for {reference}");
        match self.call(&what, within, asking).await {
            Ok(_) => Ok(RemoteImage::There),
            Err(error) => RemoteImage::of(error),
        }
    }

    /// The images that carry the label `key=value`, under each of their names, by reference: one request.
    pub async fn images_labelled(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<LocalImage>, DockerError> {
        self.images_where("label", &format!("{key}={value}")).await
    }

    /// The images that were built for environments, whichever, by reference: one request.
    pub async fn images_of_environments(&self) -> Result<Vec<LocalImage>, DockerError> {
        self.images_where("label", ENVIRONMENT).await
    }

    /// The images whose reference is as `pattern` says, such as `rancher/k3s:v1.35.*`, by reference: one request.
    pub async fn images_called(&self, pattern: &str) -> Result<Vec<LocalImage>, DockerError> {
        self.images_where("reference", pattern).await
    }

    async fn images_where(
        &self,
        filter: &str,
        value: &str,
    ) -> Result<Vec<LocalImage>, DockerError> {
        let filters = HashMap::from([(filter, vec![value])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let all = self
            .call(
                "list its images",
                QUICK,
                self.client().list_images(Some(options)),
            )
            .await?;
        let mut found: Vec<_> = all
            .iter()
            .flat_map(|image| {
                image.repo_tags.iter().map(|reference| LocalImage {
                    reference: reference.clone(),
                    id: image.id.clone(),
                    size: image.size.try_into().unwrap_or(0),
                    created: image.created,
                    environment: image.labels.get(ENVIRONMENT).cloned(),
                })
            })
            .collect();
        found.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(found)
    }

    /// Gives the image `from` the further name `to`.
    pub async fn tag(&self, from: &str, to: &str) -> Result<(), DockerError> {
        let (repository, tag) = split_reference(to);
        let options = TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        let tagging = self.client().tag_image(from, Some(options));
        self.call(&format!("name the image {from} {to}"), QUICK, tagging)
            .await
    }

    /// Takes a name from an image, and removes the image if it was its last; none there is fine.
    pub async fn remove_image(&self, reference: &str) -> Result<(), DockerError> {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        let remove = self.client().remove_image(reference, Some(options), None);
        let what = format!("remove the image {reference}");
        let removed = self.call(&what, REMOVES_WITHIN, remove).await.map(|_| ());
        absent_is_fine(removed)
    }
}

/// Repository and tag of a reference; the tag is `latest` if it has none.
pub(super) fn split_reference(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        assert_eq!(
            split_reference("127.0.0.1:5050/shop/a:b"),
            ("127.0.0.1:5050/shop/a", "b")
        );
        assert_eq!(
            split_reference("127.0.0.1:5050/shop/a"),
            ("127.0.0.1:5050/shop/a", "latest")
        );
        assert_eq!(split_reference("debian"), ("debian", "latest"));
    }
}
