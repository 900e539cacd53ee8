//! YAML, read into a tree of texts and written by hand: values in one line, quoted where a reader could misread them.

use std::{collections::HashMap, fmt};

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, StrInput};

/// A value of a YAML file. Scalars are texts: what they mean is decided by the key they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Self>),
    /// In the order written.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// The value of a key; `None` also if this is no map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; a single value counts as a list of one.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::Null => &[],
            Self::List(items) => items,
            other => std::slice::from_ref(other),
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self::Scalar(text.into())
    }

    /// A list of scalars.
    pub(super) fn list<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Self::of).collect())
    }
}

/// A text that is no YAML, and where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NotYaml {
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    reason: String,
}

/// Nodes of one file, aliases written out; protects the memory against anchors that multiply.
const MOST_NODES: usize = 200_000;
/// Maps and lists inside each other; protects the stack.
const DEEPEST: usize = 64;

/// Reads a YAML file of another tool: tags are passed over, the last of equal keys wins, only the
/// first document counts. An empty text is `Null`.
pub(super) fn read(text: &str) -> Result<Value, NotYaml> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(Value::Null),
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => return reader.node(event, span, 0),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), NotYaml> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(NotYaml {
                line: error.marker().line().max(1),
                column: error.marker().col() + 1,
                reason: error.info(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, NotYaml> {
        let before = self.nodes;
        self.count(1, span, depth)?;
        let anchor = event.anchor_id().filter(|id| *id != 0);
        let value = match event {
            Event::Alias(id) => {
                let (value, nodes) = self.anchors.get(&id).cloned().unwrap_or((Value::Null, 0));
                self.count(nodes, span, depth)?;
                return Ok(value);
            }
            Event::Scalar(text, style, ..) => {
                let is_null = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                if is_null && style == ScalarStyle::Plain {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                }
            }
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => Value::Null,
        };
        if let Some(id) = anchor {
            self.anchors
                .insert(id, (value.clone(), self.nodes - before));
        }
        Ok(value)
    }

    fn count(&mut self, nodes: usize, span: Span, depth: usize) -> Result<(), NotYaml> {
        self.nodes += nodes;
        if self.nodes <= MOST_NODES && depth <= DEEPEST {
            return Ok(());
        }
        Err(NotYaml {
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            reason: "the file is nested too deep, or too large once its aliases are written out"
                .to_owned(),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, NotYaml> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, NotYaml> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let key = key.text().unwrap_or_default().to_owned();
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if is_merge {
                merged.push(value);
            } else if let Some(entry) = entries.iter_mut().find(|(name, _)| *name == key) {
                entry.1 = value;
            } else {
                entries.push((key, value));
            }
        }
        for value in &merged {
            for (key, value) in value.items().iter().flat_map(Value::entries) {
                if !entries.iter().any(|(name, _)| name == key) {
                    entries.push((key.clone(), value.clone()));
                }
            }
        }
        Ok(Value::Map(entries))
    }
}

/// A value in one line, so that a reader of YAML 1.1 or 1.2 gets the same texts again.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Scalar(text) => f.write_str(&scalar(text)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Map(entries) if entries.is_empty() => f.write_str("{}"),
            Self::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {value}", scalar(key)));
                write!(f, "{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A text as a YAML scalar in one line.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // JSON's quotes and escapes are YAML's; what YAML wants escaped beyond them follows.
    let quoted = serde_json::Value::from(text).to_string();
    let escaped = quoted.chars().map(|c| match c {
        '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        c => c.to_string(),
    });
    escaped.collect()
}

/// Words that YAML 1.1 or 1.2 takes for something else than a text.
const WORDS: [&str; 10] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none",
];

/// Whether every reader takes the text for itself without quotes, also inside brackets.
fn is_plain(text: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '/';
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_-./@+=:% ".contains(c);
    let number = text.strip_prefix('-').unwrap_or(text);
    // A short number without a leading zero is one in every version of YAML, and read back as written.
    let is_number = number.len() < 16
        && number.bytes().all(|b| b.is_ascii_digit())
        && (number == "0" && text == "0" || number.starts_with(|c: char| ('1'..='9').contains(&c)));
    is_number
        || text.starts_with(is_start)
            && text.chars().all(is_inner)
            && !text.ends_with([' ', ':'])
            && !text.contains(": ")
            && !text.contains("  ")
            && !WORDS.contains(&&*text.to_ascii_lowercase())
}

/// A text as it may stand in a comment: one line, nothing hidden in it.
pub(super) fn comment(text: &str) -> String {
    let visible = |c: char| match c {
        '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    format!("# {}", text.chars().map(visible).collect::<String>())
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_reader_could_misread_is_quoted() {
        for text in [
            "",
            "no",
            "Yes",
            "NULL",
            "~",
            "1.10",
            "0755",
            "1e3",
            "0x10",
            "22:22",
            "2024-01-01",
            "- a",
            "a: b",
            "a #b",
            "*x",
            "&x",
            "!x",
            "%x",
            "@x",
            "`x",
            "[a]",
            "{a}",
            "a,b",
            "it's",
            "\"",
            "a\\b",
            " a",
            "a ",
            "a:",
            "=",
            "<<",
            ".inf",
            "a\nb",
            "+1",
            "01",
            "-",
            "--- a",
            "null",
        ] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        for text in [
            "redis:7",
            "postgres://a:b@c/d",
            "services/order",
            "pg_isready -U shop",
            "8080",
            "-5",
            "/data",
        ] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn anchors_merge_keys_and_tags_of_other_tools_are_read() {
        let text =
            "x: &a { k: 1, l: no }\ny: { <<: *a, k: 2 }\nz: !reset [1, ~]\nk: 1\nk: 2\nv: 3.10\n";
        let value = read(text).unwrap();
        assert_eq!(value.get("y").unwrap().get("l"), Some(&Value::of("no")));
        assert_eq!(value.get("y").unwrap().get("k"), Some(&Value::of("2")));
        assert_eq!(
            value.get("z"),
            Some(&Value::List(vec![Value::of("1"), Value::Null]))
        );
        assert_eq!(value.get("k"), Some(&Value::of("2")));
        assert_eq!(value.get("v"), Some(&Value::of("3.10")));
        assert_eq!(read("# nothing\n"), Ok(Value::Null));
        assert_eq!(read("a: [1\nb: 2\n").map_err(|error| error.line), Err(2));
    }

    #[test]
    fn anchors_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(read(&text).is_err());
        assert!(read(&"[".repeat(200)).is_err());
    }

    #[test]
    fn a_comment_stays_on_its_line() {
        assert_eq!(comment("a\nservices: {}\u{2028}x"), "# a services: {} x");
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", any::<String>()];
        text.prop_map(Value::Scalar)
            .prop_recursive(3, 12, 4, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                    prop::collection::btree_map("[ -~]{1,8}", inner, 0..4).prop_map(|map| {
                        Value::Map(map.into_iter().filter(|(key, _)| key != "<<").collect())
                    }),
                ]
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in values()) {
            let text = format!("key: {value}\nafter: 1\n");
            let back = read(&text);
            prop_assert!(back.is_ok(), "{text}");
            let back = back.unwrap();
            prop_assert_eq!(back.get("key"), Some(&value), "{}", text);
            prop_assert_eq!(back.get("after"), Some(&Value::of("1")));
        }
    }
}
