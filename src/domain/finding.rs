//! What a look at the machine and an environment found: each thing with how grave it is, its cause and its mend.

use super::{Code, EnvironmentId, Evidence, Failure, Place};

/// How grave something is that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is as it must be.
    Ok,
    /// Good to know.
    Note,
    /// It works, and may not for long, or not for everything.
    Warning,
    /// Something does not work before it is mended.
    Problem,
}

/// What can be mended without asking more than a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Start the session again that was killed.
    ReviveSession,
    /// Start the container of the registry, of this name.
    StartRegistry(String),
    /// Remove what is left of an environment whose project is gone and that has no data.
    RemoveEnvironment(EnvironmentId),
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its stable id, such as `disk.low`; of what is fine, what was looked at, such as `disk`.
    pub id: Code,
    /// How grave it is.
    pub severity: Severity,
    /// What it is: one sentence without a period at its end.
    pub what: String,
    /// Why, from the outermost cause to the innermost.
    pub why: Vec<String>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What mends it: commands to type, or sentences.
    pub fix: Vec<String>,
    /// The place in a file that it goes back to.
    pub place: Option<Box<Place>>,
    /// What mends it without the user.
    pub mend: Option<Mend>,
}

impl Finding {
    /// What was looked at and is fine.
    pub fn ok(area: &'static str, what: impl Into<String>) -> Self {
        Self::new(area, Severity::Ok, what.into())
    }

    /// Something that is good to know.
    pub fn note(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Severity::Note, what.into())
    }

    /// Something that works, and may not for long, or not for everything.
    pub fn warning(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, what.into())
    }

    /// Something that must be mended first.
    pub fn problem(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Severity::Problem, what.into())
    }

    /// What a command would fail with, found beforehand: its id is the failure's code.
    pub fn of(severity: Severity, failure: Failure) -> Self {
        Self {
            id: failure.code,
            severity,
            what: failure.what,
            why: failure.why,
            evidence: failure.evidence,
            fix: failure.help,
            place: failure.place,
            mend: None,
        }
    }

    fn new(id: &'static str, severity: Severity, what: String) -> Self {
        Self {
            id: Code(id),
            severity,
            what,
            why: Vec::new(),
            evidence: Vec::new(),
            fix: Vec::new(),
            place: None,
            mend: None,
        }
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds what was seen, unless there are no lines.
    #[must_use]
    pub fn seen(mut self, title: impl Into<String>, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            let title = title.into();
            self.evidence.push(Evidence { title, lines });
        }
        self
    }

    /// Adds what mends it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }

    /// Says that it can be mended without the user.
    #[must_use]
    pub fn mended_by(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ExitClass;

    #[test]
    fn a_failure_is_found_with_all_that_it_says() {
        let failure = Failure::new("docker.not-running", ExitClass::Prerequisite, "it is down")
            .because("nobody listens")
            .with_evidence("seen", vec!["a line".to_owned()])
            .help("start it");
        let finding = Finding::of(Severity::Problem, failure);
        let expected = Finding::problem("docker.not-running", "it is down")
            .because("nobody listens")
            .seen("seen", vec!["a line".to_owned()])
            .fix("start it");
        assert_eq!(finding, expected);
        assert!(Severity::Problem > Severity::Warning && Severity::Note > Severity::Ok);
    }
}
