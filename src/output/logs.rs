//! Log lines of containers, told apart by service; lines that are JSON objects are read for people.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    style::{Style, Tone, service_tone},
    text::{pad, safe_text, width},
};
use crate::report::{LogLine, Redactor};

/// Names under which loggers write the level.
const LEVEL: [&str; 4] = ["level", "lvl", "severity", "log.level"];
/// Names under which loggers write the message.
const MESSAGE: [&str; 3] = ["msg", "message", "event"];
/// Names under which loggers write the time, which the line's place in the stream tells.
const TIME: [&str; 4] = ["time", "ts", "timestamp", "@timestamp"];

/// Renders log lines; knows the widest label so far.
#[derive(Debug)]
pub(super) struct Logs {
    style: Style,
    redactor: Redactor,
    widest: usize,
}

impl Logs {
    pub(super) const fn new(style: Style, redactor: Redactor) -> Self {
        Self {
            style,
            redactor,
            widest: 0,
        }
    }

    /// `label | text`, with its end. A service keeps its colour, whichever of its pods speaks.
    pub(super) fn line(&mut self, line: &LogLine) -> String {
        let label = safe_text(&line.label);
        self.widest = self.widest.max(width(&label));
        let prefix = format!(
            "{} {}",
            pad(&label, self.widest),
            self.style.glyph("│", "|")
        );
        let prefix = self
            .style
            .paint(service_tone(line.service.as_str()), prefix);
        let text = self.redactor.text(&line.message);
        let text = structured(&text).map_or_else(|| safe_text(&text), |entry| self.entry(&entry));
        format!("{prefix} {text}\n")
    }

    fn entry(&self, entry: &Entry) -> String {
        let mut parts = Vec::new();
        if let Some(level) = &entry.level {
            let tone = level_tone(level);
            parts.push(self.style.paint(tone, pad(&safe_text(level), 5)));
        }
        parts.push(safe_text(&entry.message));
        for (key, value) in &entry.rest {
            let field = format!("{}={}", safe_text(key), safe_text(&scalar(value)));
            parts.push(self.style.paint(Tone::Dim, field));
        }
        parts.join(" ")
    }
}

/// A log line that is a JSON object with a message.
struct Entry {
    level: Option<String>,
    message: String,
    rest: BTreeMap<String, Value>,
}

fn structured(text: &str) -> Option<Entry> {
    if !text.starts_with('{') {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut take = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| fields.remove(*name))
            .map(|value| scalar(&value))
    };
    let message = take(&MESSAGE)?;
    let level = take(&LEVEL).map(|level| level.to_uppercase());
    take(&TIME);
    Some(Entry {
        level,
        message,
        rest: fields.into_iter().collect(),
    })
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn level_tone(level: &str) -> Tone {
    match level {
        "ERROR" | "FATAL" | "CRITICAL" | "PANIC" => Tone::Bad,
        "WARN" | "WARNING" => Tone::Warn,
        "DEBUG" | "TRACE" => Tone::Dim,
        _ => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};

    fn line(service: &str, text: &str) -> LogLine {
        LogLine {
            time: None,
            service: service.parse().unwrap(),
            pod: "p".into(),
            container: "c".into(),
            label: service.into(),
            message: text.into(),
        }
    }

    #[test]
    fn lines_stand_under_each_other_and_json_is_read() {
        let mut logs = Logs::new(PLAIN, Redactor::default());
        let text: String = [
            line("payment", "listening on :8080"),
            line(
                "order",
                r#"{"time":"t","level":"warn","msg":"stock low","sku":7,"a":"b"}"#,
            ),
            line("order", r#"{"no":"message"}"#),
            line("order", "\x1b]0;title\x07{"),
        ]
        .iter()
        .map(|line| logs.line(line))
        .collect();
        insta::assert_snapshot!(text, @r#"
        payment │ listening on :8080
        order   │ WARN  stock low a=b sku=7
        order   │ {"no":"message"}
        order   │ ^[]0;title^G{
        "#);
    }

    #[test]
    fn colours_change_no_text() {
        let sample = line("order", r#"{"level":"error","msg":"no","id":1}"#);
        let coloured = Logs::new(ANSI, Redactor::default()).line(&sample);
        assert_eq!(
            console::strip_ansi_codes(&coloured),
            Logs::new(PLAIN, Redactor::default()).line(&sample)
        );
    }
}
