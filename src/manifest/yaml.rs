//! YAML text -> tree with places. The only file that knows the YAML parser.
//!
//! Nodes behind an alias or a merge key keep the place of their definition: that is the line to edit.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{
    problem::{Findings, Problem},
    tree::{Map, Node, Origin, Scalar, SourceId, Style, Value},
};

/// Maps and lists inside each other; protects the stack, also against anchors inside anchors.
const DEEPEST: usize = 64;
/// Nodes of one file, aliases expanded; protects the memory against anchors that multiply.
const MOST_NODES: usize = 300_000;

/// What can be wrong with a file as YAML.
#[derive(Debug, thiserror::Error)]
pub(super) enum YamlProblem {
    #[error("the YAML is not valid: {reason}")]
    Syntax { reason: String, help: &'static str },
    #[error("the file holds more than one YAML document")]
    SecondDocument,
    #[error("the file is empty")]
    Empty,
    #[error("`{path}` must hold keys and values, not {found}")]
    NotAMap { path: String, found: String },
    #[error("the key `{key}` is written twice")]
    DuplicateKey { key: String, first_line: u32 },
    #[error("a key must be a text")]
    KeyNotText,
    #[error("`<<` must take a map, or a list of maps")]
    BadMerge,
    #[error("the alias refers to the value it is a part of")]
    RecursiveAlias,
    #[error("the YAML tag `{tag}` is not known")]
    UnknownTag { tag: String },
    #[error("maps and lists are nested more than {DEEPEST} deep")]
    TooDeep,
    #[error("the file holds more than {MOST_NODES} values once its aliases are expanded")]
    TooMany,
}

impl Problem for YamlProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. }
            | Self::SecondDocument
            | Self::KeyNotText
            | Self::BadMerge
            | Self::RecursiveAlias
            | Self::UnknownTag { .. } => "manifest.syntax",
            Self::Empty => "manifest.empty",
            Self::NotAMap { .. } => "manifest.wrong-type",
            Self::DuplicateKey { .. } => "manifest.duplicate-key",
            Self::TooDeep | Self::TooMany => "manifest.too-complex",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::Syntax { help, .. } => *help,
            Self::SecondDocument => "remove the line `---` and what follows it",
            Self::Empty => "`devenv init` writes a first manifest",
            Self::NotAMap { .. } => "write `key: value` lines",
            Self::DuplicateKey { first_line, .. } => {
                return vec![format!(
                    "it is first written on line {first_line}: keep one of the two"
                )];
            }
            Self::KeyNotText => "write the key as a single word before the `:`",
            Self::BadMerge => "write `<<: *anchor` or `<<: [*one, *other]`",
            Self::RecursiveAlias => "write the value out",
            Self::UnknownTag { .. } => "remove the tag; put the value in quotes to make it a text",
            Self::TooDeep | Self::TooMany => "write the values out, or split them into profiles",
        };
        match help {
            "" => Vec::new(),
            help => vec![help.to_owned()],
        }
    }
}

/// Reads `text`; `None` where no tree can be made of it. Mistakes go to `findings`.
pub(super) fn parse(text: &str, source: SourceId, findings: &mut Findings) -> Option<Node> {
    let mut composer = Composer::new(text, source, findings);
    composer.document().unwrap_or_default()
}

/// Reading cannot go on; the mistake is already among the findings.
struct Stop;

struct Composer<'a> {
    events: Parser<'a, StrInput<'a>>,
    source: SourceId,
    findings: &'a mut Findings,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
}

struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

