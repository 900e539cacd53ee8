//! Amounts in words.

use crate::domain::Memory;

/// Memory or disk space, such as `812 MiB` or `23.4 GiB`.
pub(super) fn amount(memory: Memory) -> String {
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
    fn amounts_are_as_people_write_them() {
        assert_eq!(amount(Memory::from_bytes(851_443_712)), "812 MiB");
        assert_eq!(amount("2560Mi".parse().unwrap()), "2.5 GiB");
    }
}
