//! Brings services to rest that ask for it, and lets them go on.

use std::time::Duration;

use futures::future::join_all;

use super::site::Site;
use crate::{
    adapters::kube::{ExecRequest, NotRun},
    domain::{ContainerState, ExitClass, Failure, Quiesce, ServiceName},
    engine::Progress,
    features::process::pods_of,
};

/// Brings to rest all services that ask for it, at the same time.
pub(super) async fn quiesce(site: &Site<'_>, progress: &Progress) -> Result<(), Failure> {
    tell_all(site, progress, |quiesce| &quiesce.command).await
}

/// Lets them go on.
pub(super) async fn resume(site: &Site<'_>, progress: &Progress) -> Result<(), Failure> {
    tell_all(site, progress, |quiesce| &quiesce.resume).await
}

/// Runs a command in every running pod of the services that have it. All are told, whatever one answers.
async fn tell_all(
    site: &Site<'_>,
    progress: &Progress,
    which: impl Fn(&Quiesce) -> &Vec<String>,
) -> Result<(), Failure> {
    let services = site.project.environment.services.values();
    let having = services.filter_map(|service| {
        let quiesce = service.workload()?.quiesce.as_ref()?;
        Some((&service.name, quiesce)).filter(|_| !which(quiesce).is_empty())
    });
    let having: Vec<(&ServiceName, &Quiesce)> = having.collect();
    if having.is_empty() {
        return Ok(());
    }
    let names: Vec<ServiceName> = having.iter().map(|(name, _)| (*name).clone()).collect();
    // Pods may have come and gone since the command began.
    let pods = site.pods_now(&names).await?;
    let mut asked = Vec::new();
    for (name, quiesce) in having {
        let command = which(quiesce);
        for pod in pods_of(name, &pods) {
            let mut containers = pod.containers.iter();
            let runs =
                containers.any(|it| it.name == name.as_str() && it.now == ContainerState::Running);
            if runs {
                progress.note(format!("{name}: {}", command.join(" ")));
                let request = ExecRequest {
                    pod: pod.name.clone(),
                    container: name.to_string(),
                    command: command.clone(),
                    tty: false,
                };
                asked.push(tell(site, name, request, quiesce.within));
            }
        }
    }
    join_all(asked).await.into_iter().collect()
}

/// Runs a command in a pod; fails unless it ends well.
async fn tell(
    site: &Site<'_>,
    service: &ServiceName,
    request: ExecRequest,
    within: Duration,
) -> Result<(), Failure> {
    let running = site.cluster()?.run(&request, None, within, |_| {});
    let (why, shown) = match running.await {
        Ok(ran) if ran.code == 0 => return Ok(()),
        Ok(ran) => (
            format!("it ended with exit code {}", ran.code),
            ran.last_lines,
        ),
        Err(NotRun::Failed(error)) => {
            let failure = error.failure();
            (failure.what, failure.why)
        }
        Err(NotRun::Late) => (
            format!("it did not end within {} s", within.as_secs_f64()),
            Vec::new(),
        ),
    };
    let command = request.command.join(" ");
    let provenance = &site.project.environment.provenance;
    let place = provenance.place(&format!("services.{service}.quiesce"));
    Err(Failure::new(
        "snapshot.not-at-rest",
        ExitClass::Data,
        format!("`{command}` of {service} did not work"),
    )
    .of(service)
    .because(why)
    .with_evidence("what it said", shown)
    .at(place.cloned())
    .help(format!("try it: devenv exec {service} -- {command}")))
}
