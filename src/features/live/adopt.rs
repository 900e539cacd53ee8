//! Makes a container the same as the files of this machine, and lets its service start.

use super::{containers::LiveContainer, known::Known, rules::Rules, shared::Shared, tree};
use crate::adapters::agent::{
    AgentError, AgentFailure, Change, Entry, FileProblem, ServiceState as State,
};

/// What a container was told, and when.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Adopted {
    /// Its service waited until it had this many files.
    BeforeItsStart(usize),
    /// Its service ran, and this many files were another's.
    WhileItRan(usize),
}

/// Makes a container the same as `host`.
pub(super) async fn adopt(
    shared: &Shared,
    container: &LiveContainer,
    rules: &Rules,
    host: &tree::HostTree,
    known: &Known,
) -> Result<Adopted, AgentFailure> {
    let mut listings = Vec::new();
    for root in rules.roots() {
        listings.push((root, list(shared, container, root).await?));
    }
    let there = tree::entries(
        listings
            .into_iter()
            .filter_map(|(root, found)| Some((root, found?))),
    );
    let changes = host.differences(rules, &there, known.places());
    if !changes.is_empty() {
        tell(shared, container, &changes).await?;
    }
    let status = shared.agents.ask(&container.node, |agent| async move {
        agent.service_status(&container.id).await
    });
    if status.await?.state == State::Held {
        release(shared, container).await?;
        return Ok(Adopted::BeforeItsStart(changes.len()));
    }
    Ok(Adopted::WhileItRan(changes.len()))
}

/// Lets the service of a container start.
pub(super) async fn release(
    shared: &Shared,
    container: &LiveContainer,
) -> Result<(), AgentFailure> {
    let released = shared.agents.ask(&container.node, |agent| async move {
        agent.release(&container.id).await
    });
    released.await
}

/// Has a container change files, with paths relative to its root.
pub(super) async fn tell(
    shared: &Shared,
    container: &LiveContainer,
    changes: &[Change],
) -> Result<u32, AgentFailure> {
    let told = shared.agents.ask(&container.node, |agent| async move {
        agent.change(&container.id, b"/", changes).await
    });
    told.await
}

/// What lies at a place of a container; `None` if nothing does.
async fn list(
    shared: &Shared,
    container: &LiveContainer,
    root: &std::path::Path,
) -> Result<Option<Vec<Entry>>, AgentFailure> {
    let absolute = std::path::Path::new("/").join(root);
    let path = absolute.as_os_str().as_encoded_bytes();
    let listed = shared.agents.ask(&container.node, |agent| async move {
        agent.list(&container.id, path).await
    });
    match listed.await {
        Ok(entries) => Ok(Some(entries)),
        Err(AgentFailure::Refused(AgentError::File {
            problem: FileProblem::NotThere,
            ..
        })) => Ok(None),
        Err(error) => Err(error),
    }
}
