//! Log lines of containers, told apart by service; lines that are JSON objects are read for people.

use serde_json::Value;

use super::{
    style::{Style, Tone, service_tone},
    text::{pad, safe_text, width},
};
use crate::{
    domain::LogLevel,
    report::{LogDetail, LogLine, Redactor},
};

/// Names under which loggers write the time, which the line's place in the stream tells.
const TIME: [&str; 4] = ["time", "ts", "timestamp", "@timestamp"];
/// The columns of a level.
const LEVEL_WIDTH: usize = 5;

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
        let mut parts = vec![prefix];
        if line.detail == LogDetail::Full {
            parts.push(self.style.paint(Tone::Dim, whence(line)));
        }
        match &line.text {
            Some(text) => self.entry(line, text, &mut parts),
            None => parts.push(self.safe(&line.message)),
        }
        format!("{}\n", parts.join(" "))
    }

    /// A line that is an object with a message: the level, the message and what else it says.
    fn entry(&self, line: &LogLine, text: &str, parts: &mut Vec<String>) {
        if let Some(level) = line.level {
            let name = pad(&level.as_str().to_uppercase(), LEVEL_WIDTH);
            parts.push(self.style.paint(level_tone(level), name));
        }
        parts.push(self.safe(text));
        for (key, value) in line.fields.iter().flatten() {
            if line.detail == LogDetail::Brief && TIME.contains(&key.as_str()) {
                continue;
            }
            let field = format!("{}={}", self.safe(key), self.safe(&scalar(value)));
            parts.push(self.style.paint(Tone::Dim, field));
        }
    }

    fn safe(&self, text: &str) -> String {
        safe_text(&self.redactor.text(text))
    }
}

/// When, where and on which output a line was said.
fn whence(line: &LogLine) -> String {
    let time = line.time.map(|time| time.to_string());
    let run = line.run.map(|run| format!("#{run}"));
    let place = format!("{}/{}{}", line.pod, line.container, run.unwrap_or_default());
    let parts = [time.as_deref(), Some(place.as_str()), line.stream];
    safe_text(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

const fn level_tone(level: LogLevel) -> Tone {
    match level {
        LogLevel::Error | LogLevel::Fatal => Tone::Bad,
        LogLevel::Warn => Tone::Warn,
        LogLevel::Debug | LogLevel::Trace => Tone::Dim,
        LogLevel::Info => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};
    use crate::domain::Said;

    fn line(service: &str, text: &str) -> LogLine {
        let said = Said::read(text);
        LogLine {
            time: None,
            run: None,
            stream: None,
            level: said.level,
            fields: said.message.is_some().then_some(said.fields),
            text: said.message,
            detail: LogDetail::Brief,
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
        order   │ WARN  stock low sku=7 a=b
        order   │ {"no":"message"}
        order   │ ^[]0;title^G{
        "#);
    }

    #[test]
    fn in_full_a_line_tells_when_where_and_all_of_its_fields() {
        let mut logs = Logs::new(PLAIN, Redactor::default());
        let full = LogLine {
            time: Some("2026-01-02T03:04:05.000000006Z".parse().unwrap()),
            run: Some(2),
            stream: Some("stderr"),
            detail: LogDetail::Full,
            ..line("order", r#"{"time":"t","level":50,"msg":"no\u001b[2J"}"#)
        };
        assert_eq!(
            logs.line(&full),
            "order │ 2026-01-02T03:04:05.000000006Z p/c#2 stderr ERROR no^[[2J time=t\n"
        );
    }

    #[test]
    fn a_secret_in_a_field_is_not_shown() {
        let redactor = Redactor::default();
        redactor.register("hunter2hunter2");
        let mut logs = Logs::new(PLAIN, redactor);
        let shown = logs.line(&line("order", r#"{"msg":"x","token":"hunter2hunter2"}"#));
        assert_eq!(shown, "order │ x token=[redacted]\n");
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
