//! Datasets: named data to load into an environment, and how it is seen that it is there.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    Answer, DatasetName, Delimiter, ExpectedStatus, FileMode, HttpMethod, Owner, Place, PortNumber,
    ServiceName, SnapshotName,
};

/// A dataset with all that is loaded before it.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetChain {
    /// The datasets below it, in the order in which they are loaded.
    pub below: Vec<Dataset>,
    /// The dataset itself, loaded last.
    pub top: Dataset,
}

impl DatasetChain {
    /// Every dataset, in the order in which they are loaded.
    pub fn iter(&self) -> impl Iterator<Item = &Dataset> {
        self.below.iter().chain([&self.top])
    }

    /// The snapshot that everything is loaded onto; onto no data if `None`.
    pub fn snapshot(&self) -> Option<&SnapshotName> {
        match &self.iter().next()?.base {
            DatasetBase::Snapshot(name) => Some(name),
            DatasetBase::Empty | DatasetBase::Dataset(_) => None,
        }
    }
}

/// One dataset, resolved: variables are replaced, all but those in files that are templates.
///
/// Its serialized form is what its hash is made of: all that decides which data there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dataset {
    /// Its name.
    pub name: DatasetName,
    /// What it is for, in a sentence.
    #[serde(skip)]
    pub description: Option<String>,
    /// What is there before its first step.
    pub base: DatasetBase,
    /// The variables of its templates.
    pub variables: BTreeMap<String, String>,
    /// What loads it, in order.
    pub steps: Vec<DataStep>,
    /// What must hold once it is loaded.
    pub checks: Vec<DataCheck>,
}

impl Dataset {
    /// The directory of a dataset, relative to the project's.
    pub fn directory_of(name: &DatasetName) -> PathBuf {
        Path::new(DATASETS).join(name.as_str())
    }

    /// What its steps and then its checks read of its directory, in order.
    pub fn files(&self) -> impl Iterator<Item = &DataFile> {
        let of_steps = self.steps.iter().filter_map(DataStep::file);
        of_steps.chain(self.checks.iter().filter_map(DataCheck::file))
    }

    /// Its directory, relative to the project's.
    pub fn directory(&self) -> PathBuf {
        Self::directory_of(&self.name)
    }
}

/// The directory of all datasets, relative to the project's.
pub const DATASETS: &str = "datasets";

/// What is there before the first step of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatasetBase {
    /// No data.
    Empty,
    /// Another dataset.
    Dataset(DatasetName),
    /// A snapshot.
    Snapshot(SnapshotName),
}

/// A step that loads data into a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataStep {
    /// The service.
    pub service: ServiceName,
    /// What is done.
    pub action: DataAction,
    /// How long it may take.
    #[serde(skip)]
    pub within: Duration,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

impl DataStep {
    /// What it is in a few words, such as `sql orders.sql`.
    pub fn title(&self) -> String {
        match &self.action {
            DataAction::Sql { statements, .. } => format!("sql {}", statements.title()),
            DataAction::Csv(csv) => format!("csv {}", csv.rows.title()),
            DataAction::Redis { commands } => format!("redis {}", commands.title()),
            DataAction::Command { command, .. } => format!("command {}", of_command(command)),
            DataAction::Files(copy) => format!("files {}", copy.from),
            DataAction::Http(request) => request.title(),
        }
    }

    /// What it reads of the dataset's directory: a file, or a directory with all files in it.
    pub fn file(&self) -> Option<&DataFile> {
        match &self.action {
            DataAction::Sql {
                statements: text, ..
            }
            | DataAction::Csv(CsvLoad { rows: text, .. })
            | DataAction::Redis { commands: text } => text.file(),
            DataAction::Command { stdin, .. } => stdin.as_ref()?.file(),
            DataAction::Files(copy) => Some(&copy.from),
            DataAction::Http(request) => request.file(),
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DataAction {
    /// Statements for a database's own client.
    Sql {
        /// The client and how it logs in.
        database: DatabaseLogin,
        /// The statements.
        statements: DataText,
    },
    /// Rows for a table.
    Csv(CsvLoad),
    /// Commands for `redis-cli`, one a line.
    Redis {
        /// The commands.
        commands: DataText,
    },
    /// A command in the service's container.
    Command {
        /// Program and arguments, never empty.
        command: Vec<String>,
        /// What its standard input says; nothing if `None`.
        stdin: Option<DataText>,
    },
    /// Files that are copied into a volume.
    Files(FilesCopy),
    /// A request to the service.
    Http(HttpRequest),
}

/// A text that a step sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DataText {
    /// What a file says.
    File(DataFile),
    /// The text itself.
    Inline(String),
}

impl DataText {
    fn title(&self) -> String {
        match self {
            Self::File(file) => file.to_string(),
            Self::Inline(text) => shortened(text),
        }
    }

    const fn file(&self) -> Option<&DataFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Inline(_) => None,
        }
    }
}

