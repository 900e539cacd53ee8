//! The agents of the nodes, each started when it is needed first and again when it has ended.

use core::net::SocketAddr;
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{Process, pods_of};
use crate::{
    adapters::{
        agent::{
            Agent, AgentError, AgentFailure, Change, Entry, FileProblem, Owner, Probe, Ran,
            ServiceState, Transfer,
        },
        docker::Docker,
    },
    domain::{Failure, ObservedPod, ServiceName, Signal},
};

/// What the paths of changes are relative to.
const ROOT: &[u8] = b"/";

/// Hears why an agent is started again.
type Told = Box<dyn Fn(&AgentFailure) + Send + Sync>;

/// The agents of an environment's nodes.
pub(in crate::features) struct Agents {
    docker: Docker,
    told: Told,
    nodes: Mutex<HashMap<String, Arc<Agent>>>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

impl Agents {
    /// None is started yet.
    pub(in crate::features) fn new(docker: Docker) -> Self {
        Self::telling(docker, |_| {})
    }

    /// None is started yet; `told` hears why one is started again.
    pub(in crate::features) fn telling(
        docker: Docker,
        told: impl Fn(&AgentFailure) + Send + Sync + 'static,
    ) -> Self {
        Self {
            docker,
            told: Box::new(told),
            nodes: Mutex::default(),
        }
    }

    /// Asks the agent of a node for something. One that has ended is started again, once, and asked again: what is
    /// asked of an agent can be asked twice.
    pub(in crate::features) async fn ask<T, F>(
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
                (self.told)(&error);
                what(again).await
            }
            other => other,
        }
    }

    /// The agent of a node, for what must not be asked twice.
    pub(in crate::features) async fn of(&self, node: &str) -> Result<Arc<Agent>, AgentFailure> {
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

    /// What the process does.
    pub(in crate::features) async fn state(
        &self,
        process: &Process,
    ) -> Result<ServiceState, AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.service_status(&process.container).await
        });
        asked.await.map(|status| status.state)
    }

    /// Lets the process start if its init holds it.
    pub(in crate::features) async fn release(&self, process: &Process) -> Result<(), AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.release(&process.container).await
        });
        asked.await
    }

    /// Ends the process with a signal, kills it after `grace`, and starts it again.
    pub(in crate::features) async fn restart(
        &self,
        process: &Process,
        signal: Signal,
        grace: Duration,
    ) -> Result<(), AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.restart(&process.container, signal, grace).await
        });
        asked.await.map(|_| ())
    }

    /// Sends the process a signal.
    pub(in crate::features) async fn signal(
        &self,
        process: &Process,
        signal: Signal,
    ) -> Result<(), AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.signal(&process.container, signal).await
        });
        asked.await
    }

    /// Says what the process is started with from its next start on; its own command if `None`.
    pub(in crate::features) async fn set_command(
        &self,
        process: &Process,
        command: Option<Vec<String>>,
        environment: Vec<(String, String)>,
    ) -> Result<(), AgentFailure> {
        let (command, environment) = (&command, &environment);
        let asked = self.ask(&process.node, |agent| async move {
            let (command, environment) = (command.clone(), environment.clone());
            agent
                .set_command(&process.container, command, environment)
                .await
        });
        asked.await
    }

    /// Runs a command beside the process.
    pub(in crate::features) async fn run(
        &self,
        process: &Process,
        command: &[String],
        within: Duration,
    ) -> Result<Ran, AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.run(&process.container, command, within).await
        });
        asked.await
    }

    /// Changes files of the container, with paths relative to its root.
    pub(in crate::features) async fn change(
        &self,
        process: &Process,
        changes: &[Change],
    ) -> Result<(), AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.change(&process.container, ROOT, changes).await
        });
        asked.await.map(|_| ())
    }

    /// The same; what is named becomes an owner's.
    pub(in crate::features) async fn change_for(
        &self,
        process: &Process,
        owner: &Owner,
        changes: &[Change],
    ) -> Result<(), AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            let owner = owner.clone();
            agent
                .change_for(&process.container, ROOT, owner, changes)
                .await
        });
        asked.await.map(|_| ())
    }

    /// The same in several goes.
    pub(in crate::features) async fn begin_change(
        &self,
        process: &Process,
    ) -> Result<Transfer, AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.begin_change(&process.container, ROOT).await
        });
        asked.await
    }

    /// What lies at a place of the container, relative to its root; `None` if nothing does.
    pub(in crate::features) async fn list(
        &self,
        process: &Process,
        place: &Path,
    ) -> Result<Option<Vec<Entry>>, AgentFailure> {
        let absolute = Path::new("/").join(place);
        let path = absolute.as_os_str().as_encoded_bytes();
        let asked = self.ask(&process.node, |agent| async move {
            agent.list(&process.container, path).await
        });
        match asked.await {
            Ok(entries) => Ok(Some(entries)),
            Err(AgentFailure::Refused(AgentError::File {
                problem: FileProblem::NotThere,
                ..
            })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a while whether something answers at an address; why not, in words.
    pub(in crate::features) async fn probe(
        &self,
        process: &Process,
        address: SocketAddr,
        what: &Probe,
        within: Duration,
    ) -> Result<Result<(), String>, AgentFailure> {
        let asked = self.ask(&process.node, |agent| async move {
            agent.probe(address, what, within).await
        });
        match asked.await {
            Ok(_) => Ok(Ok(())),
            Err(AgentFailure::Refused(AgentError::NotReached { last })) => Ok(Err(last)),
            Err(error) => Err(error),
        }
    }

    /// The process of a pod; `None` unless it runs, and devenv's init runs it.
    pub(in crate::features) async fn with_init(
        &self,
        pod: &ObservedPod,
    ) -> Result<Option<Process>, Failure> {
        let Some(process) = Process::of(pod) else {
            return Ok(None);
        };
        match self.state(&process).await {
            Ok(_) => Ok(Some(process)),
            Err(AgentFailure::Refused(AgentError::NoInit(_) | AgentError::NoContainer(_))) => {
                Ok(None)
            }
            Err(error) => Err(process.failure(&error)),
        }
    }

    /// The processes of a service; `None` unless devenv's init runs the one of every pod.
    pub(in crate::features) async fn all_with_init(
        &self,
        service: &ServiceName,
        pods: &[ObservedPod],
    ) -> Result<Option<Vec<Process>>, Failure> {
        let mut found = Vec::new();
        for pod in pods_of(service, pods) {
            match self.with_init(pod).await? {
                Some(process) => found.push(process),
                None => return Ok(None),
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }
}
