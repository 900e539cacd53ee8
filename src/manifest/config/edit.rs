//! Changes one key of a YAML text and nothing else: comments and layout stay.
//!
//! `yaml-edit` changes the text. Whether it changed what was asked and nothing else is looked at: both texts are read as
//! every manifest is, and the trees compared.

use std::{path::Path, str::FromStr as _};

use yaml_edit::{Document, YamlFile, path::YamlPath as _};

use super::key::{Blocked, KeyPath, Step, follow, make_way};
use crate::{
    domain::ExitClass,
    manifest::{
        problem::{Findings, Problem},
        source::Sources,
        tree::{Node, Origin, SourceId, Value},
        yaml,
    },
};

/// Why a text is not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditProblem {
    #[error("`{value}` is not a value in YAML: {reason}")]
    BadValue { value: String, reason: String },
    #[error("`{key}` goes into `{at}`, which is {found} in this file")]
    NotEnterable {
        key: String,
        at: String,
        found: String,
    },
    #[error("`{key}` goes to item {index} of `{at}`, which has {length} in this file")]
    NoSuchItem {
        key: String,
        at: String,
        index: usize,
        length: usize,
    },
    #[error("`{key}` cannot be changed by itself: {reason}")]
    NotAlone { key: String, reason: String },
}

impl Problem for EditProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::BadValue { .. } => "config.value",
            Self::NotEnterable { .. } | Self::NoSuchItem { .. } => "config.key",
            Self::NotAlone { .. } => "config.not-alone",
        }
    }

    fn class(&self) -> ExitClass {
        ExitClass::Usage
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::BadValue { .. } => {
                "put a text with special characters in quotes: 'defaults.env.GREETING=\"a: b\"'"
            }
            Self::NotEnterable { .. } => {
                "what is written in its short form is set as a whole: 'services.order.build={context: order, target: dev}'"
            }
            Self::NoSuchItem { .. } => "items count from 0; the number after the last one appends",
            Self::NotAlone { .. } => "change the file by hand",
        };
        vec![help.to_owned()]
    }
}

/// The text with a key set to a value, itself a text in YAML. `text` is good YAML, or empty.
pub(super) fn set(text: &str, key: &KeyPath, value: &str) -> Result<String, EditProblem> {
    let bad = |reason: String| EditProblem::BadValue {
        value: value.to_owned(),
        reason,
    };
    let wanted = read(value).map_err(bad)?;
    let mut expected = tree(text, key)?;
    let place = make_way(&mut expected, key.steps(), origin());
    *place.map_err(|blocked| EditProblem::blocked(key, blocked))? = wanted;
    let value = Document::from_str(value).map_err(|error| bad(error.to_string()))?;
    let changed = edited(text, key, |document| {
        let done = document.try_set_path(&path(key.steps()), value);
        done.map_err(|error| error.to_string())
    })?;
    hold(changed, &expected, key)
}

/// The text without a key; `None` if it does not have it. A map or list that is empty then goes too.
pub(super) fn unset(text: &str, key: &KeyPath) -> Result<Option<String>, EditProblem> {
    let mut expected = tree(text, key)?;
    if follow(&expected, key.steps()).is_none() {
        return Ok(None);
    }
    // What would be left of the way goes with it.
    let mut steps = key.steps();
    while let [above @ .., _] = steps
        && !above.is_empty()
        && follow(&expected, above).is_some_and(has_one)
    {
        steps = above;
    }
    remove(&mut expected, steps);
    let mut changed = edited(text, key, |document| take_out(document, steps))?;
    if expected.as_map().is_some_and(|map| map.entries.is_empty()) {
        // What is left is a file of comments.
        let rest = changed.trim_end().trim_end_matches("{}").len();
        changed.truncate(rest);
    }
    hold(changed, &expected, key).map(Some)
}

