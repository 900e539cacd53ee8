//! Directories of a node, such as volumes, through its agent.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use devenv_agent::{
    protocol::{Answer, Request},
    volume_protocol::{self, Copied, Measured, Progress, Source, Space, TreeHash},
};

use super::{Agent, AgentFailure, connection::Asked};

/// The directories below one of a node. Paths are relative to it and made of names alone; no link in them is followed.
///
/// Nothing here may be asked again of another agent without a look, as a listing may: an exchange that was made would
/// be unmade. What is dropped before it is answered is broken off, and undone by the agent.
#[derive(Debug, Clone, Copy)]
pub struct Volumes<'a> {
    agent: &'a Agent,
    root: &'a Path,
}

impl Agent {
    /// The directories below an absolute path of the node.
    pub fn volumes<'a>(&'a self, root: &'a Path) -> Volumes<'a> {
        Volumes { agent: self, root }
    }
}

impl Volumes<'_> {
    /// How much is in a directory.
    pub async fn measure(&self, path: &Path) -> Result<Measured, AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Measure { path };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Measured(measured) => Ok(measured),
            other => Err(self.not_understood(&other, "measurement")),
        }
    }

    /// Copies a directory, which nobody should write to meanwhile, to where nothing is. The copy is there whole and on
    /// disk, or not at all. `told` hears how far it is, ten times a second at most.
    pub async fn copy(
        &self,
        from: &Path,
        to: &Path,
        told: impl FnMut(Progress) + Send,
    ) -> Result<Copied, AgentFailure> {
        let request = copy(from, to, Source::AtRest);
        match self.ask(request, told).await? {
            volume_protocol::Answer::Copied(copied) => Ok(copied),
            other => Err(self.not_understood(&other, "copy")),
        }
    }

    /// Copies a directory that others write to, so that little is left to be copied once nobody does.
    pub async fn draft(
        &self,
        from: &Path,
        to: &Path,
        mut told: impl FnMut(Progress) + Send,
    ) -> Result<Draft, AgentFailure> {
        let (root, request) = (bytes(self.root), copy(from, to, Source::InUse));
        let mut asked = self.agent.ask(Request::Volume { root, request }).await?;
        loop {
            let records: Vec<Progress> = asked.records().await.map_err(of_volume)?;
            let Some(last) = records.last() else {
                return asked.answer_to("a draft", Err).await.map_err(of_volume);
            };
            told(*last);
            if last.is_drafted {
                return Ok(Draft { asked });
            }
        }
    }

    /// The inode of what is at a path, if anything is.
    pub async fn look(&self, path: &Path) -> Result<Option<u64>, AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Look { path };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Looked(inode) => Ok(inode),
            other => Err(self.not_understood(&other, "look")),
        }
    }

    /// Has a directory, with those above it, that root alone may enter.
    pub async fn prepare(&self, path: &Path) -> Result<(), AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Prepare { path };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Prepared => Ok(()),
            other => Err(self.not_understood(&other, "directory")),
        }
    }

    /// Has on disk what was written so far.
    pub async fn sync(&self) -> Result<(), AgentFailure> {
        match self.ask(volume_protocol::Request::Sync, |_| {}).await? {
            volume_protocol::Answer::Synced => Ok(()),
            other => Err(self.not_understood(&other, "write to disk")),
        }
    }

    /// How much room there is, by the file system that they are in.
    pub async fn space(&self) -> Result<Space, AgentFailure> {
        match self.ask(volume_protocol::Request::Space, |_| {}).await? {
            volume_protocol::Answer::Space(space) => Ok(space),
            other => Err(self.not_understood(&other, "space")),
        }
    }

    /// Makes an empty directory where nothing is, as Kubernetes makes one for a volume.
    pub async fn make(&self, path: &Path) -> Result<(), AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Make { path };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Made => Ok(()),
            other => Err(self.not_understood(&other, "directory")),
        }
    }

    /// The hash of a directory, the same for a copy of it. `told` hears how far it is.
    pub async fn hash(
        &self,
        path: &Path,
        told: impl FnMut(Progress) + Send,
    ) -> Result<TreeHash, AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Hash { path };
        match self.ask(request, told).await? {
            volume_protocol::Answer::Hashed(hash) => Ok(hash),
            other => Err(self.not_understood(&other, "hash")),
        }
    }

    /// Has two directories take each other's places at one moment.
    pub async fn exchange(&self, one: &Path, other: &Path) -> Result<(), AgentFailure> {
        let (one, other) = (bytes(one), bytes(other));
        let request = volume_protocol::Request::Exchange { one, other };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Exchanged => Ok(()),
            other => Err(self.not_understood(&other, "exchange")),
        }
    }

    /// Gives a directory another path, at which nothing may be.
    pub async fn rename(&self, from: &Path, to: &Path) -> Result<(), AgentFailure> {
        let (from, to) = (bytes(from), bytes(to));
        let request = volume_protocol::Request::Rename { from, to };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Renamed => Ok(()),
            other => Err(self.not_understood(&other, "renaming")),
        }
    }

    /// Removes what is at a path with all below it, which goes at one moment; nothing there is fine.
    pub async fn remove(&self, path: &Path) -> Result<(), AgentFailure> {
        let path = bytes(path);
        let request = volume_protocol::Request::Remove { path };
        match self.ask(request, |_| {}).await? {
            volume_protocol::Answer::Removed => Ok(()),
            other => Err(self.not_understood(&other, "removal")),
        }
    }

    async fn ask(
        &self,
        request: volume_protocol::Request,
        told: impl FnMut(Progress) + Send,
    ) -> Result<volume_protocol::Answer, AgentFailure> {
        let root = bytes(self.root);
        let mut asked = self.agent.ask(Request::Volume { root, request }).await?;
        match asked.followed(told).await {
            Ok(Answer::Volume(answer)) => Ok(answer),
            Ok(other) => Err(self.not_understood(&other, "question about volumes")),
            Err(failure) => Err(of_volume(failure)),
        }
    }

    fn not_understood(&self, answer: &dyn std::fmt::Debug, asked: &str) -> AgentFailure {
        self.agent
            .not_understood(format!("{answer:?} to a {asked}"))
    }
}

/// A copy that lacks what others have written since it was made. If it is dropped before it is complete, it is removed.
#[derive(Debug)]
pub struct Draft {
    asked: Asked,
}

impl Draft {
    /// Makes it complete. Nobody may write to the directory now. It is on disk after the next [`Volumes::sync`].
    pub async fn complete(self) -> Result<Copied, AgentFailure> {
        self.asked.finish().await?;
        let copied = |answer| match answer {
            Answer::Volume(volume_protocol::Answer::Copied(copied)) => Ok(copied),
            other => Err(other),
        };
        let answer = self.asked.answer_to("a draft's end", copied).await;
        answer.map_err(of_volume)
    }
}

fn copy(from: &Path, to: &Path, source: Source) -> volume_protocol::Request {
    volume_protocol::Request::Copy {
        from: bytes(from),
        to: bytes(to),
        source,
    }
}

/// The failure of a request about volumes.
fn of_volume(failure: AgentFailure) -> AgentFailure {
    match failure {
        AgentFailure::Refused(error) => AgentFailure::Volume(error),
        other => other,
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}
