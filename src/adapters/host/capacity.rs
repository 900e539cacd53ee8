//! Disk space and memory.

use std::path::{Path, PathBuf};

use crate::{
    adapters::files::{self, FileError},
    domain::{ExitClass, Failure, Memory},
};

/// A file system with less is full: a write of some length has just failed, or the next one will.
const FULL_BELOW: u64 = 1 << 20;

/// Something about the machine that cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The free space of a file system.
    #[error("cannot find out the free space at {}", path.display())]
    FreeSpace {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's memory figures.
    #[error(transparent)]
    Unreadable(#[from] FileError),
    /// The kernel's memory figures have another form than known.
    #[error("/proc/meminfo has no line `{0}`")]
    NoSuchFigure(&'static str),
}

impl HostError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        Failure::new(
            "host.unknown-capacity",
            ExitClass::Prerequisite,
            self.to_string(),
        )
        .caused_by(self)
        .help("check the machine with `df -h` and `free -h`")
    }
}

/// Memory of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryState {
    /// All there is.
    pub total: Memory,
    /// What programs can still get without swapping.
    pub available: Memory,
}

/// A file system's space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What the user may still write.
    pub free: Memory,
    /// All there is.
    pub total: Memory,
    /// How many files more there can be; `None` where they are not counted.
    pub files: Option<u64>,
}

impl Space {
    /// The one of two with less room.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        if other.free < self.free { other } else { self }
    }

    /// Whether nothing to speak of can be written any more.
    pub const fn is_full(self) -> bool {
        self.free.bytes() < FULL_BELOW || self.has_no_file()
    }

    /// The command that shows how full the file system of a path is.
    pub fn shown_by(self, path: &Path) -> String {
        let what = if self.has_no_file() { "-hi" } else { "-h" };
        format!("df {what} {}", nearest(path).display())
    }

    const fn has_no_file(self) -> bool {
        matches!(self.files, Some(0))
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = |amount: Memory| amount.bytes() >> 20;
        write!(
            f,
            "{} MiB of {} MiB are free",
            whole(self.free),
            whole(self.total)
        )?;
        match self.files {
            Some(0) => f.write_str(", but there can be no more files"),
            Some(_) | None => Ok(()),
        }
    }
}

/// The bytes that the user may still write on the file system of `path` or of its nearest existing parent.
pub fn free_space(path: &Path) -> Result<Memory, HostError> {
    space(path).map(|space| space.free)
}

/// The space on the file system of `path` or of its nearest existing parent.
pub fn space(path: &Path) -> Result<Space, HostError> {
    let status = rustix::fs::statvfs(nearest(path)).map_err(|errno| HostError::FreeSpace {
        path: path.to_owned(),
        source: errno.into(),
    })?;
    Ok(Space {
        free: Memory::from_bytes(status.f_bavail * status.f_frsize),
        total: Memory::from_bytes(status.f_blocks * status.f_frsize),
        files: (status.f_files > 0).then_some(status.f_favail),
    })
}

/// What tells the file system of `path`, or of its nearest existing parent, from others; `None` if it cannot be seen.
pub fn file_system_of(path: &Path) -> Option<u64> {
    rustix::fs::stat(nearest(path))
        .ok()
        .map(|about| about.st_dev)
}

/// A path, or of what is above it the nearest that is there.
fn nearest(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|above| files::exists(above)).unwrap_or(path)
}

/// The machine's memory.
pub fn memory() -> Result<MemoryState, HostError> {
    parse_memory(&files::read_text(Path::new("/proc/meminfo"))?)
}

fn parse_memory(text: &str) -> Result<MemoryState, HostError> {
    let figure = |name: &'static str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .map(|kib| Memory::from_bytes(kib * 1024))
            .ok_or(HostError::NoSuchFigure(name))
    };
    Ok(MemoryState {
        total: figure("MemTotal")?,
        available: figure("MemAvailable")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_figures() {
        let state =
            parse_memory("MemTotal:   16 kB\nMemFree: 1 kB\nMemAvailable:  8 kB\n").unwrap();
        assert_eq!(state.total.bytes(), 16 << 10);
        assert_eq!(state.available.bytes(), 8 << 10);
        assert!(parse_memory("MemTotal: 16 kB\n").is_err());
        assert!(memory().is_ok());
    }

    #[test]
    fn the_space_of_a_path_to_come_is_that_of_its_parent() {
        assert!(free_space(Path::new("/tmp/not/yet/there")).unwrap().bytes() > 0);
        let [there, above] = ["/tmp/not/yet", "/tmp"].map(|path| file_system_of(Path::new(path)));
        assert!(there.is_some() && there == above);
        assert_ne!(file_system_of(Path::new("/proc")), there);
    }
}
