//! Documents for machines: JSON, JSON Lines, YAML.

use serde_json::Value;

use super::text::is_hidden;
use crate::report::{OutputFormat, Redactor, Report};

/// A document as JSON over several lines, or as YAML, with its end; secrets are replaced.
pub(super) fn document(report: &Report, format: OutputFormat, redactor: &Redactor) -> String {
    let value = redacted(report, redactor);
    match format {
        OutputFormat::Yaml => yaml(&value),
        OutputFormat::Text | OutputFormat::Json => escaped(&format!("{value:#}\n")),
    }
}

/// One of a stream: a line of JSON, or a YAML document behind `---`.
pub(super) fn item(report: &Report, format: OutputFormat, redactor: &Redactor) -> String {
    let value = redacted(report, redactor);
    match format {
        OutputFormat::Yaml => format!("---\n{}", yaml(&value)),
        OutputFormat::Text | OutputFormat::Json => escaped(&format!("{value}\n")),
    }
}

fn redacted(report: &Report, redactor: &Redactor) -> Value {
    // Reports hold texts, numbers and lists, which always have a JSON form.
    let mut value = serde_json::to_value(report).unwrap_or_default();
    redactor.value(&mut value);
    value
}

/// A JSON text in which characters that could reorder or hide text on a terminal are escaped.
///
/// They can only stand inside strings, where the escape means the same.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\x7f' || is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A value in YAML, with its end of line; characters that could hide text are shown by their numbers.
pub(super) fn yaml(value: &Value) -> String {
    let mut text: String = serde_saphyr::to_string(value)
        .unwrap_or_default()
        .chars()
        // A plain scalar knows no escapes: these characters are shown by their numbers.
        .map(|c| {
            if is_hidden(c) {
                format!("<U+{:04X}>", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Kubeconfig;

    fn report(path: &str) -> Report {
        Report::Kubeconfig(Kubeconfig {
            path: path.into(),
            context: "no".into(),
        })
    }

    #[test]
    fn yaml_is_the_same_document() {
        let awkward = "/x: 1\n# y\u{9b}\x1b";
        let text = document(&report(awkward), OutputFormat::Yaml, &Redactor::default());
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, serde_json::to_value(report(awkward)).unwrap());
    }

    #[test]
    fn yaml_holds_no_character_that_drives_a_terminal() {
        let text = document(
            &report("a\u{202e}b"),
            OutputFormat::Yaml,
            &Redactor::default(),
        );
        assert!(text.contains("a<U+202E>b"), "{text}");
    }

    #[test]
    fn a_json_text_holds_no_character_that_drives_a_terminal() {
        let text = item(
            &report("a\u{9b}\u{202e}\u{e0041}\x1b"),
            OutputFormat::Json,
            &Redactor::default(),
        );
        assert!(
            !text
                .trim_end()
                .chars()
                .any(|c| c.is_control() || is_hidden(c))
        );
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["path"], "a\u{9b}\u{202e}\u{e0041}\x1b");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_secret_is_replaced_before_it_is_quoted() {
        let redactor = Redactor::default();
        redactor.register("pass\"word\\1");
        let text = document(&report("pass\"word\\1"), OutputFormat::Json, &redactor);
        assert!(text.contains("[redacted]"), "{text}");
    }
}
