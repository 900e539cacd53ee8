//! Whether the memory of the machine is enough for what the services ask for.

use std::future::Future;

use futures::future::Shared;

use super::{Engine, Scope, cluster};
use crate::{
    adapters::host::{MemoryState, memory},
    domain::{Environment, Finding, Memory, ServiceName, Severity, words::amount},
};

/// With less, something will be ended.
const LITTLE: u64 = 512 << 20;
/// So many services are named, those that ask for most.
const NAMED: usize = 5;

/// What the services ask for together, and which for how much, most first.
#[derive(Debug, Default)]
struct Requests {
    all: u64,
    by_service: Vec<(ServiceName, u64)>,
}

/// What is to be said of the memory.
pub(super) async fn look(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
) -> Vec<Finding> {
    let state = match memory() {
        Ok(state) => state,
        Err(error) => return vec![Finding::of(Severity::Warning, error.failure())],
    };
    let Some(project) = scope.project else {
        return vec![judge(state, &Requests::default(), None, Cluster::IsToRun)];
    };
    let cluster = match engine.clone().await {
        Ok(docker) if cluster::has_running_server(project, &docker).await => Cluster::Runs,
        _ => Cluster::IsToRun,
    };
    let limit = project.environment.cluster.limits.memory;
    vec![judge(
        state,
        &requests(&project.environment),
        limit,
        cluster,
    )]
}

/// Whether what the services ask for is taken of the memory already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cluster {
    Runs,
    IsToRun,
}

/// What the services of a manifest ask for. What charts ask for is not known before they are rendered.
fn requests(environment: &Environment) -> Requests {
    let mut by_service: Vec<(ServiceName, u64)> = environment
        .services
        .iter()
        .filter_map(|(name, service)| {
            let workload = service.workload()?;
            let pods = workload.autoscale.map_or(workload.replicas, |it| it.min);
            let each = workload.resources.request_memory?.bytes();
            Some((name.clone(), each.saturating_mul(pods.into())))
        })
        .collect();
    by_service.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Requests {
        all: by_service.iter().map(|(_, bytes)| bytes).sum(),
        by_service,
    }
}

fn judge(
    state: MemoryState,
    requests: &Requests,
    limit: Option<Memory>,
    cluster: Cluster,
) -> Finding {
    let all = Memory::from_bytes(requests.all);
    let asked = match requests.all {
        0 => String::new(),
        _ => format!("; the services ask for {}", amount(all)),
    };
    let state_text = format!(
        "{} of {} of memory are available{asked}",
        amount(state.available),
        amount(state.total)
    );
    let most = requests.by_service.first();
    let less = most.map(|(name, _)| format!("devenv config explain services.{name}.resources"));
    let named = || {
        let services = requests.by_service.iter().take(NAMED);
        let line = |(name, bytes): &(ServiceName, u64)| {
            format!("{name}: {}", amount(Memory::from_bytes(*bytes)))
        };
        services.map(line).collect::<Vec<_>>()
    };
    let room = limit.map_or(state.total, |limit| limit.min(state.total));
    if all > room {
        let whose = if room < state.total {
            "`cluster.limits.memory` allows"
        } else {
            "this machine has"
        };
        let what = format!(
            "the services ask for {} of memory, and {whose} {}",
            amount(all),
            amount(room)
        );
        let finding = Finding::problem("memory.too-small", what)
            .because("pods that do not fit stay Pending")
            .seen("who asks for most", named());
        return less.into_iter().fold(finding, Finding::fix);
    }
    if cluster == Cluster::IsToRun && all > state.available {
        return Finding::warning("memory.low", state_text)
            .because("what they ask for is not free: the machine will swap, or end programs")
            .seen("who asks for most", named())
            .fix("end what is not needed: ps -eo rss,pid,comm --sort=-rss | head")
            .fix("or bring up a part of it: devenv up SERVICE");
    }
    if state.available.bytes() < LITTLE {
        return Finding::warning("memory.low", state_text)
            .because("the next program that needs some may be ended")
            .fix("end what is not needed: ps -eo rss,pid,comm --sort=-rss | head");
    }
    Finding::ok("memory", state_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Autoscale, Source, testing};

    fn mib(number: u64) -> Memory {
        Memory::from_bytes(number << 20)
    }

    #[test]
    fn memory_is_enough_or_taken_or_not_there_at_all() {
        let service = testing::name("order");
        for (available, total, asked, limit, cluster, id) in [
            (8000, 16_000, 0, None, Cluster::IsToRun, "memory"),
            (8000, 16_000, 4000, None, Cluster::IsToRun, "memory"),
            (8000, 16_000, 9000, None, Cluster::IsToRun, "memory.low"),
            (8000, 16_000, 9000, None, Cluster::Runs, "memory"),
            (300, 16_000, 0, None, Cluster::Runs, "memory.low"),
            (
                8000,
                16_000,
                17_000,
                None,
                Cluster::Runs,
                "memory.too-small",
            ),
            (
                8000,
                16_000,
                3000,
                Some(2000),
                Cluster::Runs,
                "memory.too-small",
            ),
            (8000, 16_000, 3000, Some(4000), Cluster::Runs, "memory"),
        ] {
            let state = MemoryState {
                total: mib(total),
                available: mib(available),
            };
            let requests = Requests {
                all: mib(asked).bytes(),
                by_service: vec![(service.clone(), mib(asked).bytes())],
            };
            let finding = judge(state, &requests, limit.map(mib), cluster);
            assert_eq!(
                finding.id.0, id,
                "{available} {asked} {limit:?} {cluster:?}"
            );
        }
    }

    #[test]
    fn every_pod_of_a_service_asks_and_those_that_ask_for_most_come_first() {
        let mut environment = testing::environment(&[("a", &[]), ("b", &[]), ("c", &[])]);
        for (name, service) in &mut environment.services {
            let Source::Workload(workload) = &mut service.source else {
                continue;
            };
            workload.replicas = 2;
            match name.as_str() {
                "a" => workload.resources.request_memory = Some(mib(10)),
                "b" => {
                    workload.resources.request_memory = Some(mib(20));
                    workload.autoscale = Some(Autoscale {
                        min: 3,
                        max: 9,
                        cpu: 80,
                    });
                }
                _ => {}
            }
        }
        let requests = requests(&environment);
        assert_eq!(requests.all, mib(80).bytes());
        let names: Vec<&str> = requests
            .by_service
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["b", "a"]);
    }
}
