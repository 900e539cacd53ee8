//! Adds to a store: one writer, which may end at any time.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Bounds, LogStoreError,
    frame::{self, Amount, Header, Reached},
    name, segments,
};
use crate::adapters::{
    agent::{FileId, LogPosition, RunId},
    files,
};

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The node.
    pub node: String,
    /// The run of a container.
    pub run: RunId,
}

/// What is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// Lines as the runtime wrote them.
    Lines {
        /// Whose.
        origin: Origin,
        /// The file they stood in.
        file: FileId,
        /// The byte of it behind them.
        offset: u64,
        /// The lines, each with its end.
        bytes: Vec<u8>,
    },
    /// Something was removed in the node before it was read.
    Lost {
        /// Of what.
        origin: Origin,
        /// How many bytes, where that is known.
        bytes: Option<u64>,
    },
    /// Nothing more comes of a run.
    Ended {
        /// Of which.
        origin: Origin,
    },
}

impl Addition {
    /// Where it comes from.
    pub const fn origin(&self) -> &Origin {
        let (Self::Lines { origin, .. } | Self::Lost { origin, .. } | Self::Ended { origin }) =
            self;
        origin
    }
}

/// The writer of a service's store.
#[derive(Debug)]
pub struct LogWriter {
    directory: PathBuf,
    bounds: Bounds,
    /// The segment that is added to, and its number and length.
    file: File,
    number: u64,
    length: u64,
    /// The numbers and lengths of those before it.
    older: VecDeque<(u64, u64)>,
    /// All that was ever stored.
    stored: Amount,
    reached: BTreeMap<Origin, Reached>,
}

/// What a segment says about itself.
struct Found {
    stored: Amount,
    reached: BTreeMap<Origin, Reached>,
    /// Up to where it is whole.
    length: u64,
}

impl LogWriter {
    /// Opens a store, or makes it; cuts off what a writer that ended did not finish.
    pub fn open(directory: &Path, bounds: Bounds) -> Result<Self, LogStoreError> {
        files::create_private_dir(directory)?;
        let mut numbers = segments(directory)?;
        let mut last = None;
        while let Some(number) = numbers.pop() {
            let path = directory.join(name(number));
            if let Some(found) = Found::read(&path)? {
                last = Some((number, found));
                break;
            }
            // Not even its beginning was written.
            files::remove_file(&path)?;
        }
        let length = |number: &u64| {
            let file = files::open(&directory.join(name(*number)))?;
            Ok((
                *number,
                file.metadata().map_or(0, |metadata| metadata.len()),
            ))
        };
        let older: Result<_, LogStoreError> = numbers.iter().map(length).collect();
        let (number, found) = match last {
            Some((number, found)) => (number, Some(found)),
            None => (0, None),
        };
        let path = directory.join(name(number));
        let mut writer = Self {
            directory: directory.to_owned(),
            bounds,
            file: files::append_private(&path)?,
            number,
            length: 0,
            older: older?,
            stored: Amount::default(),
            reached: BTreeMap::new(),
        };
        match found {
            Some(found) => {
                let cut = writer.file.set_len(found.length);
                cut.map_err(|source| LogStoreError::Write { path, source })?;
                writer.length = found.length;
                writer.stored = found.stored;
                writer.reached = found.reached;
            }
            None => writer.begin_segment()?,
        }
        Ok(writer)
    }

    /// How far each run was read that may go on.
    pub fn positions(&self) -> impl Iterator<Item = (&str, LogPosition)> {
        self.reached.iter().map(|(origin, reached)| {
            let position = LogPosition {
                run: origin.run.clone(),
                file: reached.file,
                offset: reached.offset,
            };
            (origin.node.as_str(), position)
        })
    }

