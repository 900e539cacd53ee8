//! Where every key of the merged tree was written, by its path.

use std::collections::BTreeMap;

use super::{
    conform::{enter, enter_item},
    source::Sources,
    tree::{Node, Origin, Value},
};
use crate::domain::Provenance;

/// Origins by paths such as `services.order.ports[0].port`.
pub(super) struct Places {
    origins: BTreeMap<String, Origin>,
    root: Origin,
}

impl Places {
    /// The places of every node below `root`.
    pub(super) fn of(root: &Node) -> Self {
        let mut places = Self {
            origins: BTreeMap::new(),
            root: root.origin,
        };
        places.below(root, &mut String::new());
        places
    }

    fn below(&mut self, node: &Node, path: &mut String) {
        match &node.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let outer = enter_item(path, index);
                    self.origins.insert(path.clone(), item.origin);
                    self.below(item, path);
                    path.truncate(outer);
                }
            }
            Value::Map(map) => {
                for entry in &map.entries {
                    let outer = enter(path, &entry.key);
                    self.origins.insert(path.clone(), entry.place());
                    self.below(&entry.node, path);
                    path.truncate(outer);
                }
            }
        }
    }

    /// Whether `path` is written in any layer.
    pub(super) fn has(&self, path: &str) -> bool {
        self.origins.contains_key(path)
    }

    /// The place of `path`, or of its nearest ancestor that is written.
    pub(super) fn nearest(&self, path: &str) -> Origin {
        let mut rest = path;
        loop {
            if let Some(origin) = self.origins.get(rest) {
                return *origin;
            }
            match rest.rfind(['.', '[']) {
                Some(end) => rest = &rest[..end],
                None => return self.root,
            }
        }
    }

    /// The same for other rooms, with files and lines.
    pub(super) fn provenance(&self, sources: &Sources) -> Provenance {
        let mut provenance = Provenance::default();
        for (path, origin) in &self.origins {
            provenance.insert(path.clone(), sources.place(*origin));
        }
        provenance
    }
}
