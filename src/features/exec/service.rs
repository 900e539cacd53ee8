//! A command in a container of a service that runs.

use tokio_util::sync::CancellationToken;

use super::{
    Connection, Copied, Ended, Outcome, Wanted,
    copy_out::{copy_out, too_late},
    streams::Outputs,
};
use crate::{
    adapters::{
        kube::{ExecRequest, KubeError},
        terminal::{self, RawMode, Redraw},
    },
    domain::{
        ContainerState, ExitClass, Failure, NoticeLevel, Observed, ObservedContainer, ObservedPod,
        ServiceName,
    },
    engine::explain,
    features::{
        Project,
        podless::podless,
        process::{Agents, Process},
        up::running,
    },
    plan::diagnose,
    report::Outbox,
};

/// The best shell there is in the image.
const SHELL: [&str; 3] = [
    "sh",
    "-c",
    "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh",
];

/// Runs a command in the newest ready pod of a service; in one that runs, where none is ready.
pub async fn in_service(
    project: &Project,
    service: &ServiceName,
    wanted: &Wanted,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Outcome {
    tokio::select! {
        outcome = run(project, service, wanted, outbox) => outcome,
        () = cancel.cancelled() => Ok(Ended::Interrupted),
        () = terminal::output_closed() => Ok(Ended::ReaderGone),
    }
}

async fn run(
    project: &Project,
    service: &ServiceName,
    wanted: &Wanted,
    outbox: &Outbox,
) -> Outcome {
    let tools = project.tools().await?;
    let sight = running(project, &tools, outbox).await?;
    let Some(cluster) = sight.cluster else {
        return Err(no_pod(project, &sight.observed, service).into());
    };
    let pod = newest_running(&sight.observed, service)
        .ok_or_else(|| no_pod(project, &sight.observed, service))?;
    let container = container_of(pod, wanted.container.as_deref())?;
    if !pod.ready {
        let text = format!("no pod of {service} is ready; running in {}", pod.name);
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    let is_shell = wanted.command.is_empty();
    let request = ExecRequest {
        pod: pod.name.clone(),
        container: container.name.clone(),
        command: if is_shell {
            SHELL.map(str::to_owned).to_vec()
        } else {
            wanted.command.clone()
        },
        tty: wanted.connection == Connection::Terminal,
    };
    let input = terminal::input().map_err(|error| no_terminal(&error))?;
    let mut outputs = Outputs::open(wanted.connection, outbox);
    let end = {
        let (_raw, sizes) = match wanted.connection {
            Connection::Terminal => {
                let raw = RawMode::enter().map_err(|error| no_terminal(&error))?;
                let sizes =
                    terminal::sizes(Redraw::NotNeeded).map_err(|error| no_terminal(&error))?;
                (Some(raw), Some(sizes))
            }
            Connection::Streams(_) | Connection::Collected(_) => (None, None),
        };
        let (stdout, stderr) = (&mut outputs.stdout, &mut outputs.stderr);
        cluster
            .exec(&request, Some(input), stdout, stderr, sizes)
            .await
    };
    match end {
        Ok(end) => {
            let copied = match Process::in_container(pod, &container.name) {
                _ if wanted.copy_out.is_empty() => Copied::default(),
                Some(process) => {
                    let agents = Agents::new(tools.docker.clone());
                    copy_out(&agents, &process, &wanted.copy_out).await
                }
                None => too_late(&wanted.copy_out),
            };
            Ok(Ended::Ran(outputs.close(end.code, copied).await))
        }
        Err(error) => not_run(&error, is_shell, service),
    }
}

fn not_run(error: &KubeError, is_shell: bool, service: &ServiceName) -> Outcome {
    let mut failure = error.failure().of(service);
    let Some(code) = error.shell_code() else {
        return Err(failure.into());
    };
    if is_shell {
        failure.help = vec![format!(
            "the image has no shell; name a program that it has: devenv exec {service} -- PROGRAM"
        )];
    }
    Ok(Ended::NotStarted {
        code,
        failure: Box::new(failure),
    })
}

/// The newest ready pod, else the newest in which a container runs.
fn newest_running<'a>(observed: &'a Observed, service: &ServiceName) -> Option<&'a ObservedPod> {
    let runs = |pod: &&ObservedPod| {
        let mut containers = pod.containers.iter();
        containers.any(|container| container.now == ContainerState::Running)
    };
    observed
        .pods
        .iter()
        .filter(|pod| &pod.service == service && !pod.deleting)
        .filter(runs)
        .max_by_key(|pod| (pod.ready, pod.created))
}

