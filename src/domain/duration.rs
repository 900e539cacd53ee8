//! Spans of time as people write them: `90s`, `5m`, `1m30s`, `500ms`, `30d`.

use std::time::Duration;

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write it like `90s`, `5m` or `1h30m`")]
pub struct InvalidDuration {
    text: String,
}

/// The span that `text` writes: numbers, each with `ms`, `s`, `m`, `h` or `d`, the larger units first.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    read(text).ok_or_else(|| InvalidDuration {
        text: text.to_owned(),
    })
}

fn read(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if millis >= smallest {
            return None;
        }
        smallest = millis;
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &rest[letters..];
    }
    (smallest != u64::MAX).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_from_large_to_small() {
        for (text, millis) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("2h5m", 7_500_000),
            ("0s", 0),
            ("1d12h", 129_600_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5x",
            "-5s",
            "1.5m",
            "30s1m",
            "1m1m",
            "99999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