/// A file of a dataset, or a directory with all files in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataFile {
    /// Its path relative to the dataset's directory, which it does not leave; empty for that directory itself.
    pub path: PathBuf,
    /// Whether variables in it are replaced.
    pub filling: Filling,
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            f.write_str(".")
        } else {
            self.path.display().fmt(f)
        }
    }
}

/// Whether variables in a file are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Filling {
    /// It is taken as it is, be it text or not.
    AsItIs,
    /// It is UTF-8, and its variables are replaced.
    Template,
}

/// The client of a database and how it logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseLogin {
    /// The client, in the service's container.
    pub client: SqlClient,
    /// The user; whoever the client takes if `None`.
    pub user: Option<String>,
    /// The database; whichever the client takes if `None`.
    pub database: Option<String>,
}

/// The client of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SqlClient {
    /// `psql`, that of PostgreSQL.
    #[default]
    Psql,
    /// `mysql`, also for databases that speak as it does.
    Mysql,
}

/// Rows that go into a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CsvLoad {
    /// The client and how it logs in.
    pub database: DatabaseLogin,
    /// The table, with its schema before a `.` where that is not the usual one.
    pub table: String,
    /// Which columns the values of a row are for.
    pub columns: CsvColumns,
    /// What stands between two values.
    pub delimiter: Delimiter,
    /// The rows.
    pub rows: DataText,
}

/// Which columns the values of a row are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CsvColumns {
    /// Those that the first line names; it is no row.
    FirstLine,
    /// These, never none; the first line is a row.
    Named(Vec<String>),
}

/// Files that are copied into a volume of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesCopy {
    /// A file, or a directory. Only files are copied: directories are made where there is one in them.
    pub from: DataFile,
    /// Its path in the container: absolute, without `.`, `..` and a `/` at its end. A file's own, not that of the directory around it.
    pub to: String,
    /// Whose the files become; whose the container's processes are if `None`.
    pub owner: Option<Owner>,
    /// The mode of the files; directories can also be entered by who can read them.
    pub mode: FileMode,
}

/// A request to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpRequest {
    /// Its method.
    pub method: HttpMethod,
    /// The port of the service.
    pub port: PortNumber,
    /// The path, with what comes behind a `?`.
    pub path: String,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<DataText>,
    /// The answer that is wanted.
    pub expect: ExpectedStatus,
}

impl HttpRequest {
    fn file(&self) -> Option<&DataFile> {
        self.body.as_ref()?.file()
    }

    fn title(&self) -> String {
        format!("http {} {}", self.method, self.path)
    }
}

/// What must hold once a dataset is loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataCheck {
    /// The service that is asked.
    pub service: ServiceName,
    /// What it is asked.
    pub question: DataQuestion,
    /// The answer that is wanted.
    pub answer: Answer,
    /// How long the answer may take.
    #[serde(skip)]
    pub within: Duration,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

impl DataCheck {
    /// What it is in a few words, such as `sql select count(*) from orders`.
    pub fn title(&self) -> String {
        match &self.question {
            DataQuestion::Sql { query, .. } => format!("sql {}", shortened(query)),
            DataQuestion::Command { command } => format!("command {}", of_command(command)),
            DataQuestion::Http(request) => request.title(),
        }
    }

    /// What it reads of the dataset's directory.
    pub fn file(&self) -> Option<&DataFile> {
        match &self.question {
            DataQuestion::Sql { .. } | DataQuestion::Command { .. } => None,
            DataQuestion::Http(request) => request.file(),
        }
    }
}

/// What a service is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DataQuestion {
    /// A query; the answer is its only value.
    Sql {
        /// The client and how it logs in.
        database: DatabaseLogin,
        /// The query.
        query: String,
    },
    /// A command in the service's container, which must exit with 0; the answer is its standard output.
    Command {
        /// Program and arguments, never empty.
        command: Vec<String>,
    },
    /// A request; the answer is its body.
    Http(HttpRequest),
}

fn of_command(command: &[String]) -> String {
    shortened(&command.join(" "))
}

/// The first line of a text, cut where it is long.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 48;
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default().trim_end();
    let shown: String = line.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.trim_end().to_owned() + "…"
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(shortened(" select 1 \n"), "select 1");
        assert_eq!(shortened("a\nb"), "a…");
        assert_eq!(shortened(&"é".repeat(48)), "é".repeat(48));
        assert_eq!(shortened(&"é".repeat(49)), "é".repeat(48) + "…");
    }
}
