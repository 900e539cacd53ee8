//! Pods and events -> why a service is not ready, and whether waiting can help.

use crate::domain::{
    ContainerState, ObservedContainer, ObservedPod, ObservedWorkload, PodPhase, ServiceName,
    Trouble, TroubleKind, WarningEvent,
};

/// Restarts after which a process that ends is not given another chance.
const RESTARTS_GRANTED: u32 = 2;

/// Why `service` is not ready; `None` if nothing is wrong yet, or any more.
///
/// `workloads`, `pods` and `warnings` may be those of all services. Only the newest template of a
/// workload counts, since its older pods are being replaced; pods that are being deleted never count.
/// A trouble that ends the wait goes before one that may pass.
pub fn diagnose(
    service: &ServiceName,
    workloads: &[ObservedWorkload],
    pods: &[ObservedPod],
    warnings: &[WarningEvent],
) -> Option<Trouble> {
    let scene = Scene {
        service,
        workloads: workloads.iter().filter(|w| &w.service == service).collect(),
        warnings,
        someone_leaves: pods.iter().any(|pod| pod.deleting),
    };
    let alive: Vec<&ObservedPod> = pods
        .iter()
        .filter(|pod| &pod.service == service && !pod.deleting)
        .collect();
    let of_workloads = scene.workloads.iter().flat_map(|workload| {
        let is_its = |pod: &&&ObservedPod| scene.owner(&pod.name) == Some(workload.name.as_str());
        let its: Vec<&ObservedPod> = alive.iter().filter(is_its).copied().collect();
        scene.of_workload(workload, its)
    });
    let lone = alive.iter().filter(|pod| scene.owner(&pod.name).is_none());
    let found: Vec<Trouble> = of_workloads
        .chain(lone.filter_map(|pod| scene.of_pod(pod)))
        .collect();
    let first_final = found.iter().position(|trouble| trouble.is_final);
    found.into_iter().nth(first_final.unwrap_or(0))
}

/// What all questions about one service look at.
struct Scene<'a> {
    service: &'a ServiceName,
    workloads: Vec<&'a ObservedWorkload>,
    warnings: &'a [WarningEvent],
    /// Whether some pod is on its way out, so that what it holds will be free soon.
    someone_leaves: bool,
}

