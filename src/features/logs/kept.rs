//! What was kept, where the cluster does not answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Part, Past, Printer, Project, Wanted, names::Labels, past::source, silence, stored};
use crate::{
    domain::{Failure, Failures, NoticeLevel, Observed, ServiceName},
    report::Outbox,
};

/// Tells what was stored, and once `why` that is all. Fails with it where nothing was, or nothing can be followed.
pub(super) async fn tell(
    project: &Project,
    wanted: &Wanted,
    services: &BTreeSet<ServiceName>,
    why: Failure,
    outbox: &Outbox,
) -> Result<(), Failures> {
    let directory = project.paths.logs();
    let runs = stored::runs(&directory, services).map_err(|error| error.failure())?;
    if runs.is_empty() {
        return Err(why.into());
    }
    let text = notice(&why, wanted.part);
    outbox.notice(NoticeLevel::Warning, text).await;
    let mut labels = Labels::default();
    for (service, run) in &runs {
        labels.learn_source(&source(service.clone(), run));
    }
    let mut printer = Printer::of(outbox, labels, wanted);
    let (observed, ready) = (Observed::nothing(), BTreeMap::new());
    let past = Past::of(&observed, &runs, wanted.part, &ready);
    let told = past.tell(&directory, services, &mut printer).await;
    told.map_err(|error| error.failure())?;
    printer.end_of_past().await;
    if let Part::Follow(_) = wanted.part {
        return Err(why.into());
    }
    silence::of_lines(wanted, services, &printer).await;
    Ok(())
}

fn notice(why: &Failure, part: Part) -> String {
    let why = why.why.first().unwrap_or(&why.what);
    let text = format!("the cluster does not answer: {why}; this is what was kept");
    match part {
        // Only the cluster knows when a pod was ready.
        Part::Startup => format!("{text} of each container's last run"),
        Part::Now(_) | Part::Follow(_) | Part::Previous(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Window, *};
    use crate::domain::ExitClass;

    #[test]
    fn the_reason_is_named_by_its_first_cause() {
        let failure = || Failure::new("cluster.not-running", ExitClass::Cluster, "it does not run");
        let now = Part::Now(Window::default());
        let text = notice(&failure().because("it is stopped"), now);
        assert_eq!(
            text,
            "the cluster does not answer: it is stopped; this is what was kept"
        );
        let text = notice(&failure(), Part::Startup);
        assert!(text.contains("it does not run") && text.ends_with("last run"));
    }
}
