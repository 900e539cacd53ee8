//! The scheduler: starts every step whose needs are done, as many at a time as its kind allows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    time::{Duration, Instant},
};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{EventKind, Failure, Failures, Outcome, ServiceName, Stage, StageTime, StepId},
    plan::{Action, Plan, Step},
    report::Outbox,
};

/// How a step that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// It did what it says.
    Done,
    /// There was nothing to do, for this reason.
    Skipped(String),
}

/// Does what a step says. Implemented by `World`; by a script in tests.
pub trait Execute {
    /// Carries out one step. It must end soon after `cancel` is cancelled.
    fn execute(
        &self,
        step: &Step,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<Finished, Failure>>;
}

/// Where a step says what it does now.
#[derive(Debug, Clone)]
pub struct Progress {
    step: StepId,
    outbox: Outbox,
}

impl Progress {
    /// The progress of `step`, told to `outbox`.
    pub const fn new(step: StepId, outbox: Outbox) -> Self {
        Self { step, outbox }
    }

    /// Says what the step does now, in one line; may be dropped when the reader is behind.
    pub fn note(&self, note: impl Into<String>) {
        let event = EventKind::StepProgress {
            step: self.step.clone(),
            note: note.into(),
        };
        self.outbox.try_event(event);
    }

    /// The outbox of the run.
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct RunResult {
    /// Every step's outcome.
    pub outcomes: BTreeMap<StepId, Outcome>,
    /// Wall-clock time by stage.
    pub stages: Vec<StageTime>,
    /// When each step that did something ended, since the run's start.
    pub ended: Vec<(StepId, Duration)>,
    /// Whether it was cancelled.
    pub cancelled: bool,
}

impl RunResult {
    /// The failures of the steps, or `None` if every step is done or skipped.
    pub fn failures(&self) -> Option<Failures> {
        let failed = self.outcomes.values().filter_map(|outcome| match outcome {
            Outcome::Failed { failure } => Some((**failure).clone()),
            _ => None,
        });
        Failures::from_list(failed.collect())
    }

    /// How many steps did something, and how many had nothing to do.
    pub fn counts(&self) -> (usize, usize) {
        let count = |is: fn(&Outcome) -> bool| self.outcomes.values().filter(|o| is(o)).count();
        (
            count(|o| *o == Outcome::Done),
            count(|o| matches!(o, Outcome::Skipped { .. })),
        )
    }

    /// Whether every step is done or skipped.
    pub fn succeeded(&self) -> bool {
        self.outcomes
            .values()
            .all(|o| matches!(o, Outcome::Done | Outcome::Skipped { .. }))
    }
}

/// What a step loads the machine with; each kind has its own bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Load {
    Build,
    Push,
    Helm,
    Light,
}

impl Load {
    const fn of(action: &Action) -> Self {
        match action {
            Action::BuildImage(_) => Self::Build,
            Action::PushImage(_) => Self::Push,
            Action::InstallRelease(_) | Action::RemoveRelease(_) => Self::Helm,
            _ => Self::Light,
        }
    }

    /// How many of this kind run at the same time on a machine with `cores` cores.
    fn bound(self, cores: usize) -> usize {
        match self {
            // An image's build mostly waits for downloads and runs one process at a time.
            Self::Build => (cores + 1).min(6),
            Self::Push => cores.clamp(2, 4),
            // Helm is a processor-bound process of about a second.
            Self::Helm => cores.clamp(2, 6),
            Self::Light => usize::MAX,
        }
    }
}

struct Schedule<'a> {
    steps: Vec<Option<&'a Step>>,
    outcomes: BTreeMap<StepId, Outcome>,
    running: HashMap<Load, usize>,
    cores: usize,
}

