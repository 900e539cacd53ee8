//! What is checked once something is to be changed: versions of tools, and ports on this machine.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Project;
use crate::{
    adapters::{
        docker::Docker,
        host::{PortState, port_owner},
    },
    domain::{ClusterState, ExitClass, Failure, Failures, Observed, PortNumber},
    engine::Tools,
};

/// The program that holds a container's port on this machine.
const DOCKER_PROXY: &str = "docker-proxy";
/// How long docker may take between holding a container's port and saying so.
const STARTED_WITHIN: Duration = Duration::from_secs(3);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Everything that must hold before anything is changed; all that does not hold is reported at once.
pub(super) async fn before_changes(
    project: &Project,
    tools: &Tools,
    observed: &Observed,
    cancel: &CancellationToken,
) -> Result<(), Failures> {
    let mut failures = versions(project, tools, cancel).await;
    failures.extend(ports(project, &tools.docker, observed).await);
    Failures::from_list(failures).map_or(Ok(()), Err)
}

/// Which tools are missing or too old.
async fn versions(project: &Project, tools: &Tools, cancel: &CancellationToken) -> Vec<Failure> {
    let requires = &project.environment.requires;
    let (k3d, helm, docker) = futures::join!(
        tools.k3d.version(cancel),
        tools.helm.version(cancel),
        tools.docker.version(),
    );
    let docker = docker
        .map_err(|e| e.failure())
        .map(|info| lenient_version(&info.version));
    let own = semver::Version::parse(env!("CARGO_PKG_VERSION")).ok();
    let found = [
        ("devenv", requires.devenv.as_ref(), Ok(own)),
        ("docker", requires.docker.as_ref(), docker),
        (
            "k3d",
            requires.k3d.as_ref(),
            k3d.map_err(|e| e.failure()).map(Some),
        ),
        (
            "helm",
            requires.helm.as_ref(),
            helm.map_err(|e| e.failure()).map(Some),
        ),
    ];
    let mut failures = Vec::new();
    for (tool, wanted, version) in found {
        match (wanted, version) {
            (_, Err(failure)) => failures.push(failure),
            (Some(wanted), Ok(Some(version))) if !wanted.matches(&version) => {
                failures.push(too_old(project, tool, wanted, &version));
            }
            _ => {}
        }
    }
    failures
}

/// Docker's versions have leading zeros and suffixes that semver does not know: `20.10.24+dfsg1`, `24.0.07`.
fn lenient_version(text: &str) -> Option<semver::Version> {
    let plain = text.split(['+', '-']).next()?;
    let mut numbers = plain.split('.').map(|part| part.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    Some(semver::Version::new(next()?, next()?, next().unwrap_or(0)))
}

fn too_old(
    project: &Project,
    tool: &str,
    wanted: &semver::VersionReq,
    version: &semver::Version,
) -> Failure {
    Failure::new(
        "tool.version",
        ExitClass::Prerequisite,
        format!("this project needs {tool} {wanted}, and {version} is installed"),
    )
    .at(project
        .environment
        .provenance
        .place(&format!("requires.{tool}"))
        .cloned())
    .help(format!("install {tool} {wanted}"))
}

/// Which ports are taken, of those that are about to be bound.
async fn ports(project: &Project, docker: &Docker, observed: &Observed) -> Vec<Failure> {
    let cluster = &project.environment.cluster;
    let mut wanted = Vec::new();
    let creates = matches!(
        observed.cluster,
        ClusterState::Absent | ClusterState::Stopped
    );
    if creates {
        wanted.push((cluster.http_port, "cluster.ports.http"));
        wanted.push((cluster.https_port, "cluster.ports.https"));
    }
    if !observed.registry_runs {
        wanted.push((cluster.registry_port, "cluster.registry.port"));
    }
    let mut failures = Vec::new();
    for (port, key) in wanted {
        if let Some(failure) = taken(project, docker, port, key).await {
            failures.push(failure);
        }
    }
    failures
}

async fn taken(project: &Project, docker: &Docker, port: PortNumber, key: &str) -> Option<Failure> {
    let own = format!("{}-", project.environment.id.cluster().network());
    let (owner, help) = match settled_owner(port, docker).await {
        PortState::Free => return None,
        // Part of the environment may run still, such as after a `stop` that was killed.
        PortState::TakenByContainer { container } if container.starts_with(&own) => return None,
        PortState::TakenByContainer { container } => (
            format!("the docker container {container} holds it"),
            format!("docker stop {container}"),
        ),
        PortState::TakenBy { pid, command } => (
            format!("process {pid} holds it: {command}"),
            format!("kill {pid}"),
        ),
        PortState::Taken => (
            "a process of another user holds it".to_owned(),
            format!("sudo ss -ltnp 'sport = :{port}'"),
        ),
    };
    let free = port.get().checked_add(100).unwrap_or(18080);
    let name = project
        .environment
        .manifest
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    Some(
        Failure::new(
            "cluster.port-in-use",
            ExitClass::Prerequisite,
            format!("port {port} on this machine is taken"),
        )
        .because(owner)
        .at(project.environment.provenance.place(key).cloned())
        .help(help)
        .help(format!(
            "or take another port: `{key}` in {name}, or --set {key}={free}"
        )),
    )
}

/// Who holds a port, once docker says for which container: while it starts one, the port has a holder already.
async fn settled_owner(port: PortNumber, docker: &Docker) -> PortState {
    let settled = async {
        loop {
            match port_owner(port, docker).await {
                PortState::TakenBy { command, .. } if command.contains(DOCKER_PROXY) => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                state => return state,
            }
        }
    };
    match tokio::time::timeout(STARTED_WITHIN, settled).await {
        Ok(state) => state,
        Err(_) => port_owner(port, docker).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_docker_are_read_whatever_their_suffix() {
        assert_eq!(
            lenient_version("20.10.24+dfsg1"),
            Some(semver::Version::new(20, 10, 24))
        );
        assert_eq!(
            lenient_version("28.2"),
            Some(semver::Version::new(28, 2, 0))
        );
        assert_eq!(lenient_version("dev"), None);
    }
}