/// The container of that name, else the one named like the service, else the first that runs.
fn container_of<'a>(
    pod: &'a ObservedPod,
    name: Option<&str>,
) -> Result<&'a ObservedContainer, Failure> {
    let service = &pod.service;
    let Some(name) = name else {
        let main = pod.containers.iter().find(|c| c.name == service.as_str());
        let mut running = pod
            .containers
            .iter()
            .filter(|c| c.now == ContainerState::Running);
        return main
            .or_else(|| running.next())
            .ok_or_else(|| unknown_container(pod, service.as_str()));
    };
    pod.containers
        .iter()
        .find(|container| container.name == name)
        .ok_or_else(|| unknown_container(pod, name))
}

fn unknown_container(pod: &ObservedPod, name: &str) -> Failure {
    let names: Vec<&str> = pod.containers.iter().map(|c| c.name.as_str()).collect();
    Failure::new(
        "usage.unknown-container",
        ExitClass::Usage,
        format!("the pod {} has no container `{name}`", pod.name),
    )
    .of(&pod.service)
    .help(format!("its containers are {}", names.join(", ")))
}

/// Why there is no pod to run a command in, as far as it is known.
fn no_pod(project: &Project, observed: &Observed, service: &ServiceName) -> Failure {
    let (workloads, pods) = (&observed.workloads, &observed.pods);
    if let Some(failure) = podless(observed, service) {
        return failure;
    }
    match diagnose(service, workloads, pods, &observed.warnings) {
        Some(trouble) => explain(&trouble, &project.environment, Vec::new()),
        None => Failure::new(
            "service.no-pod",
            ExitClass::NotReady,
            format!("{service} has no pod that runs"),
        )
        .of(service)
        .help("devenv status")
        .help(format!("devenv up {service}")),
    }
}

pub(super) fn no_terminal(error: &std::io::Error) -> Failure {
    Failure::new(
        "exec.no-terminal",
        ExitClass::Internal,
        "the terminal or the input of this process cannot be used",
    )
    .caused_by(error)
    .help("leave the terminal out: --no-tty")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{container, name, ready_pod};

    fn pod(pod: &str, second: i64, ready: bool, now: ContainerState) -> ObservedPod {
        ObservedPod {
            name: pod.to_owned(),
            ready,
            created: jiff::Timestamp::from_second(second).ok(),
            containers: vec![container("init", ended()), container("order", now)],
            ..ready_pod(&name("order"))
        }
    }

    fn ended() -> ContainerState {
        ContainerState::Terminated {
            reason: "Completed".to_owned(),
            exit_code: 0,
            signal: None,
            finished: None,
        }
    }

    fn chosen(pods: &[ObservedPod]) -> Option<String> {
        let observed = Observed {
            pods: pods.to_vec(),
            ..Observed::nothing()
        };
        newest_running(&observed, &name("order")).map(|pod| pod.name.clone())
    }

    #[test]
    fn the_newest_ready_pod_is_taken_and_one_that_only_runs_where_none_is_ready() {
        let runs = ContainerState::Running;
        let old = pod("old", 1, true, runs.clone());
        let new = pod("new", 2, true, runs.clone());
        let starting = pod("starting", 3, false, runs);
        assert_eq!(
            chosen(&[old, new.clone(), starting.clone()]).unwrap(),
            "new"
        );
        assert_eq!(chosen(std::slice::from_ref(&starting)).unwrap(), "starting");
        assert_eq!(chosen(&[pod("ended", 4, false, ended())]), None);
        let leaving = ObservedPod {
            deleting: true,
            ..new
        };
        assert_eq!(chosen(&[leaving, starting]).unwrap(), "starting");
    }

    #[test]
    fn a_container_that_is_not_there_is_told_with_those_that_are() {
        let pod = pod("order-1", 1, true, ContainerState::Running);
        assert_eq!(container_of(&pod, None).unwrap().name, "order");
        assert_eq!(container_of(&pod, Some("init")).unwrap().name, "init");
        let failure = container_of(&pod, Some("proxy")).unwrap_err();
        assert_eq!(failure.help, ["its containers are init, order"]);
    }

    #[test]
    fn an_image_without_a_shell_is_told_apart_from_a_wrong_command() {
        let error = KubeError::ExecNotStarted {
            command: "sh".to_owned(),
            pod: "order-1".to_owned(),
            message: "executable file not found in $PATH".to_owned(),
        };
        let Ok(Ended::NotStarted { code, failure }) = not_run(&error, true, &name("order")) else {
            panic!("it was not started");
        };
        assert_eq!(code, 127);
        assert!(failure.help[0].contains("has no shell"));
    }
}
