//! Removing files that belong to root, as what containers wrote does.

use std::{path::Path, time::Duration};

use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures::StreamExt as _;

use super::{Docker, DockerError, client::QUICK};

/// Where the helper sees the directory.
const INSIDE: &str = "/devenv";

impl Docker {
    /// Removes `names` in `directory` of the host with everything below them, whoever owns it.
    ///
    /// A container of `image`, which must be local and have `rm`, does it: it sees nothing but `directory`
    /// and has no network. Returns its exit code; 0 means that all is gone.
    pub async fn remove_tree(
        &self,
        directory: &Path,
        names: &[String],
        image: &str,
        deadline: Duration,
    ) -> Result<i64, DockerError> {
        let mut arguments = vec!["-rf".to_owned(), "--".to_owned()];
        arguments.extend(names.iter().map(|name| format!("{INSIDE}/{name}")));
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["rm".to_owned()]),
            cmd: Some(arguments),
            user: Some("0".to_owned()),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{}:{INSIDE}", directory.display())]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let what = format!("remove what is in {}", directory.display());
        let options = CreateContainerOptionsBuilder::new().build();
        let create = self.client().create_container(Some(options), body);
        let container = self.call(&what, QUICK, create).await?.id;
        let code = self.run_to_its_end(&what, &container, deadline).await;
        let removed = self.remove_container(&container).await;
        let code = code?;
        removed?;
        Ok(code)
    }

    async fn run_to_its_end(
        &self,
        what: &str,
        container: &str,
        deadline: Duration,
    ) -> Result<i64, DockerError> {
        self.start_container(container).await?;
        let options = WaitContainerOptionsBuilder::new().build();
        let mut ends = self.client().wait_container(container, Some(options));
        let ended = async {
            match ends.next().await {
                Some(Ok(end)) => Ok(end.status_code),
                Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
                    Ok(code)
                }
                Some(Err(error)) => Err(error),
                None => Ok(0),
            }
        };
        self.call(what, deadline, ended).await
    }
}
