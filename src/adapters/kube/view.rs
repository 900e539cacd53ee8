//! A live view of the cluster: one watch a kind, shared by everyone who waits for something.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{BoxStream, SelectAll, select_all},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{Event as KubeEvent, Pod},
};
use kube::{
    Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, utils::Backoff, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinHandle};

use super::{Cluster, error::chain, map, observe};
use crate::domain::{ObservedPod, ObservedWorkload, WarningEvent};

/// Changes taken in together before the view is made anew.
const BATCH: usize = 256;
/// How often a lost API is asked whether it is back, and how long it may take to say so.
const PROBE_EVERY: Duration = Duration::from_millis(500);
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Whether the view is of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Not everything has been listed yet.
    Starting,
    /// It follows the cluster.
    Live,
    /// The API does not answer; the view is of the time before.
    Reconnecting {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: String,
    },
}

/// What is there, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Whether it is of now.
    pub connection: Connection,
    /// The workloads that releases made.
    pub workloads: Vec<ObservedWorkload>,
    /// Their pods.
    pub pods: Vec<ObservedPod>,
    /// The warnings, oldest first.
    pub warnings: Vec<WarningEvent>,
}

/// A view that keeps itself up to date until it is dropped.
#[derive(Debug)]
pub struct LiveView {
    view_rx: watch::Receiver<Arc<ClusterView>>,
    task: JoinHandle<()>,
}

impl LiveView {
    /// A reading end: `borrow` for what is there, `changed` to wait for news.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.view_rx.clone()
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Starts a live view: five connections, so one for a run. Needs a tokio runtime.
    ///
    /// It outlives restarts of the API: what was missed is listed again.
    pub fn watch(&self) -> LiveView {
        let mut state = State::default();
        let (view_tx, view_rx) = watch::channel(Arc::new(state.view()));
        let mut changes = self.changes();
        let cluster = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    batch = changes.next() => match batch {
                        Some(batch) => batch.into_iter().for_each(|change| state.apply(change)),
                        None => return,
                    },
                    () = cluster.until_back(), if state.is_lost() => {
                        // What is known is of another time: everything is listed again.
                        changes = cluster.changes();
                        state.relist();
                    }
                }
                let view = state.view();
                view_tx.send_if_modified(|old| {
                    let is_new = **old != view;
                    if is_new {
                        *old = Arc::new(view);
                    }
                    is_new
                });
            }
        });
        LiveView { view_rx, task }
    }

    fn changes(&self) -> futures::stream::ReadyChunks<SelectAll<BoxStream<'static, Change>>> {
        let all = watcher::Config::default();
        let warnings = watcher::Config::default().fields(observe::WARNINGS_ONLY);
        select_all([
            self.stream::<Deployment>(all.clone(), Change::Deployment),
            self.stream::<StatefulSet>(all.clone(), Change::StatefulSet),
            self.stream::<DaemonSet>(all.clone(), Change::DaemonSet),
            self.stream::<Pod>(all, Change::Pod),
            self.stream::<KubeEvent>(warnings, Change::Event),
        ])
        .ready_chunks(BATCH)
    }

    fn stream<K>(
        &self,
        config: watcher::Config,
        change: fn(Event<K>) -> Change,
    ) -> BoxStream<'static, Change>
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        watcher(self.api::<K>(), config)
            .backoff(Pauses::new())
            .map(move |event| match event {
                Ok(event) => change(event.modify(|object| object.managed_fields_mut().clear())),
                Err(error) => Change::Lost(chain(&error)),
            })
            .boxed()
    }

    /// Returns once the API answers. A watch that was resumed says nothing until something changes.
    async fn until_back(&self) {
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let answer = tokio::time::timeout(PROBE_WITHIN, self.client.apiserver_version()).await;
            if matches!(answer, Ok(Ok(_))) {
                return;
            }
        }
    }
}

/// Waits between attempts to watch again: short, since a cluster on this machine is back within seconds
/// and a person waits for it.
pub(super) struct Pauses {
    next: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Pauses {
    pub(super) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Iterator for Pauses {
    type Item = Duration;
    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::new();
    }
}

enum Change {
    Deployment(Event<Deployment>),
    StatefulSet(Event<StatefulSet>),
    DaemonSet(Event<DaemonSet>),
    Pod(Event<Pod>),
    Event(Event<KubeEvent>),
    Lost(String),
}

/// The objects of one kind by name.
pub(super) struct Kept<K> {
    pub(super) objects: BTreeMap<String, K>,
    /// What a new list brought so far; it replaces the objects once it is complete.
    incoming: BTreeMap<String, K>,
    pub(super) is_listed: bool,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            incoming: BTreeMap::new(),
            is_listed: false,
        }
    }
}

impl<K: ResourceExt> Kept<K> {
    pub(super) fn apply(&mut self, event: Event<K>) {
        match event {
            Event::Init => self.incoming.clear(),
            Event::InitApply(object) => {
                self.incoming.insert(object.name_any(), object);
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.incoming);
                self.is_listed = true;
            }
            Event::Apply(object) => {
                self.objects.insert(object.name_any(), object);
            }
            Event::Delete(object) => {
                self.objects.remove(&object.name_any());
            }
        }
    }
}

#[derive(Default)]
struct State {
    deployments: Kept<Deployment>,
    stateful_sets: Kept<StatefulSet>,
    daemon_sets: Kept<DaemonSet>,
    pods: Kept<Pod>,
    events: Kept<KubeEvent>,
    lost: Option<(Timestamp, String)>,
    /// Whether the API answers again after it was lost, but not every kind was listed since.
    is_relisting: bool,
}

impl State {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Deployment(event) => self.deployments.apply(event),
            Change::StatefulSet(event) => self.stateful_sets.apply(event),
            Change::DaemonSet(event) => self.daemon_sets.apply(event),
            Change::Pod(event) => self.pods.apply(event),
            Change::Event(event) => self.events.apply(event),
            Change::Lost(reason) => {
                self.is_relisting = false;
                self.lost.get_or_insert_with(|| (Timestamp::now(), reason));
            }
        }
        if self.is_relisting && self.is_listed() {
            self.is_relisting = false;
            self.lost = None;
        }
    }

    /// Whether the API is gone and nobody has seen it come back.
    const fn is_lost(&self) -> bool {
        self.lost.is_some() && !self.is_relisting
    }

    /// The API is back. The view counts as lost until every kind was listed anew.
    fn relist(&mut self) {
        self.is_relisting = true;
        self.deployments.is_listed = false;
        self.stateful_sets.is_listed = false;
        self.daemon_sets.is_listed = false;
        self.pods.is_listed = false;
        self.events.is_listed = false;
    }

    fn is_listed(&self) -> bool {
        self.deployments.is_listed
            && self.stateful_sets.is_listed
            && self.daemon_sets.is_listed
            && self.pods.is_listed
            && self.events.is_listed
    }

    fn view(&self) -> ClusterView {
        let workloads = observe::workloads(
            self.deployments.objects.values(),
            self.stateful_sets.objects.values(),
            self.daemon_sets.objects.values(),
        );
        let pods = self.pods.objects.values();
        ClusterView {
            connection: match &self.lost {
                Some((since, reason)) => Connection::Reconnecting {
                    since: *since,
                    reason: reason.clone(),
                },
                None if self.is_listed() => Connection::Live,
                None => Connection::Starting,
            },
            pods: pods.filter_map(|pod| map::pod(pod, &workloads)).collect(),
            workloads,
            warnings: observe::sorted_warnings(self.events.objects.values()),
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
