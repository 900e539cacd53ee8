//! A client of debugpy and Delve: the Debug Adapter Protocol over TCP.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};

use super::inspector::connect;

/// A debugger that is attached.
pub(super) struct Adapter {
    stream: BufReader<TcpStream>,
    asked: u64,
    said: Vec<Value>,
}

impl Adapter {
    /// Attaches with these arguments, with one breakpoint.
    pub(super) fn attach(address: &str, arguments: &Value, file: &str, line: u64) -> Self {
        let mut adapter = Self {
            stream: BufReader::new(connect(address)),
            asked: 0,
            said: Vec::new(),
        };
        let id = adapter.send(
            "initialize",
            &json!({ "adapterID": "e2e", "linesStartAt1": true }),
        );
        adapter.answer(id);
        let attach = adapter.send("attach", arguments);
        adapter.event("initialized");
        let breakpoints = json!({ "source": { "path": file }, "breakpoints": [{ "line": line }] });
        let set = adapter.send("setBreakpoints", &breakpoints);
        let set = adapter.answer(set);
        assert_eq!(set["breakpoints"][0]["verified"], true, "{set}");
        let done = adapter.send("configurationDone", &json!({}));
        adapter.answer(done);
        adapter.answer(attach);
        adapter
    }

    /// Asks for something, and gives what is answered.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Value {
        let id = self.send(command, arguments);
        self.answer(id)
    }

    /// Waits for an event, and gives what it says.
    pub(super) fn event(&mut self, name: &str) -> Value {
        self.take(|said| said["event"] == name)["body"].clone()
    }

    fn send(&mut self, command: &str, arguments: &Value) -> u64 {
        self.asked += 1;
        let request = json!({
            "seq": self.asked, "type": "request", "command": command, "arguments": arguments,
        });
        let request = request.to_string();
        let head = format!("Content-Length: {}\r\n\r\n", request.len());
        let stream = self.stream.get_mut();
        stream.write_all((head + &request).as_bytes()).unwrap();
        self.asked
    }

    fn answer(&mut self, id: u64) -> Value {
        let said = self.take(|said| said["type"] == "response" && said["request_seq"] == id);
        assert_eq!(said["success"], true, "{said}");
        said["body"].clone()
    }

    fn take(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(at) = self.said.iter().position(&is_it) {
                return self.said.remove(at);
            }
            let said = self.read();
            self.said.push(said);
        }
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("Content-Length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            assert!(!line.is_empty(), "the debugger has ended the connection");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}
