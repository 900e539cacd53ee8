//! Checks a tree against a shape, collecting every mistake, and turns what is good of it into JSON.

use serde_json::Value as Json;

use super::{
    format::{Refusal, TextFormat, Whole},
    problem::{Findings, Mending, Problem, nearest, nearest_alone, suggestions},
    shape::{ObjectShape, PROFILE, Shape},
    tree::{Entry, Map, Node, Origin, Scalar, Style, Value},
};

/// What can be wrong with a key or its value.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShapeProblem {
    #[error("`{path}` is not a known key")]
    UnknownKey {
        path: String,
        key: String,
        allowed: Vec<String>,
        is_profile_key: bool,
    },
    #[error("`{path}` is missing")]
    MissingKey { path: String, key: String },
    #[error("`{path}` must be {wanted}, not {found}")]
    WrongType {
        path: String,
        wanted: String,
        found: String,
        help: String,
        mend: Option<String>,
    },
    #[error("`{path}` must be {wanted}, not `{text}`{}", because(reason))]
    InvalidText {
        path: String,
        wanted: &'static str,
        text: String,
        reason: String,
    },
    #[error("`{path}` must be {}, not `{text}`", one_of(allowed))]
    NotAChoice {
        path: String,
        text: String,
        allowed: Vec<String>,
    },
    #[error("`{text}` cannot be {wanted}{}", because(reason))]
    InvalidKey {
        text: String,
        wanted: &'static str,
        reason: String,
    },
    #[error("`{path}` leads out of {whole}: `{text}`")]
    Outside {
        path: String,
        text: String,
        base: &'static str,
        whole: Whole,
    },
    #[error("`{path}` must have at least {least} {}", if *least == 1 { "item" } else { "items" })]
    TooFew { path: String, least: u64 },
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

fn one_of(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

impl Problem for ShapeProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "manifest.unknown-key",
            Self::MissingKey { .. } => "manifest.missing-key",
            Self::WrongType { .. } => "manifest.wrong-type",
            Self::InvalidText { .. } | Self::NotAChoice { .. } | Self::TooFew { .. } => {
                "manifest.invalid-value"
            }
            Self::InvalidKey { .. } => "manifest.invalid-name",
            Self::Outside { .. } => "manifest.path-outside",
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::UnknownKey {
                key,
                is_profile_key: true,
                ..
            } => vec![format!(
                "`{key}` belongs in a profile file, `profiles/<name>.yaml`"
            )],
            Self::UnknownKey { key, allowed, .. } => {
                suggestions(key, allowed.iter().map(String::as_str), "allowed here")
            }
            Self::MissingKey { key, .. } if key == "apiVersion" => {
                vec!["write `apiVersion: devenv/v1` as the first line".to_owned()]
            }
            Self::MissingKey { key, .. } => vec![format!("write `{key}:` and its value here")],
            Self::WrongType { help, .. } if !help.is_empty() => vec![help.clone()],
            Self::NotAChoice { text, allowed, .. } => {
                nearest(text, allowed.iter().map(String::as_str))
                    .map(|word| format!("did you mean `{word}`?"))
                    .into_iter()
                    .collect()
            }
            Self::Outside { base, whole, .. } => vec![format!(
                "write a path relative to {base}, without `..`; move or copy what is elsewhere into {whole}"
            )],
            Self::InvalidKey { .. }
            | Self::InvalidText { .. }
            | Self::TooFew { .. }
            | Self::WrongType { .. } => Vec::new(),
        }
    }

    fn mend(&self) -> Option<Mending> {
        match self {
            Self::UnknownKey {
                key,
                allowed,
                is_profile_key: false,
                ..
            } => {
                let word = nearest_alone(key, allowed.iter().map(String::as_str))?;
                Some(Mending::Replace(word.to_owned()))
            }
            Self::NotAChoice { text, allowed, .. } => {
                let word = nearest_alone(text, allowed.iter().map(String::as_str))?;
                Some(Mending::Replace(word.to_owned()))
            }
            Self::MissingKey { path, .. } if path == "name" => Some(Mending::InsertName),
            Self::MissingKey { path, .. } if path == "apiVersion" => {
                Some(Mending::Insert("apiVersion: devenv/v1".to_owned()))
            }
            Self::WrongType { mend, .. } => mend.clone().map(Mending::Replace),
            _ => None,
        }
    }
}

/// Checks `node` against `shape`. The JSON leaves out what is wrong, so that the rest can be checked on.
pub(super) fn conform(node: &Node, shape: &Shape, findings: &mut Findings) -> Option<Json> {
    let mut path = String::new();
    Conformer { findings }.value(node, node.origin, shape, &mut path)
}

struct Conformer<'a> {
    findings: &'a mut Findings,
}

