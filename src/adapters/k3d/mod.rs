//! Clusters and their registries, by the program k3d.
//!
//! Called by the engine's cluster steps and by `doctor`. Every port is bound to the loopback and every
//! cluster has a kubeconfig of its own: the user's is neither read nor written. What exists is not asked
//! here: the docker adapter sees the containers.

mod config;
mod error;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use self::config::LOOPBACK;
pub use self::{
    config::{ClusterRequest, NodeVolume},
    error::{K3dCause, K3dError},
};
use super::{
    files,
    process::{ChildEnvironment, Finished, Invocation, OnLine, Stream, run},
};
use crate::domain::{ClusterName, PortNumber};

/// How long a question to k3d may take.
const QUESTION: Duration = Duration::from_secs(20);
/// How long k3d gets beyond its own deadline, to take back what it had begun.
const ROLLBACK: Duration = Duration::from_secs(30);
/// Characters of the level and the clock that k3d puts before a message, up to the `]`: `INFO[0007`.
const LEVEL_AND_CLOCK: usize = 9;
/// Where a registry container keeps its images.
const REGISTRY_DIRECTORY: &str = "/var/lib/registry";

/// Images of k3d's helpers; k3d's own defaults where `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelperImages {
    /// The load balancer in front of a cluster.
    pub load_balancer: Option<String>,
    /// The container that gathers facts during a creation.
    pub tools: Option<String>,
    /// The image registry.
    pub registry: Option<String>,
}

/// The program k3d. Cheap to clone.
#[derive(Debug, Clone)]
pub struct K3d {
    binary: PathBuf,
    environment: ChildEnvironment,
    images: HelperImages,
    /// Where files that k3d reads or writes are kept: private to the environment.
    state: PathBuf,
}

impl K3d {
    /// k3d at `binary` (a name or a path), with its files under `state`.
    pub fn new(
        binary: impl Into<PathBuf>,
        environment: ChildEnvironment,
        images: HelperImages,
        state: impl Into<PathBuf>,
    ) -> Self {
        let state = state.into();
        // k3d keeps files under XDG_CONFIG_HOME and takes a cluster out of KUBECONFIG when it deletes it.
        let mut environment = environment
            .with("KUBECONFIG", state.join("kubeconfig.k3d"))
            .with("XDG_CONFIG_HOME", &state);
        let helpers = [
            ("K3D_IMAGE_LOADBALANCER", &images.load_balancer),
            ("K3D_IMAGE_TOOLS", &images.tools),
        ];
        for (name, image) in helpers {
            if let Some(image) = image {
                environment = environment.with(name, image);
            }
        }
        Self {
            binary: binary.into(),
            environment,
            images,
            state,
        }
    }

