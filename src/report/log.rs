//! `devenv.log/1`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{LogLevel, ServiceName};

/// How much of a line is shown to people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogDetail {
    /// Who and what.
    #[default]
    Brief,
    /// Also when, where and on which output.
    Full,
}

/// One line that a container said. In JSON one document a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When, by the node's clock.
    #[schemars(with = "Option<String>")]
    pub time: Option<Timestamp>,
    /// The service.
    #[schemars(with = "String")]
    pub service: ServiceName,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// How often the container had been started before; nothing where that is not known.
    pub run: Option<u32>,
    /// `stdout` or `stderr`; nothing where that is not known.
    pub stream: Option<&'static str>,
    /// `trace`, `debug`, `info`, `warn`, `error` or `fatal`, where the line tells it.
    #[schemars(with = "Option<String>")]
    pub level: Option<LogLevel>,
    /// Of a line that is an object with a message: its fields beside its message and its level.
    pub fields: Option<Map<String, Value>>,
    /// What tells it from others on a screen: the service, where needed with its pod and container.
    #[serde(skip)]
    pub label: String,
    /// How much of it is shown on a screen.
    #[serde(skip)]
    pub detail: LogDetail,
    /// Of a line that is an object with a message: the message.
    #[serde(skip)]
    pub text: Option<String>,
    /// The line as it was said, without its end; bytes that are not UTF-8 are replaced.
    pub message: String,
}
