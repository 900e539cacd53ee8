//! The agent's program in a node.

use std::{sync::LazyLock, time::Duration};

use super::AgentFailure;
use crate::{adapters::docker::Docker, domain::ClusterName};

/// The program, static, for the processor of this machine.
const PROGRAM: &[u8] = include_bytes!(env!("DEVENV_AGENT"));
/// Where agents lie in a node, each under a name of its contents.
const DIRECTORY: &str = "/var/lib/devenv/agent";
/// Characters of the hash in a name.
const HASH_DIGITS: usize = 16;
const UPLOAD_WITHIN: Duration = Duration::from_secs(30);

/// The path of this devenv's agent in every node that has it.
pub fn program() -> String {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let hash = blake3::hash(PROGRAM).to_hex();
        format!("{DIRECTORY}/devenv-agent-{}", &hash[..HASH_DIGITS])
    });
    PATH.clone()
}

/// Puts the agent into a node, running or not; what is there already becomes the same.
pub async fn install(docker: &Docker, node: &str) -> Result<(), AgentFailure> {
    let program = program();
    let put = docker.put_program(node, &program, PROGRAM, UPLOAD_WITHIN);
    Ok(put.await?)
}

/// Puts the agent into every node of a cluster.
pub async fn install_everywhere(
    docker: &Docker,
    cluster: &ClusterName,
) -> Result<(), AgentFailure> {
    let nodes = docker.nodes_of(cluster).await?;
    let installing = nodes.iter().map(|node| install(docker, &node.name));
    let installed = futures::future::try_join_all(installing).await;
    installed.map(|_| ())
}
