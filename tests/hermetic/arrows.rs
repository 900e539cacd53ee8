//! Which room may call which: the rule of src/lib.rs.

use std::collections::BTreeSet;

use crate::sources;

/// The rooms, and the rooms that each may call.
const ARROWS: [(&str, &[&str]); 12] = [
    ("adapters", &["domain"]),
    (
        "cli",
        &[
            "adapters", "commands", "domain", "output", "report", "state",
        ],
    ),
    (
        "commands",
        &[
            "adapters", "domain", "engine", "features", "manifest", "plan", "report", "session",
            "state",
        ],
    ),
    ("domain", &[]),
    ("engine", &["adapters", "domain", "plan", "report"]),
    (
        "features",
        &[
            "adapters", "domain", "engine", "manifest", "plan", "report", "state",
        ],
    ),
    ("manifest", &["domain"]),
    ("output", &["domain", "report"]),
    ("plan", &["domain"]),
    ("report", &["domain"]),
    (
        "session",
        &[
            "adapters", "domain", "features", "manifest", "report", "state",
        ],
    ),
    ("state", &["adapters", "domain", "report"]),
];

/// What only `adapters` may name: processes, files, sockets and the clients of other programs.
const OUTSIDE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::process::Command",
    "tokio::fs",
    "tokio::net",
    "tokio::process",
    "use bollard::",
    "use kube::",
];

/// The rooms that `code` names: `crate::room` and `crate::{room::.., room}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => rooms.extend(first_words(group)),
            None => rooms.extend(word(after)),
        }
    }
    rooms
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each item of a `use` group, up to its closing brace.
fn first_words(group: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut depth = 0;
    let mut at_item = true;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_item = true,
            c if at_item && !c.is_whitespace() => {
                words.extend(word(&group[index..]));
                at_item = false;
            }
            _ => {}
        }
    }
    words
}

#[test]
fn no_room_calls_one_that_it_may_not_know() {
    let mut wrong = Vec::new();
    let all: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    for source in sources::all() {
        let Some(room) = source.path.iter().nth(1).and_then(|room| room.to_str()) else {
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            assert!(
                source.path.components().count() == 2,
                "{room} is a room without arrows"
            );
            continue;
        };
        for called in rooms_named(&source.code) {
            if called != room && all.contains(&*called) && !allowed.contains(&&*called) {
                wrong.push(format!("{}: {room} -> {called}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_adapters_touch_the_outside() {
    let mut wrong = Vec::new();
    for source in sources::all() {
        // Tests of the rooms may keep files of their own.
        let is_test =
            source.path.ends_with("testing.rs") || source.path.iter().any(|part| part == "tests");
        if source.path.starts_with("src/adapters") || is_test {
            continue;
        }
        for name in OUTSIDE {
            if source.code.contains(name) {
                wrong.push(format!("{}: {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rooms_of_a_group_are_seen() {
    let code = "use crate::{\n    adapters::{fs, x::{y}},\n    domain::Place,\n};\nfn a(b: crate::plan::Plan) {}";
    let rooms: Vec<String> = rooms_named(code).into_iter().collect();
    assert_eq!(rooms, ["adapters", "domain", "plan"]);
}

#[test]
fn no_file_is_too_long_to_read() {
    const LONGEST: usize = 600;
    for source in sources::all() {
        let lines = source.code.lines().count();
        assert!(lines <= LONGEST, "{}: {lines} lines", source.path.display());
    }
}
