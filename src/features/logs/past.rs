//! What was stored of the part that is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::Timestamp;

use super::{Part, Source, end_of_second, printer::Printer, stored::Stored};
use crate::{
    adapters::kube::LogMark,
    domain::{NoticeLevel, Observed, ServiceName},
    state::log_store::{Amount, Bounds, Item, LogStoreError, Origin},
};

/// Up to where a container's lines were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) mark: LogMark,
    pub(super) run: RunRead,
}

/// Which run the last stored line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunRead {
    /// The one that is asked for.
    Wanted,
    /// One before it.
    Earlier,
}

/// A container of a pod that is there.
type Place<'a> = (&'a str, &'a str);

/// Which of the stored lines are wanted.
pub(super) struct Past<'a> {
    part: Part,
    /// The present run of each container.
    runs: BTreeMap<Place<'a>, u32>,
    ready: &'a BTreeMap<String, Timestamp>,
}

impl<'a> Past<'a> {
    pub(super) fn of(
        observed: &'a Observed,
        part: Part,
        ready: &'a BTreeMap<String, Timestamp>,
    ) -> Self {
        let containers = observed.pods.iter().flat_map(|pod| {
            let of_pod = move |container: &'a crate::domain::ObservedContainer| {
                let place = (pod.name.as_str(), container.name.as_str());
                (place, container.restarts)
            };
            pod.containers.iter().map(of_pod)
        });
        Self {
            part,
            runs: containers.collect(),
            ready,
        }
    }

    /// Tells the stored lines that are wanted, and returns up to where each container's were stored.
    pub(super) async fn tell(
        &self,
        directory: &Path,
        services: &BTreeSet<ServiceName>,
        printer: &mut Printer<'_>,
    ) -> Result<BTreeMap<Source, Reached>, LogStoreError> {
        let since = self.part.window().since;
        let mut stored = Stored::open(directory, services, since).await?;
        let mut reached = BTreeMap::new();
        while let Some((service, item)) = stored.next().await {
            let service = service.clone();
            match item {
                Item::Line { origin, line } => {
                    let source = source(service, &origin);
                    if let Some(time) = line.time {
                        self.note(&source, &origin, time, &mut reached);
                    }
                    if self.is_wanted(&origin, line.time) {
                        printer.stored(&source, &origin, &line).await;
                    }
                }
                Item::Lost { origin, bytes } if self.is_wanted(&origin, None) => {
                    let text = lost(&service, &origin, bytes);
                    printer.outbox.notice(NoticeLevel::Warning, text).await;
                }
                Item::Dropped(amount) if since.is_none() => {
                    let text = dropped(&service, amount);
                    printer.outbox.notice(NoticeLevel::Warning, text).await;
                }
                Item::Lost { .. } | Item::Dropped(_) => {}
            }
        }
        Ok(reached)
    }

    /// The run of a container that is asked for, of those that are there.
    fn wanted_run(&self, origin: &Origin) -> Option<u32> {
        let place = (origin.run.pod.as_str(), origin.run.container.as_str());
        let present = *self.runs.get(&place)?;
        match self.part {
            Part::Previous(_) => present.checked_sub(1),
            Part::Now(_) | Part::Follow(_) | Part::Startup => Some(present),
        }
    }

    fn is_wanted(&self, origin: &Origin, time: Option<Timestamp>) -> bool {
        let is_after = |since| time.is_none_or(|time| time >= since);
        let is_in_window = self.part.window().since.is_none_or(is_after);
        let is_of_run = match self.part {
            Part::Now(_) | Part::Follow(_) => true,
            Part::Previous(_) | Part::Startup => self.wanted_run(origin) == Some(origin.run.run),
        };
        let until = match self.part {
            Part::Startup => self.ready.get(&origin.run.pod).copied(),
            Part::Now(_) | Part::Follow(_) | Part::Previous(_) => None,
        };
        let is_over = until
            .zip(time)
            .is_some_and(|(ready, time)| time >= end_of_second(ready));
        is_in_window && is_of_run && !is_over
    }

    /// Moves the mark of a container behind a line. What came after the run that is asked for is not its.
    fn note(
        &self,
        source: &Source,
        origin: &Origin,
        time: Timestamp,
        reached: &mut BTreeMap<Source, Reached>,
    ) {
        let Some(wanted) = self.wanted_run(origin) else {
            return;
        };
        if origin.run.run > wanted {
            return;
        }
        let before = reached.get(source).map(|reached| reached.mark);
        let mark = LogMark::after(before, time);
        let run = if origin.run.run == wanted {
            RunRead::Wanted
        } else {
            RunRead::Earlier
        };
        reached.insert(source.clone(), Reached { mark, run });
    }
}

