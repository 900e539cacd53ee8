//! Writes the short forms of a dataset out.
//!
//! What is not a known short form stays as it is: the check says what is wrong with it.

use crate::manifest::{
    normal::{shell_line, wrap_scalar},
    tree::{Map, Node, Value},
};

/// Keys of steps whose short form is a file.
const CONTENTS: [&str; 4] = ["sql", "csv", "redis", "stdin"];

/// Writes out every short form below a dataset's root. Doing it again changes nothing.
pub(super) fn normalise(root: &mut Node) {
    let Some(root) = root.as_map_mut() else {
        return;
    };
    for step in items(root, "steps") {
        for key in CONTENTS {
            if let Some(content) = step.get_mut(key) {
                wrap_scalar(content, "file");
            }
        }
        shell_line(step);
    }
    items(root, "check").for_each(shell_line);
}

fn items<'a>(root: &'a mut Map, key: &str) -> impl Iterator<Item = &'a mut Map> {
    let items = match root.get_mut(key).map(|node| &mut node.value) {
        Some(Value::List(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut().filter_map(Node::as_map_mut)
}
