//! An API server for tests: answers lists from memory and remembers what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::Cluster;

/// One request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) accept: String,
    pub(super) body: Vec<u8>,
}

/// The server. Lists that were not given are empty; anything else is not found.
#[derive(Clone, Default)]
pub(super) struct FakeApi {
    lists: BTreeMap<String, Vec<Value>>,
    answers: BTreeMap<String, (u16, Value)>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

const KNOWN: &[&str] = &[
    "secrets",
    "deployments",
    "statefulsets",
    "daemonsets",
    "pods",
    "events",
    "persistentvolumes",
    "persistentvolumeclaims",
    "jobs",
    "services",
    "ingresses",
    "configmaps",
];

impl FakeApi {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The objects of a kind, by its plural.
    pub(super) fn list(mut self, kind: &str, items: impl IntoIterator<Item = Value>) -> Self {
        self.lists
            .insert(kind.to_owned(), items.into_iter().collect());
        self
    }

    /// The answer to every request whose path ends so.
    pub(super) fn answer(mut self, path_end: &str, status: u16, body: Value) -> Self {
        self.answers.insert(path_end.to_owned(), (status, body));
        self
    }

    /// What was asked, in order of arrival.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The accepted content types of the first list of a kind.
    pub(super) fn accepted(&self, kind: &str) -> String {
        let asked = self.asked();
        let first = asked.iter().find(|asked| asked.path.ends_with(kind));
        first.map(|asked| asked.accept.clone()).unwrap_or_default()
    }

    /// A connection to it.
    pub(super) fn cluster(&self) -> Cluster {
        let server = self.clone();
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        tokio::spawn(async move {
            while let Some((request, answer)) = handle.next_request().await {
                answer.send_response(server.respond(request).await);
            }
        });
        Cluster {
            client: Client::new(service, "default"),
            namespace: "default".to_owned(),
            url: "https://127.0.0.1:1/".to_owned(),
            authority: "authority".to_owned(),
            roots: std::sync::Arc::new(rustls::RootCertStore::empty()),
        }
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let accept = parts.headers.get("accept").map(|v| v.to_str().unwrap());
        let path = parts.uri.path().to_owned();
        let body = body.collect_bytes().await.unwrap().to_vec();
        self.asked.lock().unwrap().push(Asked {
            method: parts.method.to_string(),
            path: path.clone(),
            accept: accept.unwrap_or_default().to_owned(),
            body,
        });
        let (status, body) = self.find(&path);
        Response::builder()
            .status(status)
            .body(Body::from(body.to_string().into_bytes()))
            .unwrap()
    }

    fn find(&self, path: &str) -> (u16, Value) {
        let given = self.answers.iter().find(|(end, _)| path.ends_with(*end));
        if let Some((_, answer)) = given {
            return answer.clone();
        }
        match path.rsplit('/').next() {
            Some(kind) if KNOWN.contains(&kind) => {
                let items = self.lists.get(kind).cloned().unwrap_or_default();
                (
                    200,
                    json!({ "metadata": { "resourceVersion": "1" }, "items": items }),
                )
            }
            _ => (
                404,
                json!({
                    "kind": "Status", "status": "Failure", "code": 404,
                    "reason": "NotFound", "message": format!("{path} is not there"),
                }),
            ),
        }
    }
}
