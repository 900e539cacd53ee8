//! When the nodes were started last: what was said of their pods before does not hold any more.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ContainerState, ObservedContainer, ObservedPod, WarningEvent};

/// When each node was started last, by its name.
///
/// After a start of the nodes the API shows for a while what was true before they were stopped. Node and
/// pods live by the same clock; Kubernetes keeps whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStarts(BTreeMap<String, Timestamp>);

impl FromIterator<(String, Timestamp)> for NodeStarts {
    fn from_iter<T: IntoIterator<Item = (String, Timestamp)>>(starts: T) -> Self {
        Self(starts.into_iter().collect())
    }
}

impl NodeStarts {
    /// When the node called `name` was started last; `None` if nobody knows.
    pub fn of(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name).copied()
    }

    /// The pods as they are since their nodes were started.
    ///
    /// One whose containers ran before counts as not started; ends of containers that go back to the stop of
    /// the node, and the restarts that followed, are left out.
    pub fn current_pods(&self, pods: Vec<ObservedPod>) -> Vec<ObservedPod> {
        pods.into_iter().map(|pod| self.current_pod(pod)).collect()
    }

    /// The warnings that were said since the first node was started.
    pub fn current_warnings(&self, mut warnings: Vec<WarningEvent>) -> Vec<WarningEvent> {
        if let Some(start) = self.0.values().min() {
            warnings.retain(|warning| {
                warning
                    .last_seen
                    .is_none_or(|seen| !is_before(seen, *start))
            });
        }
        warnings
    }

    fn current_pod(&self, mut pod: ObservedPod) -> ObservedPod {
        let start = pod.node.as_ref().and_then(|node| self.0.get(node));
        let Some(start) = start.copied() else {
            return pod;
        };
        if pod.created.is_none_or(|created| !is_before(created, start)) {
            return pod;
        }
        if pod
            .running_since
            .is_some_and(|since| is_before(since, start))
        {
            pod.ready = false;
            pod.containers.iter_mut().for_each(reset);
        }
        for container in &mut pod.containers {
            if ended_by_stop(&container.now, start) {
                reset(container);
            }
            if container
                .before
                .as_ref()
                .is_some_and(|end| ended_by_stop(end, start))
            {
                container.before = None;
                container.restarts = 0;
            }
            // How many of them go back to stops of the node is not known.
            container.restarts = container.restarts.min(1);
        }
        pod
    }
}

/// Makes a container one that was never started.
fn reset(container: &mut ObservedContainer) {
    container.ready = false;
    container.restarts = 0;
    container.before = None;
    container.now = ContainerState::Waiting {
        reason: String::new(),
        message: String::new(),
    };
}

/// Whether a container ended before its node's start, or because the node was stopped.
fn ended_by_stop(state: &ContainerState, start: Timestamp) -> bool {
    match state {
        ContainerState::Terminated {
            reason, finished, ..
        } => {
            // The kubelet's words for a container of which it only finds that it is gone.
            let is_lost = matches!(reason.as_str(), "Unknown" | "ContainerStatusUnknown");
            is_lost || finished.is_some_and(|finished| is_before(finished, start))
        }
        ContainerState::Waiting { .. } | ContainerState::Running => false,
    }
}

fn is_before(time: Timestamp, start: Timestamp) -> bool {
    time.as_second() < start.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{self, name, ready_pod};

    const START: i64 = 1_790_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    fn starts() -> NodeStarts {
        [("node".to_owned(), at(0))].into_iter().collect()
    }

    fn container(now: ContainerState, before: Option<ContainerState>) -> ObservedContainer {
        ObservedContainer {
            ready: true,
            restarts: 4,
            before,
            ..testing::container("order", now)
        }
    }

    fn ended(reason: &str, second: i64) -> ContainerState {
        ContainerState::Terminated {
            reason: reason.to_owned(),
            exit_code: 1,
            signal: None,
            finished: Some(at(second)),
        }
    }

    fn pod(running_since: i64, before: Option<ContainerState>) -> ObservedPod {
        ObservedPod {
            created: Some(at(-100)),
            running_since: Some(at(running_since)),
            node: Some("node".to_owned()),
            containers: vec![container(ContainerState::Running, before)],
            ..ready_pod(&name("order"))
        }
    }

    fn current(pod: ObservedPod) -> ObservedPod {
        starts().current_pods(vec![pod]).remove(0)
    }

    #[test]
    fn a_pod_that_ran_before_the_start_is_not_ready_whatever_is_said_of_it() {
        let pod = current(pod(-50, None));
        assert!(!pod.ready);
        assert!(matches!(
            pod.containers[0].now,
            ContainerState::Waiting { .. }
        ));
    }

    #[test]
    fn a_pod_whose_containers_were_started_since_is_as_it_says() {
        assert!(current(pod(0, None)).ready);
        let new = ObservedPod {
            created: Some(at(3)),
            ..pod(-50, None)
        };
        assert_eq!(current(new.clone()), new, "a pod made since the start");
    }

    #[test]
    fn ends_that_go_back_to_the_stop_are_no_crashes() {
        for before in [ended("Unknown", 2), ended("Error", -3)] {
            let container = current(pod(5, Some(before))).containers.remove(0);
            assert_eq!((container.before, container.restarts), (None, 0));
        }
        let crash = Some(ended("Error", 4));
        let container = current(pod(5, crash.clone())).containers.remove(0);
        assert_eq!((container.before, container.restarts), (crash, 1));
    }

    #[test]
    fn a_container_that_ended_with_the_node_waits_to_be_started() {
        let mut stopped = pod(5, None);
        stopped.containers = vec![container(ended("Error", -1), None)];
        let container = current(stopped).containers.remove(0);
        assert!(matches!(container.now, ContainerState::Waiting { .. }));
    }

    #[test]
    fn warnings_of_the_time_before_are_left_out() {
        let warning = |second| WarningEvent {
            kind: "Pod".to_owned(),
            name: "order-1".to_owned(),
            reason: "BackOff".to_owned(),
            message: String::new(),
            count: 1,
            last_seen: Some(at(second)),
        };
        let kept = starts().current_warnings(vec![warning(-1), warning(1)]);
        assert_eq!(kept, [warning(1)]);
    }
}
