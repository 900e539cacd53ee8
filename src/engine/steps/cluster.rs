//! Registry and cluster: create, start, delete.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        docker::{ClusterContainer, ENVIRONMENT, EngineState, NodeRole},
        k3d::{ClusterRequest, NodeVolume},
        kube::KubeError,
        registry,
    },
    domain::{ClusterName, Failure},
    engine::{
        Finished, OwnContainers, Progress, World, check_identity,
        steps::{image_store, node_image, remove, volume_store},
    },
    plan::PROJECT_IN_NODE,
};

const REGISTRY_WITHIN: Duration = Duration::from_mins(1);
const CREATE_WITHIN: Duration = Duration::from_mins(3);
const START_WITHIN: Duration = Duration::from_mins(2);
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long docker may still be at work for a k3d that was ended.
const LATECOMERS: Duration = Duration::from_millis(500);

/// Has the registry running and answering.
pub(in crate::engine) async fn ensure_registry(
    world: &World,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let name = world.environment.id.cluster();
    let port = world.environment.cluster.registry_port;
    let containers = world
        .tools
        .docker
        .containers_of(&name)
        .await
        .map_err(|e| e.failure())?;
    let registry = containers
        .iter()
        .find(|container| container.role == NodeRole::Registry);
    match registry.map(|container| container.state) {
        Some(EngineState::Running) => {}
        Some(EngineState::Exited | EngineState::Created) => world
            .tools
            .docker
            .start_container(&name.registry_container())
            .await
            .map_err(|e| e.failure())?,
        // A registry in any other state is not worth mending: its images are kept apart from it.
        Some(_) => {
            world
                .tools
                .k3d
                .delete_registry(&name, cancel)
                .await
                .map_err(|e| e.failure())?;
            create_registry(world, cancel).await?;
        }
        None => create_registry(world, cancel).await?,
    }
    let up = registry::wait_up(port, REGISTRY_WITHIN);
    let waited = cancel.run_until_cancelled(up).await;
    let waited = waited.ok_or_else(Failure::interrupted)?;
    waited.map_err(|error| {
        let container = name.registry_container();
        error.failure().help(format!("docker logs {container}"))
    })?;
    Ok(Finished::Done)
}

async fn create_registry(world: &World, cancel: &CancellationToken) -> Result<(), Failure> {
    let name = world.environment.id.cluster();
    let port = world.environment.cluster.registry_port;
    let k3d = &world.tools.k3d;
    k3d.create_registry(&name, port, &world.places.registry, cancel, REGISTRY_WITHIN)
        .await
        .map_err(|e| e.failure())?;
    // A cluster finds the registry on its own network, and puts only one there that it is created with.
    let docker = &world.tools.docker;
    let network = name.network();
    let exists = docker.has_network(&network).await;
    if exists.map_err(|e| e.failure())? {
        let connected = docker
            .join_network(&network, &name.registry_container())
            .await;
        connected.map_err(|e| e.failure())?;
    }
    Ok(())
}

/// Creates the cluster and waits until it takes pods.
pub(in crate::engine) async fn create(
    world: &World,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let cluster = &world.environment.cluster;
    let name = world.environment.id.cluster();
    world.memory.creating()?;
    let image = node_image::resolve(world).await?;
    let store = volume_store::decide(world)?;
    let mut volumes = volume_store::of_nodes(world, &store);
    volumes.push(NodeVolume {
        host: world.environment.directory.clone(),
        node: PROJECT_IN_NODE.into(),
        read_only: true,
    });
    let request = ClusterRequest {
        name: name.clone(),
        image_stores: image_store::prepare(world, &image).await?,
        image: Some(image.for_k3d()),
        agents: cluster.agents,
        http_port: cluster.http_port,
        https_port: cluster.https_port,
        registry_port: cluster.registry_port,
        volumes,
        labels: BTreeMap::from([(ENVIRONMENT.to_owned(), world.environment.id.to_string())]),
        memory: cluster.limits.memory,
        kubeconfig: world.places.kubeconfig.clone(),
    };
    let created = create_and_wait(world, &request, progress, cancel).await;
    if created.is_err() && cancel.is_cancelled() {
        // k3d takes back what it had made, unless it was stopped in the middle.
        progress.note("removing the unfinished cluster");
        take_back(world).await?;
    }
    created?;
    volume_store::open(world, &store, progress).await?;
    let live = world.live().await?;
    let identity = live.cluster.identity().await.map_err(|e| e.failure())?;
    world.memory.created(&identity)?;
    Ok(Finished::Done)
}

