//! Brings services to rest that ask for it, and lets them go on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::{join, join_all};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::site::Site;
use crate::{
    adapters::kube::ExecRequest,
    domain::{ContainerState, ExitClass, Failure, Quiesce, ServiceName},
    engine::Progress,
    features::process::pods_of,
};

/// The room between a command and who reads what it says, in bytes.
const PIPE: usize = 16 * 1024;
/// How many lines of what a command says are shown.
const LINES_SHOWN: usize = 20;

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
    let mut asked = Vec::new();
    for service in services {
        let quiesce = service.workload().and_then(|it| it.quiesce.as_ref());
        let Some(quiesce) = quiesce else { continue };
        let command = which(quiesce);
        if command.is_empty() {
            continue;
        }
        for pod in pods_of(&service.name, &site.sight.observed.pods) {
            let mut containers = pod.containers.iter();
            let runs = containers
                .any(|it| it.name == service.name.as_str() && it.now == ContainerState::Running);
            if runs {
                progress.note(format!("{}: {}", service.name, command.join(" ")));
                let request = ExecRequest {
                    pod: pod.name.clone(),
                    container: service.name.to_string(),
                    command: command.clone(),
                    tty: false,
                };
                asked.push(tell(site, &service.name, request, quiesce.within));
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
    let cluster = site.cluster()?;
    let (mut stdout, out) = duplex(PIPE);
    let (mut stderr, err) = duplex(PIPE);
    let said = Arc::new(Mutex::new(Vec::new()));
    let running = async {
        let input = None::<tokio::io::Empty>;
        let end = cluster
            .exec(&request, input, &mut stdout, &mut stderr, None)
            .await;
        let _ = join(stdout.shutdown(), stderr.shutdown()).await;
        end
    };
    let reading = join(collect(out, &said), collect(err, &said));
    let ended = tokio::time::timeout(within, join(running, reading)).await;
    let why = match ended {
        Ok((Ok(end), _)) if end.code == 0 => return Ok(()),
        Ok((Ok(end), _)) => format!("it ended with exit code {}", end.code),
        Ok((Err(error), _)) => error.to_string(),
        Err(_) => format!("it did not end within {} s", within.as_secs_f64()),
    };
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].to_vec();
    let place = format!("services.{service}.quiesce");
    let provenance = &site.project.environment.provenance;
    Err(Failure::new(
        "snapshot.not-at-rest",
        ExitClass::Data,
        format!("`{}` of {service} did not work", request.command.join(" ")),
    )
    .of(service)
    .because(why)
    .with_evidence("what it said", shown)
    .at(provenance.place(&place).cloned())
    .help(format!(
        "try it: devenv exec {service} -- {}",
        request.command.join(" ")
    )))
}

async fn collect(mut from: DuplexStream, into: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; PIPE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&buffer[..count]);
    }
}
