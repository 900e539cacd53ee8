//! A client of Node's inspector: its own protocol over a WebSocket.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A debugger that is attached.
pub(super) struct Inspector {
    socket: WebSocket<TcpStream>,
    asked: u64,
    /// What happened while an answer was waited for.
    events: Vec<Value>,
}

impl Inspector {
    /// Attaches to the first target of an inspector.
    pub(super) fn attach(address: &str) -> Self {
        let targets: Value = serde_json::from_str(&get(address, "/json/list")).unwrap();
        let url = targets[0]["webSocketDebuggerUrl"].as_str().unwrap();
        let path = url.splitn(4, '/').nth(3).unwrap();
        let stream = connect(address);
        let (socket, _) = tungstenite::client(format!("ws://{address}/{path}"), stream).unwrap();
        let mut inspector = Self {
            socket,
            asked: 0,
            events: Vec::new(),
        };
        inspector.ask("Runtime.enable", &json!({}));
        inspector.ask("Debugger.enable", &json!({}));
        inspector
    }

    /// Asks for something, and gives what is answered.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let request = json!({ "id": id, "method": method, "params": params });
        let text = Message::text(request.to_string());
        self.socket.send(text).unwrap();
        loop {
            let said = self.read();
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    /// Waits for an event, and gives what it says.
    pub(super) fn wait_for(&mut self, event: &str) -> Value {
        loop {
            if let Some(at) = self.events.iter().position(|said| said["method"] == event) {
                return self.events.remove(at)["params"].clone();
            }
            let said = self.read();
            self.events.push(said);
        }
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}

/// A connection that gives up in time.
pub(super) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The body of what a plain HTTP server answers.
pub(super) fn get(address: &str, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    // The inspector keeps the connection open and tells the length.
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case("content-length");
                is_it.then(|| value.trim().parse::<usize>().unwrap())
            });
            if length.is_some_and(|length| body.len() >= length) {
                return body.to_owned();
            }
        }
        let count = stream.read(&mut part).unwrap();
        if count == 0 {
            return text
                .split_once("\r\n\r\n")
                .map(|(_, body)| body.to_owned())
                .unwrap_or_default();
        }
        bytes.extend_from_slice(&part[..count]);
    }
}