fn source(service: ServiceName, origin: &Origin) -> Source {
    Source {
        service,
        pod: origin.run.pod.clone(),
        container: origin.run.container.clone(),
    }
}

fn dropped(service: &ServiceName, amount: Amount) -> String {
    let megabytes = Bounds::SERVICE.store >> 20;
    let lines = grouped(amount.lines);
    format!("{service}: {lines} lines were dropped here: the store holds {megabytes} MB a service")
}

fn lost(service: &ServiceName, origin: &Origin, bytes: Option<u64>) -> String {
    let what = bytes.map_or_else(
        || "lines".to_owned(),
        |bytes| format!("{} bytes", grouped(bytes)),
    );
    let pod = &origin.run.pod;
    format!(
        "{service}: {what} of {pod} may be missing here: the node removed them before they were read"
    )
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for start in (first..digits.len()).step_by(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&digits[start..start + 3]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::agent::RunId,
        domain::{ContainerState, ObservedContainer, ObservedPod, testing},
        features::logs::Window,
    };

    fn origin(pod: &str, run: u32) -> Origin {
        let run = RunId {
            pod: pod.to_owned(),
            uid: "uid".to_owned(),
            container: "order".to_owned(),
            run,
        };
        Origin {
            node: "server-0".to_owned(),
            run,
        }
    }

    /// The pod `order` of which the container was started again twice.
    fn observed() -> Observed {
        let container = ObservedContainer {
            restarts: 2,
            ..testing::container("order", ContainerState::Running)
        };
        let pod = ObservedPod {
            name: "here".to_owned(),
            containers: vec![container],
            ..testing::ready_pod(&testing::name("order"))
        };
        Observed {
            pods: vec![pod],
            ..Observed::nothing()
        }
    }

    fn wanted(part: Part) -> Vec<(&'static str, u32)> {
        let (observed, ready) = (observed(), BTreeMap::new());
        let past = Past::of(&observed, part, &ready);
        let all = [("gone", 0), ("here", 0), ("here", 1), ("here", 2)];
        let is_wanted = |(pod, run): &(&str, u32)| past.is_wanted(&origin(pod, *run), None);
        all.into_iter().filter(is_wanted).collect()
    }

    #[test]
    fn all_runs_are_shown_or_the_one_that_is_asked_for() {
        let window = Window::default();
        assert_eq!(wanted(Part::Now(window)).len(), 4);
        assert_eq!(wanted(Part::Previous(window)), [("here", 1)]);
        assert_eq!(wanted(Part::Startup), [("here", 2)]);
    }

    #[test]
    fn the_start_ends_where_the_pod_was_ready() {
        let observed = observed();
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let ready = BTreeMap::from([("here".to_owned(), at)]);
        let past = Past::of(&observed, Part::Startup, &ready);
        let origin = origin("here", 2);
        assert!(past.is_wanted(&origin, Some(at)));
        assert!(!past.is_wanted(&origin, Some(end_of_second(at))));
    }

    #[test]
    fn it_is_known_whether_the_run_that_is_asked_for_was_reached() {
        let (observed, ready) = (observed(), BTreeMap::new());
        let source = source(testing::name("order"), &origin("here", 0));
        let time = Timestamp::UNIX_EPOCH;
        for (part, run, expected) in [
            (Part::Now(Window::default()), 1, Some(RunRead::Earlier)),
            (Part::Now(Window::default()), 2, Some(RunRead::Wanted)),
            (Part::Previous(Window::default()), 1, Some(RunRead::Wanted)),
            (Part::Previous(Window::default()), 2, None),
        ] {
            let past = Past::of(&observed, part, &ready);
            let mut reached = BTreeMap::new();
            past.note(&source, &origin("here", run), time, &mut reached);
            assert_eq!(reached.get(&source).map(|r| r.run), expected, "{run}");
        }
    }

    #[test]
    fn what_was_dropped_is_told_in_numbers_that_can_be_read() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_204, "1,204"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
