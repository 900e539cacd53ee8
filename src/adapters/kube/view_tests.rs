use std::collections::VecDeque;

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock::SendResponse;

use super::*;

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({ "metadata": {
        "name": name, "annotations": { "meta.helm.sh/release-name": "order" },
    } }))
    .unwrap()
}

fn names(state: &State) -> Vec<String> {
    state.view().pods.into_iter().map(|pod| pod.name).collect()
}

#[test]
fn a_new_list_replaces_what_was_there_only_once_it_is_complete() {
    let mut state = State::default();
    for event in [Event::Init, Event::InitApply(pod("a")), Event::InitDone] {
        state.apply(Change::Pod(event));
    }
    state.apply(Change::Pod(Event::Apply(pod("b"))));
    assert_eq!(names(&state), ["a", "b"]);
    state.apply(Change::Pod(Event::Init));
    state.apply(Change::Pod(Event::InitApply(pod("c"))));
    assert_eq!(names(&state), ["a", "b"], "the list is not complete yet");
    state.apply(Change::Pod(Event::InitDone));
    assert_eq!(names(&state), ["c"]);
    state.apply(Change::Pod(Event::Delete(pod("c"))));
    assert!(names(&state).is_empty());
}

fn list_all(state: &mut State) {
    state.apply(Change::Deployment(Event::InitDone));
    state.apply(Change::StatefulSet(Event::InitDone));
    state.apply(Change::DaemonSet(Event::InitDone));
    state.apply(Change::Event(Event::InitDone));
    state.apply(Change::Pod(Event::InitDone));
}

fn is_reconnecting(state: &State) -> bool {
    matches!(state.view().connection, Connection::Reconnecting { .. })
}

#[test]
fn a_lost_view_is_live_again_only_after_everything_was_listed_anew() {
    let mut state = State::default();
    list_all(&mut state);
    state.apply(Change::Lost("refused".to_owned()));
    assert!(state.is_lost());
    state.relist();
    assert!(
        is_reconnecting(&state),
        "it still shows what was there before"
    );
    state.apply(Change::Pod(Event::InitDone));
    assert!(is_reconnecting(&state));
    list_all(&mut state);
    assert_eq!(state.view().connection, Connection::Live);
}

#[test]
fn an_api_that_is_lost_again_while_it_is_listed_is_waited_for_again() {
    let mut state = State::default();
    state.apply(Change::Lost("refused".to_owned()));
    state.relist();
    state.apply(Change::Lost("refused".to_owned()));
    assert!(state.is_lost());
    list_all(&mut state);
    assert!(is_reconnecting(&state));
}

#[test]
fn the_view_is_live_once_every_kind_is_listed_and_says_when_it_is_not() {
    let mut state = State::default();
    assert_eq!(state.view().connection, Connection::Starting);
    state.apply(Change::Deployment(Event::InitDone));
    state.apply(Change::StatefulSet(Event::InitDone));
    state.apply(Change::DaemonSet(Event::InitDone));
    state.apply(Change::Pod(Event::InitDone));
    assert_eq!(state.view().connection, Connection::Starting);
    state.apply(Change::Event(Event::InitDone));
    assert_eq!(state.view().connection, Connection::Live);
    state.apply(Change::Lost("refused".to_owned()));
    state.apply(Change::Lost("later".to_owned()));
    let Connection::Reconnecting { reason, .. } = state.view().connection else {
        panic!("not said");
    };
    assert_eq!(reason, "refused", "the first reason is the cause");
}

/// What happens to a watch of pods.
enum Fate {
    /// What it began from is too old, as the server says in the stream.
    TooOld,
    /// The server has too much to do, and says so in the place of a stream.
    TooManyRequests,
    /// The stream ends in the middle of an event.
    BrokenOff,
    /// It tells what came since the version that it is asked for.
    GoesOn,
}

/// An API server whose watches of pods fail, one after another, each with another pod there afterwards; the last is silent.
struct Moody {
    fates: VecDeque<(Fate, &'static str)>,
    pod: &'static str,
    /// Watches that say nothing and do not end.
    silent: Vec<SendResponse<Response<Body>>>,
}

impl Moody {
    fn cluster(mut self) -> Cluster {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        tokio::spawn(async move {
            while let Some((request, answer)) = handle.next_request().await {
                self.answer(&request, answer);
            }
        });
        Cluster {
            client: Client::new(service, "default"),
            namespace: "default".to_owned(),
            url: "https://127.0.0.1:1/".to_owned(),
            authority: "authority".to_owned(),
            roots: Arc::new(rustls::RootCertStore::empty()),
        }
    }

    fn answer(&mut self, request: &Request<Body>, answer: SendResponse<Response<Body>>) {
        let kind = request.uri().path().rsplit('/').next().unwrap_or_default();
        let is_watch = request
            .uri()
            .query()
            .unwrap_or_default()
            .contains("watch=true");
        let (status, text) = match (kind, is_watch) {
            ("version", _) => (200, version().to_string()),
            ("pods", true) => match self.fates.pop_front() {
                None => return self.silent.push(answer),
                Some((fate, pod)) => {
                    self.pod = pod;
                    fate.answer()
                }
            },
            (_, true) => return self.silent.push(answer),
            ("pods", false) => (200, list(&[json!(pod(self.pod))]).to_string()),
            _ => (200, list(&[]).to_string()),
        };
        let body = Body::from(text.into_bytes());
        let response = Response::builder().status(status).body(body);
        answer.send_response(response.unwrap());
    }
}

impl Fate {
    fn answer(&self) -> (u16, String) {
        let status = |code: u16, reason: &str| {
            json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                    "reason": reason, "message": reason })
        };
        match self {
            Self::TooOld => {
                let event = json!({ "type": "ERROR", "object": status(410, "Expired") });
                (200, format!("{event}\n"))
            }
            Self::TooManyRequests => (429, status(429, "TooManyRequests").to_string()),
            Self::BrokenOff => (200, r#"{"type":"ADDED","object":{"kind":"Po"#.to_owned()),
            Self::GoesOn => {
                let event = |what: &str, name: &str| {
                    let mut object = json!(pod(name));
                    object["metadata"]["resourceVersion"] = "2".into();
                    json!({ "type": what, "object": object })
                };
                let (gone, new) = (event("DELETED", "before"), event("ADDED", "after"));
                (200, format!("{gone}\n{new}\n"))
            }
        }
    }
}

fn list(items: &[Value]) -> Value {
    json!({ "metadata": { "resourceVersion": "1" }, "items": items })
}

fn version() -> Value {
    let names = [
        "major",
        "minor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
    ];
    let more = ["goVersion", "compiler", "platform"];
    names
        .into_iter()
        .chain(more)
        .map(|name| (name.to_owned(), json!("1")))
        .collect()
}

#[tokio::test]
async fn whatever_a_server_does_to_a_watch_what_was_missed_is_seen() {
    for fates in [
        vec![(Fate::TooOld, "after")],
        vec![(Fate::TooManyRequests, "after")],
        vec![(Fate::BrokenOff, "before"), (Fate::GoesOn, "after")],
    ] {
        let server = Moody {
            fates: fates.into(),
            pod: "before",
            silent: Vec::new(),
        };
        let live = server.cluster().watch();
        let mut view_rx = live.subscribe();
        let is_new = |view: &Arc<ClusterView>| {
            let names: Vec<&str> = view.pods.iter().map(|pod| pod.name.as_str()).collect();
            view.connection == Connection::Live && names == ["after"]
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), view_rx.wait_for(is_new));
        seen.await.expect("in time").expect("the view goes on");
    }
}
