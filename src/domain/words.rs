//! Counts, lists and amounts as people write them.

use std::time::Duration;

use super::Memory;

/// Such as `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.as_slice() {
        [rest @ .., before, last] => {
            let mut all: Vec<&str> = rest.to_vec();
            let end = format!("{before} and {last}");
            all.push(&end);
            all.join(", ")
        }
        few => few.concat(),
    }
}

/// A count with its noun: `1 error`, `2 errors`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Memory or disk space, such as `812 MiB` or `23.4 GiB`.
pub fn amount(memory: Memory) -> String {
    const GIBI: u64 = 1 << 30;
    let bytes = memory.bytes();
    if bytes >= GIBI {
        let tenths = bytes / (GIBI / 10);
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

/// A span of time in its largest unit, rounded down, such as `90 s`, `5 min` and `400 days`.
pub fn span(time: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "h"), (60, "min")];
    let seconds = time.as_secs();
    let fitting = UNITS.iter().find(|(length, _)| seconds >= 2 * length);
    match fitting {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lists_and_amounts_are_as_people_write_them() {
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(count(1, "error"), "1 error");
        assert_eq!(count(2, "error"), "2 errors");
        assert_eq!(amount(Memory::from_bytes(851_443_712)), "812 MiB");
        assert_eq!(amount("2560Mi".parse().unwrap()), "2.5 GiB");
        let span = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([span(4), span(119), span(120)], ["4 s", "119 s", "2 min"]);
        assert_eq!([span(9_000), span(34_560_000)], ["2 h", "400 days"]);
    }
}
