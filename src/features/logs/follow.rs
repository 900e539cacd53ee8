//! Goes on with the logs as containers come, end and are started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Source, printer::Printer};
use crate::{
    adapters::kube::{Cluster, ClusterView, Connection, KubeError, LogLine, LogMark, LogOptions},
    domain::{ContainerState, NoticeLevel, ObservedContainer, ServiceName},
    report::Outbox,
};

/// Lines that may wait for a slow reader.
const WAITING: usize = 256;
/// How soon a log that ended is opened again where its container still runs.
const AGAIN: Duration = Duration::from_secs(1);

/// How far a container was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The last line.
    pub(super) mark: Option<LogMark>,
    /// From when on, where no line was read.
    pub(super) since: Option<Timestamp>,
    /// Which of its runs was read: how often it had been started again.
    pub(super) run: u32,
}

/// What to read of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Nothing: it has not started, or all of it was read.
    Nothing,
    /// Its present run.
    Present,
    /// The end of the run before, which was perhaps not read, and the present one.
    BeforeAndPresent,
}

impl Task {
    fn of(container: &ObservedContainer, known: Option<&Known>) -> Self {
        let waits = matches!(container.now, ContainerState::Waiting { .. });
        if waits && container.before.is_none() {
            return Self::Nothing;
        }
        let unread = known.is_none_or(|known| container.restarts > known.run);
        if unread && container.before.is_some() {
            Self::BeforeAndPresent
        } else if unread || container.now == ContainerState::Running {
            Self::Present
        } else {
            Self::Nothing
        }
    }
}

/// Sends lines as they come, for as long as it is polled.
pub(super) async fn follow(
    cluster: &Cluster,
    services: &BTreeSet<ServiceName>,
    known: BTreeMap<Source, Known>,
    printer: &mut Printer<'_>,
) {
    let live = cluster.watch();
    let mut view_rx = live.subscribe();
    let (line_tx, mut line_rx) = mpsc::channel(WAITING);
    let mut followers = Followers {
        cluster,
        known,
        reading: BTreeSet::new(),
        tasks: JoinSet::new(),
        line_tx,
    };
    let mut again = tokio::time::interval(AGAIN);
    let mut is_lost = false;
    loop {
        tokio::select! {
            Some((source, line)) = line_rx.recv() => {
                printer.told(&source, &line).await;
                continue;
            }
            Some(ended) = followers.tasks.join_next() => {
                followers.ended(ended.ok());
                continue;
            }
            changed = view_rx.changed() => if changed.is_err() { return },
            _ = again.tick() => {}
        }
        let view = view_rx.borrow_and_update().clone();
        is_lost = tell_connection(&view.connection, is_lost, printer.outbox).await;
        if view.connection == Connection::Live {
            printer.labels.learn(&view.pods);
            followers.follow_all(&view, services);
        }
    }
}

async fn tell_connection(connection: &Connection, was_lost: bool, outbox: &Outbox) -> bool {
    let is_lost = matches!(connection, Connection::Reconnecting { .. });
    if is_lost && !was_lost {
        let text = "the cluster does not answer; the logs go on when it does";
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    // Until everything is listed again it is neither lost nor back.
    is_lost || (was_lost && *connection != Connection::Live)
}

struct Followers<'a> {
    cluster: &'a Cluster,
    known: BTreeMap<Source, Known>,
    reading: BTreeSet<Source>,
    tasks: JoinSet<(Source, Known)>,
    line_tx: mpsc::Sender<(Source, LogLine)>,
}

