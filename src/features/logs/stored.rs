//! What the stores hold, in the order of time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use futures::stream;
use jiff::Timestamp;

use super::merge::Merge;
use crate::{
    adapters::agent::RunId,
    domain::ServiceName,
    state::log_store::{Item, LogReader, LogStoreError, Origin},
};

/// All runs of which the stores of these services hold lines.
pub(super) fn runs(
    directory: &Path,
    services: &BTreeSet<ServiceName>,
) -> Result<Vec<(ServiceName, RunId)>, LogStoreError> {
    let mut all = Vec::new();
    for service in services {
        let runs = LogReader::runs(&directory.join(service.as_str()))?;
        all.extend(runs.into_iter().map(|run| (service.clone(), run)));
    }
    Ok(all)
}

type Items = stream::Iter<History>;

/// The histories of several services, merged.
pub(super) struct Stored {
    services: Vec<ServiceName>,
    merge: Merge<Items, Item>,
}

impl Stored {
    /// Opens the stores that there are; segments that are older than `since` are passed over.
    pub(super) async fn open(
        directory: &Path,
        services: &BTreeSet<ServiceName>,
        since: Option<Timestamp>,
    ) -> Result<Self, LogStoreError> {
        let mut names = Vec::new();
        let mut histories = Vec::new();
        for service in services {
            let Some(mut reader) = LogReader::open(&directory.join(service.as_str()))? else {
                continue;
            };
            if let Some(since) = since {
                reader.skip_before(SystemTime::from(since))?;
            }
            names.push(service.clone());
            histories.push(stream::iter(History::of(reader)));
        }
        Ok(Self {
            services: names,
            merge: Merge::of(histories).await,
        })
    }

    /// The oldest that was not taken yet, and its service.
    pub(super) async fn next(&mut self) -> Option<(&ServiceName, Item)> {
        let (index, item) = self.merge.next().await?;
        Some((&self.services[index], item))
    }
}

/// What a store holds. Pods are put in order as far as one reading goes; the lines of each keep theirs.
#[derive(Debug)]
struct History {
    reader: LogReader,
    waiting: VecDeque<(Option<Timestamp>, Item)>,
    latest: BTreeMap<Arc<Origin>, Timestamp>,
}

impl History {
    const fn of(reader: LogReader) -> Self {
        Self {
            reader,
            waiting: VecDeque::new(),
            latest: BTreeMap::new(),
        }
    }

    /// When an item has its turn: not before those of its run that stand before it.
    fn turn(&mut self, item: &Item) -> Option<Timestamp> {
        let (origin, time) = match item {
            Item::Line { origin, line } => (origin, line.time),
            Item::Lost { origin, .. } => (origin, None),
            Item::Dropped(_) => return None,
        };
        let latest = self.latest.get(origin).copied();
        let turn = time.max(latest)?;
        self.latest.insert(origin.clone(), turn);
        Some(turn)
    }
}

impl Iterator for History {
    type Item = (Option<Timestamp>, Item);

    fn next(&mut self) -> Option<Self::Item> {
        if self.waiting.is_empty() {
            // One that cannot be read any more has ended.
            let items = self.reader.read().unwrap_or_default();
            let mut turns: Vec<_> = items
                .into_iter()
                .map(|item| (self.turn(&item), item))
                .collect();
            turns.sort_by_key(|(turn, _)| *turn);
            self.waiting = turns.into();
        }
        self.waiting.pop_front()
    }
}
