//! Stopping cluster and registry.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use crate::{
    adapters::docker::{ClusterContainer, EngineState},
    domain::Failure,
    engine::{Finished, NAMESPACE, OwnContainers, Progress, World},
};

/// What a container gets to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// What the services get to end, and a moment to ask them.
const END_WITHIN: Duration = Duration::from_secs(15);

/// Stops the containers of the cluster.
pub(in crate::engine) async fn stop_cluster(
    world: &World,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let own = own(world).await?;
    let running: Vec<&ClusterContainer> = own
        .cluster
        .iter()
        .filter(|container| runs(container))
        .collect();
    if running.is_empty() {
        return Ok(Finished::Skipped("it does not run any more".to_owned()));
    }
    in_nodes(world, &own, progress, &["sh", "-c", END_KUBERNETES]).await;
    let docker = &world.tools.docker;
    let stopping = running
        .iter()
        .map(|container| docker.stop_container(&container.name, GRACE));
    let stopped = try_join_all(stopping).await;
    stopped.map_err(|error| error.failure())?;
    Ok(Finished::Done)
}

/// Stops the container of the registry.
pub(in crate::engine) async fn stop_registry(world: &World) -> Result<Finished, Failure> {
    let own = own(world).await?;
    let Some(registry) = own.registry.filter(runs) else {
        return Ok(Finished::Skipped("it does not run any more".to_owned()));
    };
    let stopped = world.tools.docker.stop_container(&registry.name, GRACE);
    stopped.await.map_err(|error| error.failure())?;
    Ok(Finished::Done)
}

async fn own(world: &World) -> Result<OwnContainers, Failure> {
    let id = &world.environment.id;
    OwnContainers::find(&world.tools.docker, id, &world.places.registry).await
}

fn runs(container: &ClusterContainer) -> bool {
    matches!(
        container.state,
        EngineState::Running | EngineState::Restarting | EngineState::Paused
    )
}

/// Asks every process of the services to end, and gives them a moment: what they keep in memory reaches
/// their data. When a node ends, it kills them without a word.
///
/// A node that cannot do it any more is stopped all the same.
pub(in crate::engine) async fn end_services(
    world: &World,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let own = own(world).await?;
    let command = ["sh", "-c", END_SERVICES, "sh", NAMESPACE];
    in_nodes(world, &own, progress, &command).await;
    Ok(Finished::Done)
}

/// Runs a command in every node that runs.
async fn in_nodes(world: &World, own: &OwnContainers, progress: &Progress, command: &[&str]) {
    let nodes = own
        .cluster
        .iter()
        .filter(|container| container.state == EngineState::Running && container.role.is_node());
    let running = nodes.map(|node| async move {
        let docker = &world.tools.docker;
        if let Err(error) = docker.exec(&node.name, command, None, END_WITHIN).await {
            progress.note(format!("{} did not end by itself: {error}", node.name));
        }
    });
    join_all(running).await;
}

/// Has Kubernetes end by itself, and close its store.
///
/// Told to stop, a node of k3d drains itself first: it deletes every pod, and is killed while it waits for
/// those that take their time. The pods are to stay, and have been ended already.
const END_KUBERNETES: &str = r#"
for process in /proc/[0-9]*; do
  read -r name 2>/dev/null < "$process/comm" || continue
  case $name in k3s*) kill -TERM "${process#/proc/}" ;; esac
done
"#;

/// Sends SIGTERM to the processes of all pods of a namespace and waits until they are gone, at most for 5 seconds.
///
/// A process belongs to the pod whose UID is in its control group; the directory of a pod's logs has namespace
/// and UID in its name. `pause` holds a pod together and has nothing to save.
const END_SERVICES: &str = r#"
pods=$(for logs in /var/log/pods/"$1"_*; do echo "pod${logs##*_}"; done)
for process in /proc/[0-9]*; do
  tr _ - 2>/dev/null < "$process/cgroup" | grep -qF "$pods" || continue
  read -r name 2>/dev/null < "$process/comm" || continue
  [ "$name" = pause ] || processes="$processes ${process#/proc/}"
done
[ -n "$processes" ] || exit 0
kill -TERM $processes 2>/dev/null
for _ in $(seq 25); do
  alive=
  for process in $processes; do kill -0 "$process" 2>/dev/null && alive=yes; done
  [ -n "$alive" ] || exit 0
  sleep 0.2
done
"#;
