//! Secrets are taken out of what goes into a bundle twice: by their values, and by the names that they have.

use serde_json::Value;

use crate::{
    domain::{conceal, conceal_line},
    report::Redactor,
};

/// A document over several lines.
pub(super) fn document(mut value: Value, redactor: &Redactor) -> Vec<u8> {
    clean(&mut value, redactor);
    format!("{value:#}\n").into_bytes()
}

/// Text, line by line; lines that are JSON stay so.
pub(super) fn lines(text: &str, redactor: &Redactor) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(mut value @ (Value::Object(_) | Value::Array(_))) => {
                clean(&mut value, redactor);
                out.push_str(&value.to_string());
            }
            _ => out.push_str(&conceal_line(&redactor.text(line))),
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn clean(value: &mut Value, redactor: &Redactor) {
    conceal(value);
    redactor.value(value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.register("by-its-value");
        redactor
    }

    fn assert_clean(bytes: Vec<u8>, kept: &str) {
        let text = String::from_utf8(bytes).unwrap();
        for secret in ["by-its-value", "hunter22"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains(kept), "{text}");
    }

    #[test]
    fn values_and_names_are_looked_for_in_documents_and_in_lines() {
        let value = json!({
            "env": { "API_TOKEN": "hunter22", "URL": "redis://:hunter22@cache", "COLOUR": "red" },
            "said": ["it is by-its-value"],
        });
        assert_clean(document(value.clone(), &redactor()), "red");
        let json = value.to_string();
        let text = format!(
            "{json}\n12:00 PASSWORD=hunter22\npostgres://a:hunter22@db by-its-value\nkept\n"
        );
        assert_clean(lines(&text, &redactor()), "kept\n");
        let cleaned = String::from_utf8(lines(&text, &redactor())).unwrap();
        assert_eq!(cleaned.lines().count(), 4);
    }
}
