//! What is checked once something is to be changed: versions of tools, and ports on this machine.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Project;
use crate::{
    adapters::{
        docker::Docker,
        files,
        host::{PortState, port_owner, port_state},
    },
    domain::{ClusterState, ExitClass, Failure, Failures, Observed, PortNumber},
    engine::Tools,
    state::owner_of,
};

/// The keys of the ports in the manifest.
const HTTP: &str = "cluster.ports.http";
const HTTPS: &str = "cluster.ports.https";
const REGISTRY: &str = "cluster.registry.port";
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
    let wanted = wanted_ports(project, observed);
    failures.extend(taken_ports(project, Some(&tools.docker), &wanted).await);
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
pub(super) fn lenient_version(text: &str) -> Option<semver::Version> {
    let plain = text.split(['+', '-']).next()?;
    let mut numbers = plain.split('.').map(|part| part.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    Some(semver::Version::new(next()?, next()?, next().unwrap_or(0)))
}

/// The failure where a tool is not of a version that the manifest asks for.
pub(super) fn too_old(
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

/// A port of this machine that an environment wants, and the key of the manifest that asks for it.
pub(super) type WantedPort = (PortNumber, &'static str);

/// The ports that are about to be bound.
fn wanted_ports(project: &Project, observed: &Observed) -> Vec<WantedPort> {
    let mut wanted = Vec::new();
    let creates = matches!(
        observed.cluster,
        ClusterState::Absent | ClusterState::Stopped
    );
    if creates {
        wanted.extend(cluster_ports(project));
    }
    if !observed.registry_runs {
        wanted.push(registry_port(project));
    }
    wanted
}

/// The ports of an environment's cluster.
pub(super) fn cluster_ports(project: &Project) -> [WantedPort; 2] {
    let cluster = &project.environment.cluster;
    [(cluster.http_port, HTTP), (cluster.https_port, HTTPS)]
}

/// The port of an environment's registry.
pub(super) fn registry_port(project: &Project) -> WantedPort {
    (project.environment.cluster.registry_port, REGISTRY)
}

/// Which ports are taken, of those that are wanted. Without an engine it is not known which containers hold them.
pub(super) async fn taken_ports(
    project: &Project,
    docker: Option<&Docker>,
    wanted: &[WantedPort],
) -> Vec<Failure> {
    let own = project.environment.id.cluster();
    let mut failures = Vec::new();
    let mut of_others: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
    for &(port, key) in wanted {
        let owner = match docker {
            Some(docker) => settled_owner(port, docker).await,
            None => port_state(port),
        };
        match &owner {
            PortState::Free => continue,
            // Of a cluster that runs in part only: what runs keeps its ports.
            PortState::TakenByContainer { container } if own.owns_container(container) => continue,
            _ => {}
        }
        let taken = Taken {
            port,
            key,
            free: free_port(port),
        };
        match environment_of(&owner) {
            Some(id) => of_others.entry(id.to_owned()).or_default().push(taken),
            None => failures.push(taken_by(project, &taken, &owner)),
        }
    }
    failures.extend(
        of_others
            .iter()
            .map(|(id, taken)| taken_by_environment(project, id, taken)),
    );
    failures
}

/// A port that is taken.
struct Taken {
    port: PortNumber,
    /// The key of the manifest that asks for it.
    key: &'static str,
    /// One that could be taken instead.
    free: PortNumber,
}

/// A port that nobody listens on, the same in another hundred where there is one.
fn free_port(taken: PortNumber) -> PortNumber {
    let hundreds = (1..=u16::MAX / 100).filter_map(|n| taken.get().checked_add(n * 100));
    let ports = hundreds.filter_map(PortNumber::new);
    let mut free = ports.filter(|port| port_state(*port) == PortState::Free);
    free.next().unwrap_or(taken)
}

/// The environment whose container holds a port: k3d names its containers by their cluster.
fn environment_of(owner: &PortState) -> Option<&str> {
    let PortState::TakenByContainer { container } = owner else {
        return None;
    };
    let name = container.strip_prefix("k3d-")?;
    name.strip_suffix("-serverlb")
        .or_else(|| name.strip_suffix("-registry"))
}

fn taken_by(project: &Project, taken: &Taken, owner: &PortState) -> Failure {
    let Taken { port, key, free } = taken;
    let (owner, help) = match owner {
        PortState::TakenByContainer { container } => (
            format!("the docker container {container} holds it"),
            format!("docker stop {container}"),
        ),
        PortState::TakenBy { pid, command } => (
            format!("process {pid} holds it: {command}"),
            format!("kill {pid}"),
        ),
        PortState::Taken | PortState::Free => (
            "a process of another user holds it".to_owned(),
            format!("sudo ss -ltnp 'sport = :{port}'"),
        ),
    };
    let manifest = &project.environment.manifest;
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    port_in_use(format!("port {port} on this machine is taken"))
        .because(owner)
        .at(project.environment.provenance.place(key).cloned())
        .help(help)
        .help(format!(
            "or take another port: `{key}` in {name}, or --set {key}={free}"
        ))
}

/// One failure for all ports that another environment holds: one command frees them, or one line avoids them.
fn taken_by_environment(project: &Project, id: &str, taken: &[Taken]) -> Failure {
    let ports: Vec<String> = taken.iter().map(|taken| taken.port.to_string()).collect();
    let (what, it) = match ports.as_slice() {
        [port] => (format!("port {port} on this machine is taken"), "it"),
        [rest @ .., last] => (
            format!(
                "ports {} and {last} on this machine are taken",
                rest.join(", ")
            ),
            "them",
        ),
        [] => (String::new(), "them"),
    };
    let directory = owner_of(&project.paths.of_other(id));
    let (place, stop) = match &directory {
        Some(directory) => {
            let directory = directory.display();
            (
                format!(" (of {directory})"),
                format!("devenv stop -C {directory}   # frees {it}"),
            )
        }
        None => (String::new(), format!("k3d cluster stop {id}")),
    };
    let is_gone = directory.is_some_and(|directory| !files::exists(&directory));
    let failure = port_in_use(what)
        .because(format!("the cluster {id}{place} holds {it}"))
        .at(taken
            .first()
            .and_then(|taken| project.environment.provenance.place(taken.key))
            .cloned());
    let failure = if is_gone {
        failure
            .because("its project is no longer in that directory: it was moved or removed")
            .help(format!(
                "k3d cluster delete {id} && k3d registry delete k3d-{id}-registry   # its data stays"
            ))
    } else {
        failure.help(stop)
    };
    failure.help(format!(
        "or take others, in {}: {}",
        local_file(project),
        overlay(taken)
    ))
}

/// The line of a manifest that takes the free ports.
fn overlay(taken: &[Taken]) -> String {
    let port_of = |key: &str| {
        let mut with_key = taken.iter().filter(|taken| taken.key == key);
        with_key.next().map(|taken| taken.free)
    };
    let ingress = [("http", HTTP), ("https", HTTPS)];
    let ingress: Vec<String> = ingress
        .iter()
        .filter_map(|(name, key)| Some(format!("{name}: {}", port_of(key)?)))
        .collect();
    let mut parts = Vec::new();
    if !ingress.is_empty() {
        parts.push(format!("ports: {{ {} }}", ingress.join(", ")));
    }
    if let Some(port) = port_of(REGISTRY) {
        parts.push(format!("registry: {{ port: {port} }}"));
    }
    format!("cluster: {{ {} }}", parts.join(", "))
}

/// The manifest's layer that belongs to this machine.
fn local_file(project: &Project) -> String {
    let local = project.environment.manifest.with_extension("local.yaml");
    local
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn port_in_use(what: String) -> Failure {
    Failure::new("cluster.port-in-use", ExitClass::Prerequisite, what)
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
    use crate::features::project::testing::project;

    fn taken(port: u16, key: &'static str, free: u16) -> Taken {
        let number = |number| PortNumber::new(number).unwrap();
        Taken {
            port: number(port),
            key,
            free: number(free),
        }
    }

    #[test]
    fn the_ports_of_another_environment_are_one_failure_with_one_line_that_avoids_them() {
        let ports = [
            taken(8080, HTTP, 8180),
            taken(8443, HTTPS, 8543),
            taken(5050, REGISTRY, 5150),
        ];
        let failure = taken_by_environment(&project(&[]), "other-1a2b3c4d", &ports);
        assert_eq!(
            failure.what,
            "ports 8080, 8443 and 5050 on this machine are taken"
        );
        assert_eq!(
            failure.help,
            [
                "k3d cluster stop other-1a2b3c4d",
                "or take others, in devenv.local.yaml: \
                 cluster: { ports: { http: 8180, https: 8543 }, registry: { port: 5150 } }"
            ]
        );
        let one = taken_by_environment(&project(&[]), "other-1a2b3c4d", &ports[2..]);
        assert_eq!(one.what, "port 5050 on this machine is taken");
        assert!(one.help[1].ends_with("cluster: { registry: { port: 5150 } }"));
    }

    #[test]
    fn containers_of_a_cluster_are_told_from_others() {
        let container = |name: &str| PortState::TakenByContainer {
            container: name.to_owned(),
        };
        assert_eq!(environment_of(&container("k3d-a-1-serverlb")), Some("a-1"));
        assert_eq!(environment_of(&container("k3d-a-1-registry")), Some("a-1"));
        assert_eq!(environment_of(&container("my-registry")), None);
        assert_eq!(environment_of(&PortState::Taken), None);
    }

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
