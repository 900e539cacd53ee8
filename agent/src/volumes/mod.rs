//! Volumes: directories of the node that belong to anybody, measured, copied, hashed, moved,
//! removed, packed into archives and unpacked.
//!
//! Called by the server, and by two commands of their own, for what devenv builds snapshots and resets on. Paths are resolved by the kernel below a root
//! (`openat2`) without following a link, and what lies in a volume is reached name by name from open directories: pods
//! may change it meanwhile and must not lead anybody out. Nothing here knows what is in a volume, nor stops who uses it.

mod archives;
mod attributes;
mod contents;
mod copy;
mod draft;
mod hash;
mod made;
mod measure;
mod moves;
mod pack;
mod place;
mod progress;
mod temporary;
mod unpack;
mod walk;

#[cfg(test)]
mod tests;

use devenv_agent::{
    protocol::AgentError,
    volume_protocol::{Answer, Request},
};

pub(crate) use self::archives::{pack, unpack};
use self::{place::Root, progress::Progress};
use crate::listener::Listener;

/// Carries out a request and tells the listener how far it is. Once nobody listens it is broken off and undone.
pub(crate) fn carry_out(
    root: &[u8],
    request: &Request,
    listener: &mut impl Listener,
) -> Result<Answer, AgentError> {
    let root = Root::open(root)?;
    progress::told(listener, |progress| work(&root, request, progress))
}

fn work(root: &Root, request: &Request, progress: &Progress) -> Result<Answer, AgentError> {
    match request {
        Request::Measure { path } => measure::measure(root, path, progress).map(Answer::Measured),
        Request::Copy { from, to, source } => {
            copy::copy(root, from, to, *source, progress).map(Answer::Copied)
        }
        Request::Look { path } => root.look(path).map(Answer::Looked),
        Request::Prepare { path } => moves::prepare(root, path).map(|()| Answer::Prepared),
        Request::Sync => root.sync().map(|()| Answer::Synced),
        Request::Space => root.space().map(Answer::Space),
        Request::Make { path } => moves::make(root, path).map(|()| Answer::Made),
        Request::Hash { path } => hash::hash(root, path, progress).map(Answer::Hashed),
        Request::Exchange { one, other } => {
            moves::exchange(root, one, other).map(|()| Answer::Exchanged)
        }
        Request::Rename { from, to } => moves::rename(root, from, to).map(|()| Answer::Renamed),
        Request::Remove { path } => moves::remove(root, path).map(|()| Answer::Removed),
    }
}
