//! Keeps what services say: from the agents of all nodes into the stores on this machine.
//!
//! Run by the session. A node that is lost is gone on with where it was, and so is a collector that was killed: how far
//! each log was read is stored with its lines.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    intake::{Intake, Record},
    stores::Stores,
};
use crate::{
    adapters::{
        agent::{Agent, AgentFailure},
        docker::Docker,
        kube::ClusterView,
    },
    domain::{Failure, ServiceName},
    report::Redactor,
    state::log_store::{Addition, LogStoreError, Origin},
};

/// How many records are stored with one write at most.
const TOGETHER: usize = 256;
/// How long a pod that speaks may be unknown before it is put where its name says.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait before a node is asked again, or a disk that was full.
const AGAIN: Duration = Duration::from_secs(1);

/// What is told when something does not work; it is gone on with all the same.
pub type Trouble = Arc<dyn Fn(Failure) + Send + Sync>;

/// Collects the logs of one environment.
#[derive(Clone)]
pub struct Collector {
    /// The docker engine with the nodes.
    pub docker: Docker,
    /// The namespace of the services.
    pub namespace: String,
    /// The pods, by which lines are put to services.
    pub pods: Pods,
    /// Told once for each outage.
    pub trouble: Trouble,
    /// What it knows of is not kept.
    pub redactor: Redactor,
}

/// Which service a pod belongs to.
#[derive(Debug, Clone)]
pub struct Pods {
    /// The pods that are there.
    pub view_rx: watch::Receiver<Arc<ClusterView>>,
    /// The services there are, for pods that were gone before they were seen.
    pub services: BTreeSet<ServiceName>,
}

impl Pods {
    /// The name of the store for a pod: its service's, or its own where nothing tells of a service.
    async fn store_of(&mut self, pod: &str) -> String {
        let find = |view: &Arc<ClusterView>| {
            let mut pods = view.pods.iter();
            pods.find(|known| known.name == pod)
                .map(|known| known.service.as_str().to_owned())
        };
        let known = self.view_rx.wait_for(|view| find(view).is_some());
        let known = match timeout(KNOWN_WITHIN, known).await {
            Ok(Ok(view)) => find(&view),
            Ok(Err(_)) | Err(_) => None,
        };
        known.unwrap_or_else(|| self.by_name(pod))
    }

