//! A YAML document as a tree in which every node knows where it was written.

/// Which text a node comes from: an index into [`super::source::Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SourceId(pub(super) u16);

/// Where a node was written: line and column from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin {
    pub(super) source: SourceId,
    pub(super) line: u32,
    pub(super) column: u32,
    /// Characters on that line, at least 1.
    pub(super) length: u32,
}

impl Origin {
    /// The first character of a text.
    pub(super) const fn start_of(source: SourceId) -> Self {
        Self {
            source,
            line: 1,
            column: 1,
            length: 1,
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A scalar as written: its type is decided by the key it belongs to, so `1.10` and `no` survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: Style,
}

/// Whether quotes (or a block) make a scalar a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
}

/// The entries of a map, in the order written; keys are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: Origin,
    pub(super) node: Node,
}

impl Entry {
    /// Where to point for the value: at itself, or at its key where it spans lines.
    pub(super) const fn place(&self) -> Origin {
        match self.node.value {
            Value::Scalar(_) => self.node.origin,
            Value::Null | Value::List(_) | Value::Map(_) => self.key_origin,
        }
    }
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.node)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    pub(super) fn push(&mut self, key: impl Into<String>, key_origin: Origin, node: Node) {
        self.entries.push(Entry {
            key: key.into(),
            key_origin,
            node,
        });
    }
}

impl Node {
    /// A map without entries, written nowhere.
    pub(super) fn empty() -> Self {
        let nowhere = Origin::start_of(SourceId(u16::MAX));
        Self::new(Value::Map(Map::default()), nowhere)
    }

    pub(super) const fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(super) fn text(text: impl Into<String>, origin: Origin) -> Self {
        let scalar = Scalar {
            text: text.into(),
            style: Style::Quoted,
        };
        Self::new(Value::Scalar(scalar), origin)
    }

    pub(super) const fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) const fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) const fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Nodes in this tree and its height, itself included.
    pub(super) fn measure(&self) -> (usize, usize) {
        let of_children = |children: &mut dyn Iterator<Item = &Self>| {
            children
                .map(Self::measure)
                .fold((0, 0), |(nodes, height), (n, h)| (nodes + n, height.max(h)))
        };
        let (nodes, height) = match &self.value {
            Value::Null | Value::Scalar(_) => (0, 0),
            Value::List(items) => of_children(&mut items.iter()),
            Value::Map(map) => of_children(&mut map.entries.iter().map(|entry| &entry.node)),
        };
        (nodes + 1, height + 1)
    }
}

impl Scalar {
    /// The scalar as YAML 1.2 types it, for values whose type no key decides.
    pub(super) fn to_json(&self) -> serde_json::Value {
        if self.style == Style::Quoted {
            return self.text.clone().into();
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return true.into(),
            "false" | "False" | "FALSE" => return false.into(),
            _ => {}
        }
        if let Some(number) = self.number() {
            return number.into();
        }
        self.text.clone().into()
    }

    /// Whether YAML 1.2 reads it as a number, and which.
    fn number(&self) -> Option<serde_json::Number> {
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let text = self.text.strip_prefix('+').unwrap_or(&self.text);
        if let Ok(number) = text.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = text.parse::<u64>() {
            return Some(number.into());
        }
        let is_float = digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
        serde_json::Number::from_f64(text.parse().ok().filter(|_| is_float)?)
    }
}

impl std::fmt::Display for Node {
    /// Says what the node is, for a message about what was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// Longer texts are cut in messages.
        const SHOWN: usize = 40;
        match &self.value {
            Value::Null => f.write_str("nothing"),
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a map"),
            Value::Scalar(scalar) => {
                let kind = match scalar.to_json() {
                    serde_json::Value::Number(_) => "the number ",
                    serde_json::Value::Bool(_) => "",
                    _ => "the text ",
                };
                let line = scalar.text.lines().next().unwrap_or_default();
                let shown: String = line.chars().take(SHOWN).collect();
                let more = if shown.len() < scalar.text.len() {
                    "…"
                } else {
                    ""
                };
                write!(f, "{kind}`{shown}{more}`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_plain_scalars_are_typed_and_no_is_a_text() {
        let typed = |text: &str, style| {
            Scalar {
                text: text.to_owned(),
                style,
            }
            .to_json()
        };
        assert_eq!(typed("no", Style::Plain), json!("no"));
        assert_eq!(typed("true", Style::Plain), json!(true));
        assert_eq!(typed("-12", Style::Plain), json!(-12));
        assert_eq!(typed("1.5", Style::Plain), json!(1.5));
        assert_eq!(typed("1.2.3", Style::Plain), json!("1.2.3"));
        assert_eq!(typed("1", Style::Quoted), json!("1"));
        assert_eq!(typed(".", Style::Plain), json!("."));
        assert_eq!(typed("infinity", Style::Plain), json!("infinity"));
    }
}
