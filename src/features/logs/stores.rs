//! The stores of an environment, one a service.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
};

use crate::{
    adapters::{agent::LogPosition, files},
    state::log_store::{Addition, Bounds, LogStoreError, LogWriter, Origin},
};

/// All stores, opened for writing.
#[derive(Debug)]
pub(super) struct Stores {
    directory: PathBuf,
    writers: BTreeMap<String, LogWriter>,
    /// Which store each run is in; it stays there.
    assigned: BTreeMap<Origin, String>,
}

impl Stores {
    /// Opens those that are there.
    pub(super) fn open(directory: PathBuf) -> Result<Self, LogStoreError> {
        files::create_private_dir(&directory)?;
        let mut stores = Self {
            directory,
            writers: BTreeMap::new(),
            assigned: BTreeMap::new(),
        };
        for path in files::list(&stores.directory)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let writer = LogWriter::open(&path, Bounds::SERVICE)?;
            for (node, position) in writer.positions() {
                let origin = Origin {
                    node: node.to_owned(),
                    run: position.run,
                };
                stores.assigned.insert(origin, name.to_owned());
            }
            stores.writers.insert(name.to_owned(), writer);
        }
        Ok(stores)
    }

    /// How far the logs of a node were read.
    pub(super) fn positions(&self, node: &str) -> Vec<LogPosition> {
        let all = self.writers.values().flat_map(LogWriter::positions);
        all.filter(|(its, _)| *its == node)
            .map(|(_, position)| position)
            .collect()
    }

    /// Whether it is known in which store a run is.
    pub(super) fn knows(&self, origin: &Origin) -> bool {
        self.assigned.contains_key(origin)
    }

    /// Puts a run to a store.
    pub(super) fn assign(&mut self, origin: Origin, store: String) {
        self.assigned.insert(origin, store);
    }

    /// Adds to the stores, with one write each, and takes away what was added; runs that were put nowhere are nobody's.
    pub(super) fn append(&mut self, additions: &mut Vec<Addition>) -> Result<(), LogStoreError> {
        let mut by_store: BTreeMap<String, Vec<Addition>> = BTreeMap::new();
        for addition in additions.drain(..) {
            if let Some(store) = self.assigned.get(addition.origin()) {
                by_store.entry(store.clone()).or_default().push(addition);
            }
        }
        let mut failed = None;
        for (store, its) in by_store {
            match self.add(&store, &its) {
                Ok(()) => {}
                Err(error) => {
                    additions.extend(its);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes nothing any more.
    pub(super) fn close(&mut self) {
        self.assigned.clear();
    }

    fn add(&mut self, store: &str, additions: &[Addition]) -> Result<(), LogStoreError> {
        let writer = match self.writers.entry(store.to_owned()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let directory = self.directory.join(store);
                free.insert(LogWriter::open(&directory, Bounds::SERVICE)?)
            }
        };
        writer.append(additions)?;
        for addition in additions {
            if let Addition::Ended { origin } = addition {
                self.assigned.remove(origin);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        adapters::agent::FileId,
        state::log_store::{Item, LogReader, testing::origin},
    };

    fn lines(pod: &str, range: std::ops::Range<u64>) -> Addition {
        let line = |number| format!("2026-01-02T03:04:05.{number:09}Z stdout F line {number}\n");
        Addition::Lines {
            origin: origin(pod, 0),
            file: FileId(1),
            offset: range.end,
            bytes: range.map(line).collect::<String>().into_bytes(),
        }
    }

    fn count(directory: &Path) -> usize {
        let mut reader = LogReader::open(directory).unwrap().unwrap();
        let mut lines = 0;
        loop {
            let items = reader.read().unwrap();
            if items.is_empty() {
                return lines;
            }
            let is_line = |item: &&Item| matches!(item, Item::Line { .. });
            lines += items.iter().filter(is_line).count();
        }
    }

    #[test]
    fn each_service_has_its_store_and_runs_stay_in_theirs() {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = Stores::open(directory.path().to_owned()).unwrap();
        stores.assign(origin("order-1", 0), "order".to_owned());
        stores.assign(origin("cart-1", 0), "cart".to_owned());
        let mut additions = vec![
            lines("order-1", 0..3),
            lines("cart-1", 0..5),
            lines("x", 0..9),
        ];
        stores.append(&mut additions).unwrap();
        assert_eq!(additions, []);
        drop(stores);
        let mut stores = Stores::open(directory.path().to_owned()).unwrap();
        assert!(stores.knows(&origin("order-1", 0)));
        assert_eq!(stores.positions("server-0").len(), 2);
        assert_eq!(stores.positions("agent-0"), []);
        stores.append(&mut vec![lines("cart-1", 5..6)]).unwrap();
        assert_eq!(count(&directory.path().join("order")), 3);
        assert_eq!(count(&directory.path().join("cart")), 6);
        stores.close();
        stores.append(&mut vec![lines("cart-1", 6..7)]).unwrap();
        assert_eq!(count(&directory.path().join("cart")), 6);
    }
}
