//! What services and nodes use, what they may use, and what more would fit.
//!
//! Use is read from control groups: that of containers by the agents of their nodes, that of nodes, with all that Kubernetes
//! itself needs, by docker. Nothing has to run in the cluster for it, and a pod has figures from its first second on.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures::future::try_join_all;
use tokio::time::Instant;

use super::{Project, process::Agents};
use crate::{
    adapters::{
        agent::{ContainerId, Usage},
        docker::{ContainerUse, Docker},
        kube::{Amounts, NodeRoom, Room},
    },
    domain::{Cpu, Failure, Memory, Observed, ObservedPod, Resources, ServiceName},
    report::{ContainerUsage, NodeUsage, NotFitting},
};

/// Over how long processors are measured.
const MEASURED_OVER: Duration = Duration::from_secs(1);

/// What containers and nodes used at a moment.
struct Sample {
    at: Instant,
    containers: HashMap<ContainerId, Usage>,
    nodes: BTreeMap<String, ContainerUse>,
}

/// What something uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    cpu_millis: u64,
    memory: u64,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// By pod.
    pods: HashMap<String, Used>,
    nodes: BTreeMap<String, Used>,
}

/// Measures what the pods and nodes of an environment use; takes a second.
pub(super) async fn measure(
    docker: &Docker,
    pods: &[ObservedPod],
    room: &Room,
) -> Result<Figures, Failure> {
    let agents = Agents::new(docker.clone());
    let before = sample(docker, &agents, pods, room).await?;
    tokio::time::sleep_until(before.at + MEASURED_OVER).await;
    let after = sample(docker, &agents, pods, room).await?;
    Ok(Figures {
        pods: pods
            .iter()
            .filter_map(|pod| Some((pod.name.clone(), used_by(pod, &before, &after)?)))
            .collect(),
        nodes: nodes(&before, &after),
    })
}

async fn sample(
    docker: &Docker,
    agents: &Agents,
    pods: &[ObservedPod],
    room: &Room,
) -> Result<Sample, Failure> {
    let at = Instant::now();
    let mut by_node: BTreeMap<&str, Vec<ContainerId>> = BTreeMap::new();
    for pod in pods {
        let node = pod.node.as_deref();
        let of_node = node.map(|node| by_node.entry(node).or_default());
        if let Some(of_node) = of_node {
            of_node.extend(containers(pod));
        }
    }
    let asking = by_node.into_iter().map(|(node, ids)| async move {
        let used = agents.ask(node, |agent| {
            let ids = ids.clone();
            async move { agent.usage(&ids).await }
        });
        let used = used.await.map_err(|error| error.failure())?;
        let known = ids.into_iter().zip(used);
        Ok::<_, Failure>(known.filter_map(|(id, used)| Some((id, used?))))
    });
    let looking = room.nodes.iter().map(|node| async move {
        let used = docker.usage_of(&node.node).await;
        let used = used.map_err(|error| error.failure())?;
        Ok::<_, Failure>(used.map(|used| (node.node.clone(), used)))
    });
    let (containers, nodes) = futures::try_join!(try_join_all(asking), try_join_all(looking))?;
    Ok(Sample {
        at,
        containers: containers.into_iter().flatten().collect(),
        nodes: nodes.into_iter().flatten().collect(),
    })
}

/// The containers of a pod that have been started, as its node knows them.
fn containers(pod: &ObservedPod) -> impl Iterator<Item = ContainerId> {
    let ids = pod.containers.iter().filter_map(|one| one.id.as_ref());
    ids.filter_map(|id| id.parse().ok())
}

/// What a pod uses; `None` unless one of its containers ran all the while.
fn used_by(pod: &ObservedPod, before: &Sample, after: &Sample) -> Option<Used> {
    let over = after.at - before.at;
    let used = containers(pod).filter_map(|id| {
        let (before, after) = (before.containers.get(&id)?, after.containers.get(&id)?);
        Some(Used {
            cpu_millis: cpu_millis(before.cpu_us, after.cpu_us, over),
            memory: after.memory,
        })
    });
    used.reduce(|sum, one| Used {
        cpu_millis: sum.cpu_millis + one.cpu_millis,
        memory: sum.memory + one.memory,
    })
}

