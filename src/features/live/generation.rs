//! The loop over one state of the manifest: what happens on this machine and in the cluster goes to the followers.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Open,
    deploy::{Deployment, deploy},
    follower::{Follower, Order},
    lost::{Fate, Lost, start_again},
    shared::{Shared, change},
    stopwatch::{Stopwatch, millis},
    watching,
};
use crate::{
    adapters::{
        host::slept_since_boot,
        kube::{ClusterView, Connection, LiveView},
        watch::{self, Batch, ChangeKind, Changes, News, TreeId, WatchError, Watched, Watcher},
    },
    domain::{Failure, Live, Service, ServiceName, Workload},
    engine::NAMESPACE,
    features::{
        Project,
        logs::{Collector, Pods, collect},
        process::{Process, pods_of},
    },
    report::{LiveAction, LiveLeft, LiveWhat},
};

/// How often to look whether the machine slept, or whether a cluster that does not answer is still there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A sleep shorter than this is none: the clocks are looked at one after the other.
const WORTH_A_LOOK: Duration = Duration::from_secs(1);

/// Why a generation ended.
pub(super) enum End {
    /// It was told to.
    Cancelled,
    /// The cluster is gone, or another one has its name.
    ClusterGone,
    /// The manifest says something else now.
    Manifest(Box<Project>),
    /// The watcher gives no more.
    WatcherEnded,
}

/// A service that is followed.
struct Followed {
    service: ServiceName,
    orders: UnboundedSender<Order>,
    processes: Vec<Process>,
}

/// Everything that follows one state of the manifest; it ends when this is dropped.
pub(super) struct Generation {
    shared: Arc<Shared>,
    view: LiveView,
    watcher: Watcher,
    changes: Changes,
    /// By the number of their tree.
    services: Vec<Followed>,
    /// Where the cluster did not answer when it was heard of last.
    lost: Option<Lost>,
    tasks: JoinSet<()>,
}

impl Generation {
    /// Watches the files of all live services, and follows each.
    pub(super) async fn start(shared: Arc<Shared>) -> Result<Self, Failure> {
        let environment = shared.environment();
        let mut trees = Vec::new();
        let mut live = Vec::new();
        for service in environment.services.values() {
            if let Some((workload, rules)) = live_of(service) {
                let watched = watching::service(workload, rules)?;
                trees.push(watched.clone());
                live.push((service.clone(), watched));
            }
        }
        trees.push(watching::manifest(environment)?);
        let (watcher, changes) = Watcher::start(trees)
            .await
            .map_err(|error| error.failure())?;
        let view = shared.cluster.watch();
        let mut tasks = JoinSet::new();
        let mut services = Vec::new();
        for (service, watched) in live {
            services.push(follow(&shared, service, watched, &mut tasks).await?);
        }
        Ok(Self {
            shared,
            view,
            watcher,
            changes,
            services,
            lost: None,
            tasks,
        })
    }

    /// Goes on until there is a reason to end. A manifest that changed, and had the services `before`, is applied first.
    pub(super) async fn run(
        mut self,
        open: &Open,
        before: Option<Vec<ServiceName>>,
        cancel: &CancellationToken,
    ) -> End {
        let collecting = CancellationToken::new();
        let collector = tokio::spawn(keep_logs(
            Arc::clone(&self.shared),
            self.view.subscribe(),
            collecting.clone(),
        ));
        let end = self.watch_over(open, before, cancel).await;
        // The next generation keeps them in the same stores.
        collecting.cancel();
        let _ = collector.await;
        end
    }

