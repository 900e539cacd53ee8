//! Keeps secret values out of everything that is shown or recorded.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::REDACTED;

/// Shorter values are left alone: replacing `shop` or `true` everywhere would make output unreadable.
const SHORTEST_SECRET: usize = 8;

/// The secret values of a run. Cheap to clone; all clones know the same values.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Adds a value that must never be shown. Values below 8 characters are not taken.
    pub fn register(&self, secret: &str) {
        // A value of several lines is met line by line.
        for line in secret.lines().map(str::trim) {
            if line.chars().count() < SHORTEST_SECRET {
                continue;
            }
            let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
            if !secrets.iter().any(|known| known == line) {
                secrets.push(line.to_owned());
                // The longest first, so that no rest of a longer value stays behind.
                secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            }
        }
    }

    /// `text` with every registered value replaced.
    pub fn text(&self, text: &str) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean = text.to_owned();
        for secret in secrets.iter() {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), REDACTED);
            }
        }
        clean
    }

    /// Lines of any bytes with every registered value replaced; a line without one stays as it is, byte for byte.
    pub fn lines(&self, lines: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let cleaned = self.text(&text);
            let is_clean = cleaned == text;
            clean.extend_from_slice(if is_clean { line } else { cleaned.as_bytes() });
        }
        clean
    }

    /// Replaces every registered value in all texts of `value`, keys included.
    pub fn value(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.text(text),
            serde_json::Value::Array(items) => {
                for item in items {
                    self.value(item);
                }
            }
            serde_json::Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, mut field)| {
                        self.value(&mut field);
                        (self.text(&key), field)
                    })
                    .collect();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_bytes_lose_their_secrets_and_nothing_else() {
        let redactor = Redactor::default();
        redactor.register("hunter2hunter2");
        let said = b"plain \xff\nit is hunter2hunter2\n\xfe hunter2hunter2\nrest";
        let clean = redactor.lines(said);
        let expected = "plain \u{fffd}\nit is [redacted]\n\u{fffd} [redacted]\nrest";
        assert_eq!(String::from_utf8_lossy(&clean), expected);
        assert!(
            clean.starts_with(b"plain \xff\n"),
            "what holds none is kept"
        );
    }

    #[test]
    fn a_registered_value_is_replaced_wherever_it_stands() {
        let redactor = Redactor::default();
        redactor.register("hunter2hunter2");
        assert_eq!(
            redactor.text("postgres://shop:hunter2hunter2@db"),
            "postgres://shop:[redacted]@db"
        );
        let mut value = serde_json::json!({ "why": ["token hunter2hunter2"] });
        redactor.value(&mut value);
        assert_eq!(value, serde_json::json!({ "why": ["token [redacted]"] }));
    }

    #[test]
    fn a_short_value_is_left_alone_so_that_output_stays_readable() {
        let redactor = Redactor::default();
        redactor.register("shop");
        assert_eq!(redactor.text("shop is up"), "shop is up");
    }

    #[test]
    fn a_value_that_contains_another_leaves_nothing_behind() {
        let redactor = Redactor::default();
        redactor.register("password");
        redactor.register("password-of-order");
        assert_eq!(redactor.text("password-of-order"), "[redacted]");
    }

    #[test]
    fn a_value_of_several_lines_is_met_line_by_line() {
        let redactor = Redactor::default();
        redactor.register("-----BEGIN KEY-----\nMIIEvQIBADANBg\n");
        assert_eq!(redactor.text("got MIIEvQIBADANBg"), "got [redacted]");
    }
}
