//! The handle on the engine: connecting, and what all calls have in common.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    DockerError, Endpoint,
    base::Bases,
    transport::{self, Connection, TransportError},
};
use crate::adapters::host::HostEnvironment;

/// How long the engine may take for its first answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long the engine may take for something that is quick by nature.
pub(super) const QUICK: Duration = Duration::from_secs(30);
/// How long the engine may take to remove files: those of a node's store are some hundred thousand, and the disk may be
/// busy with others.
pub(super) const REMOVES_WITHIN: Duration = Duration::from_mins(4);
/// The oldest API that has all that is used here, and the engine it came with.
const OLDEST_API: (usize, usize) = (1, 41);
const OLDEST_ENGINE: &str = "20.10";

/// The docker engine of this machine. Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    api: (usize, usize),
    client: bollard::Docker,
    bases: Bases,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its version, such as `20.10.24`.
    pub version: String,
    /// The operating system of its containers.
    pub os: String,
    /// The processor of its containers, such as `amd64`.
    pub architecture: String,
    /// Where it keeps images and containers; a path on the engine's machine.
    pub root_directory: std::path::PathBuf,
    /// How it puts the layers of images together, such as `overlay2`.
    pub storage_driver: String,
    /// The form of the kernel's groups of processes, `1` or `2`, and what manages them, such as `systemd`.
    pub cgroups: (String, String),
    /// What its clock showed while it answered; `None` if it does not say.
    pub clock: Option<Timestamp>,
}

impl Docker {
    /// Finds the engine and asks which API it knows; ends within 3 seconds.
    pub async fn connect(environment: &HostEnvironment) -> Result<Self, DockerError> {
        Self::connect_to(Endpoint::of(environment)?, CONNECT_WITHIN).await
    }

    /// Connects to the engine at `endpoint`, which has `within` to answer.
    pub(super) async fn connect_to(
        endpoint: Endpoint,
        within: Duration,
    ) -> Result<Self, DockerError> {
        let answer = match timeout(within, ask_api(&endpoint)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(TransportError::Connect(source))) => {
                return Err(DockerError::connecting(&endpoint, source));
            }
            Ok(Err(other)) => {
                return Err(DockerError::NoAnswer {
                    endpoint,
                    reason: other.to_string(),
                });
            }
            Err(_) => {
                return Err(DockerError::NoAnswer {
                    endpoint,
                    reason: format!(
                        "it took the connection but said nothing for {} s",
                        within.as_secs_f32()
                    ),
                });
            }
        };
        let api = usable_api(&answer)?;
        let client = client(&endpoint, api)?;
        Ok(Self {
            inner: Arc::new(Inner {
                endpoint,
                api,
                client,
                bases: Bases::default(),
            }),
        })
    }

    /// What the engine says of itself.
    pub async fn version(&self) -> Result<EngineInfo, DockerError> {
        let info = self
            .call("say what it is", QUICK, self.client().info())
            .await?;
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            os: info.os_type.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            root_directory: info.docker_root_dir.unwrap_or_default().into(),
            storage_driver: info.driver.unwrap_or_default(),
            cgroups: (
                info.cgroup_version
                    .map(|it| it.to_string())
                    .unwrap_or_default(),
                info.cgroup_driver
                    .map(|it| it.to_string())
                    .unwrap_or_default(),
            ),
            clock: info.system_time.and_then(|time| time.parse().ok()),
        })
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    pub(super) fn bases(&self) -> &Bases {
        &self.inner.bases
    }

    pub(super) fn client(&self) -> &bollard::Docker {
        &self.inner.client
    }

    /// A path of the API in the version both sides know.
    pub(super) fn api_path(&self, path: &str) -> String {
        let (major, minor) = self.inner.api;
        format!("/v{major}.{minor}{path}")
    }

    /// Waits for `answer`, at most for `deadline`. `what` completes the sentence "the engine could not ...".
    pub(super) async fn call<T>(
        &self,
        what: &str,
        deadline: Duration,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        match timeout(deadline, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(DockerError::refused(self.endpoint(), what, &error)),
            Err(_) => Err(DockerError::Late {
                what: what.to_owned(),
                deadline,
            }),
        }
    }
}

