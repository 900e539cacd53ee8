//! Whether services would come up: what their charts come to is looked at before anything is made.
//!
//! Called by `validate`. What needs only the project is judged here, from the objects that Helm renders; what docker and the
//! cluster know is asked of them where they run. Nothing is made or changed.

mod apis;
mod images;
mod references;
mod server;
mod totals;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Project, desire::desire, observe::observe, secrecy::hide_object};
use crate::{
    adapters::{
        docker::Docker,
        files,
        kube::{Cluster, Existing, Room},
    },
    domain::{
        Desired, Failure, Failures, Finding, Place, ServiceName, Severity, objects::single_objects,
    },
    engine::render,
    report::{Outbox, ValidatedService},
};

/// How many charts are rendered at a time.
const AT_A_TIME: usize = 4;

/// What was looked at, and what was found.
#[derive(Debug)]
pub struct Looked {
    /// The services, with how many objects each comes to.
    pub services: Vec<ValidatedService>,
    /// What was found, what is gravest last.
    pub findings: Vec<Finding>,
}

/// The objects that all services come to: those that are judged may refer to those of others.
#[derive(Debug, Default)]
struct Rendered {
    objects: Vec<(ServiceName, Value)>,
    judged: BTreeSet<ServiceName>,
    /// Where the services stand in the manifest.
    places: BTreeMap<ServiceName, Place>,
}

/// Where charts are written for Helm: in a place of this process's own, as an `up` may be at work beside it.
struct Charts(PathBuf);

impl Charts {
    fn of(project: &Project) -> Self {
        let own = format!("validate-{}", std::process::id());
        Self(project.paths.charts().join(own))
    }
}

impl Drop for Charts {
    fn drop(&mut self) {
        // What stays is for the user alone, like all of the state.
        let _ = files::remove_tree(&self.0);
    }
}

/// What a cluster that runs says of itself.
struct Seen {
    cluster: Cluster,
    existing: Existing,
    room: Room,
}

impl Rendered {
    fn add(&mut self, service: &ServiceName, objects: &[Value]) {
        let single = single_objects(objects).into_iter().cloned();
        let single = single.map(|object| (service.clone(), object));
        self.objects.extend(single);
    }

    /// All objects with whose they are.
    fn objects(&self) -> impl Iterator<Item = (&ServiceName, &Value)> {
        self.objects
            .iter()
            .map(|(service, object)| (service, object))
    }

    /// Those of services that are judged.
    fn judged(&self) -> impl Iterator<Item = (&ServiceName, &Value)> {
        self.objects()
            .filter(|(service, _)| self.judged.contains(*service))
    }

    /// A finding about a service, with where that is written.
    fn about(&self, service: &ServiceName, mut finding: Finding) -> Finding {
        finding.place = self.places.get(service).cloned().map(Box::new);
        finding
    }
}