    /// Adds all of it with one write, or nothing.
    pub fn append(&mut self, additions: &[Addition]) -> Result<(), LogStoreError> {
        if self.length >= self.bounds.segment {
            self.next_segment()?;
        }
        let mut frames = Vec::new();
        for addition in additions {
            match addition {
                Addition::Lines {
                    origin,
                    file,
                    offset,
                    bytes,
                } => {
                    let (file, offset) = (*file, *offset);
                    let header = Header::Lines {
                        origin: origin.clone(),
                        reached: Reached { file, offset },
                    };
                    frame::write(&header, bytes, &mut frames);
                }
                Addition::Lost { origin, bytes } => {
                    let (origin, bytes) = (origin.clone(), *bytes);
                    frame::write(&Header::Lost { origin, bytes }, &[], &mut frames);
                }
                Addition::Ended { origin } => {
                    let origin = origin.clone();
                    frame::write(&Header::Ended { origin }, &[], &mut frames);
                }
            }
        }
        self.write(&frames)?;
        for addition in additions {
            self.note(addition);
        }
        Ok(())
    }

    fn note(&mut self, addition: &Addition) {
        match addition {
            Addition::Lines {
                origin,
                file,
                offset,
                bytes,
            } => {
                self.stored = self.stored.and(Amount::of(bytes));
                let (file, offset) = (*file, *offset);
                self.reached
                    .insert(origin.clone(), Reached { file, offset });
            }
            Addition::Lost { .. } => {}
            Addition::Ended { origin } => {
                self.reached.remove(origin);
            }
        }
    }

    /// Writes to the segment. What was written in part is taken back.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogStoreError> {
        if let Err(source) = self.file.write_all(bytes) {
            // If even that fails, the next who opens the store does it.
            let _ = self.file.set_len(self.length);
            let path = self.directory.join(name(self.number));
            return Err(LogStoreError::Write { path, source });
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), LogStoreError> {
        let before = Header::Before {
            stored: self.stored,
            reached: self.reached.clone(),
        };
        let mut frame = Vec::new();
        frame::write(&before, &[], &mut frame);
        self.write(&frame)
    }

    fn next_segment(&mut self) -> Result<(), LogStoreError> {
        let path = self.directory.join(name(self.number + 1));
        // One whose beginning could not be written.
        files::remove_file(&path)?;
        let before = (self.number, self.length);
        let file = std::mem::replace(&mut self.file, files::append_private(&path)?);
        (self.number, self.length) = (self.number + 1, 0);
        if let Err(error) = self.begin_segment() {
            self.file = file;
            (self.number, self.length) = before;
            return Err(error);
        }
        self.older.push_back(before);
        self.drop_oldest()
    }

    /// Keeps the bound, the segment that is begun counted as full.
    fn drop_oldest(&mut self) -> Result<(), LogStoreError> {
        let mut held: u64 = self.older.iter().map(|(_, length)| length).sum();
        while held + self.bounds.segment > self.bounds.store {
            let Some((number, length)) = self.older.pop_front() else {
                break;
            };
            files::remove_file(&self.directory.join(name(number)))?;
            held -= length;
        }
        Ok(())
    }
}

impl Found {
    /// Reads a segment; nothing if it has no beginning.
    fn read(path: &Path) -> Result<Option<Self>, LogStoreError> {
        let mut bytes = Vec::new();
        let read = files::open(path)?.read_to_end(&mut bytes);
        read.map_err(|source| LogStoreError::Write {
            path: path.to_owned(),
            source,
        })?;
        let Some((Header::Before { stored, reached }, _, length)) = frame::read(&bytes) else {
            return Ok(None);
        };
        let mut found = Self {
            stored,
            reached,
            length: length as u64,
        };
        let mut rest = &bytes[length..];
        while let Some((header, lines, length)) = frame::read(rest) {
            match header {
                Header::Lines { origin, reached } => {
                    found.stored = found.stored.and(Amount::of(lines));
                    found.reached.insert(origin, reached);
                }
                Header::Ended { origin } => {
                    found.reached.remove(&origin);
                }
                Header::Before { .. } | Header::Lost { .. } => {}
            }
            found.length += length as u64;
            rest = &rest[length..];
        }
        Ok(Some(found))
    }
}
