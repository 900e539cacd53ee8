//! `--set key=value` flags.

use std::path::Path;

use super::{
    merge::merge,
    problem::{Findings, Problem},
    source::{SET, Sources},
    tree::{Map, Node, Origin, SourceId, Value},
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

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
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
        Ok((steps, value)) => {
            let Some(node) = parse_value(flag, value, source, findings) else {
                return;
            };
            match lay(root, &steps, node, flag, start) {
                Ok(()) => return,
                Err(problem) => problem,
            }
        }
    };
    findings.add(&problem, flag, start);
}

fn split(flag: &str) -> Result<(Vec<Step>, &str), SetProblem> {
    let owned = || flag.to_owned();
    let (key, value) = flag
        .split_once('=')
        .ok_or_else(|| SetProblem::NoValue { flag: owned() })?;
    let steps = parse_key(key).ok_or_else(|| SetProblem::BadKey { flag: owned() })?;
    Ok((steps, value))
}

fn parse_key(key: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut word = String::new();
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.push(chars.next()?),
            '.' => {
                // After an item the word is empty: `ports[0].port`.
                if !word.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut word)));
                } else if !matches!(steps.last(), Some(Step::Item(_))) {
                    return None;
                }
                chars.peek()?;
            }
            '[' => {
                if !word.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut word)));
                }
                let mut digits = String::new();
                loop {
                    match chars.next()? {
                        ']' => break,
                        digit => digits.push(digit),
                    }
                }
                steps.push(Step::Item(digits.parse().ok()?));
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        steps.push(Step::Key(word));
    }
    matches!(steps.first(), Some(Step::Key(_))).then_some(steps)
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
    steps: &[Step],
    node: Node,
    flag: &str,
    start: Origin,
) -> Result<(), SetProblem> {
    let mut path = String::new();
    let mut target = root;
    for step in steps {
        if let (Step::Key(_), Value::Null) = (step, &target.value) {
            *target = Node::new(Value::Map(Map::default()), start);
        }
        let found = target.to_string();
        target = match (step, &mut target.value) {
            (Step::Key(key), Value::Map(map)) => {
                let at = map.entries.iter().position(|entry| entry.key == *key);
                let at = at.unwrap_or_else(|| {
                    map.push(key.clone(), start, Node::new(Value::Null, start));
                    map.entries.len() - 1
                });
                super::conform::enter(&mut path, key);
                &mut map.entries[at].node
            }
            (Step::Item(index), Value::List(items)) => {
                if *index > items.len() {
                    return Err(SetProblem::NoSuchItem {
                        flag: flag.to_owned(),
                        path,
                        index: *index,
                        length: items.len(),
                    });
                }
                if *index == items.len() {
                    items.push(Node::new(Value::Null, start));
                }
                super::conform::enter_item(&mut path, *index);
                &mut items[*index]
            }
            _ => {
                return Err(SetProblem::NotEnterable {
                    flag: flag.to_owned(),
                    path,
                    found,
                });
            }
        };
    }
    let old = std::mem::replace(target, Node::new(Value::Null, start));
    *target = merge(old, node);
    Ok(())
}
