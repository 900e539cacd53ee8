//! Brings an environment up: look, plan, run; look once more after a start, when more can be seen, and at the end.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{
    Project, check,
    desire::desire,
    observe::{Sight, observe},
};
use crate::{
    domain::{
        Applying, ClusterState, Desired, EventKind, ExitClass, Failure, Failures, NoticeLevel,
        Observed, ServiceChange, ServiceName, ServiceShape, StageTime, StepId,
    },
    engine::{self, RunResult, Tools, World},
    plan::{Action, Plan, Selection, Step, after_start, plan},
    report::{Outbox, ServiceState, StageSeconds, StepCounts, Up, UpService},
};

/// How often contexts are looked at that change while an `up` reads them.
const LOOKS: usize = 5;

/// What is asked of `up` and `plan`.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The services named; all if empty.
    pub services: Vec<ServiceName>,
    /// What else is brought up for them.
    pub scope: Scope,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// What is brought up for the services that are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What they depend on too, and then the hooks.
    WithDependencies,
    /// Nothing: everything else is there already.
    Alone,
}

impl Wanted {
    /// The services with what is brought up for them.
    fn services(&self, project: &Project) -> Vec<ServiceName> {
        match self.scope {
            Scope::WithDependencies => project.environment.with_dependencies(&self.services),
            Scope::Alone => self.services.clone(),
        }
    }

    /// What there is to do for it.
    fn plan(&self, project: &Project, desired: &Desired, observed: &Observed) -> Plan {
        let selection = if self.services.is_empty() {
            Selection::All
        } else {
            Selection::Only(self.services(project))
        };
        let mut plan = plan(&project.environment, &selection, desired, observed);
        if self.scope == Scope::Alone {
            plan.steps
                .retain(|step| !matches!(step.action, Action::RunHook(..)));
        }
        plan
    }
}

/// What `up` would do now. Touches nothing.
pub async fn preview(
    project: &Project,
    wanted: &Wanted,
    outbox: &Outbox,
) -> Result<Plan, Failures> {
    let services = wanted.services(project);
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let desired = desire(&project.environment, &services, outbox).await?;
    let sight = observe(project, &tools, record.as_ref(), &desired, outbox).await?;
    sight.check_usable(project)?;
    Ok(wanted.plan(project, &desired, &sight.observed))
}

