//! `${NAME}` in texts of a compose file: replaced as compose does, from what is known.

use std::collections::BTreeMap;

/// A text with its variables replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    /// The text; a variable without a value is empty.
    pub(super) text: String,
    /// The variables that had no value.
    pub(super) missing: Vec<String>,
}

/// Defaults inside defaults deeper than this are left alone.
const DEEPEST: usize = 8;

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and their relatives by `known` values; `$$` is a `$`.
pub(super) fn interpolate(text: &str, known: &BTreeMap<String, String>) -> Interpolated {
    let mut out = Interpolated::default();
    replace(text, known, DEEPEST, &mut out);
    out
}

fn replace(text: &str, known: &BTreeMap<String, String>, depth: usize, out: &mut Interpolated) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some((inner, after)) = braced(rest).filter(|_| depth > 0) {
            expression(inner, known, depth - 1, out);
            rest = after;
        } else {
            let end = name_end(rest);
            if end == 0 {
                out.text.push('$');
            } else {
                variable(&rest[..end], known, out);
            }
            rest = &rest[end..];
        }
    }
    out.text.push_str(rest);
}

fn variable(name: &str, known: &BTreeMap<String, String>, out: &mut Interpolated) {
    match known.get(name) {
        Some(value) => out.text.push_str(value),
        None => out.missing.push(name.to_owned()),
    }
}

/// What stands in braces: `NAME`, `NAME:-default`, `NAME-default`, `NAME:?message`, `NAME:+other`.
fn expression(inner: &str, known: &BTreeMap<String, String>, depth: usize, out: &mut Interpolated) {
    let (name, operator) = inner.split_at(name_end(inner));
    let (may_be_empty, operator) = match operator.strip_prefix(':') {
        Some(operator) => (false, operator),
        None => (true, operator),
    };
    let value = known
        .get(name)
        .filter(|value| may_be_empty || !value.is_empty());
    match (operator.chars().next(), value) {
        (Some('-'), None) | (Some('+'), Some(_)) => replace(&operator[1..], known, depth, out),
        (Some('+'), None) => {}
        (_, Some(value)) => out.text.push_str(value),
        (_, None) => out.missing.push(name.to_owned()),
    }
}

fn name_end(text: &str) -> usize {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !is_inner(c)).unwrap_or(text.len())
}

/// The text inside the braces that `text` begins with, and what follows them.
fn braced(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 1;
    for (index, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inner[..index], &inner[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(text: &str) -> (String, Vec<String>) {
        let known = [("A", "1"), ("EMPTY", "")];
        let known = known
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let done = interpolate(text, &known);
        (done.text, done.missing)
    }

    #[test]
    fn every_form_is_replaced_as_compose_does() {
        for (text, expected) in [
            ("$A-${A}", "1-1"),
            ("${B:-x}${B-y}", "xy"),
            ("${EMPTY:-x}${EMPTY-y}", "x"),
            ("${B:-${A}}", "1"),
            ("${A:+z}${B:+z}", "z"),
            ("${A:?must}", "1"),
            ("$$HOME $ 5$", "$HOME $ 5$"),
        ] {
            assert_eq!(done(text), (expected.to_owned(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_told() {
        assert_eq!(
            done("a$B${C:?must}"),
            ("a".to_owned(), vec!["B".to_owned(), "C".to_owned()])
        );
        assert_eq!(done("${open"), ("${open".to_owned(), Vec::new()));
    }
}
