//! Building an image with BuildKit.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::models::{BuildInfo, BuildInfoAux};
use futures::StreamExt as _;
use http::Response;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::{
    BuildError, BuildProgress, Docker, DockerError,
    session::Session,
    trace::Trace,
    transport::{self, Body, BodyError, Connection, TransportError},
};
use crate::adapters::{
    context::{ArchiveError, Context},
    files,
};

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Whose image it is, as messages name it.
    pub title: String,
    /// The files, the Dockerfile's name, the target and the arguments.
    pub context: Arc<Context>,
    /// Files whose contents `RUN --mount=type=secret` may read, by id. Never part of the image or of its tag.
    pub secrets: BTreeMap<String, PathBuf>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The name of the result: the reference under which it is pushed.
    pub reference: String,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// `sha256:...`.
    pub id: String,
}

/// Where the reason is put for which the context stopped.
type Stopped = Arc<Mutex<Option<ArchiveError>>>;

impl Docker {
    /// Builds an image and names it; base images that the engine holds are not looked for elsewhere.
    ///
    /// There is no deadline, since a build may rightly take long: `cancel` ends it, also in the engine.
    pub async fn build(
        &self,
        request: &BuildRequest,
        on_progress: &(dyn Fn(BuildProgress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<BuiltImage, BuildError> {
        let secrets = read_secrets(&request.secrets)?;
        let building = async {
            let of = (&*dockerfile_of(request), request.context.target());
            self.know_bases(of, on_progress).await;
            self.run_build(request, secrets, on_progress).await
        };
        let ended = cancel.run_until_cancelled(building).await;
        // The engine ends a build whose connection is closed, which dropping it does.
        ended.unwrap_or_else(|| {
            Err(BuildError::Cancelled {
                title: request.title.clone(),
            })
        })
    }

    async fn run_build(
        &self,
        request: &BuildRequest,
        secrets: BTreeMap<String, Vec<u8>>,
        on_progress: &(dyn Fn(BuildProgress) + Sync),
    ) -> Result<BuiltImage, BuildError> {
        let session = Session::open(self, secrets).await?;
        let stopped = Stopped::default();
        let broken = |error: TransportError| match take(&stopped) {
            Some(source) => BuildError::Context {
                title: request.title.clone(),
                source,
            },
            None => self.build_broken(&request.title, error),
        };
        let mut connection = Connection::open(self.endpoint()).await.map_err(broken)?;
        let body = body_of(&request.context, Arc::clone(&stopped));
        let path = self.build_path(request, session.id());
        let answer = post(&mut connection, &path, body).await.map_err(broken)?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = transport::whole(answer).await.map_err(broken)?;
            let message = transport::error_message(status, &body);
            return Err(explained(request, message, &Trace::default()));
        }
        match follow(answer, on_progress).await.map_err(broken)? {
            Followed::Built(id) => Ok(BuiltImage { id }),
            // A context that stopped shows as a failed build as well.
            Followed::Failed { message, trace } => Err(match take(&stopped) {
                Some(source) => BuildError::Context {
                    title: request.title.clone(),
                    source,
                },
                None => explained(request, message, &trace),
            }),
        }
    }

    fn build_path(&self, request: &BuildRequest, session: &str) -> String {
        let json = |map: &BTreeMap<&str, &str>| serde_json::json!(map).to_string();
        let args = request.context.args().collect();
        let labels = request
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (args, labels) = (json(&args), json(&labels));
        let mut parameters = vec![
            ("version", "2"),
            ("session", session),
            ("t", &request.reference),
            ("dockerfile", request.context.dockerfile()),
            ("buildargs", &args),
            ("labels", &labels),
            ("rm", "1"),
        ];
        if let Some(target) = request.context.target() {
            parameters.push(("target", target));
        }
        transport::path_and_query(&self.api_path("/build"), &parameters)
    }

    fn build_broken(&self, title: &str, error: TransportError) -> BuildError {
        BuildError::Engine(match error {
            TransportError::Connect(source) => DockerError::connecting(self.endpoint(), source),
            other => DockerError::Refused {
                what: format!("build the image of {title}"),
                message: other.to_string(),
                status: 0,
            },
        })
    }
}

/// How a build ended.
pub(super) enum Followed {
    Built(String),
    Failed { message: String, trace: Box<Trace> },
}

/// Asks for a build of the archive in `body`.
pub(super) async fn post(
    connection: &mut Connection,
    path: &str,
    body: Body,
) -> Result<Response<Incoming>, TransportError> {
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/x-tar")
        .body(body)?;
    connection.send(request).await
}

/// Reads what the engine says of a build until its end.
pub(super) async fn follow(
    answer: Response<Incoming>,
    on_progress: &(dyn Fn(BuildProgress) + Sync),
) -> Result<Followed, TransportError> {
    let mut trace = Trace::default();
    let mut built = None;
    let mut messages = std::pin::pin!(transport::documents::<BuildInfo>(answer));
    while let Some(message) = messages.next().await {
        let message = message?;
        if let Some(error) = message.error_detail {
            return Ok(Followed::Failed {
                message: error.message.unwrap_or_default(),
                trace: Box::new(trace),
            });
        }
        match message.aux {
            Some(BuildInfoAux::BuildKit(status)) => trace.take(status, on_progress),
            Some(BuildInfoAux::Default(image)) => built = image.id.or(built),
            None => {}
        }
    }
    Ok(match built {
        Some(id) => Followed::Built(id),
        None => Followed::Failed {
            message: "the engine ended the build without an image".to_owned(),
            trace: Box::new(trace),
        },
    })
}

fn explained(request: &BuildRequest, message: String, trace: &Trace) -> BuildError {
    let path = request.context.dockerfile_on_disk();
    let text = dockerfile_of(request);
    BuildError::explained(&request.title, message, trace.failed(), path, &text)
}

/// The text of the Dockerfile. Without it a failure is still told, only without its line.
fn dockerfile_of(request: &BuildRequest) -> String {
    files::read_text(request.context.dockerfile_on_disk()).unwrap_or_default()
}

fn body_of(context: &Arc<Context>, stopped: Stopped) -> Body {
    transport::streamed(context.archive().map(move |chunk| {
        chunk.map_err(|error| {
            let told = BodyError::from(error.to_string());
            *stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }))
}

fn take(stopped: &Stopped) -> Option<ArchiveError> {
    stopped
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

fn read_secrets(
    secrets: &BTreeMap<String, PathBuf>,
) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
    secrets
        .iter()
        .map(|(id, path)| {
            let content = files::read(path).map_err(|source| BuildError::Secret {
                id: id.clone(),
                source,
            })?;
            Ok((id.clone(), content))
        })
        .collect()
}