/// The newest API that the engine knows, such as `1.41`.
///
/// A ping says so in a header, in a tenth of the time that the engine takes to tell its version.
async fn ask_api(endpoint: &Endpoint) -> Result<String, TransportError> {
    let mut connection = Connection::open(endpoint).await?;
    let request = http::Request::get("/_ping").body(transport::empty())?;
    let answer = connection.send(request).await?;
    let api = answer.headers().get("Api-Version");
    let api = api.and_then(|value| value.to_str().ok()).map(str::to_owned);
    api.ok_or(TransportError::NoEngine)
}

/// The newest API that both sides know.
fn usable_api(newest: &str) -> Result<(usize, usize), DockerError> {
    let theirs = newest
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .unwrap_or((0, 0));
    if theirs < OLDEST_API {
        return Err(DockerError::TooOld {
            api: newest.to_owned(),
            needed: OLDEST_ENGINE,
        });
    }
    let ours = bollard::API_DEFAULT_VERSION;
    Ok(theirs.min((ours.major_version, ours.minor_version)))
}

fn client(endpoint: &Endpoint, api: (usize, usize)) -> Result<bollard::Docker, DockerError> {
    let version = bollard::ClientVersion {
        major_version: api.0,
        minor_version: api.1,
    };
    // Every call has a deadline of its own, which is shorter; stopping containers may take this long.
    let longest = 10 * QUICK.as_secs();
    match endpoint {
        Endpoint::Unix(path) => {
            bollard::Docker::connect_with_unix(&path.to_string_lossy(), longest, &version)
        }
        Endpoint::Tcp { .. } => {
            bollard::Docker::connect_with_http(&endpoint.to_string(), longest, &version)
        }
    }
    .map_err(|error| DockerError::NoAnswer {
        endpoint: endpoint.clone(),
        reason: error.to_string(),
    })
}

impl std::fmt::Debug for Docker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Docker")
            .field("endpoint", &self.inner.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixListener,
    };

    use super::*;
    use crate::adapters::files;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn code(path: &std::path::Path, within: Duration) -> &'static str {
        let endpoint = Endpoint::Unix(path.to_owned());
        Docker::connect_to(endpoint, within)
            .await
            .unwrap_err()
            .failure()
            .code
            .0
    }

    /// A listener that answers every request with `headers`.
    fn answering(path: &std::path::Path, headers: &'static str) -> tokio::task::JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
    }

    #[tokio::test]
    async fn a_missing_and_a_dead_socket_mean_that_it_is_not_running() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("docker.sock");
        assert_eq!(code(&path, PATIENCE).await, "docker.not-running");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(code(&path, PATIENCE).await, "docker.not-running");
    }

    #[tokio::test]
    async fn a_socket_that_takes_connections_and_says_nothing_is_told_apart() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("docker.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        assert_eq!(
            code(&path, Duration::from_millis(50)).await,
            "docker.no-answer"
        );
    }

    #[tokio::test]
    async fn something_else_behind_the_socket_is_no_engine() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("docker.sock");
        let server = answering(&path, "server: nginx\r\n");
        assert_eq!(code(&path, PATIENCE).await, "docker.no-answer");
        server.abort();
    }

    #[tokio::test]
    async fn an_old_engine_is_refused_and_a_new_one_is_spoken_to_in_our_version_until_it_dies() {
        let home = tempfile::tempdir().unwrap();
        let old = home.path().join("old.sock");
        let server = answering(&old, "Api-Version: 1.40\r\n");
        assert_eq!(code(&old, PATIENCE).await, "docker.too-old");
        server.abort();

        let new = home.path().join("new.sock");
        let server = answering(&new, "Api-Version: 1.999\r\n");
        let docker = Docker::connect_to(Endpoint::Unix(new.clone()), PATIENCE)
            .await
            .unwrap();
        assert!(docker.inner.api < (1, 999));
        server.abort();

        files::remove_file(&new).unwrap();
        let error = docker.image_id("a").await.unwrap_err();
        assert_eq!(error.failure().code.0, "docker.not-running");
    }
}
