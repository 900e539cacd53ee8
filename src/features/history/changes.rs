//! What a run changed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    domain::{RunChange, ServiceChange, ServiceShape, Stage, StepId},
    report::{HistoryChange, ServiceMade},
    state::{RecordedRun, RecordedStep, StepProgress},
};

/// How many steps are named where nothing tells better what was changed.
const NAMED_STEPS: usize = 3;

/// What a run changed, as far as it came.
pub(super) fn of(run: &RecordedRun) -> Vec<HistoryChange> {
    let services = run.applying.iter().flat_map(|applying| &applying.changes);
    let services = services.filter_map(|change| service(run, change));
    services.chain(run.changes.iter().map(other)).collect()
}

/// A service that was deployed or removed; `None` if that was not begun.
fn service(run: &RecordedRun, change: &ServiceChange) -> Option<HistoryChange> {
    let kind = if change.after.is_some() {
        "deploy"
    } else {
        "remove"
    };
    let id = StepId::new(kind, &change.service);
    let mut steps = run.steps.iter().filter(|step| step.summary.id == id);
    let done = match &steps.next_back()?.progress {
        StepProgress::Begun => false,
        StepProgress::Ended { outcome, .. } if outcome == "done" => true,
        StepProgress::Ended { outcome, .. } if outcome == "failed" => false,
        // A deployment may have been under way.
        StepProgress::Ended { outcome, took, .. } if outcome == "cancelled" && !took.is_zero() => {
            false
        }
        StepProgress::Ended { .. } | StepProgress::Planned => return None,
    };
    Some(HistoryChange::Service {
        service: change.service.to_string(),
        before: change.before.as_ref().map(made),
        after: change.after.as_ref().map(made),
        done,
    })
}

pub(super) fn made(shape: &ServiceShape) -> ServiceMade {
    ServiceMade {
        images: shape.images.clone(),
        chart: shape.chart.clone(),
        replicas: shape.replicas,
        inputs: shape
            .inputs
            .as_ref()
            .map(|inputs| inputs.as_str().to_owned()),
    }
}

fn other(change: &RunChange) -> HistoryChange {
    match change {
        RunChange::Data { done } => HistoryChange::Data { done: done.clone() },
        RunChange::Key {
            key,
            file,
            before,
            after,
        } => HistoryChange::Key {
            key: key.clone(),
            file: file.clone(),
            before: before.clone(),
            after: after.clone(),
        },
        RunChange::Pods {
            service,
            before,
            after,
        } => HistoryChange::Pods {
            service: service.to_string(),
            before: *before,
            after: *after,
        },
    }
}

/// Whether a run has to do with a service: it changed it, or a key of it, or had a step for it.
pub(super) fn concern(run: &RecordedRun, wanted: &str) -> bool {
    let is_step = |step: &RecordedStep| {
        let service = step.summary.service.as_ref();
        service.is_some_and(|service| service.as_str() == wanted)
    };
    let is_change = |change: &HistoryChange| match change {
        HistoryChange::Service { service, .. } | HistoryChange::Pods { service, .. } => {
            service == wanted
        }
        HistoryChange::Key { key, .. } => {
            let behind = key.strip_prefix("services.");
            let behind = behind.and_then(|key| key.strip_prefix(wanted));
            behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        }
        HistoryChange::Data { .. } => false,
    };
    run.steps.iter().any(is_step) || of(run).iter().any(is_change)
}

/// The changes in one line; where there are none, what was done.
pub(super) fn in_one_line(changes: &[HistoryChange], run: &RecordedRun) -> String {
    if changes.is_empty() {
        return steps(run);
    }
    let words: Vec<String> = changes.iter().map(word).collect();
    words.join(", ")
}

fn word(change: &HistoryChange) -> String {
    match change {
        HistoryChange::Service {
            service,
            before,
            after,
            done,
        } => {
            let how = match (before, after) {
                (None, _) => format!("+{service}"),
                (_, None) => format!("-{service}"),
                (Some(before), Some(after)) => format!("{service} ({})", parts(before, after)),
            };
            if *done {
                how
            } else {
                format!("{how}, not to its end")
            }
        }
        HistoryChange::Pods {
            service,
            before,
            after,
        } => format!("{service} (pods {before} -> {after})"),
        HistoryChange::Data { done } => done.clone(),
        HistoryChange::Key {
            key, before, after, ..
        } => format!(
            "{key}: {} -> {}",
            short(before.as_ref()),
            short(after.as_ref())
        ),
    }
}

