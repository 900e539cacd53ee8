//! The tables of docs/reliability.md name tests that are there.

use std::{collections::BTreeMap, path::Path};

use crate::sources;

const PAGE: &str = "docs/reliability.md";
/// Begins what has no test.
const NOT_TESTED: &str = "\n## Not tested yet\n";
/// Begins the environments that are broken in one way each.
const BROKEN: &str = "\n## Twenty broken environments\n";
/// How a row says in which function of which file its fault is made.
const SEPARATOR: &str = "::";
/// What stands between the attributes of a function and its `fn`.
const BEFORE_FN: [&str; 4] = ["", "async", "pub(super)", "pub(super) async"];

/// A row: its fault, and the tests that make it.
struct Row {
    fault: String,
    tests: Vec<String>,
}

/// The rows of both tables, whose last column holds the tests.
fn rows() -> Vec<Row> {
    let page = sources::text(Path::new(PAGE));
    let (tested, _) = page.split_once(NOT_TESTED).expect("what is left to do");
    let (faults, broken) = tested.split_once(BROKEN).expect("what is broken");
    let faults = table(
        faults,
        &["fault", "what devenv does", "how it is made", "test"],
    );
    let broken = table(broken, &["what is broken", "what is said", "test"]);
    assert!(broken.len() >= 20, "there are twenty");
    faults.into_iter().chain(broken).collect()
}

/// The rows of a table with this head.
fn table(text: &str, head: &[&str]) -> Vec<Row> {
    let mut cells = text.lines().filter_map(|line| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(line.split(" | ").map(str::to_owned).collect::<Vec<_>>())
    });
    let found = cells.next().expect("the head of the table");
    assert_eq!(found, head);
    let rows = cells.filter(|cells| !cells[0].starts_with("---"));
    rows.map(|cells| {
        assert_eq!(cells.len(), head.len(), "columns: {cells:?}");
        let quoted = cells[head.len() - 1].split('`').skip(1).step_by(2);
        Row {
            fault: cells[0].clone(),
            tests: quoted.map(str::to_owned).collect(),
        }
    })
    .collect()
}

/// Why what a row names is no test; nothing if it is one.
fn trouble(test: &str, files: &mut BTreeMap<String, String>) -> Option<String> {
    let Some((path, function)) = test.split_once(SEPARATOR) else {
        return Some(format!("`{test}` is not `FILE::FUNCTION`"));
    };
    let text = files
        .entry(path.to_owned())
        .or_insert_with(|| sources::text(Path::new(path)));
    let Some((before, _)) = text.split_once(&format!("fn {function}(")) else {
        return Some(format!("there is no `fn {function}` in {path}"));
    };
    let above = before.lines().rev().map(str::trim);
    let above = above.skip_while(|line| BEFORE_FN.contains(line));
    let mut attributes = above.take_while(|line| line.starts_with("#["));
    let is_test = attributes.any(|line| line.contains("test]") || line.contains("test("));
    // A step of a longer test is called there, or by the module around it.
    let call = format!("{function}(");
    let around = Path::new(path)
        .parent()
        .map(|parent| parent.with_extension("rs"));
    let is_called_around = around.is_some_and(|path| sources::text(&path).contains(&call));
    let is_called = is_called_around || text.matches(&call).count() > 1;
    (!is_test && !is_called).then(|| format!("nobody calls {function} in {path}"))
}

#[test]
fn every_fault_of_the_tables_has_tests_that_are_there() {
    let mut files = BTreeMap::new();
    let mut troubles = Vec::new();
    let rows = rows();
    for row in &rows {
        if row.tests.is_empty() {
            troubles.push(format!("no test makes: {}", row.fault));
        }
        let of_row = row.tests.iter();
        troubles.extend(of_row.filter_map(|test| trouble(test, &mut files)));
    }
    assert!(troubles.is_empty(), "{troubles:#?}");
    assert!(rows.len() > 40, "the test looks at the wrong places");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let mut files = BTreeMap::new();
    let mut named = |test: &str| trouble(test, &mut files);
    let own = "tests/hermetic/reliability.rs";
    assert_eq!(
        named(&format!("{own}::a_test_that_is_not_there_is_noticed")),
        None
    );
    assert_eq!(named(&format!("{own}::rows")), None);
    for wrong in [
        own,
        "tests/none.rs::rows",
        "tests/hermetic/reliability.rs::row",
    ] {
        assert!(named(wrong).is_some(), "{wrong}");
    }
}
