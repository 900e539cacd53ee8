//! Follows one service: keeps its containers the same as the files of this machine, and its processes running with them.
//!
//! One thing at a time, in the order in which things happen. What takes long is broken off when a newer change overtakes
//! it, and containers that appear meanwhile are taken care of all the same.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    adopt::{self, Adopted},
    ahead::Ahead,
    deploy::{Deployment, deploy},
    edit::Edit,
    host_build,
    known::Known,
    reach::{self, NotTold, ToTell},
    ready,
    rules::{Because, Decision, Rules},
    shared::{Shared, change},
    standing::{Followed, LONGEST_PAUSE, Standing},
    stopwatch::{Stopwatch, millis},
    tree::HostTree,
};
use crate::{
    adapters::{
        agent::{AgentError, AgentFailure},
        watch::{self, ChangeKind, Watched},
    },
    domain::{Failure, Failures, Live, OnChange, Service, ServiceName},
    features::process::{Awaited, Process},
    report::{LiveAction, LiveChange, LiveLeft, LiveWhat, StandingState},
};

/// How long a container may fail to be adopted before it is told: it may just be starting.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a follower is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Files changed.
    Changed {
        /// Each path once, relative to the service's base.
        changes: Vec<(PathBuf, ChangeKind)>,
        /// When the first was seen.
        seen: Instant,
    },
    /// A checkout goes on, and has changed files: their [`Changed`](Self::Changed) follows at its end.
    Underway(Vec<(PathBuf, ChangeKind)>),
    /// The processes in which the service runs now.
    Processes(Vec<Process>),
}

/// What follows one service.
pub(super) struct Follower {
    shared: Arc<Shared>,
    service: ServiceName,
    live: Live,
    awaited: Awaited,
    rules: Rules,
    watched: Watched,
    host: HostTree,
    known: Known,
    processes: Vec<Followed>,
    orders: UnboundedReceiver<Order>,
    edit: Edit,
    /// What a checkout that goes on has changed and nobody was sent yet.
    underway: Vec<(PathBuf, ChangeKind)>,
    ahead: Option<Ahead>,
}

/// Nobody gives orders any more.
struct Ended;

impl Follower {
    /// A follower of a service whose files are `found` now.
    pub(super) fn new(
        shared: Arc<Shared>,
        service: &Service,
        live: &Live,
        watched: Watched,
        found: BTreeMap<PathBuf, ChangeKind>,
        orders: UnboundedReceiver<Order>,
    ) -> Result<Self, Failure> {
        let rules = Rules::of(live);
        let host = HostTree::new(live.base.clone(), found);
        let file = shared.project.paths.live_places(&service.name);
        let mut known = Known::load(&file).map_err(|error| error.failure())?;
        known
            .add(host.paths().flat_map(|path| rules.targets(path)))
            .map_err(|error| error.failure())?;
        Ok(Self {
            awaited: Awaited::of(service),
            shared,
            service: service.name.clone(),
            live: live.clone(),
            rules,
            watched,
            host,
            known,
            processes: Vec::new(),
            orders,
            edit: Edit::default(),
            underway: Vec::new(),
            ahead: None,
        })
    }

