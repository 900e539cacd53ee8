//! Whether names of hosts lead where they should.

use std::{collections::BTreeSet, io, net::IpAddr};

use futures::future::join_all;

use super::{Project, Scope};
use crate::domain::{Finding, words};

/// A host that images come from: whoever finds it is on the internet.
const WELL_KNOWN: &str = "registry-1.docker.io";
/// The names that belong to every machine itself.
const OWN_NAMES: &str = ".localhost";
/// More names of one project are not asked for.
const MOST_NAMES: usize = 20;
/// How long one name may take.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// How looking for a name ended.
#[derive(Debug)]
enum Lookup {
    Found(Vec<IpAddr>),
    NotFound(io::Error),
    Late,
}

/// Whether the names of the project lead to this machine, and those of others anywhere.
pub(super) async fn look(scope: &Scope<'_>) -> Vec<Finding> {
    let hosts = scope.project.map(ingress_hosts).unwrap_or_default();
    let asking = join_all(hosts.iter().map(|host| lookup(host)));
    let (own, other) = futures::join!(asking, lookup(WELL_KNOWN));
    let asked = hosts.iter().map(String::as_str).zip(&own);
    let asked = asked.chain([(WELL_KNOWN, &other)]);
    let late: Vec<&str> = asked
        .filter_map(|(host, lookup)| matches!(lookup, Lookup::Late).then_some(host))
        .collect();
    let mut found: Vec<Finding> = hosts
        .iter()
        .zip(&own)
        .filter_map(|(host, lookup)| judge_own(host, lookup))
        .collect();
    found.extend(no_answer(&late));
    if found.is_empty() && !hosts.is_empty() {
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let verb = if names.len() == 1 { "leads" } else { "lead" };
        found.push(Finding::ok(
            "names",
            format!("{} {verb} to this machine", words::list(&names)),
        ));
    }
    found.extend(judge_other(&other));
    found
}

/// One finding of all names that nobody answered for.
fn no_answer(names: &[&str]) -> Option<Finding> {
    if names.is_empty() {
        return None;
    }
    let what = format!(
        "the name server of this machine does not answer within {} s",
        WITHIN.as_secs()
    );
    Some(
        Finding::warning("names.no-answer", what)
            .because(format!("it was asked for {}", words::list(names)))
            .because("devenv itself asks it for nothing; browsers, builds and pulls do")
            .fix("cat /etc/resolv.conf   # which one it is"),
    )
}

async fn lookup(host: &str) -> Lookup {
    let asking = crate::adapters::host::addresses_of(host);
    match tokio::time::timeout(WITHIN, asking).await {
        Ok(Ok(found)) => Lookup::Found(found),
        Ok(Err(error)) => Lookup::NotFound(error),
        Err(_) => Lookup::Late,
    }
}

/// The names under which the project's services are reached.
fn ingress_hosts(project: &Project) -> Vec<String> {
    let services = project.environment.services.values();
    let rules = services.filter_map(|service| Some(&service.workload()?.expose));
    let hosts: BTreeSet<&str> = rules.flatten().map(|rule| rule.host.as_str()).collect();
    hosts
        .into_iter()
        .take(MOST_NAMES)
        .map(str::to_owned)
        .collect()
}

/// What is to be said of a name that should lead to this machine; nothing if it does, or nobody answers.
fn judge_own(host: &str, lookup: &Lookup) -> Option<Finding> {
    let add = format!("echo '127.0.0.1 {host}' | sudo tee -a /etc/hosts");
    match lookup {
        Lookup::Found(found) if !found.is_empty() && found.iter().all(IpAddr::is_loopback) => None,
        Lookup::Found(found) => {
            let found = found.iter().map(ToString::to_string).collect();
            Some(
                Finding::warning(
                    "names.elsewhere",
                    format!("{host} does not lead to this machine"),
                )
                .because("what is asked for under that name goes to another machine")
                .seen("addresses", found)
                .fix(add),
            )
        }
        Lookup::NotFound(_) if host.ends_with(OWN_NAMES) => Some(
            Finding::note("names.own", format!("the system does not know {host}"))
                .because("browsers and curl lead such names to this machine themselves; other programs do not")
                .fix(add),
        ),
        Lookup::NotFound(error) => Some(
            Finding::warning("names.unknown", format!("the system does not know {host}"))
                .because(error.to_string())
                .fix(add),
        ),
        Lookup::Late => None,
    }
}

fn judge_other(lookup: &Lookup) -> Option<Finding> {
    let why = match lookup {
        Lookup::Found(_) => return Some(Finding::ok("names", "names of the internet are found")),
        Lookup::NotFound(error) => error.to_string(),
        Lookup::Late => return None,
    };
    let what = "names of the internet are not found: images that are not here cannot be pulled";
    Some(
        Finding::note("names.offline", what)
            .because(format!("{WELL_KNOWN}: {why}"))
            .fix("getent hosts registry-1.docker.io"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Severity, features::project::testing};

    fn found(addresses: &[&str]) -> Lookup {
        Lookup::Found(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn not_found() -> Lookup {
        Lookup::NotFound(io::Error::other("Name or service not known"))
    }

    #[test]
    fn a_name_leads_here_or_it_is_said_how_it_will() {
        for (host, lookup, id) in [
            ("shop.localhost", found(&["127.0.0.1", "::1"]), None),
            ("shop.test", found(&["127.0.0.1"]), None),
            (
                "shop.test",
                found(&["127.0.0.1", "192.0.2.1"]),
                Some("names.elsewhere"),
            ),
            ("shop.test", found(&[]), Some("names.elsewhere")),
            ("shop.localhost", not_found(), Some("names.own")),
            ("shop.test", not_found(), Some("names.unknown")),
            ("shop.test", Lookup::Late, None),
        ] {
            let finding = judge_own(host, &lookup);
            assert_eq!(finding.as_ref().map(|it| it.id.0), id, "{host} {lookup:?}");
        }
    }

    #[test]
    fn being_offline_is_only_good_to_know() {
        let severity = |lookup| judge_other(&lookup).map(|finding| finding.severity);
        assert_eq!(severity(found(&["192.0.2.1"])), Some(Severity::Ok));
        assert_eq!(severity(not_found()), Some(Severity::Note));
        assert_eq!(severity(Lookup::Late), None);
    }

    #[test]
    fn a_name_server_that_is_silent_is_told_once_for_all_names() {
        assert_eq!(no_answer(&[]), None);
        let finding = no_answer(&["shop.localhost", WELL_KNOWN]).unwrap();
        assert_eq!(finding.id.0, "names.no-answer");
        let asked = "it was asked for shop.localhost and registry-1.docker.io";
        assert_eq!(finding.why[0], asked);
    }

    #[test]
    fn every_name_is_asked_for_once() {
        let mut project = testing::project(&[("web", &[]), ("api", &[])]);
        testing::expose(&mut project, "web", &["shop.localhost", "www.localhost"]);
        testing::expose(&mut project, "api", &["shop.localhost"]);
        assert_eq!(ingress_hosts(&project), ["shop.localhost", "www.localhost"]);
    }
}
