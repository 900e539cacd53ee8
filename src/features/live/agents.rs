//! The agents of the nodes, each started when it is needed first and again when it has ended.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::Mutex;

use super::Audience;
use crate::adapters::{
    agent::{Agent, AgentFailure},
    docker::Docker,
};

/// The agents of an environment's nodes.
#[derive(Debug)]
pub(super) struct Agents {
    docker: Docker,
    audience: Audience,
    nodes: Mutex<HashMap<String, Arc<Agent>>>,
}

impl Agents {
    pub(super) fn new(docker: Docker, audience: Audience) -> Self {
        Self {
            docker,
            audience,
            nodes: Mutex::default(),
        }
    }

    /// Asks the agent of a node for something. One that has ended is started again, once, and asked again: what is
    /// asked of an agent can be asked twice.
    pub(super) async fn ask<T, F>(
        &self,
        node: &str,
        what: impl Fn(Arc<Agent>) -> F,
    ) -> Result<T, AgentFailure>
    where
        F: Future<Output = Result<T, AgentFailure>>,
    {
        let agent = self.of(node).await?;
        match what(Arc::clone(&agent)).await {
            Err(error @ (AgentFailure::Gone { .. } | AgentFailure::Silent { .. })) => {
                self.forget(node, &agent).await;
                let again = self.of(node).await?;
                self.audience
                    .warn(None, format!("{error}; it is started again"));
                what(again).await
            }
            other => other,
        }
    }

    async fn of(&self, node: &str) -> Result<Arc<Agent>, AgentFailure> {
        let mut nodes = self.nodes.lock().await;
        if let Some(agent) = nodes.get(node) {
            return Ok(Arc::clone(agent));
        }
        let agent = Arc::new(Agent::start(&self.docker, node).await?);
        nodes.insert(node.to_owned(), Arc::clone(&agent));
        Ok(agent)
    }

    async fn forget(&self, node: &str, agent: &Arc<Agent>) {
        let mut nodes = self.nodes.lock().await;
        if nodes
            .get(node)
            .is_some_and(|known| Arc::ptr_eq(known, agent))
        {
            nodes.remove(node);
        }
    }
}