impl Followers<'_> {
    fn follow_all(&mut self, view: &ClusterView, services: &BTreeSet<ServiceName>) {
        let mut there = BTreeSet::new();
        for pod in view.pods.iter().filter(|p| services.contains(&p.service)) {
            for container in &pod.containers {
                let source = Source {
                    service: pod.service.clone(),
                    pod: pod.name.clone(),
                    container: container.name.clone(),
                };
                if !self.reading.contains(&source) {
                    self.read(source.clone(), container);
                }
                there.insert(source);
            }
        }
        // What is gone does not come back under its name, except pods of a StatefulSet, which begin anew.
        self.known
            .retain(|source, _| there.contains(source) || self.reading.contains(source));
    }

    fn read(&mut self, source: Source, container: &ObservedContainer) {
        let known = self.known.get(&source);
        let before = match Task::of(container, known) {
            Task::Nothing => return,
            Task::Present => false,
            Task::BeforeAndPresent => true,
        };
        let from = Known {
            run: container.restarts,
            ..known.copied().unwrap_or_default()
        };
        self.reading.insert(source.clone());
        let reader = Reader {
            cluster: self.cluster.clone(),
            source,
            known: from,
            line_tx: self.line_tx.clone(),
        };
        self.tasks.spawn(reader.read(before));
    }

    fn ended(&mut self, ended: Option<(Source, Known)>) {
        if let Some((source, known)) = ended {
            self.reading.remove(&source);
            self.known.insert(source, known);
        }
    }
}

struct Reader {
    cluster: Cluster,
    source: Source,
    known: Known,
    line_tx: mpsc::Sender<(Source, LogLine)>,
}

impl Reader {
    /// Reads until the container ends, or the log cannot be read for now.
    async fn read(mut self, before: bool) -> (Source, Known) {
        if before {
            // It may be gone already, and then nobody can read it.
            let _ = self.pass_on(true).await;
        }
        let _ = self.pass_on(false).await;
        (self.source, self.known)
    }

    async fn pass_on(&mut self, previous: bool) -> Result<(), KubeError> {
        let options = LogOptions {
            follow: !previous,
            since: self.known.since,
            previous,
            ..LogOptions::default()
        };
        let (pod, container) = (&self.source.pod, &self.source.container);
        let lines = self
            .cluster
            .logs_after(pod, container, &options, self.known.mark);
        let mut lines = std::pin::pin!(lines);
        while let Some(line) = lines.next().await {
            let line = line?;
            if let Some(time) = line.time {
                self.known.mark = Some(LogMark::after(self.known.mark, time));
            }
            if self
                .line_tx
                .send((self.source.clone(), line))
                .await
                .is_err()
            {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    fn container(now: ContainerState, restarts: u32) -> ObservedContainer {
        ObservedContainer {
            restarts,
            before: (restarts > 0).then(ended),
            ..testing::container("order", now)
        }
    }

    fn ended() -> ContainerState {
        ContainerState::Terminated {
            reason: "Error".to_owned(),
            exit_code: 1,
            signal: None,
            finished: None,
        }
    }

    fn waiting() -> ContainerState {
        ContainerState::Waiting {
            reason: String::new(),
            message: String::new(),
        }
    }

    fn read_to(run: u32) -> Known {
        Known {
            run,
            ..Known::default()
        }
    }

    #[test]
    fn a_new_container_is_read_from_its_start_once_it_has_one() {
        assert_eq!(Task::of(&container(waiting(), 0), None), Task::Nothing);
        let runs = container(ContainerState::Running, 0);
        assert_eq!(Task::of(&runs, None), Task::Present);
        assert_eq!(Task::of(&container(ended(), 0), None), Task::Present);
    }

    #[test]
    fn a_container_that_ended_is_read_once_and_again_after_its_restart_with_the_end_of_the_run_before()
     {
        let known = read_to(0);
        assert_eq!(
            Task::of(&container(ended(), 0), Some(&known)),
            Task::Nothing
        );
        let again = container(ContainerState::Running, 1);
        assert_eq!(Task::of(&again, Some(&known)), Task::BeforeAndPresent);
        assert_eq!(
            Task::of(&container(waiting(), 1), Some(&read_to(1))),
            Task::Nothing
        );
    }

    #[test]
    fn a_log_that_broke_off_while_its_container_runs_is_opened_again() {
        let runs = container(ContainerState::Running, 3);
        assert_eq!(Task::of(&runs, Some(&read_to(3))), Task::Present);
    }

    #[tokio::test]
    async fn a_lost_cluster_is_told_once_until_it_is_back() {
        let outbox = Outbox::new().0;
        let lost = Connection::Reconnecting {
            since: Timestamp::UNIX_EPOCH,
            reason: "refused".to_owned(),
        };
        assert!(tell_connection(&lost, false, &outbox).await);
        assert!(tell_connection(&Connection::Starting, true, &outbox).await);
        assert!(!tell_connection(&Connection::Live, true, &outbox).await);
    }
}
