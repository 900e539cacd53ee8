//! `devenv.log/1`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ServiceName;

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
    /// What tells it from others on a screen: the service, where needed with its pod and container.
    #[serde(skip)]
    pub label: String,
    /// The line as it was said, without its end; bytes that are not UTF-8 are replaced.
    pub message: String,
}
