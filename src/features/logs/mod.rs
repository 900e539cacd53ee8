//! What the containers of services say: read from the cluster, put together in the order of time.
//!
//! Called by `commands::logs` and, what collects them, by the session.

mod collect;
mod follow;
mod intake;
mod merge;
mod names;
mod silence;
mod stores;

use std::collections::{BTreeMap, BTreeSet};

use futures::{Stream, StreamExt as _, future};
use jiff::{SignedDuration, Timestamp};

pub use self::collect::{Collector, Pods, Trouble, collect};
use self::{follow::Known, merge::Merge, names::Labels};
use super::{Project, desire::read_secrets, up::running};
use crate::{
    adapters::kube::{Cluster, LogLine, LogMark, LogOptions},
    domain::{ContainerState, Failures, NoticeLevel, Observed, ObservedPod, Service, ServiceName},
    report::{self, Outbox},
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of which services; all if empty.
    pub services: Vec<ServiceName>,
    /// Which part.
    pub part: Part,
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
    hide_secrets(project, outbox);
    let tools = project.tools().await?;
    let started = Timestamp::now();
    let sight = running(project, &tools, outbox).await?;
    let Some(cluster) = sight.cluster else {
        return Ok(());
    };
    let sources = sources(&sight.observed, &services, wanted.part);
    let mut labels = Labels::of(&sight.observed.pods);
    if !matches!(wanted.part, Part::Follow(_)) && sources.is_empty() {
        return silence::without_sources(project, &sight.observed, &services, wanted, outbox).await;
    }
    let mut reading = Reading::begin(&cluster, sources, wanted.part, outbox).await?;
    while let Some((source, line)) = reading.next(outbox).await {
        outbox.log(published(&source, &labels, &line)).await;
    }
    if let Part::Follow(window) = wanted.part {
        silence::waiting(&sight.observed, &services, outbox).await;
        let since = match window.tail {
            Some(0) => Some(started),
            Some(_) | None => window.since,
        };
        let known = reading.known(&sight.observed, since);
        follow::follow(&cluster, &services, known, &mut labels, outbox).await;
    } else {
        silence::after(
            project,
            &sight.observed,
            &services,
            wanted,
            reading.lines,
            outbox,
        )
        .await;
    }
    outbox.flush().await;
    Ok(())
}

/// Services may say each other's secrets; devenv does not repeat them.
fn hide_secrets(project: &Project, outbox: &Outbox) {
    let services = project.environment.services.values();
    for workload in services.filter_map(Service::workload) {
        // A file that cannot be read is the affair of `up`.
        let _ = read_secrets(&workload.secrets, outbox);
    }
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

fn published(source: &Source, labels: &Labels, line: &LogLine) -> report::LogLine {
    report::LogLine {
        time: line.time,
        service: source.service.clone(),
        pod: source.pod.clone(),
        container: source.container.clone(),
        label: labels.label(source),
        message: String::from_utf8_lossy(&line.bytes).into_owned(),
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
    lines: usize,
}

impl Reading {
    async fn begin(
        cluster: &Cluster,
        sources: Vec<Source>,
        part: Part,
        outbox: &Outbox,
    ) -> Result<Self, Failures> {
        let ready = match part {
            Part::Startup => cluster
                .ready_since()
                .await
                .map_err(|error| error.failure())?,
            Part::Now(_) | Part::Follow(_) | Part::Previous(_) => BTreeMap::new(),
        };
        if part == Part::Startup {
            still_starting(&sources, &ready, outbox).await;
        }
        let streams = sources.iter().map(|source| {
            let until = ready.get(&source.pod).map(|ready| end_of_second(*ready));
            lines(cluster, source, part, until)
        });
        let merge = Merge::of(streams.collect()).await;
        Ok(Self {
            sources,
            merge,
            marks: BTreeMap::new(),
            lines: 0,
        })
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
                    self.lines += 1;
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

/// The lines of one container, those at and after `until` left out.
fn lines(cluster: &Cluster, source: &Source, part: Part, until: Option<Timestamp>) -> Lines {
    let (window, previous) = match part {
        Part::Now(window) | Part::Follow(window) => (window, false),
        Part::Previous(window) => (window, true),
        Part::Startup => (Window::default(), false),
    };
    let options = LogOptions {
        follow: false,
        tail: window.tail,
        since: window.since,
        previous,
    };
    let what = format!("the log of {} in {}", source.container, source.pod);
    let read = cluster.logs(&source.pod, &source.container, &options);
    let within = move |time: Option<Timestamp>| {
        let is_after = |bound: Option<Timestamp>| time.zip(bound).is_none_or(|(t, b)| t >= b);
        let is_over = time.zip(until).is_some_and(|(t, u)| t >= u);
        is_after(window.since) && !is_over
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