impl<'a> Composer<'a> {
    fn new(text: &'a str, source: SourceId, findings: &'a mut Findings) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        Self {
            events: Parser::new_from_str_with_options(text, options),
            source,
            findings,
            anchors: HashMap::new(),
            nodes: 0,
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self.stop(&YamlProblem::SecondDocument, span));
                }
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Stop> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            Some(Err(error)) => {
                let mark = *error.marker();
                Err(self.stop(&syntax(&error), Span::empty(mark)))
            }
        }
    }

    /// The next event inside a map or a list; the parser ends them all before it ends itself.
    fn inner(&mut self, around: Span) -> Result<(Event<'a>, Span), Stop> {
        match self.next()? {
            Some(next) => Ok(next),
            None => Err(self.stop(
                &YamlProblem::Syntax {
                    reason: "it ends too early".to_owned(),
                    help: "",
                },
                around,
            )),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.stop(&YamlProblem::TooMany, span));
        }
        if depth > DEEPEST {
            return Err(self.stop(&YamlProblem::TooDeep, span));
        }
        if let Event::Alias(id) = event {
            return self.alias(id, span, depth);
        }
        let anchor = event.anchor_id();
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                let style = if style == ScalarStyle::Plain {
                    Style::Plain
                } else {
                    Style::Quoted
                };
                let text = text.into_owned();
                self.scalar(Scalar { text, style }, tag.as_deref(), span)
            }
            Event::SequenceStart(_, _, tag) => {
                self.check_tag(tag.as_deref(), "seq", span);
                Value::List(self.list(span, depth)?)
            }
            Event::MappingStart(_, _, tag) => {
                self.check_tag(tag.as_deref(), "map", span);
                Value::Map(self.map(span, depth)?)
            }
            _ => Value::Null,
        };
        let node = Node::new(value, self.origin(span));
        if let Some(id) = anchor.filter(|id| *id != 0) {
            let (nodes, height) = node.measure();
            let node = node.clone();
            self.anchors.insert(
                id,
                Anchored {
                    node,
                    nodes,
                    height,
                },
            );
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node, Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.stop(&YamlProblem::RecursiveAlias, span));
        };
        self.nodes += anchored.nodes;
        if depth + anchored.height > DEEPEST {
            return Err(self.stop(&YamlProblem::TooDeep, span));
        }
        if self.nodes > MOST_NODES {
            return Err(self.stop(&YamlProblem::TooMany, span));
        }
        Ok(anchored.node.clone())
    }

    fn list(&mut self, around: Span, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.inner(around)?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, around: Span, depth: usize) -> Result<Map, Stop> {
        let mut map = Map::default();
        let mut merged = Vec::new();
        let mut first_lines: HashMap<String, u32> = HashMap::new();
        loop {
            let (event, key_span) = self.inner(around)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, key_span, depth + 1)?;
            let (event, span) = self.inner(around)?;
            let node = self.node(event, span, depth + 1)?;
            let (key, style) = match key.value {
                Value::Scalar(scalar) => (scalar.text, scalar.style),
                Value::Null => (String::new(), Style::Plain),
                Value::List(_) | Value::Map(_) => {
                    self.add(&YamlProblem::KeyNotText, key_span);
                    continue;
                }
            };
            let key_origin = self.origin(key_span);
            if let Some(first_line) = first_lines.insert(key.clone(), key_origin.line) {
                let problem = YamlProblem::DuplicateKey { key, first_line };
                self.add(&problem, key_span);
            } else if key == "<<" && style == Style::Plain {
                merged = self.merge_sources(node, span);
            } else {
                map.push(key, key_origin, node);
            }
        }
        for from in merged {
            for entry in from.entries {
                if !first_lines.contains_key(&entry.key) {
                    first_lines.insert(entry.key.clone(), entry.key_origin.line);
                    map.entries.push(entry);
                }
            }
        }
        Ok(map)
    }

    /// The maps behind `<<`, the earlier winning.
    fn merge_sources(&mut self, node: Node, span: Span) -> Vec<Map> {
        let nodes = match node.value {
            Value::List(items) => items,
            value => vec![Node::new(value, node.origin)],
        };
        let mut maps = Vec::new();
        for node in nodes {
            match node.value {
                Value::Map(map) => maps.push(map),
                _ => self.add(&YamlProblem::BadMerge, span),
            }
        }
        maps
    }

    fn scalar(&mut self, scalar: Scalar, tag: Option<&granit_parser::Tag>, span: Span) -> Value {
        let quoted = |text| {
            Value::Scalar(Scalar {
                text,
                style: Style::Quoted,
            })
        };
        match tag.map(|tag| (tag, tag.core_suffix())) {
            None => {}
            Some((_, Some("str"))) => return quoted(scalar.text),
            Some((_, Some("null"))) => return Value::Null,
            Some((_, Some("int" | "float" | "bool"))) => {
                return Value::Scalar(Scalar {
                    style: Style::Plain,
                    ..scalar
                });
            }
            Some((tag, _)) if tag.handle().is_empty() && tag.suffix() == "!" => {
                return quoted(scalar.text);
            }
            Some((tag, _)) => self.unknown_tag(tag, span),
        }
        let is_null = matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        if is_null && scalar.style == Style::Plain {
            Value::Null
        } else {
            Value::Scalar(scalar)
        }
    }

    fn check_tag(&mut self, tag: Option<&granit_parser::Tag>, allowed: &str, span: Span) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(allowed)
        {
            self.unknown_tag(tag, span);
        }
    }

    fn unknown_tag(&mut self, tag: &granit_parser::Tag, span: Span) {
        let tag = format!("{}{}", tag.original_handle(), tag.suffix());
        self.add(&YamlProblem::UnknownTag { tag }, span);
    }

    fn origin(&self, span: Span) -> Origin {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col())
        } else {
            // To the end of the line: `Sources::place` cuts it there.
            usize::MAX
        };
        Origin {
            source: self.source,
            line: narrow(span.start.line().max(1)),
            column: narrow(span.start.col() + 1),
            length: narrow(length.max(1)),
        }
    }

    fn add(&mut self, problem: &YamlProblem, span: Span) {
        let origin = self.origin(span);
        self.findings.add(problem, "", origin);
    }

    fn stop(&mut self, problem: &YamlProblem, span: Span) -> Stop {
        self.add(problem, span);
        Stop
    }
}

