//! Files of a container on their way to this machine.

use devenv_agent::protocol::{Answer, ContainerId, Request};

use super::{Agent, AgentFailure};

impl Agent {
    /// Reads a file of a container, an absolute path in it; `take` gets its contents piece by piece, and may refuse them.
    /// Returns how many bytes it was.
    pub async fn read<E: From<AgentFailure>>(
        &self,
        container: &ContainerId,
        file: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let request = Request::Read {
            container: container.clone(),
            file: file.to_vec(),
        };
        let mut asked = self.ask(request).await?;
        let mut taken = 0;
        while let Some(piece) = asked.piece().await? {
            taken += piece.len() as u64;
            take(&piece)?;
        }
        let bytes = |answer| match answer {
            Answer::WasRead { bytes } if bytes == taken => Ok(bytes),
            other => Err(other),
        };
        Ok(asked.answer_to("a read", bytes).await?)
    }
}