impl<'a> Schedule<'a> {
    /// The next step that can start, or a step that can never start and why.
    fn next(&mut self) -> Option<Result<&'a Step, (&'a Step, Outcome)>> {
        for slot in &mut self.steps {
            let Some(step) = *slot else { continue };
            let mut ready = true;
            for need in &step.summary.needs {
                match self.outcomes.get(need) {
                    Some(Outcome::Done | Outcome::Skipped { .. }) => {}
                    None => ready = false,
                    Some(Outcome::Cancelled) => {
                        *slot = None;
                        return Some(Err((step, Outcome::Cancelled)));
                    }
                    // The root is named, not the step in between.
                    Some(Outcome::Blocked { by }) => {
                        *slot = None;
                        return Some(Err((step, Outcome::Blocked { by: by.clone() })));
                    }
                    Some(Outcome::Failed { .. }) => {
                        *slot = None;
                        return Some(Err((step, Outcome::Blocked { by: need.clone() })));
                    }
                }
            }
            let load = Load::of(&step.action);
            let running = self.running.entry(load).or_default();
            if ready && *running < load.bound(self.cores) {
                *running += 1;
                *slot = None;
                return Some(Ok(step));
            }
        }
        None
    }

    fn finish(&mut self, step: &Step, outcome: Outcome) {
        if let Some(running) = self.running.get_mut(&Load::of(&step.action)) {
            *running = running.saturating_sub(1);
        }
        self.outcomes.insert(step.id().clone(), outcome);
    }
}

/// Runs `plan` to its end, at most for `deadline`, and emits its events.
///
/// A failed step blocks what needs it and nothing else. After `cancel` no step is started, and the
/// running ones are told to stop.
pub async fn run(
    plan: &Plan,
    executor: &impl Execute,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> RunResult {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut schedule = Schedule {
        steps: plan.steps.iter().map(Some).collect(),
        outcomes: BTreeMap::new(),
        running: HashMap::new(),
        cores,
    };
    let stop = cancel.child_token();
    let begin = Instant::now();
    let mut ended = Vec::new();
    let mut clock = StageClock::default();
    let mut running = FuturesUnordered::new();
    let out_of_time = tokio::time::sleep(deadline);
    tokio::pin!(out_of_time);
    loop {
        while !stop.is_cancelled()
            && let Some(next) = schedule.next()
        {
            match next {
                Ok(step) => {
                    clock.start(step.summary.stage);
                    outbox
                        .event(EventKind::StepStarted {
                            step: step.id().clone(),
                        })
                        .await;
                    running.push(execute(executor, step, outbox, &stop));
                }
                Err((step, outcome)) => {
                    schedule.outcomes.insert(step.id().clone(), outcome.clone());
                    finished(outbox, step, outcome, Duration::ZERO).await;
                }
            }
        }
        tokio::select! {
            done = running.next() => {
                let Some((step, outcome, took)) = done else { break };
                clock.end(step.summary.stage);
                if outcome == Outcome::Done {
                    ended.push((step.id().clone(), begin.elapsed()));
                }
                schedule.finish(step, outcome.clone());
                finished(outbox, step, outcome, took).await;
            }
            () = &mut out_of_time, if !stop.is_cancelled() => stop.cancel(),
        }
    }
    for step in schedule.steps.iter().flatten() {
        schedule
            .outcomes
            .insert(step.id().clone(), Outcome::Cancelled);
        finished(outbox, step, Outcome::Cancelled, Duration::ZERO).await;
    }
    name_blocked(plan, &mut schedule.outcomes);
    let mut result = RunResult {
        outcomes: schedule.outcomes,
        stages: clock.times(),
        ended,
        cancelled: cancel.is_cancelled(),
    };
    if stop.is_cancelled() && !cancel.is_cancelled() {
        name_timeout(&mut result, deadline);
    }
    result
}

/// Adds to each service's failure the other services that could not be started on its account.
fn name_blocked(plan: &Plan, outcomes: &mut BTreeMap<StepId, Outcome>) {
    let mut blocked: BTreeMap<StepId, BTreeSet<&ServiceName>> = BTreeMap::new();
    for step in &plan.steps {
        if let (Some(Outcome::Blocked { by }), Some(service)) =
            (outcomes.get(step.id()), &step.summary.service)
        {
            blocked.entry(by.clone()).or_default().insert(service);
        }
    }
    for (by, services) in blocked {
        let Some(Outcome::Failed { failure }) = outcomes.get_mut(&by) else {
            continue;
        };
        let Some(own) = &failure.service else {
            continue;
        };
        let others = services.into_iter().filter(|service| *service != own);
        let others: Vec<String> = others.map(ToString::to_string).collect();
        if !others.is_empty() {
            let explained = (**failure).clone();
            **failure = explained.with_evidence("blocked by it", vec![others.join(", ")]);
        }
    }
}

/// Turns one cancelled step into the failure that says what was still waited for.
fn name_timeout(result: &mut RunResult, deadline: Duration) {
    let open: Vec<String> = result
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Cancelled))
        .map(|(id, _)| id.to_string())
        .collect();
    let Some(outcome) = result
        .outcomes
        .values_mut()
        .find(|o| matches!(o, Outcome::Cancelled))
    else {
        return;
    };
    let failure = Failure::new(
        "run.timeout",
        crate::domain::ExitClass::NotReady,
        format!("not finished within {} s", deadline.as_secs()),
    )
    .with_evidence("not finished", open)
    .help("devenv status")
    .help("allow more time: --timeout 20m");
    *outcome = Outcome::Failed {
        failure: Box::new(failure),
    };
}

