//! Makes a container the same as the files of this machine, and lets its service start.

use super::{known::Known, rules::Rules, shared::Shared, tree};
use crate::{
    adapters::agent::{AgentFailure, ServiceState as State},
    features::process::Process,
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
    process: &Process,
    rules: &Rules,
    host: &tree::HostTree,
    known: &Known,
) -> Result<Adopted, AgentFailure> {
    let mut listings = Vec::new();
    for root in rules.roots() {
        listings.push((root, shared.agents.list(process, root).await?));
    }
    let there = tree::entries(
        listings
            .into_iter()
            .filter_map(|(root, found)| Some((root, found?))),
    );
    let changes = host.differences(rules, &there, known.places());
    if !changes.is_empty() {
        shared.agents.change(process, &changes).await?;
    }
    if shared.agents.state(process).await? == State::Held {
        shared.agents.release(process).await?;
        return Ok(Adopted::BeforeItsStart(changes.len()));
    }
    Ok(Adopted::WhileItRan(changes.len()))
}
