//! Replaces the pods of services, and waits for the new ones.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{
    Project,
    podless::podless,
    up::{completed, run, running},
};
use crate::{
    domain::{Desired, ExitClass, Failure, Failures, Observed, ServiceName, StepId},
    engine::RunResult,
    plan,
    report::{Outbox, Restart, RestartedService},
};

/// Restarts `services`, each pod after another as its workload allows. The caller holds the lock.
pub async fn restart(
    project: &Project,
    services: &[ServiceName],
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
    let record = project.record(outbox).await?;
    let world = project.world(Desired::default(), tools, record.as_ref());
    let left = deadline.saturating_sub(begin.elapsed());
    let plan = plan::restart(&project.environment, services);
    let result = completed(run(&plan, &world, outbox, cancel, left).await)?;
    Ok(Restart {
        environment: project.environment.id.to_string(),
        services: services
            .iter()
            .map(|name| RestartedService {
                name: name.to_string(),
                seconds: ready_after(&result, name),
            })
            .collect(),
    })
}

/// Why a service has no pods that could be replaced.
fn not_restarted(observed: &Observed, service: &ServiceName) -> Option<Failure> {
    podless(observed, service)
        .or_else(|| (!is_deployed(observed, service)).then(|| not_deployed(service)))
}

/// Seconds from the start of the run until a service was ready.
fn ready_after(result: &RunResult, service: &ServiceName) -> f64 {
    let id = StepId::new("ready", service);
    let ended = result.ended.iter().find(|(step, _)| *step == id);
    ended.map_or(0.0, |(_, at)| at.as_secs_f64())
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