impl Conformer<'_> {
    fn value(
        &mut self,
        node: &Node,
        place: Origin,
        shape: &Shape,
        path: &mut String,
    ) -> Option<Json> {
        match (shape, &node.value) {
            (Shape::Anything, _) => Some(anything(node)),
            (Shape::Object(object), Value::Map(map)) => self.object(map, place, object, path),
            (Shape::Map { keys, values }, Value::Map(map)) => {
                Some(self.map(map, *keys, values, path))
            }
            (Shape::List { items, least }, Value::List(list)) => {
                self.list(list, place, items, *least, path)
            }
            (Shape::Text(format), Value::Scalar(scalar)) => self.text(scalar, place, *format, path),
            (Shape::Choice(words), Value::Scalar(scalar)) => {
                self.choice(scalar, place, words, path)
            }
            (Shape::Integer { least, most }, Value::Scalar(scalar))
                if let Some(number) = whole(scalar)
                    && (*least..=*most).contains(&number) =>
            {
                Some(number.into())
            }
            (Shape::Flag, Value::Scalar(scalar)) if scalar.to_json().is_boolean() => {
                Some(scalar.to_json())
            }
            _ => {
                let problem = ShapeProblem::WrongType {
                    path: path.clone(),
                    wanted: wanted(shape),
                    found: node.to_string(),
                    help: advice(shape, node),
                    mend: rewritten(shape, node),
                };
                self.findings.add(&problem, path.as_str(), place);
                None
            }
        }
    }

    fn object(
        &mut self,
        map: &Map,
        place: Origin,
        object: &ObjectShape,
        path: &mut String,
    ) -> Option<Json> {
        let mut json = serde_json::Map::new();
        let mut meant = None;
        for entry in &map.entries {
            let outer = enter(path, &entry.key);
            if let Some(shape) = object.keys.get(&entry.key) {
                if let Some(value) = self.value(&entry.node, entry.place(), shape, path) {
                    json.insert(entry.key.clone(), value);
                }
            } else {
                let problem = ShapeProblem::UnknownKey {
                    path: path.clone(),
                    key: entry.key.clone(),
                    allowed: object.keys.keys().cloned().collect(),
                    is_profile_key: outer == 0 && is_profile_key(&entry.key),
                };
                self.findings.add(&problem, path.as_str(), entry.key_origin);
                path.truncate(outer);
                if let Some((key, value)) = self.meant(map, entry, object, path) {
                    meant = Some(key);
                    json.extend(value.map(|value| (key.to_owned(), value)));
                }
            }
            path.truncate(outer);
        }
        let mut is_complete = true;
        for key in &object.required {
            is_complete &= json.contains_key(key);
            if !map.has(key) && meant != Some(key) {
                let outer = enter(path, key);
                let problem = ShapeProblem::MissingKey {
                    path: path.clone(),
                    key: key.clone(),
                };
                self.findings.add(&problem, path.as_str(), place);
                path.truncate(outer);
            }
        }
        // The root goes on without its name, so that everything else is checked.
        (is_complete || path.is_empty()).then(|| json.into())
    }

    /// The key that an unknown one is a slip of, and the value in its form if that is good: what follows from the slip
    /// alone is not told.
    fn meant<'s>(
        &mut self,
        map: &Map,
        entry: &Entry,
        object: &'s ObjectShape,
        path: &mut String,
    ) -> Option<(&'s str, Option<Json>)> {
        if self.findings.is_full() {
            return None;
        }
        let keys = object.keys.keys().map(String::as_str);
        let key = nearest_alone(&entry.key, keys).filter(|key| !map.has(key))?;
        let outer = enter(path, key);
        self.findings.note_meant(path);
        let mut silent = Findings::default();
        let conformer = &mut Conformer {
            findings: &mut silent,
        };
        let value = conformer.value(&entry.node, entry.place(), object.keys.get(key)?, path);
        path.truncate(outer);
        Some((key, value.filter(|_| silent.is_empty())))
    }

    fn map(
        &mut self,
        map: &Map,
        keys: Option<&'static TextFormat>,
        values: &Shape,
        path: &mut String,
    ) -> Json {
        let mut json = serde_json::Map::new();
        for entry in &map.entries {
            let outer = enter(path, &entry.key);
            let refusal = keys.and_then(|format| Some((format, (format.check)(&entry.key).err()?)));
            let is_good_key = refusal.is_none();
            if let Some((format, refusal)) = refusal {
                let reason = match refusal {
                    Refusal::Invalid(reason) => reason,
                    Refusal::Outside { .. } => String::new(),
                };
                let problem = ShapeProblem::InvalidKey {
                    text: entry.key.clone(),
                    wanted: format.wanted,
                    reason,
                };
                self.findings.add(&problem, path.as_str(), entry.key_origin);
            }
            if let Some(value) = self.value(&entry.node, entry.place(), values, path)
                && is_good_key
            {
                json.insert(entry.key.clone(), value);
            }
            path.truncate(outer);
        }
        json.into()
    }

    fn list(
        &mut self,
        list: &[Node],
        place: Origin,
        items: &Shape,
        least: u64,
        path: &mut String,
    ) -> Option<Json> {
        if (list.len() as u64) < least {
            let problem = ShapeProblem::TooFew {
                path: path.clone(),
                least,
            };
            self.findings.add(&problem, path.as_str(), place);
            return None;
        }
        let mut json = Vec::with_capacity(list.len());
        for (index, node) in list.iter().enumerate() {
            let outer = enter_item(path, index);
            if let Some(value) = self.value(node, node.origin, items, path) {
                json.push(value);
            }
            path.truncate(outer);
        }
        Some(json.into())
    }

    fn text(
        &mut self,
        scalar: &Scalar,
        place: Origin,
        format: Option<&'static TextFormat>,
        path: &str,
    ) -> Option<Json> {
        let Some((format, refusal)) =
            format.and_then(|format| Some((format, (format.check)(&scalar.text).err()?)))
        else {
            return Some(scalar.text.clone().into());
        };
        let (path_text, text) = (path.to_owned(), scalar.text.clone());
        let problem = match refusal {
            Refusal::Invalid(reason) => ShapeProblem::InvalidText {
                path: path_text,
                wanted: format.wanted,
                text,
                reason,
            },
            Refusal::Outside { base, whole } => ShapeProblem::Outside {
                path: path_text,
                text,
                base,
                whole,
            },
        };
        self.findings.add(&problem, path, place);
        None
    }

    fn choice(
        &mut self,
        scalar: &Scalar,
        place: Origin,
        words: &[String],
        path: &str,
    ) -> Option<Json> {
        if words.contains(&scalar.text) {
            return Some(scalar.text.clone().into());
        }
        let problem = ShapeProblem::NotAChoice {
            path: path.to_owned(),
            text: scalar.text.clone(),
            allowed: words.to_vec(),
        };
        self.findings.add(&problem, path, place);
        None
    }
}

