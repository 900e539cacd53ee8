//! A `policy.yaml` -> `Policy`, and whether a manifest keeps to it.
//!
//! The way of the file is that of a manifest, and every mistake in it is reported at once.

mod reference;
mod types;

use std::{io, path::Path, sync::LazyLock};

pub use reference::{reference, schema};

use self::types::PolicyKeys;
use super::{
    Unreadable,
    conform::conform,
    layers,
    merge::strip_nulls,
    places::Places,
    problem::{Findings, Problem as _},
    shape::{Shape, compile_root},
    source::Sources,
    tree::{Node, Value},
    yaml::{self, YamlProblem},
};
use crate::domain::{
    Environment, Failure, Failures, POLICY_FILE, Policy, PolicyException, ProjectFiles, Rule,
};

/// The shape of a policy.
static POLICY: LazyLock<Shape> =
    LazyLock::new(|| compile_root(schemars::schema_for!(PolicyKeys).as_value()));

/// The policy of a project; one that allows everything where there is no file.
pub fn load(files: &dyn ProjectFiles) -> Result<Policy, Failures> {
    let file = Path::new(POLICY_FILE);
    let text = match layers::read(files, file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(error) => return Err(layers::unreadable_problem(file, &error).failure().into()),
    };
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let source = sources.add(file, text);
    let root = yaml::parse(sources.text(source), source, &mut findings);
    let policy = root.and_then(|root| resolve(root, &sources, &mut findings));
    match Failures::from_list(findings.into_failures(&sources)) {
        Some(failures) => Err(failures),
        None => Ok(policy.unwrap_or_default()),
    }
}

/// What a manifest breaks, in the order of its keys.
pub(super) fn broken(policy: &Policy, environment: &Environment) -> Vec<Failure> {
    let found = policy.broken_by(environment);
    let failure = |violation| policy.failure(violation, &environment.provenance);
    found.iter().map(failure).collect()
}

/// `None` of a file that says nothing, or nothing that is understood.
fn resolve(mut root: Node, sources: &Sources, findings: &mut Findings) -> Option<Policy> {
    match root.value {
        Value::Map(_) => {}
        Value::Null => return None,
        _ => {
            let problem = YamlProblem::NotAMap {
                path: POLICY_FILE.to_owned(),
                found: root.to_string(),
            };
            findings.add(&problem, "", root.origin);
            return None;
        }
    }
    strip_nulls(&mut root);
    let places = Places::of(&root);
    let json = conform(&root, &POLICY, findings)?;
    match serde_json::from_value::<PolicyKeys>(json) {
        Ok(keys) => Some(policy(keys, &places, sources)),
        // What is missing is told already.
        Err(_) if !findings.is_empty() => None,
        Err(error) => {
            let problem = Unreadable {
                path: String::new(),
                reason: error.to_string(),
            };
            findings.add(&problem, "", root.origin);
            None
        }
    }
}

fn policy(keys: PolicyKeys, places: &Places, sources: &Sources) -> Policy {
    let place = |rule: Rule| (rule, sources.place(places.nearest(rule.key())));
    let exceptions = keys.except.into_iter().map(|keys| PolicyException {
        service: keys.service,
        rule: keys.rule.0,
    });
    Policy {
        registries: keys.images.registries.into_iter().map(|it| it.0).collect(),
        pinned_images: keys.images.pinned.map(|pin| pin.0),
        repositories: keys
            .charts
            .repositories
            .into_iter()
            .map(|it| it.0)
            .collect(),
        pinned_charts: keys.charts.pinned,
        limits: keys.resources.limits.into_iter().map(|it| it.0).collect(),
        requests: keys.resources.requests.into_iter().map(|it| it.0).collect(),
        forbidden: keys.forbid.into_iter().map(|it| it.0).collect(),
        labels: keys.labels.into_iter().map(|it| it.0).collect(),
        kubernetes: keys.kubernetes.map(|it| it.0),
        exceptions: exceptions.collect(),
        places: Rule::ALL.into_iter().map(place).collect(),
    }
}

#[cfg(test)]
mod tests;
