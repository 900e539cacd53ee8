//! The hash of a dataset.

use super::{good, project};
use crate::manifest::{
    dataset::hash,
    testing::{MemoryFiles, render},
};

const TEXT: &str = "\
description: Orders.
extends: base
variables: { customer: ann }
steps:
  - { service: postgres, sql: orders.sql, user: shop, within: 10s }
  - { service: inventory, files: images, to: /data/images }
  - { service: gateway, http: { path: /, headers: { A: '1', B: '2' }, body: '${customer}' } }
check:
  - { service: redis, command: [redis-cli, ping], matches: PONG }
";

fn of(files: &MemoryFiles) -> String {
    let chain = good(files, "limit");
    let hash = hash(&chain, files).map_err(|failure| render(&failure.into()));
    hash.unwrap().as_str().to_owned()
}

fn changed(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from), "{from}");
    of(&project(&TEXT.replacen(from, to, 1)))
}

#[test]
fn the_hash_is_the_same_on_every_machine() {
    // A change of this line is a change of the form: every dataset is loaded anew then.
    assert_eq!(of(&project(TEXT)), "0e93558c9116a53c7bf267707effbbb2");
}

#[test]
fn what_decides_the_data_changes_the_hash() {
    let before = of(&project(TEXT));
    let mut seen = std::collections::BTreeSet::from([before]);
    for (from, to) in [
        ("user: shop", "user: shopper"),
        ("customer: ann", "customer: bob"),
        ("ping]", "pong]"),
        ("PONG", "PON"),
        ("/data/images", "/data/image"),
        ("to: /data/images", "to: /data/images, mode: '0600'"),
        ("A: '1'", "A: '2'"),
        ("extends: base\n", ""),
        ("extends: base", "snapshot: base"),
        (
            "  - { service: postgres, sql: orders.sql, user: shop, within: 10s }\n",
            "",
        ),
    ] {
        let text = TEXT.replacen(from, to, 1);
        assert!(seen.insert(of(&project(&text))), "{from}");
    }
}

#[test]
fn one_byte_of_a_file_or_its_name_changes_the_hash() {
    let with =
        |path: &str, text: &str| of(&project(TEXT).file(&format!("datasets/limit/{path}"), text));
    let before = of(&project(TEXT));
    let hashes = [
        with("orders.sql", "insert into orders values (2);\n"),
        with("images/more/b.png", "c"),
        with("images/c.png", ""),
        with("images/more/c.png", ""),
    ];
    let all: std::collections::BTreeSet<&String> = hashes.iter().chain([&before]).collect();
    assert_eq!(all.len(), hashes.len() + 1);
    let check = "{ service: gateway, http: { path: /, bodyFile: user.json } }";
    let text = format!("{TEXT}  - {check}\n");
    let other = project(&text).file("datasets/limit/user.json", "{}");
    assert_ne!(of(&project(&text)), of(&other));
    // A file that is not read decides nothing.
    assert_eq!(with("unread.sql", "select 1"), before);
}

#[test]
fn what_decides_nothing_does_not_change_the_hash() {
    let before = of(&project(TEXT));
    for (from, to) in [
        ("A: '1', B: '2'", "B: '2', A: '1'"),
        (
            "sql: orders.sql, user: shop",
            "user: \"shop\", sql: { file: ./orders.sql }, client: psql",
        ),
        ("description: Orders.", "# A comment."),
        ("within: 10s", "within: 20s"),
        ("to: /data/images", "to: /data//images/, mode: '644'"),
    ] {
        assert_eq!(changed(from, to), before, "{from}");
    }
    let (head, steps) = TEXT.split_once("steps:").unwrap();
    let (steps, check) = steps.split_once("check:").unwrap();
    let turned = format!("check:{check}steps:{steps}{head}");
    assert_eq!(of(&project(&turned)), before);
}

#[test]
fn what_lies_below_is_part_of_the_hash() {
    let before = of(&project(TEXT));
    let with = |text: &str| of(&project(TEXT).file("datasets/base/dataset.yaml", text));
    assert_eq!(with("description: Something else.\n"), before);
    assert_ne!(with("steps: [{ service: redis, command: [ls] }]\n"), before);
}

#[test]
fn a_file_that_has_gone_since_the_check_is_named() {
    let chain = good(&project(TEXT), "limit");
    let gone = MemoryFiles::default().file("datasets/limit/orders.sql", "");
    let failure = hash(&chain, &gone).unwrap_err();
    assert_eq!(failure.code.0, "dataset.unreadable");
    assert_eq!(failure.what, "`datasets/limit/images` cannot be read");
}
