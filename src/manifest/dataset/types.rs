//! The keys of a `dataset.yaml` as types. Their doc comments are the reference page and the schema.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::format::{
    DataPath, DelimiterText, HeaderName, HeaderValue, ModeText, OneLine, OwnerText, PatternText,
    VariableName,
};
use crate::{
    domain::{DatasetName, HttpMethod, PortNumber, ServiceName, SnapshotName},
    manifest::{
        builtin,
        format::{ContainerPath, Formatted, UrlPath, Within, Written, schema_of},
    },
};

/// The keys of `dataset.yaml`. It has at most one of `extends` and `snapshot`; without both, it is loaded onto no data.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Dataset")]
pub(super) struct DatasetKeys {
    /// What it is for, in a sentence.
    pub(super) description: Option<String>,
    /// The dataset that is loaded before it.
    pub(super) extends: Option<DatasetName>,
    /// The snapshot that it is loaded onto.
    pub(super) snapshot: Option<SnapshotName>,
    /// Values by name for every `${name}` in `steps` and `check`, and in the files of steps with `template: true`. A name is made of letters, digits and `_`.
    #[schemars(with = "BTreeMap<String, Written>", extend("propertyNames" = schema_of(&VariableName::FORMAT)))]
    pub(super) variables: BTreeMap<VariableName, Written>,
    /// What loads it, in order.
    pub(super) steps: Vec<StepKeys>,
    /// What must hold once it is loaded.
    pub(super) check: Vec<CheckKeys>,
}

/// A step that loads data. It has exactly one of `sql`, `csv`, `redis`, `command`, `files` and `http`, which decides what else it can have.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Step")]
pub(super) struct StepKeys {
    /// The service whose data it is.
    pub(super) service: ServiceName,
    /// Statements, run by the database's own client in the service's container. Short form: the file.
    #[serde(default)]
    #[schemars(extend("x-short" = ["string"]))]
    pub(super) sql: Option<ContentKeys>,
    /// Rows of comma-separated values for `table`. Short form: the file.
    #[serde(default)]
    #[schemars(extend("x-short" = ["string"]))]
    pub(super) csv: Option<ContentKeys>,
    /// Commands for `redis-cli` in the service's container, one a line. Short form: the file.
    #[serde(default)]
    #[schemars(extend("x-short" = ["string"]))]
    pub(super) redis: Option<ContentKeys>,
    /// A command in the service's container: the program and its arguments. Short form: a line for the container's shell, `sh -c`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(super) command: Option<Vec<Written>>,
    /// A file that is copied to `to`, or a directory whose files are.
    #[serde(default)]
    pub(super) files: Option<DataPath>,
    /// A request to the service.
    #[serde(default)]
    pub(super) http: Option<HttpKeys>,
    /// Of `sql` and `csv`: the database's client. `mysql` takes the password that the container's variables have for the user.
    #[serde(default)]
    #[schemars(extend("default" = "psql"))]
    pub(super) client: Option<ClientKey>,
    /// Of `sql` and `csv`: the database's user. Without it, whoever the client takes.
    #[serde(default)]
    pub(super) user: Option<OneLine>,
    /// Of `sql` and `csv`: the database. Without it, whichever the client takes.
    #[serde(default)]
    pub(super) database: Option<OneLine>,
    /// Of `csv`: the table, with its schema before a `.` where that is not the usual one.
    #[serde(default)]
    pub(super) table: Option<OneLine>,
    /// Of `csv`: the columns that the values of a row are for. Without it, the first line names them.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) columns: Option<Vec<OneLine>>,
    /// Of `csv`: what stands between two values.
    #[serde(default)]
    #[schemars(extend("default" = ","))]
    pub(super) delimiter: Option<DelimiterText>,
    /// Of `command`: what its standard input says. Short form: the file.
    #[serde(default)]
    #[schemars(extend("x-short" = ["string"]))]
    pub(super) stdin: Option<ContentKeys>,
    /// Of `files`: the path of the file, or of the directory, in the container. It must be on a volume of the service.
    #[serde(default)]
    pub(super) to: Option<ContainerPath>,
    /// Of `files`: whose the files become. Without it, whose the container's processes are.
    #[serde(default)]
    pub(super) owner: Option<OwnerText>,
    /// Of `files`: the permissions of the files. Directories can also be entered by who can read them.
    #[serde(default)]
    #[schemars(extend("default" = "0644"))]
    pub(super) mode: Option<ModeText>,
    /// Whether each `${name}` in its files is replaced. They must be UTF-8 then.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) template: Option<bool>,
    /// How long it may take, such as `90s`.
    #[serde(default)]
    #[schemars(extend("default" = builtin::STEP_WITHIN))]
    pub(super) within: Option<Within>,
}