fn nodes(before: &Sample, after: &Sample) -> BTreeMap<String, Used> {
    let over = after.at - before.at;
    let nodes = after.nodes.iter().filter_map(|(node, now)| {
        let then = before.nodes.get(node)?;
        let used = Used {
            cpu_millis: cpu_millis(then.cpu_us, now.cpu_us, over),
            memory: now.memory.bytes(),
        };
        Some((node.clone(), used))
    });
    nodes.collect()
}

/// Thousandths of a processor, rounded.
fn cpu_millis(before_us: u64, after_us: u64, over: Duration) -> u64 {
    let used = u128::from(after_us.saturating_sub(before_us)) * 1_000;
    let over = over.as_micros().max(1);
    u64::try_from((used + over / 2) / over).unwrap_or(u64::MAX)
}

/// What the pods of a service use and may use together; `None` if it has none.
pub(super) fn of_service(
    service: &str,
    pods: &[ObservedPod],
    room: &Room,
    figures: &Figures,
) -> Option<ContainerUsage> {
    let names = pods.iter().filter(|pod| is_of(pod, service));
    let names: Vec<&str> = names.map(|pod| pod.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    // A pod that is not there any more, or has no figures yet, is one pod less and no reason to show nothing.
    let used: Vec<Used> = names
        .iter()
        .filter_map(|name| figures.pods.get(*name).copied())
        .collect();
    let of_used = |one: fn(&Used) -> u64| (!used.is_empty()).then(|| used.iter().map(one).sum());
    let allowed: Vec<&Resources> = names
        .iter()
        .filter_map(|name| room.pods.get(*name))
        .collect();
    Some(ContainerUsage {
        cpu_millis: of_used(|used| used.cpu_millis),
        cpu_request_millis: total(&allowed, |pod| pod.request_cpu.map(Cpu::millis)),
        cpu_limit_millis: total(&allowed, |pod| pod.limit_cpu.map(Cpu::millis)),
        memory_bytes: of_used(|used| used.memory),
        memory_request_bytes: total(&allowed, |pod| pod.request_memory.map(Memory::bytes)),
        memory_limit_bytes: total(&allowed, |pod| pod.limit_memory.map(Memory::bytes)),
    })
}

fn is_of(pod: &ObservedPod, service: &str) -> bool {
    pod.service.as_str() == service && !pod.deleting
}

/// The sum over pods; `None` if one of them says nothing.
fn total(pods: &[&Resources], one: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
    let all: Option<Vec<u64>> = pods.iter().map(|pod| one(pod)).collect();
    all.filter(|all| !all.is_empty())
        .map(|all| all.into_iter().sum())
}

/// What the nodes use, have and have promised.
pub(super) fn of_nodes(room: &Room, figures: &Figures) -> Vec<NodeUsage> {
    let nodes = room.nodes.iter().map(|node| {
        let used = figures.nodes.get(&node.node);
        NodeUsage {
            name: node.node.clone(),
            cpu_millis: used.map(|used| used.cpu_millis),
            cpu_request_millis: node.requested.cpu.millis(),
            cpu_capacity_millis: node.allocatable.cpu.millis(),
            memory_bytes: used.map(|used| used.memory),
            memory_request_bytes: node.requested.memory.bytes(),
            memory_capacity_bytes: node.allocatable.memory.bytes(),
        }
    });
    nodes.collect()
}

/// The services of which not one pod more would find a place, of those that are not there what they are to have.
pub(super) fn not_fitting(project: &Project, observed: &Observed, room: &Room) -> Vec<NotFitting> {
    let services = project.environment.services.iter();
    let pods = services.filter_map(|(name, service)| {
        let workload = service.workload()?;
        let has_pods = observed.pods.iter().any(|pod| is_of(pod, name.as_str()));
        let wanted = if has_pods { 1 } else { workload.replicas };
        // Kubernetes takes the limit for the request where only that is said.
        let asked = &workload.resources;
        let one = Amounts {
            cpu: asked.request_cpu.or(asked.limit_cpu).unwrap_or_default(),
            memory: asked
                .request_memory
                .or(asked.limit_memory)
                .unwrap_or_default(),
        };
        let fitting = room.nodes.iter().map(|node| places(node, one));
        let fitting = fitting.fold(0, u64::saturating_add);
        (fitting < u64::from(wanted)).then(|| told(name, wanted, fitting, one, room))
    });
    pods.collect()
}

/// How many pods that request this a node has room for.
fn places(node: &NodeRoom, one: Amounts) -> u64 {
    let free = free(node);
    let of = |free: u64, one: u64| free.checked_div(one).unwrap_or(u64::MAX);
    of(free.cpu.millis(), one.cpu.millis()).min(of(free.memory.bytes(), one.memory.bytes()))
}

fn free(node: &NodeRoom) -> Amounts {
    let (has, gone) = (node.allocatable, node.requested);
    Amounts {
        cpu: Cpu::from_millis(has.cpu.millis().saturating_sub(gone.cpu.millis())),
        memory: Memory::from_bytes(has.memory.bytes().saturating_sub(gone.memory.bytes())),
    }
}

fn told(name: &ServiceName, wanted: u32, fitting: u64, one: Amounts, room: &Room) -> NotFitting {
    let most = |of: fn(Amounts) -> u64| {
        let free = room.nodes.iter().map(|node| of(free(node)));
        free.max().unwrap_or(0)
    };
    NotFitting {
        service: name.to_string(),
        pods: wanted,
        fitting: u32::try_from(fitting).unwrap_or(u32::MAX),
        cpu_request_millis: one.cpu.millis(),
        cpu_free_millis: most(|free| free.cpu.millis()),
        memory_request_bytes: one.memory.bytes(),
        memory_free_bytes: most(|free| free.memory.bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::testing::{achieved, desired, name},
        features::project::testing::project,
    };

    const MI: u64 = 1 << 20;

    fn amounts(millis: u64, mebibytes: u64) -> Amounts {
        Amounts {
            cpu: Cpu::from_millis(millis),
            memory: Memory::from_bytes(mebibytes * MI),
        }
    }

    fn room(requested: &[Amounts], pods: &[(&str, Resources)]) -> Room {
        let nodes = requested.iter().enumerate();
        Room {
            nodes: nodes
                .map(|(index, requested)| NodeRoom {
                    node: format!("node-{index}"),
                    allocatable: amounts(2_000, 1_024),
                    requested: *requested,
                })
                .collect(),
            pods: pods
                .iter()
                .map(|(pod, amounts)| ((*pod).to_owned(), amounts.clone()))
                .collect(),
        }
    }

    fn shop(requests: &str) -> Project {
        let mut project = project(&[("order", &[]), ("web", &[])]);
        let order = project.environment.services.get_mut(&name("order"));
        if let crate::domain::Source::Workload(workload) = &mut order.unwrap().source {
            workload.resources.request_memory = Some(requests.parse().unwrap());
            workload.replicas = 3;
        }
        project
    }

    #[test]
    fn processors_are_measured_over_the_time_between_two_looks() {
        let id: ContainerId = "a".repeat(64).parse().unwrap();
        let at = Instant::now();
        let sample = |after: Duration, cpu_us| Sample {
            at: at + after,
            containers: HashMap::from([(
                id.clone(),
                Usage {
                    cpu_us,
                    memory: 7 * MI,
                    memory_limit: None,
                },
            )]),
            nodes: BTreeMap::from([(
                "node".to_owned(),
                ContainerUse {
                    cpu_us: cpu_us * 2,
                    memory: Memory::from_bytes(MI),
                },
            )]),
        };
        let before = sample(Duration::ZERO, 5_000_000);
        let after = sample(Duration::from_secs(2), 5_500_600);
        let mut observed = achieved(&desired(&shop("1Mi").environment, "1"));
        let pod = &mut observed.pods[0];
        pod.containers.push(crate::domain::ObservedContainer {
            id: Some(id.as_str().to_owned()),
            name: "order".to_owned(),
            image: String::new(),
            ready: true,
            restarts: 0,
            now: crate::domain::ContainerState::Running,
            before: None,
        });
        let used = Used {
            cpu_millis: 250,
            memory: 7 * MI,
        };
        assert_eq!(used_by(pod, &before, &after), Some(used));
        // One that was started meanwhile has no figures of its own yet.
        let empty = Sample {
            containers: HashMap::new(),
            ..sample(Duration::ZERO, 0)
        };
        assert_eq!(used_by(pod, &empty, &after), None);
        assert_eq!(nodes(&before, &after)["node"].cpu_millis, 501);
    }

    #[test]
    fn use_and_limits_are_those_of_all_pods_of_a_service() {
        let project = shop("1Mi");
        let mut observed = achieved(&desired(&project.environment, "1"));
        let mut second = observed.pods[0].clone();
        second.name = "order-1-b".to_owned();
        observed.pods.push(second);
        let limit = Resources {
            limit_memory: Some(Memory::from_bytes(64 * MI)),
            ..Resources::default()
        };
        let used = Used {
            cpu_millis: 5,
            memory: 10 * MI,
        };
        let figures = Figures {
            pods: ["order-1-a", "order-1-b", "other"]
                .map(|pod| (pod.to_owned(), used))
                .into(),
            nodes: BTreeMap::new(),
        };
        let known = room(
            &[],
            &[("order-1-a", limit.clone()), ("order-1-b", limit.clone())],
        );
        let usage = |room: &Room, figures: &Figures| {
            of_service("order", &observed.pods, room, figures).unwrap()
        };
        let measured = usage(&known, &figures);
        assert_eq!(
            (measured.cpu_millis, measured.memory_bytes),
            (Some(10), Some(20 * MI))
        );
        assert_eq!(measured.memory_limit_bytes, Some(128 * MI));
        let unmeasured = usage(&known, &Figures::default());
        assert_eq!(
            (unmeasured.cpu_millis, unmeasured.memory_limit_bytes),
            (None, Some(128 * MI))
        );
        let unlimited = room(
            &[],
            &[("order-1-a", limit), ("order-1-b", Resources::default())],
        );
        assert_eq!(usage(&unlimited, &figures).memory_limit_bytes, None);
        assert_eq!(of_service("web-2", &observed.pods, &known, &figures), None);
    }

    #[test]
    fn what_would_not_fit_is_told_by_what_is_requested_and_free() {
        let project = shop("300Mi");
        let up = achieved(&desired(&project.environment, "1"));
        let tried = |observed: &Observed, requested: &[Amounts]| {
            let found = not_fitting(&project, observed, &room(requested, &[]));
            let told = found.into_iter().map(|one| {
                assert_eq!(one.service, "order");
                (one.pods, one.fitting, one.memory_free_bytes / MI)
            });
            told.collect::<Vec<_>>()
        };
        let free = amounts(0, 0);
        assert_eq!(tried(&up, &[amounts(0, 724)]), []);
        assert_eq!(tried(&up, &[amounts(0, 725)]), [(1, 0, 299)]);
        // Another node has room for it.
        assert_eq!(tried(&up, &[amounts(0, 725), free]), []);
        // Before it is there, all of its pods have to find a place.
        assert_eq!(tried(&Observed::nothing(), &[free]), []);
        assert_eq!(
            tried(&Observed::nothing(), &[amounts(0, 200)]),
            [(3, 2, 824)]
        );
    }
}
