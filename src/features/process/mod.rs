//! The processes of a service that devenv's init runs, each in its container.
//!
//! Called by the features that start them anew: `restart` and `debug`.

mod ready;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::try_join_all;

use crate::{
    adapters::{
        agent::{Agent, AgentError, AgentFailure, ContainerId, ServiceState},
        docker::Docker,
    },
    domain::{
        ContainerState, Failure, Observed, ObservedPod, OnChange, ServiceName, Signal, Workload,
    },
};

/// What a process is asked to end with where the manifest says nothing.
const SIGNAL: Signal = Signal::Terminate;
/// How long it has then.
const GRACE: Duration = Duration::from_secs(2);

/// A process that devenv's init runs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    /// Whose it is.
    pub(super) service: ServiceName,
    /// Its pod.
    pub(super) pod: String,
    /// Its container.
    pub(super) container: ContainerId,
    /// The address of its pod.
    pub(super) ip: Option<IpAddr>,
    /// Who reaches it.
    pub(super) agent: Arc<Agent>,
}

/// The agents of the nodes, each started when it is needed first.
#[derive(Debug)]
pub(super) struct Agents {
    docker: Docker,
    nodes: HashMap<String, Arc<Agent>>,
}

impl Agents {
    /// None is started yet.
    pub(super) fn new(docker: Docker) -> Self {
        Self {
            docker,
            nodes: HashMap::new(),
        }
    }

    /// The agent of a node.
    pub(super) async fn of(&mut self, node: &str) -> Result<Arc<Agent>, AgentFailure> {
        if let Some(agent) = self.nodes.get(node) {
            return Ok(Arc::clone(agent));
        }
        let agent = Arc::new(Agent::start(&self.docker, node).await?);
        self.nodes.insert(node.to_owned(), Arc::clone(&agent));
        Ok(agent)
    }

    /// The processes of a service; `None` unless devenv's init runs the one of every pod.
    pub(super) async fn processes(
        &mut self,
        observed: &Observed,
        service: &ServiceName,
    ) -> Result<Option<Vec<Process>>, Failure> {
        let pods = observed.pods.iter();
        let pods = pods.filter(|pod| &pod.service == service && !pod.deleting);
        let mut found = Vec::new();
        for pod in pods {
            match self.process(pod).await? {
                Some(process) => found.push(process),
                None => return Ok(None),
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }

    /// The process of a pod; `None` unless it runs, and devenv's init runs it.
    pub(super) async fn process(&mut self, pod: &ObservedPod) -> Result<Option<Process>, Failure> {
        let Some((container, node)) = running(pod) else {
            return Ok(None);
        };
        let failed = |error: AgentFailure| error.failure().of(&pod.service);
        let agent = self.of(&node).await.map_err(failed)?;
        match agent.service_status(&container).await {
            Ok(_) => Ok(Some(Process {
                service: pod.service.clone(),
                pod: pod.name.clone(),
                container,
                ip: pod.ip,
                agent,
            })),
            Err(AgentFailure::Refused(AgentError::NoInit(_) | AgentError::NoContainer(_))) => {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// The container that the chart gives the service's name, and its node.
fn running(pod: &ObservedPod) -> Option<(ContainerId, String)> {
    let mut containers = pod.containers.iter();
    let container = containers.find(|container| container.name == pod.service.as_str())?;
    let runs = container.now == ContainerState::Running;
    let id = container.id.as_ref().filter(|_| runs)?.parse().ok()?;
    Some((id, pod.node.clone()?))
}

impl Process {
    /// Ends it, and starts it again.
    pub(super) async fn restart(&self, workload: &Workload) -> Result<(), Failure> {
        let (signal, grace) = match workload.live.as_ref().map(|live| &live.on_change) {
            Some(OnChange::Restart { signal, grace }) => (*signal, *grace),
            _ => (SIGNAL, GRACE),
        };
        let restarted = self.agent.restart(&self.container, signal, grace).await;
        restarted.map(|_| ()).map_err(|error| self.failure(&error))
    }

    /// What it does.
    pub(super) async fn state(&self) -> Result<ServiceState, Failure> {
        let status = self.agent.service_status(&self.container).await;
        let status = status.map_err(|error| self.failure(&error))?;
        Ok(status.state)
    }

    /// The failure of something that was asked for it.
    pub(super) fn failure(&self, error: &AgentFailure) -> Failure {
        error.failure().of(&self.service)
    }
}

/// Starts all of these anew at the same time, and waits until each is ready; says how long it took.
pub(super) async fn restart_all(
    processes: &[Process],
    workload: &Workload,
    within: Duration,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let restarting = processes.iter().map(|process| async move {
        process.restart(workload).await?;
        process.until_ready(workload, within).await
    });
    try_join_all(restarting).await?;
    Ok(began.elapsed())
}
