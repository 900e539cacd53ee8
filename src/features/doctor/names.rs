//! Whether names of hosts lead where they should.

use std::{collections::BTreeSet, io, net::IpAddr};

use futures::future::join_all;

use super::{Project, Scope, late};
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
    let mut found: Vec<Finding> = hosts
        .iter()
        .zip(own)
        .filter_map(|(host, lookup)| judge_own(host, &lookup))
        .collect();
    if found.is_empty() && !hosts.is_empty() {
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let verb = if names.len() == 1 { "leads" } else { "lead" };
        found.push(Finding::ok(
            "names",
            format!("{} {verb} to this machine", words::list(&names)),
        ));
    }
    found.push(judge_other(&other));
    found
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

/// What is to be said of a name that should lead to this machine; nothing if it does.
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
        Lookup::Late => Some(late(&format!("the name {host}"), WITHIN)),
    }
}

fn judge_other(lookup: &Lookup) -> Finding {
    let why = match lookup {
        Lookup::Found(_) => return Finding::ok("names", "names of the internet are found"),
        Lookup::NotFound(error) => error.to_string(),
        Lookup::Late => format!("it did not answer within {} s", WITHIN.as_secs()),
    };
    let what = "names of the internet are not found: images that are not here cannot be pulled";
    Finding::note("names.offline", what)
        .because(format!("{WELL_KNOWN}: {why}"))
        .fix("getent hosts registry-1.docker.io")
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
            ("shop.test", Lookup::Late, Some("doctor.late")),
        ] {
            let finding = judge_own(host, &lookup);
            assert_eq!(finding.as_ref().map(|it| it.id.0), id, "{host} {lookup:?}");
        }
    }

    #[test]
    fn being_offline_is_only_good_to_know() {
        assert_eq!(judge_other(&found(&["192.0.2.1"])).severity, Severity::Ok);
        assert_eq!(judge_other(&not_found()).severity, Severity::Note);
        assert_eq!(judge_other(&Lookup::Late).id.0, "names.offline");
    }

    #[test]
    fn every_name_is_asked_for_once() {
        let mut project = testing::project(&[("web", &[]), ("api", &[])]);
        testing::expose(&mut project, "web", &["shop.localhost", "www.localhost"]);
        testing::expose(&mut project, "api", &["shop.localhost"]);
        assert_eq!(ingress_hosts(&project), ["shop.localhost", "www.localhost"]);
    }
}