    async fn watch_over(
        &mut self,
        open: &Open,
        before: Option<Vec<ServiceName>>,
        cancel: &CancellationToken,
    ) -> End {
        if let Some(before) = before {
            let shared = Arc::clone(&self.shared);
            self.tasks
                .spawn(redeploy(shared, before, cancel.child_token()));
        }
        let mut view = self.view.subscribe();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sleep = Sleep(slept_since_boot());
        loop {
            tokio::select! {
                () = cancel.cancelled() => return End::Cancelled,
                batch = self.changes.next() => match batch {
                    None => return End::WatcherEnded,
                    Some(News::Underway(changes)) => self.underway(changes),
                    Some(News::Batch(batch)) => if let Some(end) = self.changed(batch, open) {
                        return end;
                    }
                },
                news = view.changed() => if news.is_ok() {
                    let now = Arc::clone(&view.borrow_and_update());
                    let was_there = self.lost.is_none();
                    self.tell_connection(&now.connection);
                    if was_there && self.lost.is_some() {
                        // A docker engine that is away may be back in a second.
                        look.reset_immediately();
                    }
                    self.seen(&now);
                },
                _ = look.tick() => {
                    if sleep.grew_to(slept_since_boot()) {
                        self.shared.audience.inform(None, "this machine slept: everything is looked at again");
                        self.watcher.rescan();
                    }
                    if let Some(lost) = &mut self.lost {
                        match lost.fate(&self.shared).await {
                            Fate::Unknown => {}
                            Fate::Gone => return End::ClusterGone,
                            Fate::LeftStopped => {
                                let shared = Arc::clone(&self.shared);
                                self.tasks.spawn(start_again(shared, cancel.child_token()));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Gives changes of files to those whom they concern.
    fn changed(&self, batch: Batch, open: &Open) -> Option<End> {
        for notice in &batch.notices {
            self.shared.audience.warn(None, notice.to_string());
        }
        let seen = batch.first_seen;
        let manifest = self.give(batch.changes, |changes| Order::Changed { changes, seen });
        let file = manifest?.display().to_string();
        match open() {
            Ok(project) => Some(End::Manifest(Box::new(project))),
            Err(failures) => {
                let change = change(file, 1, LiveAction::Redeploy, None, 0);
                let failures = failures.iter().map(Into::into).collect();
                let what = LiveWhat::Failed {
                    change,
                    left: LiveLeft::AsBefore,
                    failures,
                };
                self.shared.audience.tell(None, what);
                None
            }
        }
    }

    /// Lets those whom a checkout concerns that goes on prepare for its end. A manifest of its middle is nobody's.
    fn underway(&self, changes: Vec<watch::Change>) {
        self.give(changes, Order::Underway);
    }

    /// Gives changes to the followers that they concern; the last of those that concern the manifest is returned.
    fn give(
        &self,
        changes: Vec<watch::Change>,
        order: impl Fn(Vec<(PathBuf, ChangeKind)>) -> Order,
    ) -> Option<PathBuf> {
        let mut manifest = None;
        let mut of_services = vec![Vec::new(); self.services.len()];
        for change in changes {
            let TreeId(tree) = change.tree;
            match of_services.get_mut(tree) {
                Some(changes) => changes.push((change.path, change.kind)),
                None => manifest = Some(change.path),
            }
        }
        for (followed, changes) in self.services.iter().zip(of_services) {
            if !changes.is_empty() {
                // A follower that broke off is started again with the next manifest.
                let _ = followed.orders.send(order(changes));
            }
        }
        manifest
    }

    /// Says when the cluster does not answer, and when it does again.
    fn tell_connection(&mut self, connection: &Connection) {
        let audience = &self.shared.audience;
        match connection {
            Connection::Reconnecting { reason, .. } if self.lost.is_none() => {
                self.lost = Some(Lost::default());
                let text =
                    format!("the cluster does not answer ({reason}): its new containers wait");
                audience.warn(None, text);
            }
            Connection::Live if self.lost.is_some() => {
                self.lost = None;
                audience.inform(None, "the cluster answers again");
            }
            _ => {}
        }
    }

    /// Tells the followers of the processes that run now.
    fn seen(&mut self, view: &ClusterView) {
        if view.connection != Connection::Live {
            return;
        }
        for followed in &mut self.services {
            let pods = pods_of(&followed.service, &view.pods);
            let processes: Vec<Process> = pods.filter_map(Process::of).collect();
            if processes != followed.processes {
                followed.processes.clone_from(&processes);
                let _ = followed.orders.send(Order::Processes(processes));
            }
        }
    }
}

/// Keeps what the services say, until it is told to stop.
async fn keep_logs(
    shared: Arc<Shared>,
    view_rx: tokio::sync::watch::Receiver<Arc<ClusterView>>,
    cancel: CancellationToken,
) {
    let Shared {
        project,
        tools,
        audience,
        redactor,
        ..
    } = &*shared;
    let nodes = tools
        .docker
        .nodes_of(&project.environment.id.cluster())
        .await;
    let nodes = match nodes {
        Ok(nodes) => nodes.into_iter().map(|node| node.name).collect(),
        Err(error) => return audience.warn(None, error.failure().what),
    };
    let told = audience.clone();
    let collector = Collector {
        docker: tools.docker.clone(),
        namespace: NAMESPACE.to_owned(),
        pods: Pods {
            view_rx,
            services: project.environment.services.keys().cloned().collect(),
        },
        trouble: Arc::new(move |failure| told.warn(None, failure.what)),
        redactor: redactor.clone(),
    };
    if let Err(error) = collect(collector, nodes, project.paths.logs(), &cancel).await {
        audience.warn(None, error.failure().what);
    }
}

/// The workload of a service that is live.
fn live_of(service: &Service) -> Option<(&Workload, &Live)> {
    let workload = service.workload()?;
    Some((workload, workload.live.as_ref()?))
}

async fn follow(
    shared: &Arc<Shared>,
    service: Service,
    watched: Watched,
    tasks: &mut JoinSet<()>,
) -> Result<Followed, Failure> {
    let (orders, given) = unbounded_channel();
    let name = service.name.clone();
    let tree = watched.clone();
    let found = tokio::task::spawn_blocking(move || watch::scan(tree)).await;
    let found = found
        .map_err(WatchError::from)
        .flatten()
        .map_err(|error| error.failure())?;
    if let Some((_, live)) = live_of(&service) {
        let follower = Follower::new(Arc::clone(shared), &service, live, watched, found, given)?;
        tasks.spawn(follower.run());
    }
    Ok(Followed {
        service: name,
        orders,
        processes: Vec::new(),
    })
}

/// Applies a manifest that changed.
async fn redeploy(shared: Arc<Shared>, before: Vec<ServiceName>, cancel: CancellationToken) {
    let file = shared.told(&shared.environment().manifest);
    let change = change(file, 1, LiveAction::Redeploy, None, 0);
    let audience = &shared.audience;
    audience.tell(
        None,
        LiveWhat::Began {
            change: change.clone(),
        },
    );
    let mut watch = Stopwatch::since(Instant::now());
    match deploy(&shared, &Deployment::Redeploy { before }, &cancel).await {
        _ if cancel.is_cancelled() => {}
        Ok(up) if up.as_ref().is_none_or(|up| up.steps.done == 0) => {
            audience.inform(None, "nothing in the cluster has to change");
        }
        Ok(up) => {
            for stage in up.iter().flat_map(|up| &up.stages) {
                watch.add(stage.stage.name(), Duration::from_secs_f64(stage.seconds));
            }
            watch.end();
            let what = LiveWhat::Done {
                change,
                total_millis: millis(watch.total()),
                stages: watch.stages(),
                over_budget_millis: None,
            };
            audience.tell(None, what);
        }
        Err(failures) => {
            let failures = failures.iter().map(Into::into).collect();
            audience.tell(
                None,
                LiveWhat::Failed {
                    change,
                    left: LiveLeft::AsBefore,
                    failures,
                },
            );
        }
    }
}

/// How long the machine had slept when it was looked at last.
struct Sleep(Duration);

impl Sleep {
    /// Whether it slept since, if it has slept for `now` altogether.
    fn grew_to(&mut self, now: Duration) -> bool {
        now.saturating_sub(std::mem::replace(&mut self.0, now)) >= WORTH_A_LOOK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_noticed_once() {
        let hours = Duration::from_hours;
        let mut sleep = Sleep(hours(1));
        assert!(!sleep.grew_to(hours(1)));
        assert!(!sleep.grew_to(hours(1) + Duration::from_millis(3)));
        assert!(sleep.grew_to(hours(9)));
        assert!(!sleep.grew_to(hours(9)));
    }
}
