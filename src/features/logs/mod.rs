//! What the containers of services say: read from the cluster, put together in the order of time.
//!
//! Called by `commands::logs` and, what collects them, by the session. What was stored is told first, crashed and
//! replaced containers included; then what the cluster still has behind it. Where no cluster answers, what was stored
//! is all there is.

mod collect;
mod filter;
mod follow;
mod intake;
mod kept;
mod merge;
mod names;
mod past;
mod printer;
mod silence;
mod stored;
mod stores;

use std::collections::{BTreeMap, BTreeSet};

use futures::{Stream, StreamExt as _, future};
use jiff::{SignedDuration, Timestamp};

pub use self::{
    collect::{Collector, Pods, Trouble, collect},
    filter::Filter,
};
use self::{
    follow::Known,
    merge::Merge,
    names::Labels,
    past::{Past, Reached, RunRead},
    printer::Printer,
};
use super::{Project, up::running};
use crate::{
    adapters::kube::{Cluster, LogLine, LogMark, LogOptions},
    domain::{
        ContainerState, ExitClass, Failure, Failures, NoticeLevel, Observed, ObservedPod,
        ServiceName,
    },
    report::{LogDetail, Outbox},
};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of which services; all if empty.
    pub services: Vec<ServiceName>,
    /// Which part.
    pub part: Part,
    /// Which lines of it.
    pub filter: Filter,
    /// How much of each line.
    pub detail: LogDetail,
}

/// Which part of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What was said so far.
    Now(Window),
    /// That, and then whatever is said, until the caller drops the future.
    Follow(Window),
    /// What was said before the last restart.
    Previous(Window),
    /// From the start of each container until its pod was ready.
    Startup,
}

impl Part {
    /// Its bounds.
    fn window(self) -> Window {
        match self {
            Self::Now(window) | Self::Follow(window) | Self::Previous(window) => window,
            Self::Startup => Window::default(),
        }
    }
}

/// Bounds on what was said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// The last lines of each container.
    pub tail: Option<u32>,
    /// Only what was said since.
    pub since: Option<Timestamp>,
}

/// A container of a service, as a source of lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    service: ServiceName,
    pod: String,
    container: String,
}

/// Sends the lines to the outbox, and returns once all are written.
pub async fn logs(project: &Project, wanted: &Wanted, outbox: &Outbox) -> Result<(), Failures> {
    let services: BTreeSet<ServiceName> = if wanted.services.is_empty() {
        project.environment.services.keys().cloned().collect()
    } else {
        wanted.services.iter().cloned().collect()
    };
    let told = match look(project, outbox).await {
        Ok((observed, cluster)) => {
            tell(project, wanted, &services, &observed, &cluster, outbox).await
        }
        Err(failure) => kept::tell(project, wanted, &services, failure, outbox).await,
    };
    outbox.flush().await;
    told
}

/// What there is, and the cluster that runs it.
async fn look(project: &Project, outbox: &Outbox) -> Result<(Observed, Cluster), Failure> {
    let tools = project.tools().await?;
    let sight = running(project, &tools, outbox).await?;
    let cluster = sight.cluster.ok_or_else(|| {
        let what = "the environment does not run";
        Failure::new("cluster.not-running", ExitClass::Cluster, what).help("devenv up")
    })?;
    Ok((sight.observed, cluster))
}

/// Tells what was stored, and what the cluster has behind it.
async fn tell(
    project: &Project,
    wanted: &Wanted,
    services: &BTreeSet<ServiceName>,
    observed: &Observed,
    cluster: &Cluster,
    outbox: &Outbox,
) -> Result<(), Failures> {
    let started = Timestamp::now();
    let sources = sources(observed, services, wanted.part);
    let ready = ready(cluster, wanted.part).await?;
    let directory = project.paths.logs();
    let runs = match wanted.part {
        // Of pods that are gone only their runs tell which was the last but one.
        Part::Previous(_) => stored::runs(&directory, services),
        Part::Now(_) | Part::Follow(_) | Part::Startup => Ok(Vec::new()),
    };
    let runs = runs.map_err(|error| error.failure())?;
    let mut printer = Printer::of(outbox, Labels::of(&observed.pods), wanted);
    let past = Past::of(observed, &runs, wanted.part, &ready);
    let stored = past.tell(&directory, services, &mut printer).await;
    let reached = stored.map_err(|error| error.failure())?;
    let is_over = !matches!(wanted.part, Part::Follow(_));
    if is_over && sources.is_empty() && printer.lines == 0 {
        return silence::without_sources(project, observed, services, wanted, outbox).await;
    }
    if wanted.part == Part::Startup {
        still_starting(&sources, &ready, outbox).await;
    }
    let mut reading = Reading::begin(cluster, sources, wanted, &ready, reached).await;
    while let Some((source, line)) = reading.next(outbox).await {
        printer.told(&source, &line).await;
    }
    printer.end_of_past().await;
    if let Part::Follow(window) = wanted.part {
        silence::waiting(observed, services, outbox).await;
        let since = match window.tail {
            Some(0) => Some(started),
            Some(_) | None => window.since,
        };
        let known = reading.known(observed, since);
        follow::follow(cluster, services, known, &mut printer).await;
    } else {
        silence::after(project, observed, services, wanted, &printer).await;
    }
    Ok(())
}

