//! Goes through a directory and all below it, by open directories and names.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use devenv_agent::protocol::AgentError;
use rustix::{fs::Stat, io::Errno};

use super::{
    place::Tree,
    progress::{Progress, Stopped},
};
use crate::files::{children, kind, look, open_directory};

/// Something below the directory.
pub(super) struct Found<'a> {
    /// The directory in which it is.
    pub(super) directory: &'a OwnedFd,
    pub(super) name: &'a Path,
    /// Its path, relative to where the walk began.
    pub(super) path: &'a Path,
    pub(super) stat: &'a Stat,
}

/// Who does something with all that is found, in the order of the names' bytes.
pub(super) trait Visitor {
    /// What is being done, for errors.
    const DOING: &'static str;
    /// Whether somebody may put another thing in a directory's place meanwhile; nothing is there then.
    const IN_USE: bool = false;
    /// What is kept of a directory while what is in it is visited.
    type Within;

    /// Before all that is in a directory, which is open as `inner`.
    fn enter(
        &mut self,
        found: &Found<'_>,
        inner: &OwnedFd,
        above: &Self::Within,
    ) -> Result<Self::Within, Stopped>;

    /// After all that is in it.
    fn leave(&mut self, inner: &OwnedFd, stat: &Stat, within: Self::Within) -> Result<(), Stopped>;

    /// What is no directory.
    fn visit(&mut self, found: &Found<'_>, above: &Self::Within) -> Result<(), Stopped>;
}

/// Visits all that is below a directory. What goes meanwhile is not there.
pub(super) fn walk<V: Visitor>(
    tree: &Tree,
    visitor: &mut V,
    within: &V::Within,
    progress: &Progress,
) -> Result<(), AgentError> {
    let mut walk = Walk {
        top: &tree.whole,
        path: PathBuf::new(),
        visitor,
        progress,
    };
    walk.inside(&tree.fd, within)
}

struct Walk<'a, V> {
    top: &'a Path,
    path: PathBuf,
    visitor: &'a mut V,
    progress: &'a Progress,
}

impl<V: Visitor> Walk<'_, V> {
    fn inside(&mut self, directory: &OwnedFd, within: &V::Within) -> Result<(), AgentError> {
        let names = children(directory).map_err(|error| self.failed(error.into()))?;
        for name in &names {
            self.path.push(name);
            self.one(directory, name, within)?;
            self.path.pop();
        }
        Ok(())
    }

    fn one(
        &mut self,
        directory: &OwnedFd,
        name: &Path,
        within: &V::Within,
    ) -> Result<(), AgentError> {
        let looked = self
            .progress
            .check()
            .and_then(|()| Ok(look(directory, name)?));
        let Some(stat) = looked.map_err(|stopped| self.failed(stopped))? else {
            return Ok(());
        };
        let path = self.path.clone();
        let found = Found {
            directory,
            name,
            path: &path,
            stat: &stat,
        };
        if !kind(&stat).is_dir() {
            let visited = self.visitor.visit(&found, within);
            return visited.map_err(|stopped| self.failed(stopped));
        }
        let inner = match open_directory(directory, name) {
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) if V::IN_USE => return Ok(()),
            opened => opened.map_err(|error| self.failed(error.into()))?,
        };
        let entered = self.visitor.enter(&found, &inner, within);
        let inside = entered.map_err(|stopped| self.failed(stopped))?;
        self.inside(&inner, &inside)?;
        let left = self.visitor.leave(&inner, &stat, inside);
        left.map_err(|stopped| self.failed(stopped))
    }

    fn failed(&self, stopped: Stopped) -> AgentError {
        stopped.at(V::DOING, &self.top.join(&self.path))
    }
}
