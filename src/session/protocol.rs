//! What is said on the socket of a session: JSON, one document a line.
//!
//! ```text
//! session: {"session":1,"version":"0.1.0","pid":123,"since":"2026-01-02T03:04:05Z"}
//! client:  {"request":"status"}
//! session: {"services":{"payment":{"containers":1,"state":"following"}}}
//! client:  {"request":"attach","tail":10}
//! session: {"at":...,"event":"done",...}        one a line, until the client goes
//! session: {"missed":12}                        the client was too slow for these
//! client:  {"request":"stop"}
//! session: {"stopping":true}
//! session: {"error":"..."}                      to what it does not understand
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::ServiceName,
    report::{LiveEvent, Standing},
};

/// The form of what is said.
pub(super) const FORM: u32 = 1;
/// The longest request, in bytes.
pub(super) const LONGEST_REQUEST: usize = 64 * 1024;
/// The longest answer that a client takes, in bytes: a failure may come with much evidence.
pub(super) const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// What a session says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// The form of what is said.
    pub(super) session: u32,
    /// The version of its program.
    pub(super) version: String,
    /// Its process.
    pub(super) pid: u32,
    /// Since when it runs.
    pub(super) since: Timestamp,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub(super) enum Request {
    /// How it stands with the services: one [`StatusAnswer`].
    Status,
    /// The last events, then every further one, each a [`Told`].
    Attach {
        /// How many of the last ones.
        #[serde(default)]
        tail: usize,
    },
    /// To end: one [`StopAnswer`], and then the session ends.
    Stop,
}

/// How it stands with the services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatusAnswer {
    /// By name.
    pub(super) services: BTreeMap<ServiceName, Standing>,
}

/// The session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StopAnswer {
    /// Always true.
    pub(super) stopping: bool,
}

/// One line of an attached client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Told {
    /// The client was too slow for so many events.
    Missed {
        /// How many.
        missed: u64,
    },
    /// An event.
    Event(LiveEvent),
}

/// The request was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ErrorAnswer {
    /// Why not.
    pub(super) error: String,
}

/// The line of a document. All of them have a JSON form.
pub(super) fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_protocol_says() {
        for (request, text) in [
            (Request::Status, r#"{"request":"status"}"#),
            (
                Request::Attach { tail: 10 },
                r#"{"request":"attach","tail":10}"#,
            ),
            (Request::Stop, r#"{"request":"stop"}"#),
        ] {
            assert_eq!(line(&request), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
        let bare: Request = serde_json::from_str(r#"{"request":"attach"}"#).unwrap();
        assert_eq!(bare, Request::Attach { tail: 0 });
    }

    #[test]
    fn what_was_missed_is_told_from_an_event() {
        let missed: Told = serde_json::from_str(r#"{"missed":3}"#).unwrap();
        assert_eq!(missed, Told::Missed { missed: 3 });
        let event = r#"{"at":"2026-01-02T03:04:05Z","service":null,"event":"notice","isWarning":false,"text":"hi"}"#;
        let told: Told = serde_json::from_str(event).unwrap();
        assert!(matches!(&told, Told::Event(_)));
        assert_eq!(line(&told), event);
    }
}