/// What must hold once the dataset is loaded. It has exactly one of `sql`, `command` and `http`, and at most one of `equals`, `contains` and `matches`; beside `sql`, exactly one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Check")]
pub(super) struct CheckKeys {
    /// The service that is asked.
    pub(super) service: ServiceName,
    /// A query that has one value, the answer.
    #[serde(default)]
    pub(super) sql: Option<Written>,
    /// A command in the service's container that must exit with 0; its standard output is the answer. Short form: a line for the container's shell, `sh -c`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(super) command: Option<Vec<Written>>,
    /// A request to the service; its body is the answer.
    #[serde(default)]
    pub(super) http: Option<HttpKeys>,
    /// Of `sql`: the database's client.
    #[serde(default)]
    #[schemars(extend("default" = "psql"))]
    pub(super) client: Option<ClientKey>,
    /// Of `sql`: the database's user. Without it, whoever the client takes.
    #[serde(default)]
    pub(super) user: Option<OneLine>,
    /// Of `sql`: the database. Without it, whichever the client takes.
    #[serde(default)]
    pub(super) database: Option<OneLine>,
    /// What the answer must be. White space at its ends does not count.
    #[serde(default)]
    pub(super) equals: Option<Written>,
    /// What the answer must have in it.
    #[serde(default)]
    pub(super) contains: Option<Written>,
    /// A regular expression that must find something in the answer. White space at the answer's ends does not count.
    #[serde(default)]
    pub(super) matches: Option<PatternText>,
    /// How long the answer may take, such as `10s`.
    #[serde(default)]
    #[schemars(extend("default" = builtin::CHECK_WITHIN))]
    pub(super) within: Option<Within>,
}

/// A text: exactly one of `file` and `text`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Content")]
pub(super) struct ContentKeys {
    /// The file that says it.
    pub(super) file: Option<DataPath>,
    /// The text itself.
    pub(super) text: Option<Written>,
}

/// A request to a service. It has at most one of `body` and `bodyFile`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Http")]
pub(super) struct HttpKeys {
    /// The method. Without it, `GET`; with a body `POST`.
    #[serde(default)]
    #[schemars(schema_with = "method")]
    pub(super) method: Option<HttpMethod>,
    /// The path, with what comes behind a `?`.
    pub(super) path: UrlPath,
    /// The port of the service. Without it, the first one.
    #[serde(default)]
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535))]
    pub(super) port: Option<PortNumber>,
    /// Headers by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, HeaderValue>", extend("propertyNames" = schema_of(&HeaderName::FORMAT)))]
    pub(super) headers: BTreeMap<HeaderName, HeaderValue>,
    /// The body.
    #[serde(default)]
    pub(super) body: Option<Written>,
    /// The file that is the body.
    #[serde(default)]
    pub(super) body_file: Option<DataPath>,
    /// The status of the answer. Without it, any from 200 to 299.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub(super) expect: Option<u16>,
}

/// The client of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(super) enum ClientKey {
    Psql,
    Mysql,
}

/// Stands for the domain's method in the schema.
fn method(_: &mut SchemaGenerator) -> Schema {
    let names = HttpMethod::ALL.iter().map(|method| method.name());
    let words: Vec<Option<&str>> = names.map(Some).chain([None]).collect();
    json_schema!({"type": ["string", "null"], "enum": words})
}
