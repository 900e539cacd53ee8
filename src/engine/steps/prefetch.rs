//! Images on their way into the node while the cluster is still being made.
//!
//! The node's container runtime answers seconds before k3d returns, and pods are started one dependency after
//! another: images that are there already take the pull out of that chain. Nothing depends on it, for the
//! kubelet pulls what is missing by itself; so nothing of it fails a run. See docs/decisions/0005.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};

use crate::{
    adapters::docker::Docker,
    domain::{DesiredImage, Environment, ServiceName},
};

/// How long the runtime of a new node may take until it answers.
const RUNTIME_WITHIN: Duration = Duration::from_mins(1);
/// How often it is asked; there is nothing to watch before the cluster runs, and the cluster needs the machine.
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_WITHIN: Duration = Duration::from_secs(5);
pub(super) const PULL_WITHIN: Duration = Duration::from_mins(2);

/// The turn of a service that depends on no other.
const FIRST: usize = 1;

/// Asks the runtime for its version.
const ASK: &str = "exec ctr --address /run/k3s/containerd/containerd.sock version";
/// Pulls `$1` as the kubelet would, through the mirrors that k3s or a plain containerd is set up with, unless the
/// node kept it from an earlier cluster.
pub(super) const PULL: &str = r#"images() { ctr --address /run/k3s/containerd/containerd.sock --namespace k8s.io images "$@"; }
[ -z "$(images ls --quiet "name==$1")" ] || exit 0
for mirrors in /var/lib/rancher/k3s/agent/etc/containerd/certs.d /etc/containerd/certs.d; do
  [ ! -d "$mirrors" ] || { images pull --hosts-dir "$mirrors" "$1"; exit; }
done"#;

/// The pulls of one run; they end with it.
///
/// One at a time, and those first that others wait for. Until the cluster is up only what is deployed into it at
/// once: the cluster itself needs the machine more.
#[derive(Debug, Default)]
pub(in crate::engine) struct Prefetch {
    waiting: Arc<Waiting>,
    worker: Mutex<JoinSet<()>>,
}

impl Prefetch {
    /// Has the node pull the image of a service, which the registry holds.
    pub(super) fn begin(
        &self,
        docker: &Docker,
        environment: &Environment,
        service: &ServiceName,
        image: &DesiredImage,
    ) {
        // Which of several nodes a pod comes to is for the scheduler to say.
        if environment.cluster.agents > 0 {
            return;
        }
        let cluster = environment.id.cluster();
        let reference = image.cluster_reference(&cluster, environment.cluster.registry_port);
        // Whatever a service depends on has fewer before it.
        let before = environment.with_dependencies(std::slice::from_ref(service));
        self.waiting.add(before.len(), reference);
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_empty() {
            let (docker, waiting) = (docker.clone(), Arc::clone(&self.waiting));
            worker.spawn(pull_all(docker, cluster.server_container(), waiting));
        }
    }

    /// The cluster is up: the images of services that wait for others follow.
    pub(super) fn go_on(&self) {
        self.waiting.go_on();
    }
}

/// The images that are still to be pulled, each with its turn.
#[derive(Debug, Default)]
struct Waiting {
    images: Mutex<BTreeSet<(usize, String)>>,
    is_cluster_up: AtomicBool,
    changed: Notify,
}

impl Waiting {
    fn add(&self, turn: usize, reference: String) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.insert((turn, reference));
        self.changed.notify_one();
    }

    fn go_on(&self) {
        self.is_cluster_up.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn first(&self) -> Option<String> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, _) = images.first()?;
        let is_its_turn = *turn <= FIRST || self.is_cluster_up.load(Ordering::Acquire);
        let (_, reference) = is_its_turn.then(|| images.pop_first())??;
        Some(reference)
    }

    async fn next(&self) -> String {
        loop {
            if let Some(reference) = self.first() {
                return reference;
            }
            self.changed.notified().await;
        }
    }
}

async fn pull_all(docker: Docker, node: String, waiting: Arc<Waiting>) {
    if !runtime_answers(&docker, &node).await {
        return;
    }
    loop {
        let reference = waiting.next().await;
        let command = ["sh", "-c", PULL, "sh", &reference];
        let _ = docker.exec(&node, &command, None, PULL_WITHIN).await;
    }
}

async fn runtime_answers(docker: &Docker, node: &str) -> bool {
    let deadline = Instant::now() + RUNTIME_WITHIN;
    while Instant::now() < deadline {
        let asked = docker.exec(node, &["sh", "-c", ASK], None, ASK_WITHIN);
        if asked.await.is_ok_and(|answer| answer.code == 0) {
            return true;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_image_that_others_wait_for_comes_first_and_a_later_one_is_waited_for() {
        let waiting = Arc::new(Waiting::default());
        for (turn, image) in [(4, "web"), (1, "postgres"), (2, "order")] {
            waiting.add(turn, image.to_owned());
        }
        assert_eq!(waiting.next().await, "postgres");
        assert_eq!(waiting.first(), None, "the cluster is not up");
        waiting.go_on();
        for expected in ["order", "web"] {
            assert_eq!(waiting.next().await, expected);
        }
        let next = tokio::spawn({
            let waiting = Arc::clone(&waiting);
            async move { waiting.next().await }
        });
        tokio::task::yield_now().await;
        waiting.add(9, "late".to_owned());
        assert_eq!(next.await.unwrap(), "late");
    }
}
