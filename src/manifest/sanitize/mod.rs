//! A file of rules for sanitising data -> `SanitizeRules`, each with the place where it is written.
//!
//! Reads what the rules say; whether a database has their tables and columns is found out by `features::data`. The way is
//! that of a manifest, and every mistake of the file is reported at once.

mod reference;
mod resolve;
mod types;

use std::{io, path::Path};

pub use reference::{reference, schema};

use super::{
    layers,
    problem::{Findings, Problem},
    source::Sources,
    tree::{Node, Origin, SourceId, Value},
    yaml::{self, YamlProblem},
};
use crate::domain::{Environment, ExitClass, Failure, Failures, ProjectFiles, SanitizeRules};

/// What can be wrong with a file of rules as a whole.
#[derive(Debug, thiserror::Error)]
enum RulesProblem {
    #[error("there is no file `{file}`")]
    NotFound { file: String },
    #[error("`{file}` says nothing")]
    Empty { file: String },
}

impl Problem for RulesProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "sanitize.no-rules",
            Self::Empty { .. } => "sanitize.empty",
        }
    }

    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::NotFound { .. } => {
                "name the file with the rules: --sanitize rules.yaml".to_owned()
            }
            Self::Empty { .. } => {
                "write what becomes of which service's data: `services:` and `keep:`".to_owned()
            }
        }]
    }
}

/// Reads and checks the rules in `file`, for `environment`. All mistakes are reported at once, in their order.
pub fn load(
    file: &Path,
    environment: &Environment,
    files: &dyn ProjectFiles,
) -> Result<SanitizeRules, Failures> {
    let text = layers::read(files, file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let file = file.display().to_string();
            RulesProblem::NotFound { file }.failure()
        }
        _ => layers::unreadable_problem(file, &error).failure(),
    })?;
    let shown = file.strip_prefix(&environment.directory).unwrap_or(file);
    let mut sources = Sources::default();
    let source = sources.add(shown, text);
    let mut findings = Findings::default();
    let root = yaml::parse(sources.text(source), source, &mut findings);
    let root = usable(root, &shown.display().to_string(), source, &mut findings);
    let rules =
        root.and_then(|mut root| resolve::resolve(&mut root, environment, &sources, &mut findings));
    if let Some(failures) = Failures::from_list(findings.into_failures(&sources)) {
        return Err(failures);
    }
    rules.ok_or_else(|| {
        let what = "the rules could not be resolved though nothing was wrong with them";
        Failure::new("internal.unresolved-manifest", ExitClass::Internal, what).into()
    })
}

/// A tree that is a map with something in it.
fn usable(
    root: Option<Node>,
    file: &str,
    source: SourceId,
    findings: &mut Findings,
) -> Option<Node> {
    let file = file.to_owned();
    match root {
        Some(root) if root.as_map().is_some_and(|map| !map.entries.is_empty()) => {
            return Some(root);
        }
        Some(root) if !matches!(root.value, Value::Null | Value::Map(_)) => {
            let problem = YamlProblem::NotAMap {
                path: file,
                found: root.to_string(),
            };
            findings.add(&problem, "", root.origin);
        }
        _ if findings.is_empty() => {
            findings.add(&RulesProblem::Empty { file }, "", Origin::start_of(source));
        }
        // Why it has no tree is told already.
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests;
