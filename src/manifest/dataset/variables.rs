//! The variables of a dataset: put into its steps and checks, and looked for in its templates.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    domain::{TemplatePart, template_parts},
    manifest::{
        conform::{enter, enter_item},
        problem::{Findings, Problem, nearest, suggestions},
        source::Sources,
        tree::{Map, Node, Origin, Scalar, Style, Value},
    },
};

/// What can be wrong with a variable.
#[derive(Debug, thiserror::Error)]
enum VariableProblem {
    #[error("`${{{name}}}` is not a variable of the dataset")]
    Unknown { name: String, known: Vec<String> },
    #[error("`${{` is without a `}}` on its line")]
    Open,
    #[error("`{path}` has no effect: nothing of the dataset says `${{{name}}}`")]
    Unused { path: String, name: String },
}

impl Problem for VariableProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Open => "dataset.unknown-variable",
            Self::Unused { .. } => "dataset.unused-variable",
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Unknown { name, known } => {
                let known = known.iter().map(String::as_str);
                let is_slip = nearest(name, known.clone()).is_some();
                let mut help = suggestions(name, known, "variables");
                if !is_slip {
                    help.push(format!(
                        "write its value below `variables`, or `$${{{name}}}` for this text itself"
                    ));
                }
                help
            }
            Self::Open => {
                vec!["write `${name}` for a variable, or `$${` for this text itself".to_owned()]
            }
            Self::Unused { name, .. } => vec![format!(
                "remove it, or write `${{{name}}}` where it is meant; the files of a step say it only with `template: true`"
            )],
        }
    }
}

/// What a variable was written as.
enum Defined {
    Scalar(Scalar),
    /// Something else, which is said where it is written.
    Wrong,
}

/// The variables of one dataset.
#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Defined>,
    used: BTreeSet<String>,
    /// Something asked for a variable that there is not, perhaps meaning one of them.
    has_unknown: bool,
}

impl Variables {
    /// Those that `root` defines.
    pub(super) fn of(root: &Map) -> Self {
        let defined = root.get("variables").and_then(Node::as_map);
        let entries = defined
            .map(|map| map.entries.as_slice())
            .unwrap_or_default();
        let values = entries.iter().map(|entry| {
            let scalar = entry.node.as_scalar().cloned();
            let defined = scalar.map_or(Defined::Wrong, Defined::Scalar);
            (entry.key.clone(), defined)
        });
        Self {
            values: values.collect(),
            ..Self::default()
        }
    }

    /// Puts them into every text below `node`, whose path is `path`.
    pub(super) fn put_into(
        &mut self,
        node: &mut Node,
        path: &mut String,
        sources: &Sources,
        findings: &mut Findings,
    ) {
        match &mut node.value {
            Value::Null => {}
            Value::Scalar(scalar) => {
                if let Some(filled) = self.filled(scalar, node.origin, path, sources, findings) {
                    *scalar = filled;
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let outer = enter_item(path, index);
                    self.put_into(item, path, sources, findings);
                    path.truncate(outer);
                }
            }
            Value::Map(map) => {
                for entry in &mut map.entries {
                    let outer = enter(path, &entry.key);
                    self.put_into(&mut entry.node, path, sources, findings);
                    path.truncate(outer);
                }
            }
        }
    }

    /// A scalar with its variables replaced; `None` if it stays as it is.
    fn filled(
        &mut self,
        scalar: &Scalar,
        origin: Origin,
        path: &str,
        sources: &Sources,
        findings: &mut Findings,
    ) -> Option<Scalar> {
        if !scalar.text.contains("${") {
            return None;
        }
        let parts: Vec<TemplatePart<'_>> = template_parts(&scalar.text).collect();
        let mut text = String::new();
        let mut is_whole = true;
        let mut from = sources.offset(origin);
        for part in &parts {
            match *part {
                TemplatePart::Text(part) => text.push_str(part),
                TemplatePart::Variable { name, .. } => match self.value(name) {
                    Some(Defined::Scalar(value)) => text.push_str(&value.text),
                    Some(Defined::Wrong) => is_whole = false,
                    None => {
                        is_whole = false;
                        let written = format!("${{{name}}}");
                        let problem = self.unknown(name);
                        if !findings.is_full() {
                            let at = find(sources, origin, &mut from, &written);
                            findings.add(&problem, path, at);
                        }
                    }
                },
                TemplatePart::Open { .. } => {
                    is_whole = false;
                    if !findings.is_full() {
                        let at = find(sources, origin, &mut from, "${");
                        findings.add(&VariableProblem::Open, path, at);
                    }
                }
            }
        }
        // A variable alone is what its value is, so that it can be a number.
        let style = match parts.as_slice() {
            [TemplatePart::Variable { name, .. }] => match self.value(name) {
                Some(Defined::Scalar(value)) => value.style,
                _ => Style::Quoted,
            },
            _ => Style::Quoted,
        };
        is_whole.then_some(Scalar { text, style })
    }

    /// The value of a variable, which counts as used; `None` if there is no such variable.
    fn value(&mut self, name: &str) -> Option<&Defined> {
        let value = self.values.get(name)?;
        if !self.used.contains(name) {
            self.used.insert(name.to_owned());
        }
        Some(value)
    }

    fn unknown(&mut self, name: &str) -> VariableProblem {
        self.has_unknown = true;
        VariableProblem::Unknown {
            name: name.to_owned(),
            known: self.values.keys().cloned().collect(),
        }
    }

    /// Looks for variables in a template, the text of `file`.
    pub(super) fn look_into(
        &mut self,
        file: &Path,
        text: String,
        sources: &mut Sources,
        findings: &mut Findings,
    ) {
        let mut found = Vec::new();
        for part in template_parts(&text) {
            match part {
                TemplatePart::Variable { name, at } if self.value(name).is_none() => {
                    let length = name.chars().count() + "${}".len();
                    found.push((self.unknown(name), at, length));
                }
                TemplatePart::Open { at } => found.push((VariableProblem::Open, at, "${".len())),
                TemplatePart::Text(_) | TemplatePart::Variable { .. } => {}
            }
        }
        if found.is_empty() {
            return;
        }
        let source = sources.add(file, text);
        for (problem, at, length) in found {
            findings.add(&problem, "", sources.origin_at(source, at, length));
        }
    }

    /// Reports those that nothing asks for, unless one of them may be meant by what is unknown.
    pub(super) fn report_unused(&self, place: impl Fn(&str) -> Origin, findings: &mut Findings) {
        if self.has_unknown {
            return;
        }
        for name in self.values.keys().filter(|name| !self.used.contains(*name)) {
            let path = format!("variables.{name}");
            let problem = VariableProblem::Unused {
                path: path.clone(),
                name: name.clone(),
            };
            let origin = place(&path);
            findings.add(&problem, path, origin);
        }
    }
}

/// Where `written` stands in the source of a scalar that begins at `origin`, from the byte `from` on, which moves
/// behind it; the scalar itself where its text is written in another way.
fn find(sources: &Sources, origin: Origin, from: &mut usize, written: &str) -> Origin {
    let text = sources.text(origin.source);
    let rest = text.get(*from..).unwrap_or_default();
    let mut found = rest.match_indices(written).map(|(at, _)| *from + at);
    let Some(at) = found.find(|at| !text[..*at].ends_with('$')) else {
        return origin;
    };
    *from = at + written.len();
    sources.origin_at(origin.source, at, written.chars().count())
}
