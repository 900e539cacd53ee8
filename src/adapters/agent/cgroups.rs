//! Control groups of containers through their node's agent: what they use, and how they are stopped at once.

use std::time::Duration;

use devenv_agent::protocol::{Answer, ContainerId, Request, Stands, Usage};

use super::{Agent, AgentFailure, connection::Asked, live::milliseconds};

/// Containers whose processes all stand. They go on when this is dropped, also because devenv was killed.
#[derive(Debug)]
pub struct Frozen {
    asked: Asked,
    /// How long it took from the first that stood to the last.
    pub took: Duration,
}

impl Agent {
    /// Stops all processes of containers at once, for a while at most.
    pub async fn freeze(
        &self,
        containers: &[ContainerId],
        at_most: Duration,
    ) -> Result<Frozen, AgentFailure> {
        let request = Request::Freeze {
            containers: containers.to_vec(),
            at_most_ms: milliseconds(at_most),
        };
        let mut asked = self.ask(request).await?;
        let Some(stands) = asked.records::<Stands>().await?.pop() else {
            return asked.answer_to("a freeze", Err).await;
        };
        let took = Duration::from_micros(stands.took_us);
        Ok(Frozen { asked, took })
    }

    /// Kills all processes of containers, also of those that stand: they do nothing more, but die.
    pub async fn kill(&self, containers: &[ContainerId]) -> Result<(), AgentFailure> {
        let containers = containers.to_vec();
        match self.request(Request::Kill { containers }).await? {
            Answer::Killed => Ok(()),
            other => Err(self.not_understood(format!("{other:?} to a kill"))),
        }
    }

    /// What containers use, in the order in which they are named; `None` for one that does not run.
    pub async fn usage(
        &self,
        containers: &[ContainerId],
    ) -> Result<Vec<Option<Usage>>, AgentFailure> {
        let containers = containers.to_vec();
        match self.request(Request::Usage { containers }).await? {
            Answer::Used(used) => Ok(used),
            other => Err(self.not_understood(format!("{other:?} to the question for a usage"))),
        }
    }
}

impl Frozen {
    /// Lets the processes go on; returns how long they stood at most. Fails if they went on before, as the time was over.
    pub async fn thaw(self) -> Result<Duration, AgentFailure> {
        self.asked.finish().await?;
        let stood = |answer| match answer {
            Answer::Thawed { stood_us } => Ok(Duration::from_micros(stood_us)),
            other => Err(other),
        };
        self.asked.answer_to("a freeze", stood).await
    }
}
