//! Writes short forms out, so that layers merge and everything after sees one form only.
//!
//! What is not a known short form stays as it is: the check says what is wrong with it.

use super::tree::{Map, Node, Origin, Value};

/// Writes out every short form below a manifest's or a profile's root. Doing it again changes nothing.
pub(super) fn normalise(root: &mut Node) {
    let Some(root) = root.as_map_mut() else {
        return;
    };
    for group in ["services", "tasks"] {
        let Some(members) = root.get_mut(group).and_then(Node::as_map_mut) else {
            continue;
        };
        for entry in &mut members.entries {
            if let Some(map) = entry.node.as_map_mut() {
                service(map);
            }
        }
    }
}

/// Tasks have a part of a service's keys, in the same forms.
fn service(map: &mut Map) {
    if let Some(build) = map.get_mut("build") {
        wrap_scalar(build, "context");
        if let Some(secrets) = build.as_map_mut().and_then(|map| map.get_mut("secrets")) {
            pairs(secrets);
        }
    }
    if let Some(ports) = map.get_mut("ports") {
        wrap_items(ports, "port");
    }
    if let Some(expose) = map.get_mut("expose") {
        if matches!(expose.value, Value::Map(_) | Value::Scalar(_)) {
            wrap_list(expose);
        }
        wrap_items(expose, "host");
    }
    if let Some(ready) = map.get_mut("ready").and_then(Node::as_map_mut) {
        tcp(ready);
    }
    if let Some(keys) = map.get_mut("live").and_then(Node::as_map_mut) {
        live(keys);
    }
}

fn live(live: &mut Map) {
    for rules in ["sync", "mount"] {
        if let Some(Value::List(items)) = live.get_mut(rules).map(|node| &mut node.value) {
            items.iter_mut().for_each(from_to);
        }
    }
    if let Some(Value::List(items)) = live.get_mut("run").map(|node| &mut node.value) {
        let rules = items.iter_mut().filter_map(Node::as_map_mut);
        rules.for_each(on_and_command);
    }
    for key in ["build", "reload"] {
        if let Some(rule) = live.get_mut(key).and_then(Node::as_map_mut) {
            on_and_command(rule);
        }
    }
}

/// `src:/app/src` becomes `{from: src, to: /app/src}`.
fn from_to(node: &mut Node) {
    let Some((from, to)) = node
        .as_scalar()
        .and_then(|scalar| scalar.text.split_once(':'))
    else {
        return;
    };
    let origin = node.origin;
    let mut map = Map::default();
    map.push("from", origin, Node::text(from, origin));
    map.push("to", origin, Node::text(to, origin));
    node.value = Value::Map(map);
}

/// One pattern becomes a list of it, and a line for a shell the command of that shell.
fn on_and_command(rule: &mut Map) {
    if let Some(on) = rule.get_mut("on")
        && on.as_scalar().is_some()
    {
        wrap_list(on);
    }
    shell_line(rule);
}

/// A line for a shell becomes the command of that shell.
pub(super) fn shell_line(rule: &mut Map) {
    if let Some(command) = rule.get_mut("command")
        && let Some(line) = command.as_scalar().map(|scalar| scalar.text.clone())
    {
        let origin = command.origin;
        let words = ["sh", "-c", &line].map(|word| Node::text(word, origin));
        command.value = Value::List(words.into());
    }
}

/// `value` becomes `{key: value}`.
pub(super) fn wrap_scalar(node: &mut Node, key: &str) {
    if matches!(node.value, Value::Scalar(_)) {
        let origin = node.origin;
        let value = std::mem::replace(&mut node.value, Value::Null);
        let mut map = Map::default();
        map.push(key, origin, Node::new(value, origin));
        node.value = Value::Map(map);
    }
}

fn wrap_items(node: &mut Node, key: &str) {
    if let Value::List(items) = &mut node.value {
        for item in items {
            wrap_scalar(item, key);
        }
    }
}

/// `value` becomes `[value]`.
fn wrap_list(node: &mut Node) {
    let value = std::mem::replace(&mut node.value, Value::Null);
    node.value = Value::List(vec![Node::new(value, node.origin)]);
}

/// A list of `id=path` becomes a map, unless an item is something else.
fn pairs(node: &mut Node) {
    let Value::List(items) = &node.value else {
        return;
    };
    let mut map = Map::default();
    for item in items {
        let Some((id, path)) = item
            .as_scalar()
            .and_then(|scalar| scalar.text.split_once('='))
        else {
            return;
        };
        map.push(id, item.origin, Node::text(path, item.origin));
    }
    node.value = Value::Map(map);
}

/// `tcp: 5432` becomes `tcp: true, port: 5432`.
fn tcp(ready: &mut Map) {
    let Some(node) = ready.get("tcp") else { return };
    let is_number = node
        .as_scalar()
        .is_some_and(|scalar| scalar.to_json().is_number());
    if !is_number || ready.has("port") {
        return;
    }
    let Some(entry) = ready.remove("tcp") else {
        return;
    };
    let origin: Origin = entry.node.origin;
    let yes = super::tree::Scalar {
        text: "true".to_owned(),
        style: super::tree::Style::Plain,
    };
    ready.push(
        "tcp",
        entry.key_origin,
        Node::new(Value::Scalar(yes), origin),
    );
    ready.push("port", entry.key_origin, entry.node);
}
