//! A docker engine that has nothing.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
};

use serde_json::json;

/// Has an engine without containers answer at `socket` until the test's process ends.
pub(crate) fn empty_engine_at(socket: &Path) {
    engine_at(socket, "1.41");
}

/// The same of an engine that knows the API up to a version.
pub(crate) fn engine_at(socket: &Path, api: &'static str) {
    let listener = UnixListener::bind(socket).expect("a place for a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, api));
        }
    });
}

/// Answers one request after the other; none of them has a body.
fn answer(stream: UnixStream, api: &str) {
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
        let (status, body) = if is_for("/containers/json") || is_for("/images/json") {
            ("200 OK", json!([]))
        } else if is_for("/volumes") {
            ("200 OK", json!({ "Volumes": [], "Warnings": [] }))
        } else if is_for("/info") {
            (
                "200 OK",
                json!({ "ServerVersion": "24.0.7", "OSType": "linux" }),
            )
        } else if is_for("/_ping") {
            ("200 OK", json!("OK"))
        } else {
            ("404 Not Found", json!({ "message": "there is none" }))
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\nApi-Version: {api}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
