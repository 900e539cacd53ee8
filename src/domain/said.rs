//! What a line of a log says: its level, and where it is an object, its message and its fields.

use serde::Serialize;
use serde_json::{Map, Value};

/// Names under which loggers write the level.
const LEVEL: [&str; 4] = ["level", "lvl", "severity", "log.level"];
/// Names under which loggers write the message.
const MESSAGE: [&str; 3] = ["msg", "message", "event"];
/// How far into a line its level is looked for, in words: behind a time and a thread.
const WORDS: usize = 6;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For who looks for a fault.
    Debug,
    /// What goes on.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// It cannot go on.
    Fatal,
}

impl LogLevel {
    /// All, the least first.
    pub const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Fatal,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level that loggers call so.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "trace" | "trc" | "verbose" => Self::Trace,
            "debug" | "dbg" => Self::Debug,
            "info" | "inf" | "information" | "informational" | "notice" => Self::Info,
            "warn" | "warning" | "wrn" => Self::Warn,
            "error" | "err" | "eror" | "severe" => Self::Error,
            "fatal" | "critical" | "crit" | "panic" | "alert" | "emergency" | "emerg" => {
                Self::Fatal
            }
            _ => return None,
        })
    }

    /// The level of a number as pino and bunyan write it.
    const fn numbered(number: u64) -> Option<Self> {
        Some(match number {
            10..20 => Self::Trace,
            20..30 => Self::Debug,
            30..40 => Self::Info,
            40..50 => Self::Warn,
            50..60 => Self::Error,
            60..100 => Self::Fatal,
            _ => return None,
        })
    }

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) => Self::named(name),
            Value::Number(number) => Self::numbered(number.as_u64()?),
            _ => None,
        }
    }
}

/// What a line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its level, where it tells one.
    pub level: Option<LogLevel>,
    /// Its message, where it is an object with one.
    pub message: Option<String>,
    /// Its other fields, where it is an object with a message.
    pub fields: Map<String, Value>,
}

impl Said {
    /// Reads a line.
    pub fn read(text: &str) -> Self {
        object(text).unwrap_or_else(|| Self {
            level: level_of(text),
            ..Self::default()
        })
    }
}

fn object(text: &str) -> Option<Said> {
    if !text.starts_with('{') {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut take = |names: &[&str]| {
        let name = names.iter().find(|name| fields.contains_key(**name))?;
        fields.shift_remove(*name)
    };
    let message = match take(&MESSAGE)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let written = take(&LEVEL);
    let level = written.as_ref().and_then(LogLevel::of);
    if let Some(unknown) = written.filter(|_| level.is_none()) {
        fields.insert(LEVEL[0].to_owned(), unknown);
    }
    Some(Said {
        level,
        message: Some(message),
        fields,
    })
}

/// The level in a line of text: `level=warn`, `[warn]`, `warn:` or `WARN` among its first words.
fn level_of(text: &str) -> Option<LogLevel> {
    text.split_whitespace().take(WORDS).find_map(|word| {
        if let Some((key, value)) = word.split_once('=') {
            let is_level = LEVEL.contains(&key);
            return LogLevel::named(value.trim_matches('"')).filter(|_| is_level);
        }
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
        let is_marked = bare.len() < word.len() && !word.ends_with(',') && !word.ends_with('.');
        // In small letters and alone it is a word like any other.
        let is_loud = bare.bytes().all(|byte| byte.is_ascii_uppercase());
        LogLevel::named(bare).filter(|_| is_loud || is_marked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_found_as_loggers_write_it() {
        let level = |text: &str| Said::read(text).level;
        for (text, expected) in [
            (r#"{"level":"warning","msg":"x"}"#, LogLevel::Warn),
            (r#"{"severity":"ERROR","message":"x"}"#, LogLevel::Error),
            (r#"{"level":50,"msg":"x"}"#, LogLevel::Error),
            (r#"{"level":10,"msg":"x"}"#, LogLevel::Trace),
            ("ERROR no such table", LogLevel::Error),
            ("[warn] low on disk", LogLevel::Warn),
            (
                "2026-01-02 03:04:05.678 [main] INFO started",
                LogLevel::Info,
            ),
            ("2026-01-02T03:04:05Z WARN: careful", LogLevel::Warn),
            ("time=2026 level=debug msg=\"x\"", LogLevel::Debug),
            ("error: cannot bind", LogLevel::Error),
        ] {
            assert_eq!(level(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn words_of_a_sentence_are_no_level() {
        for text in [
            "there was no error in it",
            "listening on :8080",
            "    at main.rs:5",
            r#"{"level":"warn","no":"message"}"#,
            "",
            "reason=error",
        ] {
            assert_eq!(Said::read(text).level, None, "{text}");
        }
    }

    #[test]
    fn an_object_is_taken_apart_and_nothing_of_it_is_lost() {
        let said = Said::read(r#"{"level":"odd","msg":"stock low","sku":7,"time":"t"}"#);
        assert_eq!(
            (said.level, said.message.as_deref()),
            (None, Some("stock low"))
        );
        let keys: Vec<&str> = said.fields.keys().map(String::as_str).collect();
        assert_eq!(keys, ["sku", "time", "level"]);
    }
}