/// Brings the environment up, as it is when nobody writes in a build context for as long as it takes to read it: what is
/// saved in that moment is looked at anew, [`LOOKS`] times at most. The caller holds the environment's lock.
pub async fn up(
    project: &Project,
    wanted: &Wanted,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<Up, Failures> {
    let started = Instant::now();
    let mut summary = Summary::default();
    for _ in 1..LOOKS {
        let once = up_once(project, wanted, started, &mut summary, outbox, cancel).await;
        match once {
            Err(failures) if failures.iter().all(Failure::is_overtaken) => {
                let text = "files changed while they were read: once more, with what they are now";
                outbox.notice(NoticeLevel::Info, text.to_owned()).await;
            }
            ended => return ended,
        }
    }
    up_once(project, wanted, started, &mut summary, outbox, cancel).await
}

/// Looks, plans and runs, and adds what it did to the summary.
async fn up_once(
    project: &Project,
    wanted: &Wanted,
    started: Instant,
    summary: &mut Summary,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<Up, Failures> {
    let services = wanted.services(project);
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let desired = desire(&project.environment, &services, outbox).await?;
    let mut sight = observe(project, &tools, record.as_ref(), &desired, outbox).await?;
    sight.check_usable(project)?;
    let needs_start = matches!(
        sight.observed.cluster,
        ClusterState::Stopped | ClusterState::Broken { created: true, .. }
    );
    let mut world = project.world(desired.clone(), tools.clone(), record.as_ref());
    let mut next = wanted.plan(project, &desired, &sight.observed);
    if !next.is_empty() {
        check::before_changes(project, &tools, &sight.observed, cancel).await?;
    }
    let left = || wanted.deadline.saturating_sub(started.elapsed());
    if needs_start {
        // Only a cluster that runs can say what is deployed in it.
        next.steps.retain(starts_something);
        summary.add(run(&next, &world, outbox, cancel, left()).await)?;
        let record = project.record(outbox).await?;
        sight = observe(project, &tools, record.as_ref(), &desired, outbox).await?;
        next = wanted.plan(project, &desired, &sight.observed);
        next = after_start(next, &project.environment, &sight.observed, &services);
        world = project.world(desired.clone(), tools.clone(), record.as_ref());
    }
    let applying = Box::new(applying(project, &desired, &sight.observed, &next));
    outbox.event(EventKind::Applying { applying }).await;
    if !next.is_empty() {
        summary.add(run(&next, &world, outbox, cancel, left()).await)?;
        // A service may have been ready and died while others were waited for.
        let record = project.record(outbox).await?;
        let now = observe(project, &tools, record.as_ref(), &desired, outbox).await?;
        next = wanted.plan(project, &desired, &now.observed);
        if !next.is_empty() && next.steps.iter().all(waits) {
            summary.add(run(&next, &world, outbox, cancel, left()).await)?;
        }
    }
    let total = started.elapsed();
    Ok(summary.report(project, &services, &desired, &sight.observed, total))
}

/// What the journal keeps of what `plan` is to make.
fn applying(project: &Project, desired: &Desired, observed: &Observed, plan: &Plan) -> Applying {
    let wanted =
        |service: &ServiceName| ServiceShape::wanted(&project.environment, desired, service);
    let changed = plan.steps.iter().filter_map(|step| match &step.action {
        Action::InstallRelease(service) => Some((service, wanted(service))),
        Action::RemoveRelease(service) => Some((service, None)),
        _ => None,
    });
    Applying {
        manifest: project.manifest.clone(),
        services: desired
            .releases
            .keys()
            .filter_map(|service| Some((service.clone(), wanted(service)?)))
            .collect(),
        changes: changed
            .map(|(service, after)| ServiceChange {
                service: service.clone(),
                before: ServiceShape::seen(observed, service),
                after,
            })
            .collect(),
    }
}

const fn starts_something(step: &Step) -> bool {
    matches!(step.action, Action::EnsureRegistry | Action::StartCluster)
}

const fn waits(step: &Step) -> bool {
    matches!(step.action, Action::WaitReady(_) | Action::WaitReachable(_))
}

/// Runs a plan between the events that frame it.
pub(super) async fn run(
    plan: &Plan,
    world: &World,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> RunResult {
    outbox
        .event(EventKind::PlanReady {
            steps: plan.summaries(),
        })
        .await;
    let result = engine::run(plan, world, outbox, cancel, deadline).await;
    let finished = EventKind::RunFinished {
        stages: result.stages.clone(),
        succeeded: result.succeeded(),
    };
    outbox.event(finished).await;
    result
}

/// What several runs of one command come to.
#[derive(Debug, Default)]
struct Summary {
    stages: Vec<StageTime>,
    counts: StepCounts,
    waited: Vec<(StepId, Duration)>,
}

impl Summary {
    /// Adds a run, whose failures are given back: what it did counts all the same, where the command looks again.
    fn add(&mut self, result: RunResult) -> Result<(), Failures> {
        let (done, skipped) = result.counts();
        self.counts.done += done;
        self.counts.skipped += skipped;
        self.stages.extend(result.stages.iter().cloned());
        self.waited.extend(result.ended.iter().cloned());
        completed(result).map(|_| ())
    }

    fn report(
        &self,
        project: &Project,
        services: &[ServiceName],
        desired: &Desired,
        observed: &Observed,
        total: Duration,
    ) -> Up {
        let urls = project.urls();
        let described = services
            .iter()
            .filter(|name| desired.releases.contains_key(*name))
            .map(|name| {
                let id = StepId::new("ready", name);
                let waited = self.waited.iter().find(|(step, _)| *step == id);
                UpService {
                    name: name.to_string(),
                    state: match waited {
                        None if observed.is_scaled_to_nothing(name) => ServiceState::Stopped,
                        _ => ServiceState::Ready,
                    },
                    urls: urls.get(name).cloned().unwrap_or_default(),
                    ready_seconds: waited.map(|(_, at)| at.as_secs_f64()),
                }
            });
        Up {
            environment: project.environment.id.to_string(),
            services: described.collect(),
            stages: self.stages.iter().map(StageSeconds::from).collect(),
            steps: self.counts,
            total_seconds: total.as_secs_f64(),
            next_steps: vec![
                "devenv status".to_owned(),
                "devenv logs -f".to_owned(),
                "devenv stop".to_owned(),
            ],
        }
    }
}

/// The run if every step of it is done; else why not.
pub(super) fn completed(result: RunResult) -> Result<RunResult, Failures> {
    if result.cancelled {
        return Err(interrupted().into());
    }
    result.failures().map_or(Ok(result), Err)
}

/// The failure of a command that the user ended.
pub(super) fn interrupted() -> Failure {
    Failure::interrupted()
        .because("what was done so far stays; the next command goes on from there")
        .help("devenv up")
        .help("devenv down")
}

impl Project {
    /// The world that a run works in.
    pub(super) fn world(
        &self,
        desired: Desired,
        tools: Tools,
        record: Option<&crate::state::Record>,
    ) -> World {
        let memory = Box::new(self.memory(record));
        let environment = self.environment.clone();
        World::new(
            environment,
            desired,
            tools,
            self.places(),
            self.node_image(),
            self.helper_images(),
            memory,
        )
    }
}

/// The running cluster of a project, checked to be its own; fails with what to do where it does not run.
pub async fn running(project: &Project, tools: &Tools, outbox: &Outbox) -> Result<Sight, Failure> {
    running_with(project, tools, &Desired::default(), outbox).await
}

/// The same, looking for the images of `desired` too.
pub async fn running_with(
    project: &Project,
    tools: &Tools,
    desired: &Desired,
    outbox: &Outbox,
) -> Result<Sight, Failure> {
    let record = project.record(outbox).await?;
    let sight = observe(project, tools, record.as_ref(), desired, outbox).await?;
    let (why, help) = match &sight.observed.cluster {
        ClusterState::Running { .. } => return Ok(sight),
        ClusterState::Absent => ("it has not been brought up".to_owned(), "devenv up"),
        ClusterState::Stopped => ("it is stopped".to_owned(), "devenv start"),
        ClusterState::Broken { reason, .. } => (reason.clone(), "devenv up"),
    };
    Err(Failure::new(
        "cluster.not-running",
        ExitClass::Cluster,
        "the environment does not run",
    )
    .because(why)
    .help(help))
}
