//! Lays trees over each other: maps merge, lists replace, lists of named items merge by name, `null` removes.

use super::tree::{Map, Node, Value};

/// Which key of two maps that merge is the place of the result.
#[derive(Clone, Copy)]
enum Kept {
    /// The one of the layer below, where the thing was first written.
    Lower,
    /// The one above.
    Upper,
}

/// `over` laid over `base`. Nulls stay as marks of removal until [`strip_nulls`].
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_keeping(base, over, Kept::Lower)
}

fn merge_keeping(base: Node, over: Node, kept: Kept) -> Node {
    let origin = match kept {
        Kept::Lower => base.origin,
        Kept::Upper => over.origin,
    };
    match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => {
            Node::new(Value::Map(merge_maps(base, over, kept)), origin)
        }
        (Value::List(base), Value::List(over)) if are_named(&base) && are_named(&over) => {
            Node::new(Value::List(merge_named(base, over, kept)), origin)
        }
        (_, value) => Node::new(value, over.origin),
    }
}

fn merge_maps(mut base: Map, over: Map, kept: Kept) -> Map {
    for entry in over.entries {
        let Some(at) = base.entries.iter().position(|old| old.key == entry.key) else {
            base.entries.push(entry);
            continue;
        };
        let old = &mut base.entries[at];
        let is_merged = matches!(
            (&old.node.value, &entry.node.value),
            (Value::Map(_), Value::Map(_))
        );
        if !is_merged || matches!(kept, Kept::Upper) {
            old.key_origin = entry.key_origin;
        }
        let below = std::mem::replace(&mut old.node, Node::new(Value::Null, entry.node.origin));
        old.node = merge_keeping(below, entry.node, kept);
    }
    base
}

fn name_of(node: &Node) -> Option<&str> {
    Some(node.as_map()?.get("name")?.as_scalar()?.text.as_str())
}

fn are_named(list: &[Node]) -> bool {
    !list.is_empty() && list.iter().all(|node| name_of(node).is_some())
}

fn merge_named(mut base: Vec<Node>, over: Vec<Node>, kept: Kept) -> Vec<Node> {
    // Only items of `base` are merged into: a name that `over` has twice stays twice, and is reported.
    let below = base.len();
    for item in over {
        let at = base[..below]
            .iter()
            .position(|old| name_of(old) == name_of(&item));
        match at {
            Some(at) => {
                let old = std::mem::replace(&mut base[at], Node::new(Value::Null, item.origin));
                base[at] = merge_keeping(old, item, kept);
            }
            None => base.push(item),
        }
    }
    base
}

/// Takes the marks of removal out, except below `chart.values`, where they mean something to Helm.
pub(super) fn strip_nulls(root: &mut Node) {
    strip(root, 0);
}

/// `services.<name>.chart` is at depth 3.
const DEPTH_OF_CHART_KEYS: usize = 3;

fn strip(node: &mut Node, depth: usize) {
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| strip(item, depth + 1)),
        Value::Map(map) => {
            map.entries.retain(|entry| entry.node.value != Value::Null);
            for entry in &mut map.entries {
                if !(depth == DEPTH_OF_CHART_KEYS && entry.key == "values") {
                    strip(&mut entry.node, depth + 1);
                }
            }
        }
    }
}

/// Keys of `defaults` that go under a service with an image; under others only [`READY`].
const OF_WORKLOADS: [&str; 4] = ["env", "labels", "resources", "replicas"];
const READY: &str = "ready";

/// What of `defaults` goes under services. Unknown keys do not: they are reported where they stand.
fn usable(defaults: &Map) -> Map {
    let mut usable = Map::default();
    for entry in &defaults.entries {
        let mut entry = entry.clone();
        if entry.key == READY
            && let Some(ready) = entry.node.as_map_mut()
        {
            ready.entries.retain(|entry| entry.key == "within");
        } else if !OF_WORKLOADS.contains(&&*entry.key) {
            continue;
        }
        usable.entries.push(entry);
    }
    usable
}

/// Lays `defaults` under every service.
pub(super) fn apply_defaults(root: &mut Node) {
    let Some(root) = root.as_map_mut() else {
        return;
    };
    let Some(defaults) = root.get("defaults").and_then(Node::as_map).map(usable) else {
        return;
    };
    let Some(services) = root.get_mut("services").and_then(Node::as_map_mut) else {
        return;
    };
    for entry in &mut services.entries {
        let Some(service) = entry.node.as_map() else {
            continue;
        };
        let is_workload = service.has("build") || service.has("image");
        let mut base = defaults.clone();
        base.entries
            .retain(|default| is_workload || default.key == READY);
        let base = Node::new(Value::Map(base), entry.node.origin);
        let service = std::mem::replace(&mut entry.node, Node::new(Value::Null, base.origin));
        entry.node = merge_keeping(base, service, Kept::Upper);
    }
}
