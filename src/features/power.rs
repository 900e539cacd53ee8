//! Stops an environment and starts it again, with all that is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    Project, check,
    observe::{Sight, observe},
    up::{completed, run},
};
use crate::{
    adapters::files,
    domain::{ClusterState, Desired, ExitClass, Failure, Failures, Presence, ServiceName, StepId},
    engine::Tools,
    plan::{self, Action, Patience, Plan},
    report::{Outbox, ServiceState, Start, Stop, UpService},
};

/// Stops what runs of the environment. The caller holds its lock.
///
/// With [`Patience::UntilTheyHave`] all that the services wrote is on the disk of this machine afterwards.
pub async fn stop(
    project: &Project,
    patience: Patience,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Stop, Failures> {
    let started = Instant::now();
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let footprint = project.footprint(&tools).await?;
    let plan = plan::stop(&footprint, patience);
    let world = project.world(Desired::default(), tools, record.as_ref());
    if !plan.is_empty() {
        completed(run(&plan, &world, outbox, cancel, deadline).await)?;
    }
    if patience == Patience::UntilTheyHave {
        files::write_everything_out().await;
    }
    Ok(Stop {
        environment: project.environment.id.to_string(),
        stopped: stopped(project, &plan),
        data_is_on_disk: patience == Patience::UntilTheyHave,
        total_seconds: started.elapsed().as_secs_f64(),
    })
}

fn stopped(project: &Project, plan: &Plan) -> Vec<String> {
    let cluster = project.environment.id.cluster();
    let what = |step: &plan::Step| match step.action {
        Action::StopCluster => Some(format!("cluster {cluster}")),
        Action::StopRegistry => Some(format!("image registry {}", cluster.registry_container())),
        _ => None,
    };
    plan.steps.iter().filter_map(what).collect()
}

/// Whether there is something that could be stopped or started.
pub async fn is_there(project: &Project) -> Result<bool, Failure> {
    let tools = project.tools().await?;
    let footprint = project.footprint(&tools).await?;
    Ok(footprint.cluster != Presence::Absent || footprint.registry == Presence::Running)
}

/// Starts what is stopped and waits until everything deployed is ready. The caller holds the lock.
pub async fn start(
    project: &Project,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Start, Failures> {
    let begin = Instant::now();
    let tools = project.tools().await?;
    let mut sight = look(project, &tools, outbox).await?;
    let mut ready = BTreeMap::new();
    let first = plan::start(&project.environment, &sight.observed);
    let is_first_of_two = !matches!(sight.observed.cluster, ClusterState::Running { .. });
    if is_first_of_two {
        check::before_changes(project, &tools, &sight.observed, cancel).await?;
    }
    if !first.is_empty() {
        ready.extend(carry_out(project, &first, &tools, begin, (outbox, cancel, deadline)).await?);
    }
    if is_first_of_two {
        sight = look(project, &tools, outbox).await?;
        let looked = begin.elapsed().as_secs_f64();
        let is_ready = |name: &&ServiceName| sight.observed.is_ready(name);
        let already = deployed(&sight).into_iter().filter(is_ready);
        ready.extend(already.map(|name| (StepId::new("ready", name), looked)));
        let environment = &project.environment;
        let second = plan::start(environment, &sight.observed);
        let all = environment.with_dependencies(&[]);
        let second = plan::after_start(second, environment, &sight.observed, &all);
        if !second.is_empty() {
            let left = deadline.saturating_sub(begin.elapsed());
            let way = (outbox, cancel, left);
            ready.extend(carry_out(project, &second, &tools, begin, way).await?);
        }
    }
    Ok(Start {
        environment: project.environment.id.to_string(),
        services: services(project, &sight, &ready),
        total_seconds: begin.elapsed().as_secs_f64(),
    })
}

async fn look(project: &Project, tools: &Tools, outbox: &Outbox) -> Result<Sight, Failure> {
    let record = project.record(outbox).await?;
    let sight = observe(project, tools, record.as_ref(), &Desired::default(), outbox).await?;
    sight.check_usable(project)?;
    match &sight.observed.cluster {
        ClusterState::Running { .. }
        | ClusterState::Stopped
        | ClusterState::Broken { created: true, .. } => Ok(sight),
        ClusterState::Absent => Err(nothing_to_start()),
        ClusterState::Broken { reason, .. } => Err(not_there(reason)),
    }
}

/// The failure where there is no environment.
pub fn nothing_to_start() -> Failure {
    not_there("it has not been brought up")
}

fn not_there(why: &str) -> Failure {
    Failure::new(
        "cluster.not-there",
        ExitClass::Cluster,
        "there is no environment to start",
    )
    .because(why)
    .help("devenv up")
}

/// Runs a plan; says when each service was ready, in seconds since `begin`.
async fn carry_out(
    project: &Project,
    plan: &Plan,
    tools: &Tools,
    begin: Instant,
    (outbox, cancel, deadline): (&Outbox, &CancellationToken, Duration),
) -> Result<BTreeMap<StepId, f64>, Failures> {
    let record = project.record(outbox).await?;
    let world = project.world(Desired::default(), tools.clone(), record.as_ref());
    let before = begin.elapsed();
    let result = completed(run(plan, &world, outbox, cancel, deadline).await)?;
    let ended = result.ended.into_iter();
    Ok(ended
        .map(|(step, at)| (step, (before + at).as_secs_f64()))
        .collect())
}

fn services(project: &Project, sight: &Sight, ready: &BTreeMap<StepId, f64>) -> Vec<UpService> {
    let urls = project.urls();
    let described = deployed(sight).into_iter().map(|name| UpService {
        name: name.to_string(),
        state: match wanted(sight, name) {
            0 => ServiceState::Stopped,
            _ => ServiceState::Ready,
        },
        urls: urls.get(name).cloned().unwrap_or_default(),
        ready_seconds: ready.get(&StepId::new("ready", name)).copied(),
    });
    described.collect()
}

fn deployed(sight: &Sight) -> BTreeSet<&ServiceName> {
    sight
        .observed
        .workloads
        .iter()
        .map(|w| &w.service)
        .collect()
}

fn wanted(sight: &Sight, service: &ServiceName) -> u32 {
    let workloads = sight.observed.workloads.iter();
    workloads
        .filter(|w| &w.service == service)
        .map(|w| w.desired)
        .sum()
}
