//! Keys as people write them: `services.order.ports[0].port`.

use std::{fmt, str::FromStr};

use crate::manifest::{
    conform::{enter, enter_item},
    tree::{Map, Node, Origin, Value},
};

/// Other names of keys, as people look for them first.
const ALIASES: [(&str, &str); 4] = [
    ("kubernetes.version", "cluster.kubernetes"),
    ("registry.port", "cluster.registry.port"),
    ("tracing.level", "defaults.env.OTEL_LOG_LEVEL"),
    ("logging.level", "defaults.env.LOG_LEVEL"),
];

/// One step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manifest) enum Step {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Item(usize),
}

/// The way from the top of a manifest to a value, such as `services.order.ports[0].port`; a dot in a key is `\.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath {
    steps: Vec<Step>,
}

/// A text that names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key is written like `services.order.replicas`; a list item is `ports[0]`, a dot inside a key `\\.`"
)]
pub struct InvalidKeyPath;

impl KeyPath {
    /// Other names of keys, and the keys that they name.
    pub const fn aliases() -> &'static [(&'static str, &'static str)] {
        &ALIASES
    }

    pub(in crate::manifest) fn of(steps: &[Step]) -> Self {
        Self {
            steps: steps.to_vec(),
        }
    }

    /// The name of the value: the last key on the way to it.
    pub fn name(&self) -> &str {
        let mut steps = self.steps.iter().rev();
        let name = steps.find_map(|step| match step {
            Step::Key(name) => Some(name.as_str()),
            Step::Item(_) => None,
        });
        name.unwrap_or_default()
    }

    pub(in crate::manifest) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The key of the same name below `defaults`, if values of this one may come from there.
    pub(in crate::manifest) fn in_defaults(&self) -> Option<Self> {
        let [Step::Key(services), Step::Key(_), rest @ ..] = self.steps.as_slice() else {
            return None;
        };
        let is_one = services == "services" && !rest.is_empty();
        is_one.then(|| {
            let defaults = Step::Key("defaults".to_owned());
            Self::of(&[&[defaults], rest].concat())
        })
    }
}

impl FromStr for KeyPath {
    type Err = InvalidKeyPath;

    fn from_str(text: &str) -> Result<Self, InvalidKeyPath> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == text);
        let text = alias.map_or(text, |(_, key)| key);
        let steps = parse(text).ok_or(InvalidKeyPath)?;
        Ok(Self { steps })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for step in &self.steps {
            match step {
                Step::Key(key) => {
                    let key = key.replace('\\', "\\\\").replace('.', "\\.");
                    enter(&mut text, &key.replace('[', "\\["));
                }
                Step::Item(index) => {
                    enter_item(&mut text, *index);
                }
            }
        }
        f.write_str(&text)
    }
}

fn parse(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
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

/// Why the way to a value is blocked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::manifest) enum Blocked {
    /// It goes on in something that is neither a map nor a list, or the other of both.
    NotEnterable { at: String, found: String },
    /// It goes to an item that is not there, nor the next after the last.
    NoSuchItem {
        at: String,
        index: usize,
        length: usize,
    },
}

/// The value at the end of the way, with maps made where nothing is; what is made is written at `origin`.
pub(in crate::manifest) fn make_way<'n>(
    root: &'n mut Node,
    steps: &[Step],
    origin: Origin,
) -> Result<&'n mut Node, Blocked> {
    let mut at = String::new();
    let mut target = root;
    for step in steps {
        if let (Step::Key(_), Value::Null) = (step, &target.value) {
            *target = Node::new(Value::Map(Map::default()), origin);
        }
        let found = target.to_string();
        target = match (step, &mut target.value) {
            (Step::Key(key), Value::Map(map)) => {
                let place = map.entries.iter().position(|entry| entry.key == *key);
                let place = place.unwrap_or_else(|| {
                    map.push(key.clone(), origin, Node::new(Value::Null, origin));
                    map.entries.len() - 1
                });
                enter(&mut at, key);
                &mut map.entries[place].node
            }
            (Step::Item(index), Value::List(items)) => {
                let (index, length) = (*index, items.len());
                if index > length {
                    return Err(Blocked::NoSuchItem { at, index, length });
                }
                if index == length {
                    items.push(Node::new(Value::Null, origin));
                }
                enter_item(&mut at, index);
                &mut items[index]
            }
            _ => return Err(Blocked::NotEnterable { at, found }),
        };
    }
    Ok(target)
}

/// The value at the end of the way, if one is there.
pub(in crate::manifest) fn follow<'n>(root: &'n Node, steps: &[Step]) -> Option<&'n Node> {
    steps
        .iter()
        .try_fold(root, |node, step| match (step, &node.value) {
            (Step::Key(key), Value::Map(map)) => map.get(key),
            (Step::Item(index), Value::List(items)) => items.get(*index),
            _ => None,
        })
}

/// Where the value at the end of the way is written: at itself, or at its key where it spans lines.
pub(in crate::manifest) fn place_of(root: &Node, steps: &[Step]) -> Option<Origin> {
    let (last, above) = steps.split_last()?;
    let above = follow(root, above)?;
    match (last, &above.value) {
        (Step::Key(key), Value::Map(map)) => {
            let entry = map.entries.iter().find(|entry| entry.key == *key)?;
            Some(entry.place())
        }
        (Step::Item(index), Value::List(items)) => Some(items.get(*index)?.origin),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_again() {
        for text in [
            "name",
            "services.order.ports[0].port",
            "services.order.env.a\\.b",
            "x[1][2]",
        ] {
            assert_eq!(text.parse::<KeyPath>().unwrap().to_string(), text);
        }
        for text in ["", ".", "a.", "a..b", "[0]", "a[", "a[x]", "a\\"] {
            assert_eq!(text.parse::<KeyPath>(), Err(InvalidKeyPath), "{text}");
        }
    }

    #[test]
    fn an_alias_is_the_key_that_it_stands_for() {
        for (alias, key) in KeyPath::aliases() {
            let alias: KeyPath = alias.parse().unwrap();
            assert_eq!(alias.to_string(), *key);
        }
    }
}