async fn create_and_wait(
    world: &World,
    request: &ClusterRequest,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let tell = |_, line: &str| progress.note(line);
    let created = world
        .tools
        .k3d
        .create_cluster(request, cancel, CREATE_WITHIN, Some(&tell))
        .await;
    created.map_err(|error| error.failure())?;
    ready(world, progress, cancel).await
}

/// Removes what an interrupted creation had made so far.
///
/// What docker was making when k3d was ended appears only now: it is looked for twice, and the record goes on
/// saying that the creation is unfinished, so that the next run looks once more.
async fn take_back(world: &World) -> Result<(), Failure> {
    remove::containers(world).await?;
    tokio::time::sleep(LATECOMERS).await;
    remove::containers(world).await
}

/// Starts the stopped cluster and waits until it takes pods.
pub(in crate::engine) async fn start(
    world: &World,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let name = world.environment.id.cluster();
    let k3d = &world.tools.k3d;
    unfreeze(world).await?;
    k3d.start_cluster(&name, cancel, START_WITHIN)
        .await
        .map_err(|e| e.failure())?;
    // Docker may have given the API another port.
    let kubeconfig = &world.places.kubeconfig;
    k3d.write_kubeconfig(&name, kubeconfig, cancel)
        .await
        .map_err(|e| e.failure())?;
    let live = world.live().await?;
    // Nobody waits for a cluster that is another's; one that does not answer yet is asked again below.
    if let Ok(seen) = live.cluster.identity().await {
        check_identity(world.memory.identity().as_ref(), &seen)?;
    }
    ready(world, progress, cancel).await?;
    world.checked_cluster().await?;
    volume_store::open_again(world, progress).await?;
    Ok(Finished::Done)
}

/// Lets containers go on that somebody has paused: to k3d they run.
async fn unfreeze(world: &World) -> Result<(), Failure> {
    let docker = &world.tools.docker;
    let id = &world.environment.id;
    let own = OwnContainers::find(docker, id, &world.places.registry).await?;
    let is_paused = |container: &&ClusterContainer| container.state == EngineState::Paused;
    for container in own.cluster.iter().filter(is_paused) {
        let unpaused = docker.unpause_container(&container.name).await;
        unpaused.map_err(|error| error.failure())?;
    }
    Ok(())
}

/// k3d returns when the API answers: the node may not take pods yet, and names may not be resolved.
///
/// After a start the API still shows what was true before the stop: what a node said before its start does
/// not count. A node that ran on, while only the load balancer was stopped, has nothing to say anew.
async fn ready(
    world: &World,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let live = world.live().await?;
    let name = world.environment.id.cluster();
    let nodes = world.environment.cluster.agents + 1;
    let waiting = async {
        progress.note("waiting for the nodes");
        live.cluster
            .wait_nodes_ready(nodes, &live.starts, READY_WITHIN)
            .await?;
        progress.note("waiting for the name service");
        live.cluster.wait_system_ready(READY_WITHIN).await
    };
    match cancel.run_until_cancelled(waiting).await {
        Some(ready) => ready.map_err(|error| not_ready(&name, &error)),
        None => Err(Failure::interrupted()),
    }
}

/// A cluster that runs and does not come to answer may have to be started anew.
fn not_ready(name: &ClusterName, error: &KubeError) -> Failure {
    let mut failure = error.failure();
    if matches!(error, KubeError::Timeout { .. }) {
        let server = name.server_container();
        failure.help = vec![
            format!("see what the node says: docker logs --tail 50 {server}"),
            "start the nodes anew, with all data: devenv stop && devenv start".to_owned(),
        ];
    }
    failure
}
