//! The hash of a directory: see [`TreeHash`] for what is hashed.

use std::os::{fd::OwnedFd, unix::ffi::OsStrExt};
use std::path::Path;

use devenv_agent::{
    protocol::{AgentError, LONGEST_CHUNK},
    volume_protocol::TreeHash,
};
use rustix::{
    fs::{FileType, Stat, major, minor, readlinkat},
    io::{Errno, read},
};

use super::{
    contents::open_file,
    place::Root,
    progress::{Progress, Stopped},
    walk::{Found, Visitor, walk},
};
use crate::files::{PERMISSIONS, kind};

/// Hashes a directory.
pub(super) fn hash(root: &Root, path: &[u8], progress: &Progress) -> Result<TreeHash, AgentError> {
    let tree = root.tree(path)?;
    let mut hash = Hash {
        progress,
        hasher: blake3::Hasher::new_derive_key(TreeHash::CONTEXT),
        buffer: vec![0; LONGEST_CHUNK],
    };
    hash.head(Path::new(""), b'd', &tree.stat);
    walk(&tree, &mut hash, &(), progress)?;
    Ok(TreeHash(*hash.hasher.finalize().as_bytes()))
}

struct Hash<'a> {
    progress: &'a Progress,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Hash<'_> {
    /// What a record begins with.
    fn head(&mut self, path: &Path, kind: u8, stat: &Stat) {
        self.text(path.as_os_str().as_bytes());
        self.hasher.update(&[kind]);
        for number in [stat.st_mode & PERMISSIONS, stat.st_uid, stat.st_gid] {
            self.hasher.update(&number.to_le_bytes());
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.hasher.update(text);
    }

    fn device(&mut self, stat: &Stat) {
        for number in [major(stat.st_rdev), minor(stat.st_rdev)] {
            self.hasher.update(&number.to_le_bytes());
        }
    }

    /// The BLAKE3 of a file's contents; `None` if it is gone.
    fn contents(&mut self, found: &Found<'_>) -> Result<Option<blake3::Hash>, Stopped> {
        let Some((file, _)) = open_file(found.directory, found.name)? else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        loop {
            self.progress.check()?;
            match read(&file, &mut self.buffer[..]) {
                Ok(0) => return Ok(Some(hasher.finalize())),
                Ok(count) => {
                    hasher.update(&self.buffer[..count]);
                    self.progress.add(0, count as u64);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Visitor for Hash<'_> {
    const DOING: &'static str = "hash";
    type Within = ();

    fn enter(&mut self, found: &Found<'_>, _: &OwnedFd, (): &()) -> Result<(), Stopped> {
        self.head(found.path, b'd', found.stat);
        Ok(())
    }

    fn leave(&mut self, _: &OwnedFd, _: &Stat, (): ()) -> Result<(), Stopped> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>, (): &()) -> Result<(), Stopped> {
        let Found { path, stat, .. } = *found;
        match kind(stat) {
            FileType::RegularFile => {
                if let Some(contents) = self.contents(found)? {
                    self.head(path, b'f', stat);
                    self.hasher.update(contents.as_bytes());
                }
            }
            FileType::Symlink => match readlinkat(found.directory, found.name, Vec::new()) {
                Ok(target) => {
                    self.head(path, b'l', stat);
                    self.text(target.as_bytes());
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            },
            FileType::Fifo => self.head(path, b'p', stat),
            FileType::CharacterDevice => {
                self.head(path, b'c', stat);
                self.device(stat);
            }
            FileType::BlockDevice => {
                self.head(path, b'b', stat);
                self.device(stat);
            }
            // Sockets belong to whom listens, and are left out of copies too.
            _ => {}
        }
        self.progress.add(1, 0);
        Ok(())
    }
}