    /// Its version.
    pub async fn version(&self, cancel: &CancellationToken) -> Result<semver::Version, K3dError> {
        let invocation = self.invocation(QUESTION).arg("version");
        let answer = self
            .run("ask k3d for its version", &invocation, cancel, None)
            .await?
            .stdout_text();
        parse_version(&answer).ok_or_else(|| K3dError::Unexpected {
            command: "version",
            answer: answer.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// Creates the registry of a cluster, reachable on the loopback, its images kept in `storage`. It
    /// may not answer yet.
    pub async fn create_registry(
        &self,
        cluster: &ClusterName,
        port: PortNumber,
        storage: &Path,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), K3dError> {
        refuse_colon(storage)?;
        let mut invocation = self
            .invocation(deadline)
            .args(["registry", "create", &registry_name(cluster)])
            .args(["--port", &format!("{LOOPBACK}:{port}"), "--no-help"])
            .args([
                "--volume",
                &format!("{}:{REGISTRY_DIRECTORY}", storage.display()),
            ]);
        if let Some(image) = &self.images.registry {
            invocation = invocation.args(["--image", image]);
        }
        let doing = format!("create the image registry of {cluster}");
        let created = self.run(&doing, &invocation, cancel, None).await;
        if let Err(K3dError::Refused { cause, .. }) = &created
            && *cause != K3dCause::NameTaken
        {
            // k3d leaves a registry behind that it could not start, and would call its name taken next time.
            let _ = self.delete_registry(cluster, cancel).await;
        }
        created.map(|_| ())
    }

    /// Creates a cluster and writes its kubeconfig. Its node may not be ready yet.
    ///
    /// On failure k3d takes back what it had made; after an interruption the rest is `delete_cluster`'s.
    pub async fn create_cluster(
        &self,
        request: &ClusterRequest,
        cancel: &CancellationToken,
        deadline: Duration,
        on_line: Option<OnLine<'_>>,
    ) -> Result<(), K3dError> {
        for volume in &request.volumes {
            refuse_colon(&volume.host)?;
        }
        let file = self.state.join("k3d.yaml");
        let config = format!("{:#}\n", config::config(request, deadline));
        write(&file, config.as_bytes())?;
        let invocation = self
            .invocation(deadline + ROLLBACK)
            .args(["cluster", "create", "--config"])
            .arg(file);
        let doing = format!("create the cluster {}", request.name);
        self.run_tidily(&doing, invocation, cancel, on_line).await?;
        self.write_kubeconfig(&request.name, &request.kubeconfig, cancel)
            .await
    }

    /// Writes the kubeconfig of a cluster anew: after a creation, and after a start that moved its port.
    pub async fn write_kubeconfig(
        &self,
        cluster: &ClusterName,
        path: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), K3dError> {
        let invocation = self
            .invocation(QUESTION)
            .args(["kubeconfig", "get", cluster.as_str()]);
        let doing = format!("get the kubeconfig of {cluster}");
        let answer = self.run(&doing, &invocation, cancel, None).await?;
        if !answer
            .stdout_text()
            .contains(&format!("server: https://{LOOPBACK}:"))
        {
            // Its text holds a key: not shown.
            return Err(K3dError::Unexpected {
                command: "kubeconfig get",
                answer: format!("a kubeconfig without a server on {LOOPBACK}"),
            });
        }
        write(path, &answer.stdout)
    }

    /// Starts a stopped cluster.
    pub async fn start_cluster(
        &self,
        cluster: &ClusterName,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), K3dError> {
        let limit = format!("{}s", deadline.as_secs());
        let invocation = self.invocation(deadline + ROLLBACK).args([
            "cluster",
            "start",
            cluster.as_str(),
            "--timeout",
            &limit,
        ]);
        let doing = format!("start the cluster {cluster}");
        self.run_tidily(&doing, invocation, cancel, None).await
    }

    /// Stops a cluster; its containers stay.
    pub async fn stop_cluster(
        &self,
        cluster: &ClusterName,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), K3dError> {
        let invocation = self
            .invocation(deadline)
            .args(["cluster", "stop", cluster.as_str()]);
        let doing = format!("stop the cluster {cluster}");
        self.run(&doing, &invocation, cancel, None)
            .await
            .map(|_| ())
    }

    /// Deletes a cluster with its containers, network and volumes of k3d's. None of that name is no error.
    pub async fn delete_cluster(
        &self,
        cluster: &ClusterName,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), K3dError> {
        let invocation = self
            .invocation(deadline)
            .args(["cluster", "delete", cluster.as_str()]);
        let doing = format!("delete the cluster {cluster}");
        self.run(&doing, &invocation, cancel, None)
            .await
            .map(|_| ())
    }

    /// Deletes the registry of a cluster; the directory of its images stays. None is no error.
    pub async fn delete_registry(
        &self,
        cluster: &ClusterName,
        cancel: &CancellationToken,
    ) -> Result<(), K3dError> {
        let invocation =
            self.invocation(QUESTION)
                .args(["registry", "delete", &cluster.registry_container()]);
        let doing = format!("delete the image registry of {cluster}");
        match self.run(&doing, &invocation, cancel, None).await {
            Err(error) if error.cause() == Some(&K3dCause::NotFound) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn invocation(&self, deadline: Duration) -> Invocation {
        Invocation::new(&self.binary, self.environment.clone(), deadline)
    }

    /// Runs what leaves temporary files behind: they go with a directory of their own.
    async fn run_tidily(
        &self,
        doing: &str,
        mut invocation: Invocation,
        cancel: &CancellationToken,
        on_line: Option<OnLine<'_>>,
    ) -> Result<(), K3dError> {
        let scratch = self.state.join("k3d.tmp");
        // A run that was killed may have left it.
        files::remove_tree(&scratch)?;
        files::create_private_dir(&scratch)?;
        invocation.environment = invocation.environment.with("TMPDIR", &scratch);
        let finished = self.run(doing, &invocation, cancel, on_line).await;
        files::remove_tree(&scratch)?;
        finished.map(|_| ())
    }

    async fn run(
        &self,
        doing: &str,
        invocation: &Invocation,
        cancel: &CancellationToken,
        on_line: Option<OnLine<'_>>,
    ) -> Result<Finished, K3dError> {
        let plainly = on_line.map(|on_line| {
            move |stream: Stream, line: &str| on_line(stream, &without_decoration(line))
        });
        let on_line = plainly.as_ref().map(|plainly| plainly as OnLine<'_>);
        let finished = run(invocation, cancel, on_line).await?;
        if finished.succeeded() {
            Ok(finished)
        } else {
            Err(K3dError::refused(doing, &finished))
        }
    }
}

/// The name to give k3d, which puts `k3d-` before it.
fn registry_name(cluster: &ClusterName) -> String {
    format!("{cluster}-registry")
}

fn refuse_colon(path: &Path) -> Result<(), K3dError> {
    if path.as_os_str().as_encoded_bytes().contains(&b':') {
        return Err(K3dError::ColonInPath {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn write(path: &Path, contents: &[u8]) -> Result<(), K3dError> {
    if let Some(directory) = path.parent() {
        files::create_private_dir(directory)?;
    }
    Ok(files::write_private(path, contents)?)
}

/// What k3d says in a line: without its colours, and without the level and clock in `INFO[0007] `.
fn without_decoration(line: &str) -> String {
    let plain = console::strip_ansi_codes(line);
    let message = match plain.split_once("] ") {
        Some((level, message)) if level.len() == LEVEL_AND_CLOCK => message,
        _ => &plain,
    };
    message.trim_end().to_owned()
}

/// The version in `k3d version v5.9.0`.
fn parse_version(answer: &str) -> Option<semver::Version> {
    answer
        .split_whitespace()
        .find_map(|word| word.strip_prefix('v')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_k3d_prints() {
        let printed = "k3d version v5.9.0\nk3s version v1.32.5-k3s1 (default)\n";
        assert_eq!(parse_version(printed), Some(semver::Version::new(5, 9, 0)));
        assert_eq!(parse_version("k3d version dev"), None);
    }

    #[test]
    fn what_k3d_says_is_told_without_its_decoration() {
        let line = "\u{1b}[36mINFO\u{1b}[0m[0012] Cluster 'shop' created successfully!  ";
        assert_eq!(
            without_decoration(line),
            "Cluster 'shop' created successfully!"
        );
        assert_eq!(without_decoration("array[0] is kept"), "array[0] is kept");
    }

    #[test]
    fn the_registry_container_is_called_as_the_domain_says() {
        let cluster: ClusterName = "shop-1".parse().unwrap();
        let made_by_k3d = format!("k3d-{}", registry_name(&cluster));
        assert_eq!(made_by_k3d, cluster.registry_container());
    }
}
