//! Files of a checkout that goes on, sent to the containers before it is over.
//!
//! The agents write them beside their places, so that only their renames wait for the end. Whatever does not fit the
//! tree at the end is sent again: what was sent ahead saves time, and never decides anything.

use std::{collections::BTreeMap, path::PathBuf};

use futures::future::join_all;

use super::{edit::Edit, rules::Rules, shared::Shared, tree::HostTree};
use crate::{
    adapters::{
        agent::{Change, Transfer},
        watch::ChangeKind,
    },
    features::process::Process,
};

/// What was sent ahead. What has not taken its place when this is dropped is removed from the containers.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// As it was told when it was sent, by path relative to the service's base.
    sent: BTreeMap<PathBuf, ChangeKind>,
    transfers: Vec<(Process, Transfer)>,
}

impl Ahead {
    /// Begins with the containers of some processes. One that cannot be reached now is told at the end.
    pub(super) async fn begin(shared: &Shared, processes: Vec<Process>) -> Self {
        let beginning = processes.into_iter().map(|process| async move {
            let transfer = shared.agents.begin_change(&process).await.ok()?;
            Some((process, transfer))
        });
        Self {
            sent: BTreeMap::new(),
            transfers: join_all(beginning).await.into_iter().flatten().collect(),
        }
    }

    /// Sends what changed now.
    pub(super) async fn send(
        &mut self,
        rules: &Rules,
        host: &HostTree,
        changed: Vec<(PathBuf, ChangeKind)>,
    ) {
        let changes = host.changes(rules, changed.iter().map(|(path, kind)| (path, kind)));
        self.sent.extend(changed);
        let transfers = std::mem::take(&mut self.transfers);
        let sending = transfers.into_iter().map(|(process, mut transfer)| async {
            // A file that is gone meanwhile, or an agent: it is told all at the end.
            transfer.send(&changes).await.ok()?;
            Some((process, transfer))
        });
        self.transfers = join_all(sending).await.into_iter().flatten().collect();
    }

    /// Sends no more of this checkout, and has the containers remove what they have.
    pub(super) fn give_up(&mut self) {
        self.transfers.clear();
    }

    /// Whether some container takes more.
    pub(super) fn is_open(&self) -> bool {
        !self.transfers.is_empty()
    }

    /// What is still to be sent of an edit, now that `host` has taken it in.
    pub(super) fn rest(&self, rules: &Rules, host: &HostTree, edit: &Edit) -> Vec<Change> {
        let mut rest = BTreeMap::new();
        let sent = self.sent.keys().map(PathBuf::as_path);
        for path in sent.chain(edit.paths()) {
            let now = host.now(path);
            if self.sent.get(path) != Some(&now) {
                rest.insert(path.to_owned(), now);
            }
        }
        host.changes(rules, rest.iter())
    }

    /// The transfer to the container of a process, if it has what was sent.
    pub(super) fn take(&mut self, process: &Process) -> Option<Transfer> {
        let mut transfers = self.transfers.iter();
        let index = transfers.position(|(whose, _)| whose == process)?;
        Some(self.transfers.swap_remove(index).1)
    }
}