/// Which parts of a service are others.
fn parts(before: &ServiceMade, after: &ServiceMade) -> String {
    let mut parts = Vec::new();
    let is_known = !before.images.is_empty() && !after.images.is_empty();
    if is_known && before.images != after.images {
        parts.push("image".to_owned());
    }
    if let (Some(before), Some(after)) = (before.replicas, after.replicas)
        && before != after
    {
        parts.push(format!("pods {before} -> {after}"));
    }
    if parts.is_empty() {
        let is_same = before.inputs == after.inputs;
        parts.push(if is_same { "again" } else { "settings" }.to_owned());
    }
    parts.join(", ")
}

fn short(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// What steps did that nothing else tells of.
fn steps(run: &RecordedRun) -> String {
    let is_change = |step: &&RecordedStep| {
        let is_done = matches!(&step.progress,
            StepProgress::Ended { outcome, .. } if outcome == "done");
        is_done && !matches!(step.summary.stage, Stage::Observe | Stage::Ready)
    };
    let mut titles: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    for step in run.steps.iter().filter(is_change) {
        if seen.insert(&step.summary.id) {
            titles.push(&step.summary.title);
        }
    }
    let more = titles.len().saturating_sub(NAMED_STEPS);
    titles.truncate(NAMED_STEPS);
    let named = titles.join(", ");
    if more == 0 {
        named
    } else {
        format!("{named} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::domain::{Applying, InputsHash};

    fn shape(image: &str, replicas: u32, inputs: &[u8]) -> ServiceShape {
        ServiceShape {
            images: vec![image.to_owned()],
            chart: None,
            replicas: Some(replicas),
            inputs: Some(InputsHash::of(inputs)),
        }
    }

    /// What is told of a change of `order` whose step ended so.
    fn told(
        before: Option<ServiceShape>,
        after: Option<ServiceShape>,
        outcome: Option<&str>,
    ) -> String {
        let kind = if after.is_some() { "deploy" } else { "remove" };
        let mut run = ended("up", 0);
        run.steps = vec![step((kind, "order"), Stage::Deploy, outcome)];
        run.applying = Some(Applying {
            manifest: Value::Null,
            services: std::collections::BTreeMap::new(),
            changes: vec![ServiceChange {
                service: "order".parse().unwrap(),
                before,
                after,
            }],
        });
        let changes = of(&run);
        if changes.is_empty() {
            return "nothing".to_owned();
        }
        in_one_line(&changes, &run)
    }

    #[test]
    fn a_service_is_told_by_what_is_other_about_it() {
        let old = || Some(shape("a:1", 1, b"old"));
        let done = Some("done");
        assert_eq!(told(None, old(), done), "+order");
        assert_eq!(told(old(), None, done), "-order");
        assert_eq!(
            told(old(), Some(shape("a:2", 3, b"new")), done),
            "order (image, pods 1 -> 3)"
        );
        assert_eq!(
            told(old(), Some(shape("a:1", 1, b"new")), done),
            "order (settings)"
        );
        assert_eq!(told(old(), old(), done), "order (again)");
    }

    #[test]
    fn what_was_not_begun_did_not_change_and_what_failed_may_have() {
        let new = || Some(shape("a:1", 1, b"new"));
        assert_eq!(told(None, new(), None), "nothing");
        assert_eq!(told(None, new(), Some("blocked")), "nothing");
        assert_eq!(told(None, new(), Some("failed")), "+order, not to its end");
    }

    #[test]
    fn without_a_change_of_services_the_steps_are_told() {
        let mut run = ended("stop", 0);
        let done = Some("done");
        run.steps = vec![
            step(("end", "services"), Stage::Remove, done),
            step(("stop", "cluster"), Stage::Cluster, done),
            step(("ready", "order"), Stage::Ready, done),
            step(("stop", "registry"), Stage::Cluster, Some("skipped")),
        ];
        assert_eq!(in_one_line(&of(&run), &run), "end services, stop cluster");
        run.steps.extend((0..3).map(|number| {
            let name = format!("x{number}");
            step(("remove", &name), Stage::Remove, done)
        }));
        assert!(in_one_line(&of(&run), &run).ends_with(" and 2 more"));
    }

    #[test]
    fn a_run_concerns_the_services_that_it_changed_and_their_keys() {
        let mut run = ended("config set", 0);
        run.changes = vec![RunChange::Key {
            key: "services.order.replicas".to_owned(),
            file: "devenv.yaml".to_owned(),
            before: None,
            after: Some(2.into()),
        }];
        assert!(concern(&run, "order"));
        assert!(!concern(&run, "ord") && !concern(&run, "web"));
        assert_eq!(
            in_one_line(&of(&run), &run),
            "services.order.replicas: nothing -> 2"
        );
    }
}
