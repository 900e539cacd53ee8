//! What an agent tells, as what is stored.

use std::collections::BTreeMap;

use crate::{
    adapters::agent::{FileId, LogRecord},
    state::log_store::{Addition, Origin},
};

/// What became of a record.
pub(super) enum Record {
    /// A run begins: its store is to be found before more is taken.
    Opened(Origin),
    /// It is taken in.
    Taken,
}

/// Takes in the records of one stream of one node.
#[derive(Debug)]
pub(super) struct Intake {
    node: String,
    streams: BTreeMap<u32, (Origin, FileId)>,
    additions: Vec<Addition>,
}

impl Intake {
    pub(super) fn of(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            streams: BTreeMap::new(),
            additions: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, record: LogRecord) -> Record {
        match record {
            LogRecord::Opened { stream, run } => {
                let node = self.node.clone();
                let origin = Origin { node, run };
                self.streams.insert(stream, (origin.clone(), FileId(0)));
                return Record::Opened(origin);
            }
            LogRecord::File { stream, file } => {
                if let Some((_, its)) = self.streams.get_mut(&stream) {
                    *its = file;
                }
            }
            LogRecord::Lines {
                stream,
                offset,
                bytes,
            } => self.add(stream, |origin, file| Addition::Lines {
                origin,
                file,
                offset,
                bytes,
            }),
            LogRecord::Lost { stream, bytes } => {
                self.add(stream, |origin, _| Addition::Lost { origin, bytes });
            }
            LogRecord::Ended { stream } => {
                self.add(stream, |origin, _| Addition::Ended { origin });
                self.streams.remove(&stream);
            }
        }
        Record::Taken
    }

    fn add(&mut self, stream: u32, addition: impl FnOnce(Origin, FileId) -> Addition) {
        if let Some((origin, file)) = self.streams.get(&stream) {
            self.additions.push(addition(origin.clone(), *file));
        }
    }

    /// What was taken in since the last time.
    pub(super) fn additions(&mut self) -> Vec<Addition> {
        std::mem::take(&mut self.additions)
    }
}
