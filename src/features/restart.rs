//! Starts services anew: their processes where devenv's init runs them, else their pods.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{
    Project,
    observe::Sight,
    podless::podless,
    process::{Agents, Process, restart_all},
    up::{completed, interrupted, run, running},
};
use crate::{
    domain::{
        Desired, ExitClass, Failure, Failures, Observed, Service, ServiceName, StepId, Workload,
    },
    engine::{RunResult, Tools},
    plan,
    report::{Outbox, Restart, RestartedBy, RestartedService},
};

/// What is started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The processes in their containers where devenv's init runs all of a service; else the pods.
    Fastest,
    /// The pods.
    Pods,
}

/// Restarts `services`: processes at the same time, pods one after another as their workload allows. The caller holds
/// the lock.
pub async fn restart(
    project: &Project,
    services: &[ServiceName],
    way: Way,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Restart, Failures> {
    let begin = Instant::now();
    let tools = project.tools().await?;
    let sight = running(project, &tools, outbox).await?;
    let missing = services
        .iter()
        .filter_map(|name| not_restarted(&sight.observed, name));
    if let Some(failures) = Failures::from_list(missing.collect()) {
        return Err(failures);
    }
    let agents = Agents::new(tools.docker.clone());
    let by_init = match way {
        Way::Fastest => by_init(project, &agents, &sight, services).await?,
        Way::Pods => Vec::new(),
    };
    let mut restarted = Vec::new();
    for (service, workload, processes) in &by_init {
        let within = deadline.saturating_sub(begin.elapsed());
        let restarting = restart_all(&agents, processes, (service, workload), within);
        let took = cancel.run_until_cancelled(restarting).await;
        let took = took.ok_or_else(interrupted)??;
        restarted.push(report(&service.name, RestartedBy::Process, took));
    }
    let names = services.iter().filter(|name| {
        let mut done = by_init.iter();
        !done.any(|(service, ..)| &service.name == *name)
    });
    let names: Vec<ServiceName> = names.cloned().collect();
    if !names.is_empty() {
        let left = deadline.saturating_sub(begin.elapsed());
        let result = roll_out(project, tools, &names, outbox, cancel, left).await?;
        let ready = |name| report(name, RestartedBy::Pods, ready_after(&result, name));
        restarted.extend(names.iter().map(ready));
    }
    restarted.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Restart {
        environment: project.environment.id.to_string(),
        services: restarted,
    })
}

fn report(service: &ServiceName, how: RestartedBy, took: Duration) -> RestartedService {
    RestartedService {
        name: service.to_string(),
        how,
        seconds: took.as_secs_f64(),
    }
}

/// The services whose processes devenv's init runs, with these.
async fn by_init<'a>(
    project: &'a Project,
    agents: &Agents,
    sight: &Sight,
    services: &[ServiceName],
) -> Result<Vec<(&'a Service, &'a Workload, Vec<Process>)>, Failure> {
    let mut found = Vec::new();
    for name in services {
        let service = project.environment.services.get(name);
        let Some((service, workload)) = service.and_then(|s| Some((s, s.workload()?))) else {
            continue;
        };
        if workload.needs_init()
            && let Some(processes) = agents.all_with_init(name, &sight.observed.pods).await?
        {
            found.push((service, workload, processes));
        }
    }
    Ok(found)
}

/// Replaces the pods of services, and waits for the new ones.
async fn roll_out(
    project: &Project,
    tools: Tools,
    services: &[ServiceName],
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<RunResult, Failures> {
    let record = project.record(outbox).await?;
    let world = project.world(Desired::default(), tools, record.as_ref());
    let plan = plan::restart(&project.environment, services);
    completed(run(&plan, &world, outbox, cancel, deadline).await)
}

/// Why a service has no pods that could be replaced.
fn not_restarted(observed: &Observed, service: &ServiceName) -> Option<Failure> {
    podless(observed, service)
        .or_else(|| (!is_deployed(observed, service)).then(|| not_deployed(service)))
}

/// From the start of the run until a service was ready.
fn ready_after(result: &RunResult, service: &ServiceName) -> Duration {
    let id = StepId::new("ready", service);
    let ended = result.ended.iter().find(|(step, _)| *step == id);
    ended.map_or(Duration::ZERO, |(_, at)| *at)
}

/// Whether the cluster runs anything of a service.
pub(super) fn is_deployed(observed: &Observed, service: &ServiceName) -> bool {
    observed.workloads.iter().any(|w| &w.service == service)
}

/// The failure for a service of which the cluster runs nothing.
pub(super) fn not_deployed(service: &ServiceName) -> Failure {
    Failure::new(
        "service.not-deployed",
        ExitClass::NotReady,
        format!("{service} does not run in the cluster"),
    )
    .of(service)
    .help(format!("devenv up {service}"))
}
