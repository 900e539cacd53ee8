//! Times, sizes and counts as people read them.

use std::time::Duration;

/// A time such as `0.4 s`, `41.2 s`, `3 min 05 s`, `2 h 10 min`.
pub(super) fn seconds(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if duration.as_millis() < 59_950 {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    let whole = duration.as_secs_f64().round();
    let whole = Duration::from_secs_f64(whole).as_secs();
    match whole {
        0..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A time such as `4.2 s`.
pub(super) fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// A time such as `0.4 ms`, `84 ms`, `1.2 s`.
pub(super) fn millis(millis: f64) -> String {
    if millis >= 999.5 {
        seconds(millis / 1000.0)
    } else if millis < 0.95 {
        format!("{:.1} ms", millis.max(0.0))
    } else {
        format!("{millis:.0} ms")
    }
}

/// An age in one unit such as `40s`, `5m`, `3h`, `2d`, as Kubernetes tools write it.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Memory such as `212 Mi` or `1.5 Gi`.
pub(super) fn memory(bytes: u64) -> String {
    const GIBI: u64 = 1 << 30;
    if bytes >= GIBI {
        let tenths = bytes * 10 / GIBI;
        format!("{}.{} Gi", tenths / 10, tenths % 10)
    } else {
        format!("{} Mi", bytes.div_ceil(1 << 20))
    }
}

/// Processor time such as `50m` or `1.2`.
pub(super) fn cpu(millis: u64) -> String {
    if millis >= 1_000 {
        format!("{}.{}", millis / 1_000, millis % 1_000 / 100)
    } else {
        format!("{millis}m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_units_that_matter() {
        assert_eq!(seconds(0.04), "0.0 s");
        assert_eq!(seconds(41.24), "41.2 s");
        assert_eq!(seconds(59.97), "1 min 00 s");
        assert_eq!(seconds(185.4), "3 min 05 s");
        assert_eq!(seconds(7_800.0), "2 h 10 min");
        assert_eq!(millis(0.43), "0.4 ms");
        assert_eq!(millis(84.2), "84 ms");
        assert_eq!(millis(999.7), "1.0 s");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(memory(222_298_112), "212 Mi");
        assert_eq!(memory(1_610_612_736), "1.5 Gi");
        assert_eq!(cpu(50), "50m");
        assert_eq!(cpu(1_250), "1.2");
        assert_eq!(age(7_300), "2h");
    }
}
