//! `--set key=value` flags.

use std::path::Path;

use super::{
    config::key::{Blocked, KeyPath, make_way},
    merge::merge,
    problem::{Findings, Problem},
    source::{SET, Sources},
    tree::{Node, Origin, SourceId, Value},
    yaml,
};

/// What can be wrong with a flag.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetProblem {
    #[error("`--set {flag}` has no `=`")]
    NoValue { flag: String },
    #[error("`--set {flag}` has an empty or unreadable part in its key")]
    BadKey { flag: String },
    #[error("`--set {flag}` goes into `{path}`, which is {found}")]
    NotEnterable {
        flag: String,
        path: String,
        found: String,
    },
    #[error("`--set {flag}` goes to item {index} of `{path}`, which has {length}")]
    NoSuchItem {
        flag: String,
        path: String,
        index: usize,
        length: usize,
    },
}

impl Problem for SetProblem {
    fn code(&self) -> &'static str {
        "manifest.set"
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::NoValue { .. } | Self::BadKey { .. } => {
                "write `--set services.order.replicas=3`; a list item is `ports[0]`, a dot inside a key `\\.`"
            }
            Self::NotEnterable { .. } => "keys go into maps, indexes such as `[0]` into lists",
            Self::NoSuchItem { .. } => "items count from 0; the number after the last one appends",
        };
        vec![help.to_owned()]
    }
}

/// Lays one flag over `root`. An empty value removes the key.
pub(super) fn apply(root: &mut Node, flag: &str, sources: &mut Sources, findings: &mut Findings) {
    let source = sources.add(Path::new(SET), flag.to_owned());
    let start = Origin {
        length: u32::try_from(flag.chars().count()).unwrap_or(u32::MAX),
        ..Origin::start_of(source)
    };
    let problem = match split(flag) {
        Err(problem) => problem,
        Ok((key, value)) => {
            let Some(node) = parse_value(flag, value, source, findings) else {
                return;
            };
            match lay(root, &key, node, flag, start) {
                Ok(()) => return,
                Err(problem) => problem,
            }
        }
    };
    findings.add(&problem, flag, start);
}

fn split(flag: &str) -> Result<(KeyPath, &str), SetProblem> {
    let owned = || flag.to_owned();
    let (key, value) = flag
        .split_once('=')
        .ok_or_else(|| SetProblem::NoValue { flag: owned() })?;
    let key = key.parse();
    let key = key.map_err(|_| SetProblem::BadKey { flag: owned() })?;
    Ok((key, value))
}

/// The value as YAML, at its columns in the flag.
fn parse_value(flag: &str, value: &str, source: SourceId, findings: &mut Findings) -> Option<Node> {
    let indent = flag.chars().count() - value.chars().count();
    let padded = format!("{}{value}", " ".repeat(indent));
    let before = findings.len();
    let node = yaml::parse(&padded, source, findings);
    if findings.len() > before {
        return None;
    }
    Some(node.unwrap_or_else(|| Node::new(Value::Null, Origin::start_of(source))))
}

fn lay(
    root: &mut Node,
    key: &KeyPath,
    node: Node,
    flag: &str,
    start: Origin,
) -> Result<(), SetProblem> {
    let flag = || flag.to_owned();
    let target = make_way(root, key.steps(), start).map_err(|blocked| match blocked {
        Blocked::NotEnterable { at, found } => SetProblem::NotEnterable {
            flag: flag(),
            path: at,
            found,
        },
        Blocked::NoSuchItem { at, index, length } => SetProblem::NoSuchItem {
            flag: flag(),
            path: at,
            index,
            length,
        },
    })?;
    let old = std::mem::replace(target, Node::new(Value::Null, start));
    *target = merge(old, node);
    Ok(())
}
