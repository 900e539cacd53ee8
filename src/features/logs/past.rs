//! What was stored of the part that is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::Timestamp;

use super::{Part, Source, end_of_second, printer::Printer, stored::Stored};
use crate::{
    adapters::{agent::RunId, kube::LogMark},
    domain::{ContainerState, NoticeLevel, Observed, ObservedContainer, ServiceName},
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

/// A container: the uid of its pod, and its name.
type Place<'a> = (&'a str, &'a str);

/// Which of the stored lines are wanted.
pub(super) struct Past<'a> {
    part: Part,
    /// The run of each container that is asked for; none where there is none, or where it is not known.
    runs: BTreeMap<Place<'a>, u32>,
    ready: &'a BTreeMap<String, Timestamp>,
}

impl<'a> Past<'a> {
    /// What is wanted of containers that are there, and of those that only their runs in the store tell of.
    pub(super) fn of(
        observed: &'a Observed,
        stored: &'a [(ServiceName, RunId)],
        part: Part,
        ready: &'a BTreeMap<String, Timestamp>,
    ) -> Self {
        let mut last = BTreeMap::new();
        for (_, run) in stored {
            let last: &mut u32 = last.entry(place(run)).or_default();
            *last = run.run.max(*last);
        }
        let asked = |last: u32| match part {
            Part::Previous(_) => last.checked_sub(1),
            Part::Now(_) | Part::Follow(_) | Part::Startup => Some(last),
        };
        let of_store = last.into_iter().map(|(place, last)| (place, asked(last)));
        let of_cluster = observed.pods.iter().flat_map(|pod| {
            let of_container = move |container: &'a ObservedContainer| {
                let place = (pod.uid.as_str(), container.name.as_str());
                let is_between = matches!(container.now, ContainerState::Waiting { .. })
                    && container.before.is_some();
                match part {
                    // The next one has not begun.
                    Part::Previous(_) if is_between => (place, Some(container.restarts)),
                    _ => (place, asked(container.restarts)),
                }
            };
            pod.containers.iter().map(of_container)
        });
        // The cluster knows better what is there.
        let all: BTreeMap<_, _> = of_store.chain(of_cluster).collect();
        let runs = all
            .into_iter()
            .filter_map(|(place, run)| Some((place, run?)));
        Self {
            part,
            runs: runs.collect(),
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
                    let source = source(service, &origin.run);
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

    /// The run that is asked for of the container that said something.
    fn wanted_run(&self, origin: &Origin) -> Option<u32> {
        self.runs.get(&place(&origin.run)).copied()
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

fn place(run: &RunId) -> Place<'_> {
    (&run.uid, &run.container)
}

/// What a run is a run of.
pub(super) fn source(service: ServiceName, run: &RunId) -> Source {
    Source {
        service,
        pod: run.pod.clone(),
        container: run.container.clone(),
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
        domain::{ObservedPod, testing},
        features::logs::Window,
        state::log_store::testing::origin,
    };

    /// The pod `order` of which the container was started again twice.
    fn observed() -> Observed {
        let container = ObservedContainer {
            restarts: 2,
            ..testing::container("order", ContainerState::Running)
        };
        let pod = ObservedPod {
            name: "here".to_owned(),
            uid: origin("here", 0).run.uid,
            containers: vec![container],
            ..testing::ready_pod(&testing::name("order"))
        };
        Observed {
            pods: vec![pod],
            ..Observed::nothing()
        }
    }

    const ALL: [(&str, u32); 5] = [
        ("gone", 0),
        ("gone", 1),
        ("here", 0),
        ("here", 1),
        ("here", 2),
    ];

    fn stored() -> Vec<(ServiceName, RunId)> {
        let run = |(pod, run): (&str, u32)| (testing::name("order"), origin(pod, run).run);
        ALL.into_iter().map(run).collect()
    }

    /// Which of all runs are wanted.
    fn wanted(
        observed: &Observed,
        stored: &[(ServiceName, RunId)],
        part: Part,
    ) -> Vec<(&'static str, u32)> {
        let ready = BTreeMap::new();
        let past = Past::of(observed, stored, part, &ready);
        let is_wanted = |(pod, run): &(&str, u32)| past.is_wanted(&origin(pod, *run), None);
        ALL.into_iter().filter(is_wanted).collect()
    }

    #[test]
    fn all_runs_are_shown_or_the_one_that_is_asked_for() {
        let window = Window::default();
        let (observed, stored) = (observed(), stored());
        assert_eq!(wanted(&observed, &[], Part::Now(window)), ALL);
        let previous = wanted(&observed, &stored, Part::Previous(window));
        assert_eq!(previous, [("gone", 0), ("here", 1)]);
        assert_eq!(wanted(&observed, &[], Part::Startup), [("here", 2)]);
    }

    #[test]
    fn without_a_cluster_the_last_run_of_each_container_is_the_present_one() {
        let (nothing, stored) = (Observed::nothing(), stored());
        let startup = wanted(&nothing, &stored, Part::Startup);
        assert_eq!(startup, [("gone", 1), ("here", 2)]);
        let previous = Part::Previous(Window::default());
        let previous = wanted(&nothing, &stored, previous);
        assert_eq!(previous, [("gone", 0), ("here", 1)]);
    }

    #[test]
    fn before_the_restart_of_a_container_that_waits_for_it_is_its_last_run() {
        let mut observed = observed();
        let container = &mut observed.pods[0].containers[0];
        container.before = Some(ContainerState::Running);
        container.now = ContainerState::Waiting {
            reason: "CrashLoopBackOff".to_owned(),
            message: String::new(),
        };
        let previous = wanted(&observed, &[], Part::Previous(Window::default()));
        assert_eq!(previous, [("here", 2)]);
    }

    #[test]
    fn the_start_ends_where_the_pod_was_ready() {
        let observed = observed();
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let ready = BTreeMap::from([("here".to_owned(), at)]);
        let past = Past::of(&observed, &[], Part::Startup, &ready);
        let origin = origin("here", 2);
        assert!(past.is_wanted(&origin, Some(at)));
        assert!(!past.is_wanted(&origin, Some(end_of_second(at))));
    }

    #[test]
    fn it_is_known_whether_the_run_that_is_asked_for_was_reached() {
        let (observed, ready) = (observed(), BTreeMap::new());
        let source = source(testing::name("order"), &origin("here", 0).run);
        let time = Timestamp::UNIX_EPOCH;
        for (part, run, expected) in [
            (Part::Now(Window::default()), 1, Some(RunRead::Earlier)),
            (Part::Now(Window::default()), 2, Some(RunRead::Wanted)),
            (Part::Previous(Window::default()), 1, Some(RunRead::Wanted)),
            (Part::Previous(Window::default()), 2, None),
        ] {
            let past = Past::of(&observed, &[], part, &ready);
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
