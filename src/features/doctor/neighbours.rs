//! Other clusters on this docker, and the memory that they take.

use std::future::Future;

use futures::future::Shared;

use super::{Engine, Scope, within};
use crate::{
    adapters::docker::{ClusterMaker, LocalCluster},
    domain::{
        EnvironmentId, Finding, Memory, Severity,
        words::{amount, count},
    },
    state::{UserPaths, owner_of},
};

/// What is to be said of clusters that are not the environment's.
pub(super) async fn look(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
) -> Vec<Finding> {
    let Ok(docker) = engine.clone().await else {
        return Vec::new();
    };
    let clusters = match within("the clusters on this docker", docker.local_clusters()).await {
        Ok(Ok(clusters)) => clusters,
        Ok(Err(error)) => return vec![Finding::of(Severity::Problem, error.failure())],
        Err(late) => return vec![*late],
    };
    let own = scope
        .project
        .map(|project| project.environment.id.cluster());
    let is_own = |cluster: &LocalCluster| {
        let own = own.as_ref().map(AsRef::<str>::as_ref);
        cluster.maker == ClusterMaker::K3d && own == Some(cluster.name.as_str())
    };
    let (own, others): (Vec<_>, Vec<_>) = clusters.into_iter().partition(is_own);
    let mut found: Vec<Finding> = own
        .iter()
        .map(|own| {
            let what = format!(
                "the environment's cluster has {} of memory in use",
                amount(own.memory)
            );
            Finding::ok("clusters", what)
        })
        .collect();
    found.push(judge(&others, scope.users));
    found
}

fn judge(others: &[LocalCluster], users: Option<&UserPaths>) -> Finding {
    if others.is_empty() {
        return Finding::ok("clusters", "no other clusters run on this docker");
    }
    let memory = others.iter().map(|cluster| cluster.memory.bytes()).sum();
    let number = match others.len() {
        1 => "1 other cluster runs".to_owned(),
        number => format!("{} run", count(number, "other cluster")),
    };
    let what = format!(
        "{number} on this docker, with {} of memory in use",
        amount(Memory::from_bytes(memory))
    );
    let lines = others.iter();
    let lines = lines.map(|it| format!("{} {}: {}", it.maker, it.name, amount(it.memory)));
    let finding = Finding::note("clusters.others", what).seen("clusters", lines.collect());
    let stops = others.iter().map(|cluster| stop(cluster, users));
    stops.fold(finding, Finding::fix)
}

/// The command that stops a cluster; its data stays.
fn stop(cluster: &LocalCluster, users: Option<&UserPaths>) -> String {
    let name = &cluster.name;
    let id = cluster.environment.as_deref();
    let own = id.and_then(|id| {
        let id = EnvironmentId::of_directory(id)?;
        owner_of(&users?.environment(&id))
    });
    match (cluster.maker, own) {
        (_, Some(directory)) => format!("devenv stop -C {}", directory.display()),
        (ClusterMaker::K3d, None) => format!("k3d cluster stop {name}"),
        (ClusterMaker::Minikube, None) => format!("minikube stop -p {name}"),
        (ClusterMaker::Kind, None) => {
            format!("docker stop $(docker ps -q --filter label=io.x-k8s.kind.cluster={name})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(maker: ClusterMaker, mib: u64) -> LocalCluster {
        LocalCluster {
            maker,
            name: "other".to_owned(),
            environment: None,
            memory: Memory::from_bytes(mib << 20),
        }
    }

    #[test]
    fn others_are_told_with_their_memory_and_what_stops_them() {
        assert_eq!(judge(&[], None).severity, Severity::Ok);
        let others = [
            cluster(ClusterMaker::K3d, 512),
            cluster(ClusterMaker::Kind, 1024),
            cluster(ClusterMaker::Minikube, 100),
        ];
        let finding = judge(&others, None);
        assert_eq!(
            finding.what,
            "3 other clusters run on this docker, with 1.5 GiB of memory in use"
        );
        assert_eq!(finding.evidence[0].lines[1], "kind other: 1.0 GiB");
        assert_eq!(finding.fix[0], "k3d cluster stop other");
        assert_eq!(finding.fix[2], "minikube stop -p other");
        let one = judge(&others[..1], None);
        assert_eq!(
            one.what,
            "1 other cluster runs on this docker, with 512 MiB of memory in use"
        );
    }
}