impl Scene<'_> {
    /// The workload whose name is the longest beginning of an object's name.
    fn owner(&self, object: &str) -> Option<&str> {
        let names = self.workloads.iter().map(|workload| workload.name.as_str());
        names
            .filter(|name| {
                object
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
            .max_by_key(|name| name.len())
    }

    /// Troubles of a workload, the newest pod's first.
    fn of_workload(
        &self,
        workload: &ObservedWorkload,
        mut pods: Vec<&ObservedPod>,
    ) -> Vec<Trouble> {
        pods.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        // Pods of one template share their name up to the last dash.
        let template =
            |pod: &ObservedPod| pod.name.rsplit_once('-').map(|(head, _)| head.to_owned());
        let newest = pods.first().and_then(|pod| template(pod));
        pods.retain(|pod| template(pod) == newest);
        let is_short = pods.len() < workload.desired as usize;
        let refused = is_short.then(|| self.refusal(workload)).flatten();
        pods.iter()
            .filter_map(|pod| self.of_pod(pod))
            .chain(refused)
            .collect()
    }

    /// Why a pod was not made.
    fn refusal(&self, workload: &ObservedWorkload) -> Option<Trouble> {
        let event = self.warnings.iter().rev().find(|event| {
            event.reason == "FailedCreate"
                && event.kind != "Pod"
                && self.owner(&event.name) == Some(workload.name.as_str())
        })?;
        // In a new cluster the account of pods comes a moment after the namespace.
        let passes = [
            "serviceaccount",
            "service account",
            "timeout",
            "connection refused",
        ];
        Some(Trouble {
            service: self.service.clone(),
            pod: None,
            container: None,
            kind: TroubleKind::PodRefused,
            message: event.message.clone(),
            is_final: !says(&event.message, &passes),
        })
    }

    fn of_pod(&self, pod: &ObservedPod) -> Option<Trouble> {
        if pod.ready || pod.phase == PodPhase::Succeeded {
            return None;
        }
        self.placement(pod)
            .or_else(|| {
                pod.containers
                    .iter()
                    .find_map(|c| self.of_container(pod, c))
            })
            .or_else(|| self.preparation(pod))
            .or_else(|| self.probe(pod))
    }

    /// Thrown out, or never taken in.
    fn placement(&self, pod: &ObservedPod) -> Option<Trouble> {
        if pod.phase == PodPhase::Failed
            && let Some(event) = self.newest(pod, &["Evicted", "Preempting"])
        {
            // Its controller makes another one at once; that one's trouble may be final.
            return Some(self.trouble(pod, None, TroubleKind::Evicted, &event.message, false));
        }
        let message = pod.unschedulable.as_deref()?;
        let is_pressed = says(
            message,
            &["disk-pressure", "memory-pressure", "pid-pressure"],
        );
        let kind = if is_pressed {
            TroubleKind::Evicted
        } else {
            TroubleKind::Unschedulable
        };
        let lacks = [
            "insufficient",
            "didn't match",
            "didn't satisfy",
            "free ports",
        ];
        let node_comes = [
            "not-ready",
            "unreachable",
            "uninitialized",
            "network-unavailable",
        ];
        let is_final = is_pressed
            || (says(message, &lacks) && !says(message, &node_comes) && !self.someone_leaves);
        Some(self.trouble(pod, None, kind, message, is_final))
    }

    fn of_container(&self, pod: &ObservedPod, container: &ObservedContainer) -> Option<Trouble> {
        match &container.now {
            ContainerState::Waiting { reason, message } => {
                self.waiting(pod, container, reason, message)
            }
            // An init container that did its work is terminated and ready.
            ContainerState::Terminated { .. } | ContainerState::Running if container.ready => None,
            ended @ ContainerState::Terminated { .. } => self.ended(pod, container, ended),
            ContainerState::Running => {
                let before = container.before.as_ref()?;
                self.ended(pod, container, before)
            }
        }
    }

    fn waiting(
        &self,
        pod: &ObservedPod,
        container: &ObservedContainer,
        reason: &str,
        message: &str,
    ) -> Option<Trouble> {
        let failed = || {
            self.newest(pod, &["Failed"])
                .map(|event| event.message.as_str())
        };
        let message = if message.is_empty() {
            failed().unwrap_or(reason)
        } else {
            message
        };
        let (kind, is_final) = match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable" => {
                let hopeless = [
                    "not found",
                    "unauthorized",
                    "denied",
                    "forbidden",
                    "invalid",
                    "manifest unknown",
                    "no match for platform",
                ];
                let image = container.image.clone();
                let said = says(message, &hopeless) || failed().is_some_and(|m| says(m, &hopeless));
                let tried = matches!(
                    reason,
                    "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull"
                );
                (TroubleKind::ImageUnavailable { image }, said || tried)
            }
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                let hopeless = [
                    "not found",
                    "no such file",
                    "permission denied",
                    "executable",
                    "invalid",
                ];
                let kind = TroubleKind::CannotStart {
                    reason: reason.to_owned(),
                };
                (kind, says(message, &hopeless))
            }
            "CrashLoopBackOff" => {
                let before = container.before.as_ref()?;
                return self.ended(pod, container, before);
            }
            _ => return None,
        };
        Some(self.trouble(pod, Some(container), kind, message, is_final))
    }

    /// A process that ended, though it should run.
    fn ended(
        &self,
        pod: &ObservedPod,
        container: &ObservedContainer,
        state: &ContainerState,
    ) -> Option<Trouble> {
        let ContainerState::Terminated {
            reason,
            exit_code,
            signal,
            ..
        } = state
        else {
            return None;
        };
        let restarts = container.restarts;
        let said = |reasons: &[&str]| self.newest(pod, reasons).map(|event| event.message.clone());
        // The event comes up to ten seconds before the container's state says so.
        let backs_off = matches!(&container.now, ContainerState::Waiting { reason, .. } if reason == "CrashLoopBackOff")
            || said(&["BackOff"]).is_some();
        let is_repeated = restarts >= RESTARTS_GRANTED || (backs_off && restarts >= 1);
        let (kind, message, is_final) = match reason.as_str() {
            "OOMKilled" => {
                let message = said(&["BackOff"]).unwrap_or_else(|| reason.clone());
                (
                    TroubleKind::OutOfMemory { restarts },
                    message,
                    restarts >= 1,
                )
            }
            "StartError" | "ContainerCannotRun" => {
                let message = said(&["Failed"]).unwrap_or_else(|| reason.clone());
                (
                    TroubleKind::CannotStart {
                        reason: reason.clone(),
                    },
                    message,
                    true,
                )
            }
            _ => {
                if let Some(event) = self.killed_by_probe(pod, *exit_code) {
                    let kind = TroubleKind::ProbeFailing;
                    (kind, event.message.clone(), is_repeated)
                } else {
                    let kind = TroubleKind::CrashLoop {
                        exit_code: *exit_code,
                        signal: signal.or_else(|| signal_of(*exit_code)),
                        restarts,
                    };
                    let message = said(&["BackOff"]).unwrap_or_else(|| reason.clone());
                    (kind, message, is_repeated)
                }
            }
        };
        Some(self.trouble(pod, Some(container), kind, &message, is_final))
    }

    /// The probe on whose account the kubelet killed a process, if that is how it ended.
    fn killed_by_probe(&self, pod: &ObservedPod, exit_code: i32) -> Option<&WarningEvent> {
        let event = self.newest(pod, &["Unhealthy"])?;
        let was_killed = matches!(signal_of(exit_code), Some(9 | 15));
        let kills = says(&event.message, &["startup probe", "liveness probe"]);
        (was_killed && kills).then_some(event)
    }

    /// What keeps the kubelet from making the containers: a mount, the network.
    fn preparation(&self, pod: &ObservedPod) -> Option<Trouble> {
        let reasons = [
            "FailedMount",
            "FailedAttachVolume",
            "FailedCreatePodSandBox",
        ];
        if pod.phase != PodPhase::Pending || pod.node.is_none() {
            return None;
        }
        let event = self.newest(pod, &reasons)?;
        let kind = TroubleKind::CannotStart {
            reason: event.reason.clone(),
        };
        Some(self.trouble(pod, None, kind, &event.message, false))
    }

    fn probe(&self, pod: &ObservedPod) -> Option<Trouble> {
        let event = self.newest(pod, &["Unhealthy"])?;
        if pod.phase != PodPhase::Running {
            return None;
        }
        // Whose probe it is, the event says only in a field of its own: the one that is not ready.
        let container = pod.containers.iter().rev().find(|c| !c.ready);
        let kind = TroubleKind::ProbeFailing;
        Some(self.trouble(pod, container, kind, &event.message, false))
    }

    fn newest(&self, pod: &ObservedPod, reasons: &[&str]) -> Option<&WarningEvent> {
        self.warnings
            .iter()
            .filter(|event| event.kind == "Pod" && event.name == pod.name)
            .filter(|event| reasons.contains(&event.reason.as_str()))
            .max_by_key(|event| event.last_seen)
    }

    fn trouble(
        &self,
        pod: &ObservedPod,
        container: Option<&ObservedContainer>,
        kind: TroubleKind,
        message: &str,
        is_final: bool,
    ) -> Trouble {
        Trouble {
            service: self.service.clone(),
            pod: Some(pod.name.clone()),
            container: container.map(|container| container.name.clone()),
            kind,
            message: message.to_owned(),
            is_final,
        }
    }
}

/// The signal that ended a process, as shells and container runtimes count exit codes.
const fn signal_of(exit_code: i32) -> Option<i32> {
    match exit_code {
        129..=192 => Some(exit_code - 128),
        _ => None,
    }
}

/// Whether a message has one of the words, in upper or lower case.
fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_lowercase();
    words.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests;
