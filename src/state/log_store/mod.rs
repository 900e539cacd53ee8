//! What services said, on disk: bounded, exact after a crash of the writer, read while it is written.
//!
//! A store is a directory a service, of segments that are only appended to. A segment is a row of frames: the length
//! and the checksum of what follows, the frame's header, and lines as the runtime wrote them. The first frame of each
//! segment says how much was stored before it and how far each run was read, so that the oldest segments can be removed
//! without a trace to keep. How far a run was read stands in the frame of its lines: both are there, or neither is.

mod frame;
mod line;
mod reader;
mod writer;

use std::path::PathBuf;

use crate::{
    adapters::files::FileError,
    domain::{ExitClass, Failure},
};

pub use self::{
    frame::Amount,
    line::{Line, Output},
    reader::{Item, LogReader},
    writer::{Addition, LogWriter, Origin},
};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a segment grows, in bytes.
    pub segment: u64,
    /// How much all of them hold, in bytes.
    pub store: u64,
}

impl Bounds {
    /// Of a service.
    pub const SERVICE: Self = Self {
        segment: 4 << 20,
        store: 64 << 20,
    };
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogStoreError {
    /// Its directory or a file of it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be added to.
    #[error("cannot write {}", path.display())]
    Write {
        /// The segment.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl LogStoreError {
    /// The failure to show.
    pub fn failure(&self) -> Failure {
        match self {
            Self::File(error) => error.failure(),
            Self::Write { source, .. } => {
                Failure::new("logs.store", ExitClass::Prerequisite, self.to_string())
                    .caused_by(source)
                    .help("make room on the disk: df -h")
            }
        }
    }
}

/// A segment's name.
fn name(number: u64) -> String {
    format!("{number:08}.log")
}

/// The numbers of the segments in a directory, in order; none where there is no directory.
fn segments(directory: &std::path::Path) -> Result<Vec<u64>, LogStoreError> {
    if !crate::adapters::files::exists(directory) {
        return Ok(Vec::new());
    }
    let paths = crate::adapters::files::list(directory)?;
    let number = |path: &PathBuf| {
        path.file_name()?
            .to_str()?
            .strip_suffix(".log")?
            .parse()
            .ok()
    };
    let mut numbers: Vec<u64> = paths.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Origin;
    use crate::adapters::agent::RunId;

    /// A run of the container `order` of a pod.
    pub(crate) fn origin(pod: &str, run: u32) -> Origin {
        let run = RunId {
            pod: pod.to_owned(),
            uid: format!("uid of {pod}"),
            container: "order".to_owned(),
            run,
        };
        Origin {
            node: "server-0".to_owned(),
            run,
        }
    }
}

#[cfg(test)]
mod tests;