    /// Follows until nobody gives orders any more.
    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        // What was overtaken is put back, and waits for nothing.
        if self.edit.is_empty() {
            self.wait().await?;
        }
        if !self.edit.is_empty() {
            self.try_refused();
        }
        self.adopt_behind().await;
        if self.edit.is_empty() {
            self.send_ahead().await;
            return Ok(());
        }
        let decision = self.rules.decide(self.edit.paths());
        let is_copied = matches!(decision, Decision::Reach { .. });
        let ahead = self.ahead.take().filter(|_| is_copied);
        match decision {
            Decision::Nothing => {
                self.edit = Edit::default();
                Ok(())
            }
            Decision::Rebuild(because) => self.rebuild(&because).await,
            Decision::Build(because) => self.build(&because).await,
            Decision::Reach { .. } => {
                let edit = std::mem::take(&mut self.edit);
                let watch = Stopwatch::since(edit.began(&self.live.base));
                self.reach(edit, watch, ahead.unwrap_or_default()).await
            }
        }
    }

    /// Sends what a checkout that goes on has changed, where its files reach the containers by a copy.
    async fn send_ahead(&mut self) {
        let underway = std::mem::take(&mut self.underway);
        if underway.is_empty() || self.rules.roots().next().is_none() {
            return;
        }
        if self.ahead.is_none() {
            self.ahead = Some(Ahead::begin(&self.shared, self.same()).await);
        }
        let paths = underway.iter().map(|(path, _)| path.as_path());
        let decision = self.rules.decide(paths);
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| ahead.is_open()) else {
            return;
        };
        if let Decision::Rebuild(_) | Decision::Build(_) = decision {
            ahead.give_up();
        } else {
            ahead.send(&self.rules, &self.host, underway).await;
        }
    }

    /// Waits for an order, or until a container is to be tried again. Nothing is lost if it is dropped.
    async fn wait(&mut self) -> Result<(), Ended> {
        let again = self
            .processes
            .iter()
            .filter_map(|followed| match followed.standing {
                Standing::Behind { again, .. } => Some(again),
                Standing::Same | Standing::Refused => None,
            });
        let order = match again.min() {
            Some(again) => tokio::select! {
                order = self.orders.recv() => order,
                () = sleep_until(again.into()) => return Ok(()),
            },
            None => self.orders.recv().await,
        };
        self.take(order.ok_or(Ended)?);
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        Ok(())
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Changed { changes, seen } => {
                for (path, kind) in changes {
                    if self.host.apply(&path, &kind) {
                        self.edit.add(path, kind, seen);
                    }
                }
                self.underway.clear();
                if self.edit.is_empty() {
                    self.ahead = None;
                }
            }
            Order::Underway(changes) => self.underway.extend(changes),
            Order::Processes(processes) => {
                let mut before = std::mem::take(&mut self.processes);
                let follow = |process: Process| {
                    let known = before.iter().position(|one| one.process == process);
                    known.map_or_else(
                        || Followed {
                            process,
                            standing: Standing::behind(),
                        },
                        |index| before.swap_remove(index),
                    )
                };
                self.processes = processes.into_iter().map(follow).collect();
            }
        }
    }

    /// Works on something that takes long, and takes care of what happens meanwhile; `None` if it is overtaken.
    async fn alongside<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<Option<T>, Ended> {
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                woken = self.wait() => woken?,
            }
            self.adopt_behind().await;
            if self.rules.decide(self.edit.paths()) != Decision::Nothing {
                return Ok(None);
            }
        }
    }

    /// An edit may be what makes a container take files again.
    fn try_refused(&mut self) {
        for followed in &mut self.processes {
            if matches!(followed.standing, Standing::Refused) {
                followed.standing = Standing::behind();
            }
        }
    }

    /// Makes the containers that are behind the same as the files of this machine.
    async fn adopt_behind(&mut self) {
        let now = Instant::now();
        for index in 0..self.processes.len() {
            let Standing::Behind { again, .. } = self.processes[index].standing else {
                continue;
            };
            if again <= now {
                let process = self.processes[index].process.clone();
                match self.adopt(&process).await {
                    Ok(()) => self.processes[index].standing = Standing::Same,
                    Err(error) => self.not_adopted(index, &error).await,
                }
            }
        }
        self.tell_standing();
    }

    /// Says how it stands, for those who ask.
    fn tell_standing(&self) {
        let behind = self.processes.iter().filter_map(|one| match one.standing {
            Standing::Same => None,
            Standing::Behind { is_told, .. } => Some(is_told),
            Standing::Refused => Some(true),
        });
        let state = match (self.processes.is_empty(), behind.max()) {
            (true, _) => StandingState::Waiting {
                reason: "no container of it runs".to_owned(),
            },
            (false, None) => StandingState::Following,
            (false, Some(false)) => StandingState::Waiting {
                reason: "a container is being given its files".to_owned(),
            },
            (false, Some(true)) => StandingState::Failed {
                reason: "a container cannot be given its files".to_owned(),
            },
        };
        let containers = self.same().len();
        self.shared
            .audience
            .standing(&self.service, containers, state);
    }

    async fn adopt(&self, process: &Process) -> Result<(), AgentFailure> {
        if !self.live.holds_start() {
            return Ok(());
        }
        let adopting = adopt::adopt(&self.shared, process, &self.rules, &self.host, &self.known);
        let pod = process.pod.clone();
        match adopting.await? {
            Adopted::BeforeItsStart(0) | Adopted::WhileItRan(0) => {}
            Adopted::BeforeItsStart(files) => {
                let files = u32::try_from(files).unwrap_or(u32::MAX);
                let what = LiveWhat::Adopted { pod, files };
                self.shared.audience.tell(Some(&self.service), what);
            }
            Adopted::WhileItRan(files) => {
                let text = format!("{pod} was made the same as this machine (files: {files})");
                self.shared.audience.inform(Some(&self.service), text);
                let processes = std::slice::from_ref(process);
                let acted = reach::act(&self.shared, &self.live, processes);
                if let Err(failure) = acted.await {
                    self.shared.audience.warn(Some(&self.service), failure.what);
                }
            }
        }
        Ok(())
    }

    async fn not_adopted(&mut self, index: usize, error: &AgentFailure) {
        let Followed { process, standing } = &mut self.processes[index];
        let Standing::Behind {
            since,
            pause,
            again,
            is_told,
        } = standing
        else {
            return;
        };
        *again = Instant::now() + *pause;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        let is_refused = is_refused(error);
        if !*is_told && (is_refused || since.elapsed() >= PATIENCE) {
            *is_told = true;
            let failures = vec![(&error.failure().of(&self.service)).into()];
            let change = change(
                process.pod.clone(),
                0,
                LiveAction::Sync,
                self.shared.rule(&self.service, "sync"),
                1,
            );
            let what = LiveWhat::Failed {
                change,
                left: LiveLeft::AsBefore,
                failures,
            };
            self.shared.audience.tell(Some(&self.service), what);
        }
        if is_refused {
            // It cannot be made the same: it may run as its image has it.
            let _ = self.shared.agents.release(process).await;
            *standing = Standing::Refused;
        }
    }

    fn same(&self) -> Vec<Process> {
        let same = self
            .processes
            .iter()
            .filter(|one| matches!(one.standing, Standing::Same));
        same.map(|one| one.process.clone()).collect()
    }

    fn is_refused(&self) -> bool {
        let mut processes = self.processes.iter();
        processes.any(|one| matches!(one.standing, Standing::Refused))
    }

    fn describe(&self, because: &Because, action: LiveAction, containers: usize) -> LiveChange {
        let file = self.shared.told(&self.live.base.join(&because.file));
        let rule = self.shared.rule(&self.service, &because.key);
        change(file, because.files, action, rule, containers)
    }

    fn done(&self, change: LiveChange, watch: &Stopwatch) {
        let total = watch.total();
        let budget = self.live.budget.filter(|budget| total > *budget);
        let what = LiveWhat::Done {
            change,
            total_millis: millis(total),
            stages: watch.stages(),
            over_budget_millis: budget.map(millis),
        };
        self.shared.audience.tell(Some(&self.service), what);
    }

    fn failed(&self, change: LiveChange, left: LiveLeft, failures: impl Into<Failures>) {
        let failures = failures.into().iter().map(Into::into).collect();
        let what = LiveWhat::Failed {
            change,
            left,
            failures,
        };
        self.shared.audience.tell(Some(&self.service), what);
    }

    /// Brings an edit into the containers.
    async fn reach(&mut self, edit: Edit, mut watch: Stopwatch, ahead: Ahead) -> Result<(), Ended> {
        let Decision::Reach { because, run } = self.rules.decide(edit.paths()) else {
            return Ok(());
        };
        let processes = self.same();
        let change = self.describe(&because, reach::action(&self.live), processes.len());
        if processes.is_empty() {
            if self.is_refused() {
                return Ok(());
            }
            let text = format!("{} is in its containers when they start", change.file);
            self.shared.audience.inform(Some(&self.service), text);
            return Ok(());
        }
        let changes = ToTell {
            all: self.host.changes(&self.rules, edit.changes()),
            rest: ahead.rest(&self.rules, &self.host, &edit),
            ahead,
        };
        let is_copied = !changes.all.is_empty();
        let (told, not_told) = reach::copy(&self.shared, processes, changes).await;
        self.not_told(&change, not_told);
        if told.is_empty() {
            return Ok(());
        }
        if is_copied {
            watch.lap("copy");
        }
        if !run.is_empty() {
            let ran = reach::run(&self.shared, &self.service, &self.live, &run, &told);
            if let Err(failure) = ran.await {
                self.failed(change, LiveLeft::AsBefore, failure);
                return Ok(());
            }
            watch.lap("run");
        }
        let since = Timestamp::now();
        if let Err(failure) = reach::act(&self.shared, &self.live, &told).await {
            self.failed(change, LiveLeft::NotWell, failure);
            return Ok(());
        }
        if let Some(stage) = reach::stage(&self.live) {
            watch.lap(stage);
        }
        self.remember(&edit);
        if self.live.on_change == OnChange::Nothing || !self.live.needs_init() {
            self.done(change, &watch);
            return Ok(());
        }
        let (shared, awaited) = (Arc::clone(&self.shared), self.awaited.clone());
        let waiting = async move { ready::until_ready(&shared, &awaited, since, &told).await };
        tokio::pin!(waiting);
        match self.alongside(waiting).await? {
            None => self.edit.put_back(edit),
            Some(Ok(())) => {
                watch.lap("ready");
                self.done(change, &watch);
            }
            Some(Err(failure)) => self.failed(change, LiveLeft::NotWell, failure),
        }
        Ok(())
    }

    /// Containers that were not told are made the same as soon as they can be.
    fn not_told(&mut self, change: &LiveChange, not_told: Vec<NotTold>) {
        for NotTold { process, error } in not_told {
            let is_refused = is_refused(&error);
            if is_refused {
                let failure = process.failure(&error);
                self.failed(change.clone(), LiveLeft::AsBefore, failure);
            }
            let mut processes = self.processes.iter_mut();
            if let Some(followed) = processes.find(|one| one.process == process) {
                followed.standing = if is_refused {
                    Standing::Refused
                } else {
                    Standing::behind()
                };
            }
        }
        self.tell_standing();
    }

    /// Remembers what is in the containers, so that it can be removed from them.
    fn remember(&mut self, edit: &Edit) {
        let places = edit.paths().flat_map(|path| self.rules.targets(path));
        let places: Vec<Vec<u8>> = places.collect();
        if let Err(error) = self.known.add(places.into_iter()) {
            let text = error.to_string();
            self.shared.audience.warn(Some(&self.service), text);
        }
    }

    /// Runs the command that makes what is copied, and brings what it made into the containers.
    async fn build(&mut self, because: &Because) -> Result<(), Ended> {
        let Some(rule) = self.live.build.clone() else {
            return Ok(());
        };
        let mut edit = std::mem::take(&mut self.edit);
        let mut watch = Stopwatch::since(edit.began(&self.live.base));
        let change = self.describe(because, reach::action(&self.live), self.same().len());
        self.began(&change);
        let cancel = CancellationToken::new();
        let (shared, service) = (Arc::clone(&self.shared), self.service.clone());
        let token = cancel.clone();
        let building = async move { host_build::build(&shared, &service, &rule, &token).await };
        let mut building = Box::pin(building);
        let built = self.alongside(building.as_mut()).await?;
        let Some(built) = built else {
            cancel.cancel();
            let _ = building.await;
            self.edit.put_back(edit);
            return Ok(());
        };
        if let Err(failure) = built {
            self.failed(change, LiveLeft::AsBefore, failure);
            return Ok(());
        }
        watch.lap("build");
        // What it wrote is looked at now that it has ended, not while it writes.
        let watched = self.watched.clone();
        let found = tokio::task::spawn_blocking(move || watch::scan(watched)).await;
        if let Ok(Ok(found)) = found {
            let now = Instant::now();
            for (path, kind) in self.host.difference(&found) {
                self.host.apply(&path, &kind);
                edit.add(path, kind, now);
            }
        }
        let reaching = Edit::reaching(edit, &self.rules);
        if reaching.is_empty() {
            let text = "the build made nothing that differs from what runs";
            self.shared.audience.inform(Some(&self.service), text);
            return Ok(());
        }
        self.reach(reaching, watch, Ahead::default()).await
    }

    fn began(&self, change: &LiveChange) {
        let change = change.clone();
        self.shared
            .audience
            .tell(Some(&self.service), LiveWhat::Began { change });
    }

    /// Builds the image anew and rolls it out.
    async fn rebuild(&mut self, because: &Because) -> Result<(), Ended> {
        let edit = std::mem::take(&mut self.edit);
        let mut watch = Stopwatch::since(edit.began(&self.live.base));
        let change = self.describe(because, LiveAction::Rebuild, self.processes.len());
        self.began(&change);
        let cancel = CancellationToken::new();
        let (shared, service) = (Arc::clone(&self.shared), self.service.clone());
        let token = cancel.clone();
        let deploying = async move { deploy(&shared, &Deployment::Rebuild(service), &token).await };
        let mut deploying = Box::pin(deploying);
        match self.alongside(deploying.as_mut()).await? {
            None => {
                cancel.cancel();
                let _ = deploying.await;
                self.edit.put_back(edit);
            }
            Some(Err(failures)) => self.failed(change, LiveLeft::AsBefore, failures),
            Some(Ok(up)) => {
                // They overlap: what is left of the time is not theirs.
                for stage in up.iter().flat_map(|up| &up.stages) {
                    watch.add(stage.stage.name(), Duration::from_secs_f64(stage.seconds));
                }
                watch.end();
                self.done(change, &watch);
            }
        }
        Ok(())
    }
}

/// Whether a container takes no file at a place: asking again would not help.
const fn is_refused(error: &AgentFailure) -> bool {
    matches!(error, AgentFailure::Refused(AgentError::File { .. }))
}
