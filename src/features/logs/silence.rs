//! Why there is nothing to show.

use std::collections::BTreeSet;

use super::{Part, Project, Wanted, Window, printer::Printer};
use crate::{
    domain::{ExitClass, Failure, Failures, NoticeLevel, Observed, ServiceName},
    engine::explain,
    features::podless::podless,
    plan::diagnose,
    report::Outbox,
};

/// No container has anything to read: that is a failure, unless only an earlier run was asked for.
pub(super) async fn without_sources(
    project: &Project,
    observed: &Observed,
    services: &BTreeSet<ServiceName>,
    wanted: &Wanted,
    outbox: &Outbox,
) -> Result<(), Failures> {
    if let Part::Previous(_) = wanted.part
        && services.iter().any(|service| has_pod(observed, service))
    {
        outbox
            .notice(NoticeLevel::Info, none(wanted, services))
            .await;
        return Ok(());
    }
    let failures = services
        .iter()
        .map(|service| why_not(project, observed, service));
    Failures::from_list(failures.collect()).map_or(Ok(()), Err)
}

/// Which services said nothing, and where nobody did, that.
pub(super) async fn after(
    project: &Project,
    observed: &Observed,
    services: &BTreeSet<ServiceName>,
    wanted: &Wanted,
    printer: &Printer<'_>,
) {
    let outbox = printer.outbox;
    // Who asks for all does not ask for those that have nothing to say.
    let is_meant = |service: &&ServiceName| {
        wanted.services.contains(service) || podless(observed, service).is_none()
    };
    let silent = services.iter().filter(|s| !has_pod(observed, s));
    for service in silent.filter(is_meant) {
        let failure = why_not(project, observed, service);
        let why = failure.why.first().map(|why| format!(": {why}"));
        let text = format!("{}{}", failure.what, why.unwrap_or_default());
        outbox.notice(NoticeLevel::Warning, text).await;
    }
    of_lines(wanted, services, printer).await;
}

/// That nothing was said, or nothing of what is wanted, if so.
pub(super) async fn of_lines(
    wanted: &Wanted,
    services: &BTreeSet<ServiceName>,
    printer: &Printer<'_>,
) {
    let text = if printer.lines == 0 {
        none(wanted, services)
    } else if printer.shown == 0 {
        format!("none of {} lines is of that kind", printer.lines)
    } else {
        return;
    };
    printer.outbox.notice(NoticeLevel::Info, text).await;
}

/// Which services are still to come.
pub(super) async fn waiting(
    observed: &Observed,
    services: &BTreeSet<ServiceName>,
    outbox: &Outbox,
) {
    let missing: Vec<&str> = services
        .iter()
        .filter(|service| !has_pod(observed, service) && podless(observed, service).is_none())
        .map(ServiceName::as_str)
        .collect();
    if !missing.is_empty() {
        let text = format!("no pod yet of {}; waiting", missing.join(", "));
        outbox.notice(NoticeLevel::Info, text).await;
    }
}

fn has_pod(observed: &Observed, service: &ServiceName) -> bool {
    observed.pods.iter().any(|pod| &pod.service == service)
}

fn none(wanted: &Wanted, services: &BTreeSet<ServiceName>) -> String {
    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
    let names = names.join(", ");
    match wanted.part {
        Part::Previous(Window { since: None, .. }) => {
            format!("no container of {names} was started again: there is no log of a run before")
        }
        Part::Now(Window { since: Some(_), .. }) | Part::Previous(_) => {
            format!("{names}: nothing was said in that time")
        }
        Part::Now(_) | Part::Follow(_) | Part::Startup => format!("{names}: nothing was said yet"),
    }
}

/// Why a service has nothing that could be read, as far as it is known.
fn why_not(project: &Project, observed: &Observed, service: &ServiceName) -> Failure {
    let trouble = diagnose(
        service,
        &observed.workloads,
        &observed.pods,
        &observed.warnings,
    );
    if let Some(trouble) = trouble {
        return explain(&trouble, &project.environment, Vec::new());
    }
    if let Some(failure) = podless(observed, service) {
        return failure;
    }
    let failure = Failure::new(
        "service.no-pod",
        ExitClass::NotReady,
        format!("{service} has no container that has started"),
    )
    .of(service);
    if !observed.releases.contains_key(service) {
        return failure
            .because("it is not deployed")
            .help(format!("devenv up {service}"));
    }
    failure
        .because("its pod is being made")
        .help("devenv status")
        .help(format!("devenv logs -f {service}"))
}

#[cfg(test)]
mod tests {
    use super::{super::Filter, *};
    use crate::{domain::testing::name, report::LogDetail};

    #[test]
    fn what_was_asked_for_decides_what_is_said_about_silence() {
        let services = BTreeSet::from([name("cart"), name("order")]);
        let said = |part| {
            let wanted = Wanted {
                services: Vec::new(),
                part,
                filter: Filter::default(),
                detail: LogDetail::Brief,
            };
            none(&wanted, &services)
        };
        let since = Window {
            since: Some(jiff::Timestamp::UNIX_EPOCH),
            tail: None,
        };
        assert!(said(Part::Previous(Window::default())).contains("cart, order was started again"));
        assert!(said(Part::Now(since)).ends_with("nothing was said in that time"));
        assert!(said(Part::Startup).ends_with("nothing was said yet"));
    }
}
