//! Starts processes anew on request.

use std::time::{Duration, Instant};

use futures::future::try_join_all;

use super::{Agents, Awaited, NotReady, Process, until_ready};
use crate::domain::{ExitClass, Failure, OnChange, Service, Signal, Workload};

/// What a process is asked to end with where the manifest says nothing.
const SIGNAL: Signal = Signal::Terminate;
/// How long it has then.
const GRACE: Duration = Duration::from_secs(2);

/// Ends a process, and starts it again.
pub(in crate::features) async fn restart(
    agents: &Agents,
    process: &Process,
    workload: &Workload,
) -> Result<(), Failure> {
    let (signal, grace) = match workload.live.as_ref().map(|live| &live.on_change) {
        Some(OnChange::Restart { signal, grace }) => (*signal, *grace),
        _ => (SIGNAL, GRACE),
    };
    let restarted = agents.restart(process, signal, grace).await;
    restarted.map_err(|error| process.failure(&error))
}

/// Waits until a process that was started anew is ready.
pub(in crate::features) async fn until_ready_again(
    agents: &Agents,
    process: &Process,
    awaited: &Awaited,
) -> Result<(), Failure> {
    let ready = until_ready(agents, process, awaited).await;
    ready.map_err(|why| not_ready(process, awaited.within, why))
}

/// The failure of a process that was started anew and is not ready.
pub(in crate::features) fn not_ready(
    process: &Process,
    within: Duration,
    why: NotReady,
) -> Failure {
    match why {
        NotReady::Ended { code } => ended(process, code),
        NotReady::Late { last } => late(process, within, &last),
        NotReady::NotAsked(error) => process.failure(&error),
    }
}

/// Starts all of these anew at the same time, and waits until each is ready; says how long it took.
pub(in crate::features) async fn restart_all(
    agents: &Agents,
    processes: &[Process],
    service: (&Service, &Workload),
    within: Duration,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let (service, workload) = service;
    let mut awaited = Awaited::of(service);
    awaited.within = awaited.within.min(within);
    let awaited = &awaited;
    let restarting = processes.iter().map(|process| async move {
        restart(agents, process, workload).await?;
        until_ready_again(agents, process, awaited).await
    });
    try_join_all(restarting).await?;
    Ok(began.elapsed())
}

fn ended(process: &Process, code: u8) -> Failure {
    let service = &process.service;
    Failure::new(
        "process.ended",
        ExitClass::NotReady,
        format!("the process of {service} was started anew, and ended with code {code}"),
    )
    .because(format!("it is that of the pod {}", process.pod))
    .of(service)
    .help(format!("see why: devenv logs {service}"))
    .help(format!("devenv restart {service} --pods"))
}

fn late(process: &Process, within: Duration, last: &str) -> Failure {
    let service = &process.service;
    let within = within.as_secs();
    Failure::new(
        "process.not-ready",
        ExitClass::NotReady,
        format!("{service} was started anew, and was not ready within {within} s"),
    )
    .because(format!("{}: {last}", process.pod))
    .of(service)
    .help(format!("see why: devenv logs {service}"))
}
