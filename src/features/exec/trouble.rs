//! What a task's pod shows, and what it means.

use crate::{
    domain::{
        ContainerState, Environment, Failure, ImageName, ObservedPod, Task, Trouble, TroubleKind,
    },
    engine::explain,
};

/// Whether the process of a pod runs or has run.
pub(super) fn has_run(pod: &ObservedPod) -> bool {
    pod.containers.iter().any(|container| match &container.now {
        ContainerState::Running => true,
        ContainerState::Terminated { reason, .. } => !is_command(reason),
        ContainerState::Waiting { .. } => false,
    })
}

/// Whether the kubelet says by this word that the command itself could not be started.
pub(super) fn is_command(reason: &str) -> bool {
    matches!(reason, "StartError" | "ContainerCannotRun")
}

pub(super) fn killed_for_memory(pod: &ObservedPod) -> bool {
    pod.containers.iter().any(|container| {
        matches!(&container.now, ContainerState::Terminated { reason, .. } if reason == "OOMKilled")
    })
}

/// The explanation of a trouble in the words of a task.
pub(super) fn explain_task(
    environment: &Environment,
    task: &Task,
    trouble: &Trouble,
    lines: Vec<String>,
) -> Failure {
    let mut failure = explain(trouble, environment, lines);
    let name = &task.name;
    let (key, help) = match &trouble.kind {
        TroubleKind::ImageUnavailable { .. } => match task.image {
            ImageName::Build(_) => ("build", Some(format!("devenv exec {name}"))),
            ImageName::Reference(_) => ("image", None),
        },
        TroubleKind::CannotStart { .. } => (
            "command",
            Some("check `command` and `secrets` of the task".to_owned()),
        ),
        TroubleKind::Unschedulable => (
            "resources",
            Some("lower `resources.requests` of the task".to_owned()),
        ),
        _ => ("command", None),
    };
    if let Some(help) = help {
        failure.help = vec![help];
    }
    let place = format!("tasks.{name}.{key}");
    failure.service = None;
    failure.at(environment.provenance.place(&place).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        PodPhase,
        testing::{container, name, ready_pod},
    };

    fn pod(now: ContainerState) -> ObservedPod {
        ObservedPod {
            phase: PodPhase::Pending,
            ready: false,
            containers: vec![container("test", now)],
            ..ready_pod(&name("test"))
        }
    }

    fn ended(reason: &str) -> ObservedPod {
        pod(ContainerState::Terminated {
            reason: reason.to_owned(),
            exit_code: 1,
            signal: None,
            finished: None,
        })
    }

    #[test]
    fn a_task_that_ended_at_once_has_run_and_one_whose_command_is_missing_has_not() {
        assert!(has_run(&pod(ContainerState::Running)));
        assert!(has_run(&ended("Error")));
        assert!(has_run(&ended("Completed")));
        assert!(!has_run(&ended("StartError")));
        assert!(!has_run(&pod(ContainerState::Waiting {
            reason: "ContainerCreating".to_owned(),
            message: String::new(),
        })));
    }

    #[test]
    fn a_process_killed_for_its_memory_is_told_from_one_that_failed() {
        assert!(killed_for_memory(&ended("OOMKilled")));
        assert!(!killed_for_memory(&ended("Error")));
    }
}