/// The containers that have something to read, by service and age of the pod.
fn sources(observed: &Observed, services: &BTreeSet<ServiceName>, part: Part) -> Vec<Source> {
    let mut pods: Vec<&ObservedPod> = observed
        .pods
        .iter()
        .filter(|pod| services.contains(&pod.service))
        .collect();
    pods.sort_by_key(|pod| (&pod.service, pod.created, &pod.name));
    let of_pod = |pod: &ObservedPod| {
        let readable = pod.containers.iter().filter(|container| match part {
            Part::Previous(_) => container.before.is_some(),
            Part::Now(_) | Part::Follow(_) | Part::Startup => {
                !matches!(container.now, ContainerState::Waiting { .. })
                    || container.before.is_some()
            }
        });
        readable
            .map(|container| Source {
                service: pod.service.clone(),
                pod: pod.name.clone(),
                container: container.name.clone(),
            })
            .collect::<Vec<_>>()
    };
    pods.into_iter().flat_map(of_pod).collect()
}

/// Since when each pod is ready, where that is needed.
async fn ready(cluster: &Cluster, part: Part) -> Result<BTreeMap<String, Timestamp>, Failure> {
    match part {
        Part::Startup => cluster.ready_since().await.map_err(|error| error.failure()),
        Part::Now(_) | Part::Follow(_) | Part::Previous(_) => Ok(BTreeMap::new()),
    }
}

type Lines = std::pin::Pin<Box<dyn Stream<Item = (Option<Timestamp>, Read)> + Send>>;

/// A line, or why there are no more.
enum Read {
    Line(LogLine),
    Broken(String),
}

/// What was said so far, in the order of time.
struct Reading {
    sources: Vec<Source>,
    merge: Merge<Lines, Read>,
    marks: BTreeMap<Source, LogMark>,
}

impl Reading {
    /// Asks the cluster for what was not stored.
    async fn begin(
        cluster: &Cluster,
        sources: Vec<Source>,
        wanted: &Wanted,
        ready: &BTreeMap<String, Timestamp>,
        reached: BTreeMap<Source, Reached>,
    ) -> Self {
        let streams = sources.iter().map(|source| {
            let until = ready.get(&source.pod).map(|ready| end_of_second(*ready));
            lines(cluster, source, wanted, until, reached.get(source))
        });
        let merge = Merge::of(streams.collect()).await;
        Self {
            sources,
            merge,
            marks: reached
                .into_iter()
                .map(|(source, reached)| (source, reached.mark))
                .collect(),
        }
    }

    async fn next(&mut self, outbox: &Outbox) -> Option<(Source, LogLine)> {
        loop {
            let (index, read) = self.merge.next().await?;
            let source = self.sources[index].clone();
            match read {
                Read::Line(line) => {
                    if let Some(time) = line.time {
                        let mark = LogMark::after(self.marks.get(&source).copied(), time);
                        self.marks.insert(source.clone(), mark);
                    }
                    return Some((source, line));
                }
                Read::Broken(why) => outbox.notice(NoticeLevel::Warning, why).await,
            }
        }
    }

    /// Up to where each container was read; what said nothing goes on from `since`.
    fn known(&self, observed: &Observed, since: Option<Timestamp>) -> BTreeMap<Source, Known> {
        let restarts = |source: &Source| {
            let pod = observed.pods.iter().find(|pod| pod.name == source.pod)?;
            let containers = pod.containers.iter();
            let mut its = containers.filter(|container| container.name == source.container);
            its.next().map(|container| container.restarts)
        };
        let known = |source: &Source| Known {
            mark: self.marks.get(source).copied(),
            since,
            run: restarts(source).unwrap_or(0),
        };
        self.sources
            .iter()
            .map(|source| (source.clone(), known(source)))
            .collect()
    }
}

