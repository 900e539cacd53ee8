//! Processes as `/proc` tells of them.

use std::fs;

/// What tells a process from a later one of its number, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The process that started it, or took it over.
    pub(crate) parent: i32,
    /// In clock ticks since boot.
    pub(crate) started: u64,
}

/// The numbers of all processes; none where there is no `/proc`.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Looks at a process; `None` if there is none of the number.
pub(crate) fn stat(process: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The 4th and the 22nd field. The second is the name in parentheses, which may hold any of both.
fn parse(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat { parent, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_and_start_are_read_behind_any_name() {
        let rest: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let text = format!("7 (a) b) S) S {}", rest.join(" "));
        let expected = Stat {
            parent: 4,
            started: 22,
        };
        assert_eq!(parse(&text), Some(expected));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn this_process_is_among_all_and_has_a_parent() {
        let own = std::process::id();
        assert!(all().any(|process| process == own));
        let parent = std::os::unix::process::parent_id();
        assert_eq!(
            stat(own).map(|stat| stat.parent),
            i32::try_from(parent).ok()
        );
    }
}