async fn execute<'a>(
    executor: &impl Execute,
    step: &'a Step,
    outbox: &Outbox,
    stop: &CancellationToken,
) -> (&'a Step, Outcome, Duration) {
    let start = Instant::now();
    let progress = Progress::new(step.id().clone(), outbox.clone());
    let outcome = match executor.execute(step, &progress, stop).await {
        Ok(Finished::Done) => Outcome::Done,
        Ok(Finished::Skipped(reason)) => Outcome::Skipped { reason },
        // What fails because it was told to stop did not fail.
        Err(_) if stop.is_cancelled() => Outcome::Cancelled,
        Err(failure) => Outcome::Failed {
            failure: Box::new(failure),
        },
    };
    (step, outcome, start.elapsed())
}

async fn finished(outbox: &Outbox, step: &Step, outcome: Outcome, took: Duration) {
    outbox
        .event(EventKind::StepFinished {
            step: step.id().clone(),
            outcome,
            took,
        })
        .await;
}

/// Wall-clock time in which at least one step of a stage ran.
#[derive(Default)]
struct StageClock {
    open: BTreeMap<Stage, (usize, Instant)>,
    total: BTreeMap<Stage, Duration>,
}

impl StageClock {
    fn start(&mut self, stage: Stage) {
        let (count, since) = self
            .open
            .entry(stage)
            .or_insert_with(|| (0, Instant::now()));
        if *count == 0 {
            *since = Instant::now();
        }
        *count += 1;
    }

    fn end(&mut self, stage: Stage) {
        if let Some((count, since)) = self.open.get_mut(&stage) {
            *count -= 1;
            if *count == 0 {
                *self.total.entry(stage).or_default() += since.elapsed();
            }
        }
    }