/// What the parser says, with advice for the common slips.
fn syntax(error: &ScanError) -> YamlProblem {
    use granit_parser::ErrorKind;
    let (reason, help) = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => (
            "a tab cannot indent".to_owned(),
            "indent with spaces: two for each level",
        ),
        ErrorKind::UnknownAnchor => (
            "the alias has no anchor before it".to_owned(),
            "write `&name` at the value that `*name` repeats, above it; put a text that begins with `*` in quotes",
        ),
        _ => (
            error.info(),
            "look at this line and the one before it: indentation, a missing `:` or an open quote or bracket",
        ),
    };
    YamlProblem::Syntax { reason, help }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use super::*;
    use crate::manifest::source::Sources;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let mut sources = Sources::default();
        let source = sources.add(Path::new("f"), text.to_owned());
        let mut findings = Findings::default();
        let node = parse(text, source, &mut findings);
        let failures = findings.into_failures(&sources);
        let lines = failures
            .iter()
            .map(|failure| {
                let place = failure.place.as_ref().unwrap();
                format!(
                    "{}:{}+{} {}",
                    place.line, place.column, place.length, failure.what
                )
            })
            .collect();
        (node, lines)
    }

    fn good(text: &str) -> Map {
        let (node, problems) = read(text);
        assert_eq!(problems, [""; 0]);
        node.unwrap().as_map().unwrap().clone()
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let map = good("é: no\nv: 1.10\nempty:\nq: '~'\n");
        let version = map.get("v").unwrap();
        assert_eq!(version.as_scalar().unwrap().text, "1.10");
        assert_eq!(map.get("é").unwrap().as_scalar().unwrap().text, "no");
        assert_eq!(map.get("empty").unwrap().value, Value::Null);
        assert_eq!(map.get("q").unwrap().as_scalar().unwrap().text, "~");
        let Origin {
            line,
            column,
            length,
            ..
        } = version.origin;
        assert_eq!((line, column, length), (2, 4, 4));
    }

    #[test]
    fn merge_keys_and_aliases_keep_the_place_of_the_definition() {
        let map = good("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n");
        let b = map.get("b").unwrap().as_map().unwrap();
        assert_eq!(b.get("y").unwrap().as_scalar().unwrap().text, "3");
        assert_eq!(b.get("x").unwrap().origin.line, 1);
        assert_eq!(map.get("c").unwrap().as_map().unwrap().entries.len(), 2);
    }

    #[test]
    fn every_duplicate_key_is_found() {
        let (_, problems) = read("a: 1\nb: {c: 1, c: 2}\na: 3\n");
        assert_eq!(
            problems,
            [
                "2:11+1 the key `c` is written twice",
                "3:1+1 the key `a` is written twice"
            ]
        );
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
        }
        assert!(read(&text).1[0].contains("300000 values"), "many");
        assert!(
            read(&("[".repeat(200) + &"]".repeat(200))).1[0].contains("nested"),
            "flow"
        );
        let mut chain = "b0: &b0 x\n".to_owned();
        for n in 1..40 {
            writeln!(chain, "b{n}: &b{n} [[*b{}]]", n - 1).unwrap();
        }
        assert!(
            read(&chain).1[0].contains("nested"),
            "anchors inside anchors"
        );
    }
}
