//! How much is in a directory.

use std::{collections::HashSet, os::fd::OwnedFd};

use devenv_agent::{protocol::AgentError, volume_protocol::Measured};
use rustix::fs::Stat;

use super::{
    place::Root,
    progress::{Progress, Stopped},
    walk::{Found, Visitor, walk},
};
use crate::files::kind;

/// The unit in which the kernel says how much a file takes, in bytes.
const BLOCK: u64 = 512;

/// Measures a directory.
pub(super) fn measure(
    root: &Root,
    path: &[u8],
    progress: &Progress,
) -> Result<Measured, AgentError> {
    let tree = root.tree(path)?;
    let mut measure = Measure {
        progress,
        sum: Measured::default(),
        linked: HashSet::new(),
    };
    measure.directory(&tree.stat);
    walk(&tree, &mut measure, &(), progress)?;
    Ok(measure.sum)
}

struct Measure<'a> {
    progress: &'a Progress,
    sum: Measured,
    /// Files with several hard links that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Measure<'_> {
    fn directory(&mut self, stat: &Stat) {
        self.sum.directories += 1;
        self.sum.allocated += allocated(stat);
    }
}

impl Visitor for Measure<'_> {
    const DOING: &'static str = "measure";
    type Within = ();

    fn enter(&mut self, found: &Found<'_>, _: &OwnedFd, (): &()) -> Result<(), Stopped> {
        self.directory(found.stat);
        Ok(())
    }

    fn leave(&mut self, _: &OwnedFd, _: &Stat, (): ()) -> Result<(), Stopped> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>, (): &()) -> Result<(), Stopped> {
        let stat = found.stat;
        self.sum.files += 1;
        let is_first = stat.st_nlink < 2 || self.linked.insert((stat.st_dev, stat.st_ino));
        let bytes = if is_first && kind(stat).is_file() {
            length(stat)
        } else {
            0
        };
        self.sum.bytes += bytes;
        if is_first {
            self.sum.allocated += allocated(stat);
        }
        self.progress.add(1, bytes);
        Ok(())
    }
}

/// The length of a file, in bytes.
pub(super) fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What a file takes of the disk, in bytes.
pub(super) fn allocated(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK
}
