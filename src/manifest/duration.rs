//! Lengths of time as they are written: `90s`, `5m`, `1m30s`.

use std::time::Duration;

/// Longer waits are slips.
const LONGEST: Duration = Duration::from_hours(24);

/// The length of time `text` says; `None` if it says none, zero, or more than a day.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let millis = match &rest[..end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        rest = &rest[end..];
        total = total.checked_add(Duration::from_millis(amount.checked_mul(millis)?))?;
    }
    (!total.is_zero() && total <= LONGEST).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_sums_of_amounts_with_units() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds("1m30s"), Some(90));
        for bad in [
            "",
            "90",
            "s",
            "0s",
            "-1s",
            "1.5m",
            "2d",
            "25h",
            "99999999999999999999s",
            "é",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
