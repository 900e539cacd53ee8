//! Reads a store, also while it is written to. Readers take no lock, and the writer knows nothing of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Amount, Line, LogStoreError, Origin, Output,
    frame::{self, Header},
    name, segments,
};
use crate::adapters::{agent::RunId, files};

/// A longer line comes in pieces, in bytes.
const LONGEST_LINE: usize = 256 * 1024;

/// Something that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A line.
    Line {
        /// Whose.
        origin: Arc<Origin>,
        /// The line; it is cut only where it is longer than anybody reads.
        line: Line,
    },
    /// Something was removed in the node before it could be stored.
    Lost {
        /// Of what.
        origin: Arc<Origin>,
        /// How many bytes, where that is known.
        bytes: Option<u64>,
    },
    /// Older lines than those that follow were dropped to keep the store within its bound.
    Dropped(Amount),
}

/// A reader of a service's store, and where it is.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    /// The segment that is read, and up to where it was.
    at: Option<(u64, u64)>,
    file: Option<File>,
    origins: BTreeMap<Origin, Arc<Origin>>,
    /// Lines that are cut so far.
    cut: BTreeMap<(Arc<Origin>, Output), Line>,
}

impl LogReader {
    /// A reader at the beginning; nothing if there is no store.
    pub fn open(directory: &Path) -> Result<Option<Self>, LogStoreError> {
        Ok((!segments(directory)?.is_empty()).then(|| Self {
            directory: directory.to_owned(),
            at: None,
            file: None,
            origins: BTreeMap::new(),
            cut: BTreeMap::new(),
        }))
    }

    /// All runs of which there are lines.
    pub fn runs(directory: &Path) -> Result<BTreeSet<RunId>, LogStoreError> {
        let mut runs = BTreeSet::new();
        for number in segments(directory)? {
            let Ok(bytes) = files::read(&directory.join(name(number))) else {
                // It was removed meanwhile.
                continue;
            };
            let mut rest = &bytes[..];
            while let Some((header, _, length)) = frame::read(rest) {
                if let Header::Lines { origin, .. } = header {
                    runs.insert(origin.run);
                }
                rest = &rest[length..];
            }
        }
        Ok(runs)
    }

    /// Passes over the segments that were written to their end before a time.
    pub fn skip_before(&mut self, time: SystemTime) -> Result<(), LogStoreError> {
        for number in segments(&self.directory)? {
            let modified = files::modified(&self.directory.join(name(number)));
            if modified.is_none_or(|modified| modified < time) {
                self.at = Some((number + 1, 0));
            } else {
                break;
            }
        }
        Ok(())
    }

    /// What a segment holds behind what was read; empty once all was read that is there.
    pub fn read(&mut self) -> Result<Vec<Item>, LogStoreError> {
        loop {
            let numbers = segments(&self.directory)?;
            let (number, offset) = self.at.unwrap_or((0, 0));
            // What is older was removed meanwhile.
            let Some(present) = numbers.iter().copied().find(|have| *have >= number) else {
                return Ok(Vec::new());
            };
            let jumped = present != number && self.file.is_none();
            let offset = if jumped { 0 } else { offset };
            let number = if jumped { present } else { number };
            let file = match self.file.take() {
                Some(file) => file,
                None => files::open(&self.directory.join(name(number)))?,
            };
            let bytes = read_behind(&file, offset);
            let (items, length) = self.items(&bytes, self.at.is_none());
            self.at = Some((number, offset + length as u64));
            let has_next = numbers.iter().any(|have| *have > number);
            if !items.is_empty() || !has_next {
                self.file = Some(file);
                return Ok(items);
            }
            // Nothing is added any more to one that has a next.
            if length == 0 {
                self.at = Some((number + 1, 0));
            } else {
                self.file = Some(file);
            }
        }
    }

    /// The items of whole frames, and how long those are.
    fn items(&mut self, bytes: &[u8], is_first: bool) -> (Vec<Item>, usize) {
        let mut items = Vec::new();
        let mut rest = bytes;
        while let Some((header, lines, length)) = frame::read(rest) {
            match header {
                Header::Before { stored, .. } => {
                    if is_first && stored.lines > 0 {
                        items.push(Item::Dropped(stored));
                    }
                }
                Header::Lines { origin, .. } => {
                    let origin = self.shared(origin);
                    for text in lines.split_inclusive(|byte| *byte == b'\n') {
                        let text = text.strip_suffix(b"\n").unwrap_or(text);
                        items.extend(self.line(&origin, Line::read(text)));
                    }
                }
                Header::Lost { origin, bytes } => {
                    let origin = self.shared(origin);
                    items.push(Item::Lost { origin, bytes });
                }
                Header::Ended { origin } => {
                    let origin = self.shared(origin);
                    for output in [Output::Standard, Output::Error] {
                        if let Some(line) = self.cut.remove(&(origin.clone(), output)) {
                            let origin = origin.clone();
                            items.push(Item::Line { origin, line });
                        }
                    }
                    self.origins.remove(&*origin);
                }
            }
            rest = &rest[length..];
        }
        (items, bytes.len() - rest.len())
    }

    /// The same origin as one that was seen before.
    fn shared(&mut self, origin: Origin) -> Arc<Origin> {
        if let Some(known) = self.origins.get(&origin) {
            return known.clone();
        }
        let shared = Arc::new(origin.clone());
        self.origins.insert(origin, shared.clone());
        shared
    }

    /// Puts the parts of a line together.
    fn line(&mut self, origin: &Arc<Origin>, line: Line) -> Option<Item> {
        let mut whole = line;
        if whole.is_cut || !self.cut.is_empty() {
            let key = (origin.clone(), whole.output);
            if let Some(mut before) = self.cut.remove(&key) {
                before.bytes.append(&mut whole.bytes);
                before.is_cut = whole.is_cut;
                whole = before;
            }
            if whole.is_cut && whole.bytes.len() < LONGEST_LINE {
                self.cut.insert(key, whole);
                return None;
            }
        }
        let origin = origin.clone();
        Some(Item::Line {
            origin,
            line: whole,
        })
    }
}

/// All that a file holds behind an offset, as far as it can be read.
fn read_behind(file: &File, offset: u64) -> Vec<u8> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let there = usize::try_from(length.saturating_sub(offset)).unwrap_or(0);
    let mut bytes = vec![0; there];
    let mut filled = 0;
    while filled < there {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(count @ 1..) => filled += count,
            Ok(0) | Err(_) => break,
        }
    }
    bytes.truncate(filled);
    bytes
}
