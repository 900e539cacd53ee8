//! The contents of files: cloned where the file system can, else copied by the kernel, else read and written.

use std::{
    collections::HashSet,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use devenv_agent::{protocol::LONGEST_CHUNK, volume_protocol::Means};
use rustix::{
    fs::{
        FileType, Mode, OFlags, SeekFrom, Stat, copy_file_range, fstat, ftruncate, ioctl_ficlone,
        openat, seek,
    },
    io::{Errno, pread, pwrite},
};

use super::{
    measure::{allocated, length},
    progress::{Progress, Stopped},
};
use crate::files::kind;

/// How much is copied in one go, in bytes: between two of them it can be broken off.
const AT_ONCE: u64 = 8 << 20;

/// How contents come from the file systems of a tree to the one of its copy.
pub(super) struct Contents<'a> {
    progress: &'a Progress,
    /// File systems, by their devices, from which nothing can be cloned.
    not_cloned: HashSet<u64>,
    /// Those from which the kernel does not copy.
    not_copied: HashSet<u64>,
    means: Option<Means>,
    buffer: Vec<u8>,
}

impl<'a> Contents<'a> {
    pub(super) fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            not_cloned: HashSet::new(),
            not_copied: HashSet::new(),
            means: None,
            buffer: Vec::new(),
        }
    }

    /// How they came; nothing that had to come is as good as a copy.
    pub(super) fn means(&self) -> Means {
        self.means.unwrap_or(Means::Copied)
    }

    /// Gives a new file the contents of another. Holes stay holes.
    pub(super) fn transfer(
        &mut self,
        from: &OwnedFd,
        stat: &Stat,
        to: &OwnedFd,
    ) -> Result<(), Stopped> {
        let size = length(stat);
        if size == 0 {
            return Ok(());
        }
        self.progress.check()?;
        if self.clone_whole(from, stat.st_dev, to)? {
            self.means.get_or_insert(Means::Cloned);
            self.progress.add(0, size);
            return Ok(());
        }
        self.means = Some(Means::Copied);
        if allocated(stat) >= size {
            return self.copy_range(from, stat.st_dev, to, 0, size);
        }
        self.copy_data(from, stat.st_dev, to, size)?;
        // What ends with a hole is as long all the same.
        Ok(ftruncate(to, size)?)
    }

    fn clone_whole(&mut self, from: &OwnedFd, device: u64, to: &OwnedFd) -> Result<bool, Errno> {
        if self.not_cloned.contains(&device) {
            return Ok(false);
        }
        match ioctl_ficlone(to, from) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
                self.not_cloned.insert(device);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies what is no hole.
    fn copy_data(
        &mut self,
        from: &OwnedFd,
        device: u64,
        to: &OwnedFd,
        size: u64,
    ) -> Result<(), Stopped> {
        let mut at = 0;
        while at < size {
            let data = match seek(from, SeekFrom::Data(at)) {
                Ok(data) => data.min(size),
                // Nothing but a hole is left.
                Err(Errno::NXIO) => size,
                Err(error) => return Err(error.into()),
            };
            self.progress.add(0, data - at);
            if data == size {
                break;
            }
            at = seek(from, SeekFrom::Hole(data))?.min(size);
            self.copy_range(from, device, to, data, at)?;
        }
        Ok(())
    }

    /// Copies from one offset to another, or to the end of a file that was cut meanwhile.
    fn copy_range(
        &mut self,
        from: &OwnedFd,
        device: u64,
        to: &OwnedFd,
        mut at: u64,
        end: u64,
    ) -> Result<(), Stopped> {
        while at < end {
            self.progress.check()?;
            let most = usize::try_from(AT_ONCE.min(end - at)).unwrap_or(usize::MAX);
            let count = match self.copy_in_kernel(from, device, to, at, most)? {
                // The kernel may say so also where it cannot; reading tells.
                0 => self.read_and_write(from, to, at, most)?,
                count => count,
            };
            if count == 0 {
                break;
            }
            at += count as u64;
            self.progress.add(0, count as u64);
        }
        Ok(())
    }

    /// Returns how much was copied; nothing where the kernel does not.
    fn copy_in_kernel(
        &mut self,
        from: &OwnedFd,
        device: u64,
        to: &OwnedFd,
        at: u64,
        most: usize,
    ) -> Result<usize, Errno> {
        if self.not_copied.contains(&device) {
            return Ok(0);
        }
        let (mut from_at, mut to_at) = (at, at);
        match copy_file_range(from, Some(&mut from_at), to, Some(&mut to_at), most) {
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => {
                self.not_copied.insert(device);
                Ok(0)
            }
            Err(Errno::INTR) => Ok(0),
            other => other,
        }
    }

    fn read_and_write(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        at: u64,
        most: usize,
    ) -> Result<usize, Errno> {
        self.buffer.resize(LONGEST_CHUNK, 0);
        let most = most.min(LONGEST_CHUNK);
        let count = again(|| pread(from, &mut self.buffer[..most], at))?;
        write_at(to, &self.buffer[..count], at)?;
        Ok(count)
    }
}

/// Writes all bytes to an offset of a file.
pub(super) fn write_at(to: &OwnedFd, bytes: &[u8], at: u64) -> Result<(), Errno> {
    let mut written = 0;
    while written < bytes.len() {
        written += again(|| pwrite(to, &bytes[written..], at + written as u64))?;
    }
    Ok(())
}

/// Calls the system until no signal interrupts it.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Opens a file to be read; `None` if it is gone. One that has become something else meanwhile is refused.
pub(super) fn open_file(
    directory: impl AsFd,
    name: &Path,
) -> Result<Option<(OwnedFd, Stat)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = fstat(&file)?;
    if kind(&stat) == FileType::RegularFile {
        Ok(Some((file, stat)))
    } else {
        Err(Errno::STALE)
    }
}
