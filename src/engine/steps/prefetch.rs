//! Images on their way into the node while the cluster is still being made.
//!
//! The node's container runtime answers seconds before k3d returns, and pods are started one dependency after
//! another: images that are there already take the pull out of that chain. Nothing depends on it, for the
//! kubelet pulls what is missing by itself; so nothing of it fails a run. See docs/decisions/0005.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use crate::{
    adapters::docker::Docker,
    domain::{DesiredImage, Environment},
};

/// How long the runtime of a new node may take until it answers.
const RUNTIME_WITHIN: Duration = Duration::from_mins(1);
/// How often it is asked; there is nothing to watch before the cluster runs.
const ASK_AGAIN: Duration = Duration::from_millis(300);
const ASK_WITHIN: Duration = Duration::from_secs(5);
const PULL_WITHIN: Duration = Duration::from_mins(2);

/// Asks the runtime for its version.
const ASK: &str = "exec ctr --address /run/k3s/containerd/containerd.sock version";
/// Pulls `$1` as the kubelet would, through the mirrors that k3s or a plain containerd is set up with.
const PULL: &str = "for mirrors in /var/lib/rancher/k3s/agent/etc/containerd/certs.d /etc/containerd/certs.d; do
  [ ! -d \"$mirrors\" ] || exec ctr --address /run/k3s/containerd/containerd.sock --namespace k8s.io \
    images pull --hosts-dir \"$mirrors\" \"$1\"
done";

/// The pulls of one run; they end with it.
#[derive(Debug)]
pub(in crate::engine) struct Prefetch {
    pulls: Mutex<JoinSet<()>>,
    // One at a time: the first services need the machine more.
    turn: Arc<Semaphore>,
}

impl Default for Prefetch {
    fn default() -> Self {
        Self {
            pulls: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Prefetch {
    /// Has the node pull an image that the registry holds.
    pub(super) fn begin(&self, docker: &Docker, environment: &Environment, image: &DesiredImage) {
        // Which of several nodes a pod comes to is for the scheduler to say.
        if environment.cluster.agents > 0 {
            return;
        }
        let cluster = environment.id.cluster();
        let node = cluster.server_container();
        let reference = image.cluster_reference(&cluster, environment.cluster.registry_port);
        let (docker, turn) = (docker.clone(), Arc::clone(&self.turn));
        let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.spawn(async move {
            let Ok(_turn) = turn.acquire_owned().await else {
                return;
            };
            if runtime_answers(&docker, &node).await {
                let command = ["sh", "-c", PULL, "sh", &reference];
                let _ = docker.exec(&node, &command, None, PULL_WITHIN).await;
            }
        });
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