/// Looks whether services would come up; at all of them if none is named.
pub async fn look(
    project: &Project,
    named: &[ServiceName],
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<Looked, Failures> {
    let environment = &project.environment;
    let all: Vec<ServiceName> = environment.services.keys().cloned().collect();
    let judged: Vec<ServiceName> = if named.is_empty() {
        all.clone()
    } else {
        named.to_vec()
    };
    let desired = desire(environment, &all, outbox).await?;
    let (rendered, mut findings) = render_all(project, &desired, &judged, cancel).await;
    // What the server says to an object may repeat what the object holds.
    for (_, object) in rendered.objects() {
        hide_object(object.clone(), outbox.redactor());
    }
    let kubernetes = &environment.cluster.kubernetes;
    for (service, object) in rendered.judged() {
        let outdated = apis::outdated(service, object, kubernetes);
        let outdated = outdated.into_iter();
        findings.extend(outdated.map(|finding| rendered.about(service, finding)));
    }
    let (docker, seen) = Box::pin(ask(project, outbox, &mut findings)).await;
    let existing = seen.as_ref().map(|seen| &seen.existing);
    findings.extend(references::dangling(&rendered, existing));
    if let Some(docker) = docker {
        let own = format!("{}:", environment.id.cluster().registry_container());
        let wanted = images::wanted(&rendered, &own);
        findings.extend(images::missing(&docker, &wanted).await);
    }
    if let Some(seen) = &seen {
        findings.extend(totals::exceeding(&rendered, &seen.room));
        findings.extend(server::objections(&seen.cluster, &rendered, kubernetes).await?);
    }
    if cancel.is_cancelled() {
        return Err(Failure::interrupted().into());
    }
    findings.sort_by_key(|finding| finding.severity);
    let count = |service: &ServiceName| rendered.objects().filter(|(of, _)| *of == service).count();
    let services = judged.iter().map(|service| ValidatedService {
        name: service.to_string(),
        objects: count(service),
    });
    Ok(Looked {
        services: services.collect(),
        findings,
    })
}

/// Renders the charts of all services; what cannot be rendered is found, of services that are judged.
async fn render_all(
    project: &Project,
    desired: &Desired,
    judged: &[ServiceName],
    cancel: &CancellationToken,
) -> (Rendered, Vec<Finding>) {
    let environment = &project.environment;
    let (helm, charts) = (project.helm(), Charts::of(project));
    let rendering = environment.services.keys().map(|service| {
        let (helm, charts) = (&helm, charts.0.as_path());
        async move {
            let objects = render(helm, charts, (environment, desired), service, cancel).await;
            (service, objects)
        }
    });
    let mut all = stream::iter(rendering).buffered(AT_A_TIME);
    let provenance = &environment.provenance;
    let place = |service: &ServiceName| provenance.place(&format!("services.{service}")).cloned();
    let mut rendered = Rendered {
        judged: judged.iter().cloned().collect(),
        places: judged
            .iter()
            .filter_map(|service| Some((service.clone(), place(service)?)))
            .collect(),
        ..Rendered::default()
    };
    let mut findings = Vec::new();
    while let Some((service, objects)) = all.next().await {
        match objects {
            Ok(objects) => rendered.add(service, &objects),
            Err(failure) if rendered.judged.contains(service) => {
                findings.push(Finding::of(Severity::Problem, failure));
            }
            Err(_) => {}
        }
    }
    (rendered, findings)
}

/// Docker, and the cluster if it runs; that one of them cannot be asked is found.
async fn ask(
    project: &Project,
    outbox: &Outbox,
    findings: &mut Vec<Finding>,
) -> (Option<Docker>, Option<Seen>) {
    let tools = match project.tools().await {
        Ok(tools) => tools,
        Err(failure) => {
            let what = "neither images nor the cluster were looked at: docker cannot be asked";
            findings.push(not_asked(what, failure));
            return (None, None);
        }
    };
    let docker = Some(tools.docker.clone());
    let looking = async {
        let record = project.record(outbox).await?;
        let sight = observe(
            project,
            &tools,
            record.as_ref(),
            &Desired::default(),
            outbox,
        )
        .await?;
        let Some(cluster) = sight.cluster else {
            return Ok(None);
        };
        let both = futures::try_join!(cluster.existing(), cluster.room());
        let (existing, room) = both.map_err(|error| error.failure())?;
        Ok::<_, Failure>(Some(Seen {
            cluster,
            existing,
            room,
        }))
    };
    let what = "the cluster was not asked what it says to the objects, nor what it has room for";
    let finding = match Box::pin(looking).await {
        Ok(Some(seen)) => return (docker, Some(seen)),
        Ok(None) => Finding::note("validate.not-asked", what)
            .because("it does not run")
            .fix("devenv up"),
        Err(failure) => not_asked(what, failure),
    };
    findings.push(finding);
    (docker, None)
}

/// What was not looked at, and what is in the way.
fn not_asked(what: &str, failure: Failure) -> Finding {
    let finding = Finding::note("validate.not-asked", what).because(failure.what);
    failure.help.into_iter().fold(finding, Finding::fix)
}
