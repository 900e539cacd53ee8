//! Pushing an image to a registry.

use std::{collections::HashMap, time::Duration};

use futures::StreamExt as _;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Docker, DockerError,
    images::split_reference,
    transport::{self, Connection, TransportError},
};
use crate::domain::{ExitClass, Failure};

/// How often a push is tried.
const TRIES: u32 = 3;
/// The wait before the second try; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long the engine may say nothing while it pushes: it reports several times a second when all is well.
const SILENCE: Duration = Duration::from_mins(2);
/// What the engine says of a layer that the registry failed to take: it tries for most of a minute.
const RETRYING: &str = "Retrying";
/// The credentials of someone who has none; the engine wants the header in any case. This is `{}` in base64.
const NO_CREDENTIALS: &str = "e30=";

/// Where a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushProgress {
    /// Layers that the registry has.
    pub layers_done: usize,
    /// Layers of the image.
    pub layers: usize,
    /// Layers that the registry failed to take, and that the engine is about to send again.
    pub layers_retried: usize,
    /// Bytes sent so far, before compression.
    pub bytes: u64,
}

/// A push that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry cannot be reached.
    #[error("the registry does not take {reference}")]
    Unreachable {
        /// The image.
        reference: String,
        /// In the engine's words, of the last try.
        message: String,
    },
    /// The engine or the registry refuses.
    #[error("the image {reference} cannot be pushed to the registry")]
    Refused {
        /// The image.
        reference: String,
        /// In the engine's words.
        message: String,
    },
    /// It was ended by the caller.
    #[error("the push of {reference} was cancelled")]
    Cancelled {
        /// The image.
        reference: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] DockerError),
}

impl PushError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let failure = |code, class| Failure::new(code, class, self.to_string());
        match self {
            Self::Unreachable { message, .. } => {
                failure("registry.unreachable", ExitClass::Cluster)
                    .because(message.clone())
                    .help("run `devenv up` again: it starts the registry where it is stopped")
                    .help("if it stays so, look at its words: `docker logs` of its container")
            }
            Self::Refused { message, .. } if super::error::is_disk_full(message) => {
                super::error::disk_full(&self.to_string(), message)
            }
            Self::Refused { message, .. } => failure("image.push-failed", ExitClass::Cluster)
                .because(message.clone())
                .help("look at the registry's words: `docker logs` of its container"),
            Self::Cancelled { .. } => failure("image.cancelled", ExitClass::Interrupted),
            Self::Engine(error) => error.failure(),
        }
    }

    /// Whether trying again can help.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// One message of the engine about a push.
#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    status: Option<String>,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
    #[serde(rename = "errorDetail")]
    error: Option<ErrorDetail>,
}

#[derive(Deserialize)]
struct Progress {
    current: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    message: String,
}

impl Docker {
    /// Pushes an image to the registry that its reference names; layers that are there already are not sent.
    ///
    /// Tried up to three times while the registry cannot be reached. Ends at once when `cancel` is.
    pub async fn push(
        &self,
        reference: &str,
        on_progress: &(dyn Fn(PushProgress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), PushError> {
        let cancelled = || PushError::Cancelled {
            reference: reference.to_owned(),
        };
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            let tried = cancel
                .run_until_cancelled(self.push_once(reference, on_progress))
                .await;
            match tried.ok_or_else(cancelled)? {
                Err(error) if error.may_pass() => {}
                ended => return ended,
            }
            cancel
                .run_until_cancelled(sleep(wait))
                .await
                .ok_or_else(cancelled)?;
            wait *= 2;
        }
        let last = cancel
            .run_until_cancelled(self.push_once(reference, on_progress))
            .await;
        last.ok_or_else(cancelled)?
    }

    async fn push_once(
        &self,
        reference: &str,
        on_progress: &(dyn Fn(PushProgress) + Sync),
    ) -> Result<(), PushError> {
        let broken = |error: TransportError| self.push_broken(reference, error);
        let (repository, tag) = split_reference(reference);
        let path = self.api_path(&format!("/images/{repository}/push"));
        let request = http::Request::post(transport::path_and_query(&path, &[("tag", tag)]))
            .header("X-Registry-Auth", NO_CREDENTIALS)
            .body(transport::empty())
            .map_err(|error| broken(error.into()))?;
        let mut connection = Connection::open(self.endpoint()).await.map_err(broken)?;
        let silent = || DockerError::Late {
            what: format!("go on with the push of {reference}"),
            deadline: SILENCE,
        };
        let answer = timeout(SILENCE, connection.send(request))
            .await
            .map_err(|_| silent())?;
        let answer = answer.map_err(broken)?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = transport::whole(answer).await.map_err(broken)?;
            return Err(refused(reference, transport::error_message(status, &body)));
        }
        let mut layers = Layers::default();
        let mut messages = std::pin::pin!(transport::documents::<Message>(answer));
        while let Some(message) = timeout(SILENCE, messages.next())
            .await
            .map_err(|_| silent())?
        {
            let message = message.map_err(broken)?;
            if let Some(error) = message.error {
                return Err(refused(reference, error.message));
            }
            if layers.take(&message) {
                on_progress(layers.progress());
            }
        }
        Ok(())
    }

