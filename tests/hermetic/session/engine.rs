//! A docker engine that has what a test says, and nothing else.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// An engine whose only containers are those that it is given.
pub(super) struct Engine {
    containers: Arc<Mutex<Value>>,
}

impl Engine {
    /// An engine without containers that answers at `socket` until the test's process ends.
    pub(super) fn at(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a place for a socket");
        let containers = Arc::new(Mutex::new(json!([])));
        let shared = Arc::clone(&containers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { containers }
    }

    /// Gives it the server of a cluster of this environment.
    pub(super) fn add_cluster(&self, environment: &str) {
        *self.containers.lock().expect("no panic") = json!([{
            "Names": [format!("/k3d-{environment}-server-0")],
            "Image": "rancher/k3s",
            "State": "running",
            "Labels": {
                "app": "k3d",
                "k3d.role": "server",
                "k3d.cluster": environment,
                "devenv.environment": environment,
            },
        }]);
    }

    /// Takes all its containers away.
    pub(super) fn remove_all(&self) {
        *self.containers.lock().expect("no panic") = json!([]);
    }
}

/// Answers one request after the other; none of them has a body.
fn answer(stream: UnixStream, containers: &Mutex<Value>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).is_ok_and(|count| count > 0) {
                continue;
            }
            return;
        }
        let is_for = |what: &str| head.lines().next().is_some_and(|line| line.contains(what));
        let (status, body) = if is_for("/containers/json") {
            ("200 OK", containers.lock().expect("no panic").clone())
        } else if is_for("/images/json") {
            ("200 OK", json!([]))
        } else if is_for("/volumes") {
            ("200 OK", json!({ "Volumes": [], "Warnings": [] }))
        } else if is_for("/_ping") {
            ("200 OK", json!("OK"))
        } else {
            ("404 Not Found", json!({ "message": "there is none" }))
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