impl EditProblem {
    fn blocked(key: &KeyPath, blocked: Blocked) -> Self {
        let key = key.to_string();
        match blocked {
            Blocked::NotEnterable { at, found } => Self::NotEnterable { key, at, found },
            Blocked::NoSuchItem { at, index, length } => Self::NoSuchItem {
                key,
                at,
                index,
                length,
            },
        }
    }
}

/// A text as a tree; an empty one is an empty map.
fn tree(text: &str, key: &KeyPath) -> Result<Node, EditProblem> {
    let node = read(text).map_err(|reason| EditProblem::NotAlone {
        key: key.to_string(),
        reason,
    })?;
    Ok(match node.value {
        Value::Null => Node::empty(),
        _ => node,
    })
}

/// Where what is nowhere yet is said to be.
const fn origin() -> Origin {
    Origin::start_of(SourceId(0))
}

/// A text as a tree; fails with the first mistake in it.
fn read(text: &str) -> Result<Node, String> {
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let source = sources.add(Path::new(""), text.to_owned());
    let node = yaml::parse(text, source, &mut findings);
    match findings.into_failures(&sources).first() {
        Some(failure) => Err(failure.what.clone()),
        None => Ok(node.unwrap_or_else(|| Node::new(Value::Null, origin()))),
    }
}

fn edited(
    text: &str,
    key: &KeyPath,
    edit: impl FnOnce(&Document) -> Result<(), String>,
) -> Result<String, EditProblem> {
    let failed = |reason| EditProblem::NotAlone {
        key: key.to_string(),
        reason,
    };
    let file = YamlFile::from_str(text).map_err(|error| failed(error.to_string()))?;
    edit(&file.ensure_document()).map_err(failed)?;
    Ok(file.to_string())
}

fn take_out(document: &Document, steps: &[Step]) -> Result<(), String> {
    if let [above @ .., Step::Item(index)] = steps {
        let list = document.try_get_path(&path(above));
        let list = list.map_err(|error| error.to_string())?;
        let removed = list.as_sequence().and_then(|list| list.remove(*index));
        return removed
            .map(|_| ())
            .ok_or_else(|| "it is in no list".to_owned());
    }
    let removed = document.try_remove_path(&path(steps));
    removed.map(|_| ()).map_err(|error| error.to_string())
}

/// A key as `yaml-edit` reads it: a number is an index there unless it is escaped.
fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                for character in key.chars() {
                    if !character.is_alphanumeric() || character.is_ascii_digit() {
                        path.push('\\');
                    }
                    path.push(character);
                }
            }
            Step::Item(index) => {
                path.push_str(&format!("[{index}]"));
            }
        }
    }
    path
}

/// The changed text, if it says what it should and nothing else.
fn hold(changed: String, expected: &Node, key: &KeyPath) -> Result<String, EditProblem> {
    match tree(&changed, key) {
        Ok(tree) if is_same(&tree, expected) => Ok(changed),
        _ => Err(EditProblem::NotAlone {
            key: key.to_string(),
            reason: "its value is shared by an anchor, or the file is written in an unusual way"
                .to_owned(),
        }),
    }
}

/// Whether two trees say the same, wherever it is written.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(one), Value::Scalar(other)) => one.to_json() == other.to_json(),
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.entries.len() == other.entries.len()
                && one.entries.iter().all(|entry| {
                    let other = other.get(&entry.key);
                    other.is_some_and(|other| is_same(&entry.node, other))
                })
        }
        _ => false,
    }
}

/// Whether only one thing is in a map or list.
fn has_one(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => map.entries.len() == 1,
        Value::List(items) => items.len() == 1,
        Value::Null | Value::Scalar(_) => false,
    }
}

fn remove(root: &mut Node, steps: &[Step]) {
    let [above @ .., last] = steps else { return };
    let Ok(above) = make_way(root, above, origin()) else {
        return;
    };
    match (&mut above.value, last) {
        (Value::Map(map), Step::Key(key)) => {
            map.remove(key);
        }
        (Value::List(items), Step::Item(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
