//! Counts, lists and amounts as people write them.

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
    }
}
