//! The side channel of a build over which the engine asks for secrets.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bollard::{
    health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{Health, HealthServer},
    },
    moby::buildkit::secrets::v1::{
        GetSecretRequest, GetSecretResponse,
        secrets_server::{Secrets, SecretsServer},
    },
};
use futures::{Stream, stream};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::{io::copy_bidirectional, task::JoinSet, time::timeout};
use tonic::{Request, Response, Status, transport::Server};

use super::{
    Docker, DockerError,
    transport::{self, Connection, TransportError},
};

/// The call the engine makes for a secret.
const SECRET_METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// How long the engine may take to open the channel.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Bytes in flight between the connection and the service.
const PIPE: usize = 64 << 10;

/// An open channel. It is closed when this is dropped.
pub(super) struct Session {
    id: String,
    _tasks: JoinSet<()>,
}

impl Session {
    /// Opens a channel that answers with `secrets`, by id.
    pub(super) async fn open(
        docker: &Docker,
        secrets: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, DockerError> {
        const WHAT: &str = "open the channel for a build's secrets";
        let failed = |error: TransportError| match error {
            TransportError::Connect(source) => DockerError::connecting(docker.endpoint(), source),
            other => DockerError::Refused {
                what: WHAT.to_owned(),
                message: other.to_string(),
                status: 0,
            },
        };
        match timeout(OPEN_WITHIN, Self::attach(docker, secrets)).await {
            Ok(opened) => opened.map_err(failed),
            Err(_) => Err(DockerError::Late {
                what: WHAT.to_owned(),
                deadline: OPEN_WITHIN,
            }),
        }
    }

    /// The name by which a build refers to it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    async fn attach(
        docker: &Docker,
        secrets: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, TransportError> {
        let id = new_id();
        let mut connection = Connection::open(docker.endpoint()).await?;
        let request = http::Request::post(docker.api_path("/session"))
            .header(http::header::CONNECTION, "Upgrade")
            .header(http::header::UPGRADE, "h2c")
            .header("X-Docker-Expose-Session-Uuid", &id)
            .header("X-Docker-Expose-Session-Grpc-Method", SECRET_METHOD)
            .body(transport::empty())?;
        let answer = connection.send(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = answer.status();
            let body = transport::whole(answer).await?;
            return Err(std::io::Error::other(transport::error_message(status, &body)).into());
        }
        let upgraded = hyper::upgrade::on(answer).await?;
        let (mut theirs, ours) = tokio::io::duplex(PIPE);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It ends when either side hangs up, which is how a build ends.
            let _ = copy_bidirectional(&mut TokioIo::new(upgraded), &mut theirs).await;
        });
        tasks.spawn(async move {
            let incoming = stream::iter([Ok::<_, std::io::Error>(ours)]);
            let _ = Server::builder()
                .add_service(HealthServer::new(Alive))
                .add_service(SecretsServer::new(Provider { secrets }))
                .serve_with_incoming(incoming)
                .await;
        });
        Ok(Self { id, _tasks: tasks })
    }
}

/// A name no other session has.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let text = format!("{}-{now}-{count}", std::process::id());
    blake3::hash(text.as_bytes()).to_hex()[..25].to_owned()
}

/// Gives out the secrets of one build. Has no `Debug`: nothing may print them.
struct Provider {
    secrets: BTreeMap<String, Vec<u8>>,
}

#[tonic::async_trait]
impl Secrets for Provider {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.secrets.get(id) {
            Some(data) => Ok(Response::new(GetSecretResponse { data: data.clone() })),
            None => Err(Status::not_found(format!(
                "the build has no secret `{id}`: add it to `build.secrets` in devenv.yaml"
            ))),
        }
    }
}

/// Tells the engine that the channel is alive; it hangs up otherwise.
struct Alive;

impl Alive {
    const SERVING: HealthCheckResponse = HealthCheckResponse {
        status: ServingStatus::Serving as i32,
    };
}

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static>>;

    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(Self::SERVING))
    }

    async fn list(
        &self,
        _request: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Ok(Response::new(HealthListResponse::default()))
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(stream::iter([Ok(Self::SERVING)]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_given_by_its_id_and_an_unknown_one_is_named() {
        let provider = Provider {
            secrets: BTreeMap::from([("npm".to_owned(), b"token".to_vec())]),
        };
        let ask = |id: &str| {
            provider.get_secret(Request::new(GetSecretRequest {
                id: id.to_owned(),
                ..GetSecretRequest::default()
            }))
        };
        assert_eq!(ask("npm").await.unwrap().into_inner().data, b"token");
        let status = ask("pip").await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert!(status.message().contains("`pip`"));
    }

    #[test]
    fn no_two_sessions_have_the_same_name() {
        assert_ne!(new_id(), new_id());
    }
}