    fn times(self) -> Vec<StageTime> {
        self.total
            .into_iter()
            .map(|(stage, took)| StageTime { stage, took })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::domain::{BuildInput, ExitClass, StepSummary};

    /// Fails the steps it is told to fail, and writes down what it ran.
    #[derive(Default)]
    struct Script {
        failing: Vec<&'static str>,
        hanging: Vec<&'static str>,
        log: Mutex<Vec<String>>,
    }

    impl Execute for Script {
        async fn execute(
            &self,
            step: &Step,
            _: &Progress,
            cancel: &CancellationToken,
        ) -> Result<Finished, Failure> {
            self.log.lock().unwrap().push(step.id().to_string());
            tokio::task::yield_now().await;
            if self.hanging.contains(&step.id().as_str()) {
                cancel.cancelled().await;
                return Err(Failure::new("test.hang", ExitClass::Internal, "stopped"));
            }
            if self.failing.contains(&step.id().as_str()) {
                let failure = Failure::new("test.fail", ExitClass::Cluster, "it failed");
                return Err(match &step.summary.service {
                    Some(service) => failure.of(service),
                    None => failure,
                });
            }
            Ok(Finished::Done)
        }
    }

    fn step(name: &str, needs: &[&str]) -> Step {
        let id = |name: &str| StepId::new("build", name);
        Step {
            summary: StepSummary {
                id: id(name),
                title: name.to_owned(),
                reason: String::new(),
                stage: Stage::Images,
                service: None,
                needs: needs.iter().map(|n| id(n)).collect(),
            },
            action: Action::BuildImage(BuildInput::Service(name.parse().unwrap())),
        }
    }

    async fn run_script(
        plan: &Plan,
        script: &Script,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> RunResult {
        let (outbox, mut rx) = Outbox::new();
        let reader = tokio::spawn(async move { while rx.recv().await.is_some() {} });
        let result = run(plan, script, &outbox, cancel, deadline).await;
        drop(outbox);
        reader.await.unwrap();
        result
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_step_runs_after_what_it_needs() {
        let plan = Plan {
            steps: vec![step("c", &["b"]), step("b", &["a"]), step("a", &[])],
        };
        let script = Script::default();
        let result = run_script(&plan, &script, &CancellationToken::new(), LONG).await;
        assert!(result.succeeded());
        assert_eq!(
            *script.log.lock().unwrap(),
            ["build:a", "build:b", "build:c"]
        );
    }

    #[tokio::test]
    async fn a_failed_step_blocks_what_needs_it_and_nothing_else() {
        let plan = Plan {
            steps: vec![
                step("a", &[]),
                step("b", &["a"]),
                step("c", &["b"]),
                step("d", &[]),
            ],
        };
        let script = Script {
            failing: vec!["build:a"],
            ..Script::default()
        };
        let result = run_script(&plan, &script, &CancellationToken::new(), LONG).await;
        let blocked = Outcome::Blocked {
            by: StepId::new("build", "a"),
        };
        assert_eq!(result.outcomes[&StepId::new("build", "b")], blocked);
        assert_eq!(result.outcomes[&StepId::new("build", "c")], blocked);
        assert_eq!(result.outcomes[&StepId::new("build", "d")], Outcome::Done);
        assert_eq!(result.failures().unwrap().exit_code(), 5);
    }

    #[tokio::test]
    async fn the_failure_of_a_service_names_the_services_that_wait_for_it() {
        let of = |mut step: Step, service: &str| {
            step.summary.service = Some(service.parse().unwrap());
            step
        };
        let plan = Plan {
            steps: vec![
                of(step("a", &[]), "db"),
                of(step("b", &["a"]), "db"),
                of(step("c", &["b"]), "web"),
            ],
        };
        let script = Script {
            failing: vec!["build:a"],
            ..Script::default()
        };
        let result = run_script(&plan, &script, &CancellationToken::new(), LONG).await;
        let failures = result.failures().unwrap();
        let failure = failures.iter().next().unwrap();
        assert_eq!(failure.evidence[0].title, "blocked by it");
        assert_eq!(failure.evidence[0].lines, ["web"]);
    }

    #[tokio::test]
    async fn cancelling_stops_what_runs_and_starts_nothing_more() {
        let plan = Plan {
            steps: vec![step("a", &[]), step("b", &["a"])],
        };
        let script = Script {
            hanging: vec!["build:a"],
            ..Script::default()
        };
        let cancel = CancellationToken::new();
        let stopper = cancel.clone();
        let (result, ()) = tokio::join!(run_script(&plan, &script, &cancel, LONG), async {
            tokio::task::yield_now().await;
            stopper.cancel();
        });
        assert!(result.cancelled);
        assert!(result.outcomes.values().all(|o| *o == Outcome::Cancelled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_out_of_time_names_what_was_not_finished() {
        let plan = Plan {
            steps: vec![step("a", &[]), step("b", &["a"])],
        };
        let script = Script {
            hanging: vec!["build:a"],
            ..Script::default()
        };
        let result = run_script(&plan, &script, &CancellationToken::new(), LONG).await;
        let failures = result.failures().unwrap();
        assert_eq!(failures.exit_code(), 6);
        let failure = failures.iter().next().unwrap();
        assert_eq!(failure.evidence[0].lines, ["build:a", "build:b"]);
    }
}
