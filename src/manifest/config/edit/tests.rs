//! What an edit changes, and above all what it does not.

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::manifest::tree::Style;

const SHOP: &str = include_str!("../../../../devenv.example.yaml");
const SMALL: &str = "\
# The shop.
apiVersion: devenv/v1   # the form of this file
name: shop

services:
  order:                # takes orders
    build: { context: order, args: { MODE: dev } }   # built here

    # How many.
    replicas: 2   # enough
    env:
      A: 'one'    # quoted
      # nothing else
    ports: [8080, { name: admin, port: 8081 }]
  stock:
    image: redis:7
";

fn key(text: &str) -> KeyPath {
    text.parse().unwrap()
}

fn changed(text: &str, path: &str, value: &str) -> String {
    set(text, &key(path), value).unwrap()
}

fn without(text: &str, path: &str) -> String {
    unset(text, &key(path)).unwrap().unwrap()
}

#[test]
fn a_value_is_replaced_in_its_place_with_the_comment_behind_it() {
    let expected = SMALL.replace("replicas: 2   # enough", "replicas: 3   # enough");
    assert_eq!(changed(SMALL, "services.order.replicas", "3"), expected);
    let expected = SMALL.replace("MODE: dev", "MODE: test");
    assert_eq!(
        changed(SMALL, "services.order.build.args.MODE", "test"),
        expected
    );
    let expected = SMALL.replace("[8080,", "[9090,");
    assert_eq!(changed(SMALL, "services.order.ports[0]", "9090"), expected);
}

#[test]
fn what_is_not_there_is_added_where_it_belongs() {
    let expected = SMALL.replace("redis:7\n", "redis:7\n    replicas: 2\n");
    assert_eq!(changed(SMALL, "services.stock.replicas", "2"), expected);
    let added = changed(SMALL, "cluster.kubernetes", "\"1.34\"");
    assert!(added.starts_with(SMALL), "{added}");
    assert!(
        added.ends_with("cluster:\n  kubernetes: \"1.34\"\n"),
        "{added}"
    );
    let added = changed("", "services.order.replicas", "3");
    assert_eq!(added, "services:\n  order:\n    replicas: 3\n");
    let added = changed("# mine\n", "name", "shop");
    assert_eq!(added, "# mine\nname: shop\n");
}

#[test]
fn a_key_that_is_removed_takes_what_would_be_empty_with_it_and_nothing_else() {
    let expected = SMALL.replace("    replicas: 2   # enough\n", "");
    assert_eq!(without(SMALL, "services.order.replicas"), expected);
    let text = "a:\n  b:\n    c: 1\nd: 2\n";
    assert_eq!(without(text, "a.b.c"), "d: 2\n");
    assert_eq!(unset(SMALL, &key("services.order.nothing")).unwrap(), None);
}

#[test]
fn what_cannot_be_changed_by_itself_is_refused_with_the_reason() {
    let shared = "a: &a { x: 1 }\nb: *a\n";
    let refused = set(shared, &key("a.x"), "2").unwrap_err();
    assert!(matches!(refused, EditProblem::NotAlone { .. }), "{refused}");
    let refused = set(SMALL, &key("services.stock.image.name"), "2").unwrap_err();
    let told = "`services.stock.image.name` goes into `services.stock.image`, which is the text `redis:7` in this file";
    assert_eq!(refused.to_string(), told);
    let refused = set(SMALL, &key("services.order.ports[7]"), "2").unwrap_err();
    assert!(matches!(refused, EditProblem::NoSuchItem { length: 2, .. }));
    let refused = set(SMALL, &key("name"), "{ a: ").unwrap_err();
    assert!(matches!(refused, EditProblem::BadValue { .. }), "{refused}");
}

/// The paths of all values in a tree.
fn keys(node: &Node, above: &[Step], all: &mut Vec<KeyPath>) {
    let mut go = |step: Step, node: &Node| {
        let steps = [above, &[step]].concat();
        all.push(KeyPath::of(&steps));
        keys(node, &steps, all);
    };
    match &node.value {
        Value::Map(map) => {
            for entry in &map.entries {
                go(Step::Key(entry.key.clone()), &entry.node);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                go(Step::Item(index), item);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// Whether the lines of one text are all in another, in their order.
fn are_lines_in(lines: &[&str], text: &str) -> bool {
    let mut others = text.lines();
    lines.iter().all(|line| others.any(|other| other == *line))
}

/// The lines of a text that say nothing of a key or what is in it.
fn lines_beside<'t>(text: &'t str, root: &Node, key: &KeyPath) -> Vec<&'t str> {
    let node = follow(root, key.steps()).unwrap();
    let mut lines = std::collections::BTreeSet::new();
    collect(node, &mut lines);
    let [above @ .., last] = key.steps() else {
        panic!()
    };
    if let (Some(Value::Map(map)), Step::Key(last)) =
        (follow(root, above).map(|it| &it.value), last)
    {
        let entry = map.entries.iter().find(|entry| entry.key == *last).unwrap();
        lines.insert(entry.key_origin.line as usize);
    }
    let (first, last) = (*lines.first().unwrap(), *lines.last().unwrap());
    let numbered = text.lines().enumerate();
    numbered
        .filter(|(at, _)| !(first..=last).contains(&(at + 1)))
        .map(|(_, line)| line)
        .collect()
}

fn collect(node: &Node, lines: &mut std::collections::BTreeSet<usize>) {
    lines.insert(node.origin.line as usize);
    if let Value::Scalar(scalar) = &node.value {
        // A block goes on below the line where it begins.
        let more = scalar.text.trim_end().matches('\n').count();
        if scalar.style == Style::Quoted && more > 0 {
            lines.insert(node.origin.line as usize + more + 1);
        }
    }
    match &node.value {
        Value::Map(map) => map
            .entries
            .iter()
            .for_each(|entry| collect(&entry.node, lines)),
        Value::List(items) => items.iter().for_each(|item| collect(item, lines)),
        Value::Null | Value::Scalar(_) => {}
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..100_u32).prop_map(|number| number.to_string()),
        "[a-z][a-z0-9-]{0,8}",
        Just("true".to_owned()),
        Just("'a: text # with marks'".to_owned()),
        Just("\"1.34\"".to_owned()),
        Just("[a, 'b c', 3]".to_owned()),
        Just("{ x: 1, y: [z] }".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thousand_edits_change_what_they_are_of_and_no_other_line(
        which in any::<Index>(),
        value in value(),
        adds in any::<bool>(),
        is_small in any::<bool>(),
    ) {
        let text = if is_small { SMALL } else { SHOP };
        let root = read(text).unwrap();
        let mut all = Vec::new();
        keys(&root, &[], &mut all);
        let mut key = which.get(&all).clone();
        let beside = if adds && follow(&root, key.steps()).unwrap().as_map().is_some() {
            let added = [key.steps(), &[Step::Key("added".to_owned())]].concat();
            key = KeyPath::of(&added);
            // One that is written in braces is on a line of its own.
            text.lines().filter(|line| !line.contains('{')).collect()
        } else {
            lines_beside(text, &root, &key)
        };
        // What an anchor shares is refused; nothing in these files is.
        let edited = set(text, &key, &value).unwrap();
        prop_assert!(are_lines_in(&beside, &edited), "{key} = {value}\n{edited}");
        let removed = unset(&edited, &key).unwrap().unwrap();
        prop_assert!(read(&removed).is_ok());
    }
}
