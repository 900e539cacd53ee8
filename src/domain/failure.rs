//! What a user is told when something does not work: what, why, the evidence, and what to type next.

use serde::Serialize;

use super::{Place, ServiceName};

/// The class of a failure: the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitClass {
    /// A fault of devenv itself: 1.
    Internal,
    /// A wrong flag or argument: 2.
    Usage,
    /// The manifest or another committed file is wrong: 3.
    Manifest,
    /// Something the machine must have is missing: 4.
    Prerequisite,
    /// The cluster or a tool failed: 5.
    Cluster,
    /// A service is not ready: 6.
    NotReady,
    /// Data or a snapshot: 7.
    Data,
    /// Another command holds the environment: 8.
    Locked,
    /// Checks or thresholds not met: 9.
    Checks,
    /// Ended by the user: 130.
    Interrupted,
}

impl ExitClass {
    /// The process exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Manifest => 3,
            Self::Prerequisite => 4,
            Self::Cluster => 5,
            Self::NotReady => 6,
            Self::Data => 7,
            Self::Locked => 8,
            Self::Checks => 9,
            Self::Interrupted => 130,
        }
    }
}

/// A stable code such as `cluster.port-in-use`; each has an entry in docs/errors.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Something seen that supports the explanation: an event's words, log lines, a tool's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it comes from, such as `event` or `last log lines of payment`.
    pub title: String,
    /// Its lines, as they were said.
    pub lines: Vec<String>,
}

/// One failure, ready to be shown or published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The stable code.
    pub code: Code,
    /// The class, which decides the exit code.
    pub class: ExitClass,
    /// What failed: one sentence without a period at its end.
    pub what: String,
    /// Why, from the outermost cause to the innermost.
    pub why: Vec<String>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What to do next: sentences or commands to paste.
    pub help: Vec<String>,
    /// The place in a file that it goes back to.
    pub place: Option<Box<Place>>,
    /// The service it concerns.
    pub service: Option<ServiceName>,
}

impl Failure {
    /// What the user ended, by Ctrl-C or a signal.
    pub fn interrupted() -> Self {
        Self::new("run.interrupted", ExitClass::Interrupted, "interrupted")
    }

    /// A failure with its code, class and what failed; the rest is added by the methods below.
    pub fn new(code: &'static str, class: ExitClass, what: impl Into<String>) -> Self {
        Self {
            code: Code(code),
            class,
            what: what.into(),
            why: Vec::new(),
            evidence: Vec::new(),
            help: Vec::new(),
            place: None,
            service: None,
        }
    }

    /// Whether it is only that files changed between the look at them and what was to be done: another look mends it.
    pub fn is_overtaken(&self) -> bool {
        self.code.0 == "image.context-changed"
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds an error and its chain of sources as causes.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat the source in their own text.
            if !self.why.iter().any(|earlier| earlier.contains(&text)) {
                self.why.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds evidence, unless there are no lines.
    #[must_use]
    pub fn with_evidence(mut self, title: impl Into<String>, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            self.evidence.push(Evidence {
                title: title.into(),
                lines,
            });
        }
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Sets the place it goes back to.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place.map(Box::new);
        self
    }

    /// Sets the service it concerns.
    #[must_use]
    pub fn of(mut self, service: &ServiceName) -> Self {
        self.service = Some(service.clone());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// One failure or more; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    first: Box<Failure>,
    rest: Vec<Failure>,
}

impl Failures {
    /// All of `list`, or `None` if it is empty.
    pub fn from_list(list: Vec<Failure>) -> Option<Self> {
        let mut list = list.into_iter();
        let first = Box::new(list.next()?);
        Some(Self {
            first,
            rest: list.collect(),
        })
    }

    /// Every failure, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> {
        std::iter::once(&*self.first).chain(&self.rest)
    }

    /// The same failures, each changed.
    #[must_use]
    pub fn map(self, change: impl Fn(Failure) -> Failure) -> Self {
        Self {
            first: Box::new(change(*self.first)),
            rest: self.rest.into_iter().map(change).collect(),
        }
    }

    /// The exit code: that of the first failure.
    pub fn exit_code(&self) -> u8 {
        self.first.class.code()
    }
}

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Self {
        Self {
            first: Box::new(failure),
            rest: Vec::new(),
        }
    }
}

impl IntoIterator for Failures {
    type Item = Failure;
    type IntoIter = std::iter::Chain<std::iter::Once<Failure>, std::vec::IntoIter<Failure>>;
    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(*self.first).chain(self.rest)
    }
}