    fn by_name(&self, pod: &str) -> String {
        let begins = |service: &&ServiceName| {
            let rest = pod.strip_prefix(service.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        let mut services = self.services.iter().filter(begins);
        match (services.next(), services.next()) {
            (Some(service), None) => service.as_str().to_owned(),
            _ => pod.to_owned(),
        }
    }
}

/// Collects from these nodes into the stores in `directory` until it is told to stop.
pub async fn collect(
    collector: Collector,
    nodes: Vec<String>,
    directory: PathBuf,
    cancel: &CancellationToken,
) -> Result<(), LogStoreError> {
    let open = move || Stores::open(directory);
    let stores = match tokio::task::spawn_blocking(open).await {
        Ok(stores) => Arc::new(Mutex::new(stores?)),
        Err(_) => return Ok(()),
    };
    let mut tasks = JoinSet::new();
    for node in nodes {
        let (collector, stores) = (collector.clone(), Arc::clone(&stores));
        tasks.spawn(async move { collector.follow(&node, &stores).await });
    }
    cancel.cancelled().await;
    tasks.shutdown().await;
    // What is being written is written; what was about to be is told again to the next collector.
    lock(&stores).close();
    Ok(())
}

impl Collector {
    /// Follows one node, across its outages.
    async fn follow(mut self, node: &str, stores: &Arc<Mutex<Stores>>) {
        let mut is_told = false;
        let mut own = None;
        loop {
            let failure = match self.start(node, &mut own).await {
                Ok(agent) => self.read(node, &agent, stores, &mut is_told).await,
                Err(failure) => failure,
            };
            if !std::mem::replace(&mut is_told, true) {
                (self.trouble)(failure.failure());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Starts the agent of a node, unless a container of its name has taken the place of its `own`: that one is
    /// perhaps somebody else's.
    async fn start(&self, node: &str, own: &mut Option<String>) -> Result<Agent, AgentFailure> {
        let there = self.docker.id_of(node).await?;
        let there = there.ok_or_else(|| gone(node))?;
        if own.get_or_insert_with(|| there.clone()) != &there {
            return Err(gone(node));
        }
        Agent::start(&self.docker, node).await
    }

    /// Stores what a node tells until its agent ends.
    async fn read(
        &mut self,
        node: &str,
        agent: &Agent,
        stores: &Arc<Mutex<Stores>>,
        is_told: &mut bool,
    ) -> AgentFailure {
        let from = lock(stores).positions(node);
        let records = agent.logs(&self.namespace, from);
        let mut records = std::pin::pin!(records.ready_chunks(TOGETHER));
        let mut intake = Intake::of(node);
        while let Some(together) = records.next().await {
            for record in together {
                match record.map(|record| intake.take(record)) {
                    Ok(Record::Opened(origin)) => self.assign(origin, stores).await,
                    Ok(Record::Taken) => {}
                    Err(failure) => {
                        self.store(&mut intake, stores).await;
                        return failure;
                    }
                }
            }
            *is_told = false;
            self.store(&mut intake, stores).await;
        }
        gone(node)
    }

    /// Puts a run that is new to a store.
    async fn assign(&mut self, origin: Origin, stores: &Mutex<Stores>) {
        let is_known = lock(stores).knows(&origin);
        if !is_known {
            let store = self.pods.store_of(&origin.run.pod).await;
            lock(stores).assign(origin, store);
        }
    }

    /// Stores what was taken in. The node waits meanwhile, so nothing is lost to a disk that is full for a while.
    async fn store(&self, intake: &mut Intake, stores: &Arc<Mutex<Stores>>) {
        let (mut additions, redactor) = (intake.additions(), self.redactor.clone());
        let conceal = move || {
            for addition in &mut additions {
                if let Addition::Lines { bytes, .. } = addition {
                    *bytes = redactor.lines(bytes);
                }
            }
            additions
        };
        // Whoever writes much must not hold up the edits that the session follows.
        let Ok(mut additions) = tokio::task::spawn_blocking(conceal).await else {
            return;
        };
        let mut is_told = false;
        while !additions.is_empty() {
            let stores = Arc::clone(stores);
            let store = move || {
                let stored = lock(&stores).append(&mut additions);
                (additions, stored)
            };
            let Ok((left, stored)) = tokio::task::spawn_blocking(store).await else {
                return;
            };
            additions = left;
            if let Err(error) = stored {
                if !std::mem::replace(&mut is_told, true) {
                    (self.trouble)(error.failure());
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn gone(node: &str) -> AgentFailure {
    AgentFailure::Gone {
        node: node.to_owned(),
        said: Vec::new(),
    }
}

fn lock(stores: &Mutex<Stores>) -> std::sync::MutexGuard<'_, Stores> {
    stores.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::kube::Connection,
        domain::testing::{name, ready_pod},
    };

    fn pods(services: &[&str]) -> (watch::Sender<Arc<ClusterView>>, Pods) {
        let view = ClusterView {
            connection: Connection::Live,
            workloads: Vec::new(),
            pods: vec![ready_pod(&name("order"))],
            warnings: Vec::new(),
        };
        let (view_tx, view_rx) = watch::channel(Arc::new(view));
        let services = services.iter().map(|text| name(text)).collect();
        (view_tx, Pods { view_rx, services })
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_is_its_services_also_when_it_is_seen_a_moment_later() {
        let (view_tx, mut pods) = pods(&[]);
        let known = ready_pod(&name("order")).name;
        assert_eq!(pods.store_of(&known).await, "order");
        let later = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            view_tx.send_modify(|view| {
                let mut pod = ready_pod(&name("cart"));
                pod.name = "stranger".to_owned();
                Arc::make_mut(view).pods.push(pod);
            });
        };
        let (store, ()) = tokio::join!(pods.store_of("stranger"), later);
        assert_eq!(store, "cart");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_nobody_saw_goes_where_its_name_says_if_that_is_clear() {
        let (_view_tx, mut pods) = pods(&["order", "order-mail", "cart"]);
        assert_eq!(pods.store_of("cart-7c9d-x").await, "cart");
        assert_eq!(pods.store_of("order-mail-7c-x").await, "order-mail-7c-x");
        assert_eq!(pods.store_of("nobodys").await, "nobodys");
    }
}
