//! Pods that run to an end: tasks, hooks, loads of data.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};

use super::{Cluster, KubeError, REQUEST, call, map, view::Pauses};
use crate::domain::{ContainerState, ObservedPod, PodPhase, ServiceName};

/// How a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodEnd {
    /// The exit code of its first container that failed; 0 if none did.
    pub code: i32,
}

impl Cluster {
    /// Makes a pod from its specification, and returns its name: the cluster makes one up after `generateName`.
    pub async fn create_pod(&self, specification: serde_json::Value) -> Result<String, KubeError> {
        let doing = "make a pod";
        let pod: Pod =
            serde_json::from_value(specification).map_err(|error| KubeError::Rejected {
                doing: doing.to_owned(),
                message: error.to_string(),
            })?;
        let pods: Api<Pod> = self.api();
        let created = call(doing, REQUEST, pods.create(&PostParams::default(), &pod)).await?;
        Ok(created.metadata.name.unwrap_or_default())
    }

    /// Deletes a pod. None is no error.
    pub async fn delete_pod(&self, name: &str) -> Result<(), KubeError> {
        let pods: Api<Pod> = self.api();
        let doing = format!("delete the pod {name}");
        match call(&doing, REQUEST, pods.delete(name, &DeleteParams::default())).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Since when each pod that is ready has been so without a break, by its name.
    pub async fn ready_since(&self) -> Result<BTreeMap<String, Timestamp>, KubeError> {
        let pods: Api<Pod> = self.api();
        let all = ListParams::default();
        let found = call("list the pods", REQUEST, pods.list(&all)).await?;
        let since = |pod: &Pod| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            let ready = conditions
                .iter()
                .find(|c| c.type_ == "Ready" && c.status == "True")?;
            Some((
                pod.metadata.name.clone()?,
                ready.last_transition_time.as_ref()?.0,
            ))
        };
        Ok(found.items.iter().filter_map(since).collect())
    }

    /// Waits until `is_done` says so of a pod made for `service`, and returns what it said. It sees `None`
    /// where the pod is gone.
    pub async fn wait_pod<T>(
        &self,
        name: &str,
        service: &ServiceName,
        deadline: Duration,
        mut is_done: impl FnMut(Option<&ObservedPod>) -> Option<T>,
    ) -> Result<T, KubeError> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = watcher(self.api::<Pod>(), config)
            .backoff(Pauses::new())
            .boxed();
        let mut seen = false;
        let mut last_error = None;
        let watched = async {
            while let Some(event) = events.next().await {
                let done = match event {
                    Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                        seen = true;
                        is_done(Some(&map::observed_pod(&pod, service.clone())))
                    }
                    Ok(watcher::Event::Init) => {
                        seen = false;
                        None
                    }
                    Ok(watcher::Event::InitDone) if seen => None,
                    Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => is_done(None),
                    Err(error) => {
                        last_error = Some(error.to_string());
                        None
                    }
                };
                if done.is_some() {
                    return done;
                }
            }
            None
        };
        let done = tokio::time::timeout(deadline, watched).await;
        done.ok().flatten().ok_or_else(|| KubeError::Timeout {
            doing: format!("wait for the pod {name}"),
            after: deadline,
            last: last_error,
        })
    }
}

impl PodEnd {
    /// How a pod ended, if it did.
    pub fn of(pod: &ObservedPod) -> Option<Self> {
        let failed = || {
            pod.containers.iter().find_map(|c| match c.now {
                ContainerState::Terminated { exit_code, .. } if exit_code != 0 => Some(exit_code),
                _ => None,
            })
        };
        match pod.phase {
            PodPhase::Succeeded => Some(Self { code: 0 }),
            PodPhase::Failed => Some(Self {
                code: failed().unwrap_or(1),
            }),
            PodPhase::Pending | PodPhase::Running | PodPhase::Unknown => None,
        }
    }
}