    fn push_broken(&self, reference: &str, error: TransportError) -> PushError {
        match error {
            TransportError::Connect(source) => {
                DockerError::connecting(self.endpoint(), source).into()
            }
            other => DockerError::Refused {
                what: format!("push {reference}"),
                message: other.to_string(),
                status: 0,
            }
            .into(),
        }
    }
}

fn refused(reference: &str, message: String) -> PushError {
    const CONNECTION: [&str; 7] = [
        "connection refused",
        "connection reset",
        "no route to host",
        "i/o timeout",
        "EOF",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ];
    let reference = reference.to_owned();
    if CONNECTION.iter().any(|words| message.contains(words)) {
        PushError::Unreachable { reference, message }
    } else {
        PushError::Refused { reference, message }
    }
}

/// What is known of each layer.
#[derive(Default)]
struct Layers {
    layers: HashMap<String, Layer>,
}

#[derive(Default)]
struct Layer {
    bytes: u64,
    done: bool,
    retried: bool,
}

impl Layers {
    /// Takes in a message; whether it was about a layer.
    fn take(&mut self, message: &Message) -> bool {
        let (Some(id), Some(status)) = (&message.id, &message.status) else {
            return false;
        };
        let layer = match status.as_str() {
            "Preparing" | "Waiting" | "Pushing" | "Pushed" | "Layer already exists" => {
                self.layers.entry(id.clone()).or_default()
            }
            other if other.starts_with("Mounted from") || other.starts_with(RETRYING) => {
                self.layers.entry(id.clone()).or_default()
            }
            _ => return false,
        };
        if let Some(current) = message
            .progress
            .as_ref()
            .and_then(|progress| progress.current)
        {
            layer.bytes = current;
        }
        layer.retried = status.starts_with(RETRYING);
        let is_open = matches!(status.as_str(), "Preparing" | "Waiting" | "Pushing");
        layer.done = !is_open && !layer.retried;
        true
    }

    fn progress(&self) -> PushProgress {
        PushProgress {
            layers_done: self.layers.values().filter(|layer| layer.done).count(),
            layers: self.layers.len(),
            layers_retried: self.layers.values().filter(|layer| layer.retried).count(),
            bytes: self.layers.values().map(|layer| layer.bytes).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_layers_once_and_sums_their_bytes() {
        let mut layers = Layers::default();
        for text in [
            r#"{"status":"The push refers to repository [127.0.0.1:1/a]"}"#,
            r#"{"status":"Preparing","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Preparing","progressDetail":{},"id":"b"}"#,
            r#"{"status":"Layer already exists","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Pushing","progressDetail":{"current":512,"total":1000},"progress":"[>  ]","id":"b"}"#,
        ] {
            layers.take(&serde_json::from_str(text).unwrap());
        }
        assert_eq!(
            layers.progress(),
            PushProgress {
                layers_done: 1,
                layers: 2,
                layers_retried: 0,
                bytes: 512
            }
        );
        let failed = r#"{"status":"Retrying in 5 seconds","progressDetail":{},"id":"b"}"#;
        layers.take(&serde_json::from_str(failed).unwrap());
        let progress = layers.progress();
        assert_eq!((progress.layers_done, progress.layers_retried), (1, 1));
    }

    #[test]
    fn only_a_registry_that_cannot_be_reached_is_worth_another_try() {
        assert!(
            refused(
                "a",
                "dial tcp 127.0.0.1:1: connect: connection refused".to_owned()
            )
            .may_pass()
        );
        assert!(!refused("a", "denied: not allowed".to_owned()).may_pass());
        let full = refused(
            "a",
            "blob upload unknown: no space left on device".to_owned(),
        );
        assert_eq!(full.failure().code.0, "docker.disk-full");
    }
}
