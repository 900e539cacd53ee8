//! Keys of the manifest as text for people.

use serde_json::Value;

use super::{
    documents::good,
    json::yaml,
    style::{Style, Tone},
    table::{Cell, Table},
    text::safe_text,
};
use crate::{
    domain::words::count,
    report::{ConfigChange, ConfigChanged, ConfigExplained, ConfigValidated},
};

/// A value as it would be written: a text without quotes, so that scripts can use it.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{}\n", safe_text(text)),
        other => yaml(other),
    }
}

/// For files: as it is.
pub(super) fn schema(document: &Value) -> String {
    format!("{document:#}\n")
}

/// A value on one line.
fn short(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => safe_text(text),
        Some(other) => safe_text(&other.to_string()),
    }
}

pub(super) fn explained(report: &ConfigExplained, style: &Style) -> String {
    let key = style.paint(Tone::Strong, safe_text(&report.key));
    let mut out = format!("{key} = {}\n", short(report.value.as_ref()));
    if !report.meaning.is_empty() {
        out.push_str(&format!("{}\n", safe_text(&report.meaning)));
    }
    out.push('\n');
    let mut table = Table::new(&["WHERE", "VALUE", ""]);
    for (index, written) in report.written.iter().enumerate() {
        let place = match written.file.as_str() {
            "--set" => "--set".to_owned(),
            file => format!("{file}:{}", written.line),
        };
        let value = written.value.as_ref();
        let value = value.map_or_else(|| "removed".to_owned(), |value| short(Some(value)));
        let beside = match index {
            _ if written.key != report.key => format!("by {}", written.key),
            0 => "has the last word".to_owned(),
            _ => String::new(),
        };
        table.row(vec![
            Cell::from(place),
            Cell::from(value),
            Cell::from(beside),
        ]);
    }
    if let Some(builtin) = &report.builtin {
        table.row(vec![
            Cell::from("built in"),
            Cell::from(short(Some(builtin))),
            Cell::from(""),
        ]);
    }
    if report.written.is_empty() && report.builtin.is_none() {
        out.push_str("no layer sets it, and nothing is built in\n");
        return out;
    }
    out.push_str(&table.render(style));
    out
}

pub(super) fn changed(report: &ConfigChanged, style: &Style) -> String {
    let mut out: String = report
        .changes
        .iter()
        .map(|change| one(change, style))
        .collect();
    if let Some(obstacle) = &report.obstacle {
        let sign = style.paint(Tone::Warn, "!");
        let obstacle = safe_text(obstacle);
        out.push_str(&format!("{sign} it has no effect yet: {obstacle}\n"));
    } else if !report.is_running {
        out.push_str("\nnext:\n  devenv up\n");
    } else if report.effects.is_empty() {
        out.push_str("nothing that runs needs to change\n");
    } else {
        out.push_str("\nto have effect:\n");
        for step in &report.effects {
            let sign = style.paint(Tone::Good, "+");
            let (title, reason) = (safe_text(&step.title), safe_text(&step.reason));
            let reason = style.paint(Tone::Dim, format!("{} {reason}", style.dot()));
            out.push_str(&format!("  {sign} {title}  {reason}\n"));
        }
        out.push_str("\nnext:\n  devenv up\n");
    }
    out
}

fn one(change: &ConfigChange, style: &Style) -> String {
    let (key, file) = (safe_text(&change.key), safe_text(&change.file));
    if let Some(by) = &change.overridden_by {
        let sign = style.paint(Tone::Warn, "!");
        let (by, holds) = (safe_text(by), short(change.after.as_ref()));
        return format!("{sign} {key} is written to {file}, but {by} has the last word: {holds}\n");
    }
    let arrow = style.glyph("→", "->");
    format!(
        "{} {key}: {} {arrow} {}   {}\n",
        good(style),
        short(change.before.as_ref()),
        short(change.after.as_ref()),
        style.paint(Tone::Dim, file)
    )
}

pub(super) fn validated(report: &ConfigValidated, style: &Style) -> String {
    format!(
        "{} {} {} good, with {} and {}\n",
        good(style),
        report
            .files
            .iter()
            .map(|file| safe_text(file))
            .collect::<Vec<_>>()
            .join(", "),
        if report.files.len() == 1 { "is" } else { "are" },
        count(report.profiles.len(), "profile"),
        count(report.datasets.len(), "dataset"),
    )
}
