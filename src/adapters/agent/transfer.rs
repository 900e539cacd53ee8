//! Changes of files on their way into a container, which may be sent in several goes.

use std::iter::repeat_with;

use devenv_agent::protocol::{Answer, ContainerId, Owner, Request};

use super::{
    Agent, AgentFailure, Change,
    change::{Early, Outgoing, TOGETHER, read_early},
    connection::Asked,
};

/// Changes that are being written beside their places in a container. They take them when it is finished; if it is
/// dropped before, they are removed.
#[derive(Debug)]
pub struct Transfer {
    asked: Asked,
    outgoing: Outgoing,
}

impl Agent {
    /// Changes files of a container below `base`, an absolute path in it: all together, or none. Returns how many.
    pub async fn change(
        &self,
        container: &ContainerId,
        base: &[u8],
        changes: &[Change],
    ) -> Result<u32, AgentFailure> {
        let mut transfer = self.begin_change(container, base).await?;
        transfer.send(changes).await?;
        transfer.finish().await
    }

    /// The same; what is named becomes an owner's.
    pub async fn change_for(
        &self,
        container: &ContainerId,
        base: &[u8],
        owner: Owner,
        changes: &[Change],
    ) -> Result<u32, AgentFailure> {
        let mut transfer = self.begin(container, base, Some(owner)).await?;
        transfer.send(changes).await?;
        transfer.finish().await
    }

    /// The same in several goes.
    pub async fn begin_change(
        &self,
        container: &ContainerId,
        base: &[u8],
    ) -> Result<Transfer, AgentFailure> {
        self.begin(container, base, None).await
    }

    async fn begin(
        &self,
        container: &ContainerId,
        base: &[u8],
        owner: Option<Owner>,
    ) -> Result<Transfer, AgentFailure> {
        let request = Request::Change {
            container: container.clone(),
            base: base.to_vec(),
            owner,
        };
        Ok(Transfer {
            asked: self.ask(request).await?,
            outgoing: Outgoing::default(),
        })
    }
}

impl Transfer {
    /// Sends more of it; what is said of a path last counts. An agent that refuses it is asked for the reason at the end.
    pub async fn send(&mut self, changes: &[Change]) -> Result<(), AgentFailure> {
        let mut groups = changes.chunks(TOGETHER).peekable();
        let mut reading = groups.peek().map(|group| read_early(group));
        while let (Some(group), Some(read)) = (groups.next(), reading.take()) {
            // One that broke off has read nothing: each file is read in its turn.
            let read = read.await.unwrap_or_default();
            reading = groups.peek().map(|group| read_early(group));
            let read = read.into_iter().chain(repeat_with(|| Early::Nothing));
            for (change, early) in group.iter().zip(read) {
                // An agent that has answered wants no more of it.
                if self.asked.is_answered() {
                    return Ok(());
                }
                let (outgoing, asked) = (&mut self.outgoing, &mut self.asked);
                change.send(early, outgoing, asked).await?;
            }
        }
        self.outgoing.flush(&mut self.asked).await
    }

    /// Has all that was sent take its place. Returns how many changes it was.
    pub async fn finish(self) -> Result<u32, AgentFailure> {
        let Self { asked, .. } = self;
        asked.finish().await?;
        let count = |answer| match answer {
            Answer::Changed { count } => Ok(count),
            other => Err(other),
        };
        asked.answer_to("a change", count).await
    }
}
