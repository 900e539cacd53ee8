//! Stopping cluster and registry.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use crate::{
    adapters::docker::{ClusterContainer, EngineState},
    domain::{ExitClass, Failure},
    engine::{Finished, NAMESPACE, OwnContainers, Progress, World},
    plan::Patience,
};

/// What a container gets to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// What the services get to end where nobody waits for them.
const MOMENT: Duration = Duration::from_secs(5);
/// What they get where they are waited for: as much as Kubernetes gives a pod.
const UNTIL_THEY_HAVE: Duration = Duration::from_secs(30);
/// How long it takes to ask them.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

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
    let command = ["sh", "-c", END_KUBERNETES];
    in_nodes(world, &own, progress, &command, ASKED_WITHIN).await;
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
    patience: Patience,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let own = own(world).await?;
    let within = match patience {
        Patience::AMoment => MOMENT,
        Patience::UntilTheyHave => UNTIL_THEY_HAVE,
    };
    let times = (within.as_millis() / LOOKED_EVERY.as_millis()).to_string();
    let command = ["sh", "-c", END_SERVICES, "sh", NAMESPACE, &times];
    let left = in_nodes(world, &own, progress, &command, within + ASKED_WITHIN).await;
    if patience == Patience::UntilTheyHave && !left.is_empty() {
        return Err(not_ended(within, left));
    }
    Ok(Finished::Done)
}

fn not_ended(within: Duration, left: Vec<String>) -> Failure {
    let within = within.as_secs();
    Failure::new(
        "stop.not-ended",
        ExitClass::NotReady,
        format!("not all processes of the services ended within {within} s; nothing was stopped"),
    )
    .because("with --persist-data none is killed: what it holds in memory would be lost")
    .with_evidence("still there", left)
    .help("see what it waits for: devenv logs")
    .help("devenv stop   # kills what does not end")
}

/// Runs a command in every node that runs; gives the lines that it wrote, and why it could not be run.
async fn in_nodes(
    world: &World,
    own: &OwnContainers,
    progress: &Progress,
    command: &[&str],
    within: Duration,
) -> Vec<String> {
    let nodes = own
        .cluster
        .iter()
        .filter(|container| container.state == EngineState::Running && container.role.is_node());
    let running = nodes.map(|node| async move {
        let docker = &world.tools.docker;
        match docker.exec(&node.name, command, None, within).await {
            Ok(ran) => {
                let said = String::from_utf8_lossy(&ran.stdout);
                let line = |line: &str| format!("{}: {line}", node.name);
                said.lines().map(line).collect()
            }
            Err(error) => {
                let why = format!("{} did not end by itself: {error}", node.name);
                progress.note(why.clone());
                vec![why]
            }
        }
    });
    join_all(running).await.concat()
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

/// How often [`END_SERVICES`] looks whether they are gone.
const LOOKED_EVERY: Duration = Duration::from_millis(200);
/// Sends SIGTERM to the processes of all pods of a namespace and waits until they are gone, looking at most as often as
/// its second argument says; writes those that are still there.
///
/// A process belongs to the pod whose UID is in its control group; the directory of a pod's logs has namespace
/// and UID in its name. The container that holds a pod together has nothing to save, and the kubelet ends the others
/// with it: containerd calls it the sandbox.
const END_SERVICES: &str = r#"
bundles=/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io
pods=$(for logs in /var/log/pods/"$1"_*; do echo "pod${logs##*_}"; done)
for process in /proc/[0-9]*; do
  group=$(tr _ - 2>/dev/null < "$process/cgroup" | grep -F -m 1 "$pods") || continue
  container=$(echo "$group" | grep -oE '[0-9a-f]{64}' | tail -n 1)
  grep -q 'container-type":"sandbox' "$bundles/$container/config.json" && continue
  processes="$processes ${process#/proc/}"
done
[ -n "$processes" ] || exit 0
kill -TERM $processes 2>/dev/null
for _ in $(seq "$2"); do
  alive=
  for process in $processes; do kill -0 "$process" 2>/dev/null && alive="$alive $process"; done
  [ -n "$alive" ] || exit 0
  sleep 0.2
done
for process in $alive; do echo "$process $(tr '\0' ' ' 2>/dev/null < "/proc/$process/cmdline")"; done
"#;