/// Kubernetes tells times of pods in whole seconds.
fn end_of_second(time: Timestamp) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(1))
        .unwrap_or(Timestamp::MAX)
}

async fn still_starting(sources: &[Source], ready: &BTreeMap<String, Timestamp>, outbox: &Outbox) {
    let starting: BTreeSet<&str> = sources
        .iter()
        .filter(|source| !ready.contains_key(&source.pod))
        .map(|source| source.pod.as_str())
        .collect();
    for pod in starting {
        let text = format!("{pod} is not ready: all it said so far is shown");
        outbox.notice(NoticeLevel::Info, text).await;
    }
}

/// The lines of one container behind what was stored, those at and after `until` left out.
fn lines(
    cluster: &Cluster,
    source: &Source,
    wanted: &Wanted,
    until: Option<Timestamp>,
    reached: Option<&Reached>,
) -> Lines {
    let window = wanted.part.window();
    // The last lines of what was filtered are others.
    let may_cut = reached.is_none() && wanted.filter.is_open();
    let options = LogOptions {
        follow: false,
        tail: window.tail.filter(|_| may_cut),
        since: window.since,
        previous: matches!(wanted.part, Part::Previous(_)),
    };
    let mark = reached.map(|reached| reached.mark);
    let present = read(cluster, source, &options, until, mark);
    let is_behind = reached.is_some_and(|reached| reached.run == RunRead::Earlier);
    if options.previous || !is_behind {
        return present;
    }
    // It was started again since: the end of the run that was stored is not.
    let before = LogOptions {
        previous: true,
        ..options
    };
    Box::pin(read(cluster, source, &before, until, mark).chain(present))
}

/// The lines of one run of a container after a mark.
fn read(
    cluster: &Cluster,
    source: &Source,
    options: &LogOptions,
    until: Option<Timestamp>,
    mark: Option<LogMark>,
) -> Lines {
    let what = format!("the log of {} in {}", source.container, source.pod);
    let since = options.since;
    let read = cluster.logs_after(&source.pod, &source.container, options, mark);
    let within = move |time: Option<Timestamp>| {
        let is_after = |bound: Option<Timestamp>| time.zip(bound).is_none_or(|(t, b)| t >= b);
        let is_over = time.zip(until).is_some_and(|(t, u)| t >= u);
        is_after(since) && !is_over
    };
    let read = read.filter_map(move |line| {
        future::ready(match line {
            Ok(line) => within(line.time).then_some((line.time, Read::Line(line))),
            // It was removed with its pod between the look and the question.
            Err(error) if error.is_not_found() => None,
            Err(error) => Some((
                None,
                Read::Broken(format!("{what} cannot be read: {error}")),
            )),
        })
    });
    Box::pin(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ObservedContainer,
        testing::{container, name, ready_pod},
    };

    fn pod(now: ContainerState, before: Option<ContainerState>) -> ObservedPod {
        ObservedPod {
            containers: vec![ObservedContainer {
                before,
                ..container("order", now)
            }],
            ..ready_pod(&name("order"))
        }
    }

    fn readable(pod: &ObservedPod, part: Part) -> usize {
        let observed = Observed {
            pods: vec![pod.clone()],
            ..Observed::nothing()
        };
        sources(&observed, &BTreeSet::from([name("order")]), part).len()
    }

    #[test]
    fn a_container_can_be_read_once_it_has_run_and_before_its_restart_once_it_was_restarted() {
        let window = Window::default();
        let waiting = ContainerState::Waiting {
            reason: "CrashLoopBackOff".to_owned(),
            message: String::new(),
        };
        let new = pod(waiting.clone(), None);
        assert_eq!(readable(&new, Part::Now(window)), 0);
        let runs = pod(ContainerState::Running, None);
        assert_eq!(readable(&runs, Part::Now(window)), 1);
        assert_eq!(readable(&runs, Part::Previous(window)), 0);
        let crashed = pod(waiting, Some(ContainerState::Running));
        assert_eq!(readable(&crashed, Part::Now(window)), 1);
        assert_eq!(readable(&crashed, Part::Previous(window)), 1);
    }

    #[test]
    fn the_start_ends_with_the_second_in_which_the_pod_was_ready() {
        let ready: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let last: Timestamp = "2026-01-02T03:04:05.999Z".parse().unwrap();
        assert!(last < end_of_second(ready));
        assert_eq!(end_of_second(ready).to_string(), "2026-01-02T03:04:06Z");
    }
}