/// Appends a key to a path; gives the length to truncate it to again.
pub(super) fn enter(path: &mut String, key: &str) -> usize {
    let outer = path.len();
    if outer > 0 {
        path.push('.');
    }
    path.push_str(key);
    outer
}

/// Appends an index to a path; gives the length to truncate it to again.
pub(super) fn enter_item(path: &mut String, index: usize) -> usize {
    use std::fmt::Write as _;
    let outer = path.len();
    // Writing to a String cannot fail.
    let _ = write!(path, "[{index}]");
    outer
}

fn is_profile_key(key: &str) -> bool {
    matches!(&*PROFILE, Shape::Object(profile) if profile.keys.contains_key(key))
}

fn whole(scalar: &Scalar) -> Option<u64> {
    let is_number = scalar.style == Style::Plain && scalar.text.bytes().all(|b| b.is_ascii_digit());
    scalar.text.parse().ok().filter(|_| is_number)
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Object(_) | Shape::Map { .. } => "a map of keys and values".to_owned(),
        Shape::List { .. } => "a list".to_owned(),
        Shape::Text(format) => format.map_or("a text", |format| format.wanted).to_owned(),
        Shape::Choice(words) => one_of(words),
        Shape::Integer { least, most } => format!("a whole number from {least} to {most}"),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Anything => "a value".to_owned(),
    }
}

/// How to write what was probably meant.
fn advice(shape: &Shape, node: &Node) -> String {
    match (shape, &node.value) {
        (Shape::Integer { .. }, Value::Scalar(scalar)) if scalar.style == Style::Quoted => {
            let is_number =
                !scalar.text.is_empty() && scalar.text.bytes().all(|b| b.is_ascii_digit());
            if is_number {
                "remove the quotes".to_owned()
            } else {
                String::new()
            }
        }
        (Shape::List { items, .. }, Value::Scalar(scalar)) if matches!(**items, Shape::Text(_)) => {
            let words: Vec<&str> = scalar.text.split_whitespace().collect();
            format!("write it as a list: `[{}]`", words.join(", "))
        }
        (Shape::Map { .. }, Value::List(_)) => "write `KEY: value` lines without `-`".to_owned(),
        _ => String::new(),
    }
}

/// The same value as the type that is wanted, where that is beyond doubt.
fn rewritten(shape: &Shape, node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.')
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-./=".contains(&b))
    };
    let words: Vec<&str> = scalar.text.split_whitespace().collect();
    match shape {
        Shape::Integer { .. } if scalar.style == Style::Quoted => {
            let text = scalar.text.trim();
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.to_owned())
        }
        Shape::Flag => match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some("true".to_owned()),
            "false" | "no" | "off" => Some("false".to_owned()),
            _ => None,
        },
        Shape::List { .. } if !words.is_empty() && words.iter().all(|word| is_word(word)) => {
            Some(format!("[{}]", words.join(", ")))
        }
        _ => None,
    }
}

/// A node whose types only YAML decides.
/// A node as YAML 1.2 types it.
pub(super) fn anything(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => scalar.to_json(),
        Value::List(items) => items.iter().map(anything).collect(),
        Value::Map(map) => map
            .entries
            .iter()
            .map(|entry| (entry.key.clone(), anything(&entry.node)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
