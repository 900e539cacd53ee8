//! When a service runs with a change; where it does not, with its last words.

use std::time::{Duration, Instant};

use futures::{TryStreamExt as _, future::try_join_all};
use jiff::Timestamp;
use tokio::time::timeout;

use super::shared::Shared;
use crate::{
    adapters::kube::{KubeError, LogLine, LogOptions},
    domain::{ExitClass, Failure},
    features::process::{self, Awaited, NotReady, Process},
};

/// How many lines of its log explain the end of a process.
const LOG_LINES: u32 = 15;
const LOG_WITHIN: Duration = Duration::from_secs(2);
const LOG_AGAIN: Duration = Duration::from_millis(100);
/// What the init says of a process that has ended.
const ENDED: &str = "devenv-agent: the service ended with code";

/// Waits until all of a service's processes answer; fails soon where one ends. They were started anew at `since`.
pub(super) async fn until_ready(
    shared: &Shared,
    awaited: &Awaited,
    since: Timestamp,
    processes: &[Process],
) -> Result<(), Failure> {
    let waiting = processes.iter().map(|process| async move {
        let ready = process::until_ready(&shared.agents, process, awaited).await;
        match ready {
            Ok(()) => Ok(()),
            Err(why) => Err(failure(shared, process, awaited.within, since, why).await),
        }
    });
    try_join_all(waiting).await.map(|_| ())
}

async fn failure(
    shared: &Shared,
    process: &Process,
    within: Duration,
    since: Timestamp,
    why: NotReady,
) -> Failure {
    let service = &process.service;
    let failure = match why {
        NotReady::NotAsked(error) => return process.failure(&error),
        NotReady::Ended { code } => Failure::new(
            "live.process-ended",
            ExitClass::NotReady,
            format!("the process of {service} ended with code {code}"),
        )
        .because("it was started anew with the change"),
        NotReady::Late { last } => Failure::new(
            "live.not-ready",
            ExitClass::NotReady,
            format!(
                "{service} runs with the change, and was not ready within {} s",
                within.as_secs()
            ),
        )
        .because(last),
    };
    let said = last_words(shared, process, since).await;
    failure
        .of(service)
        .with_evidence(format!("last log lines of {service}"), said)
        .help("edit it again: the next change starts it anew")
        .help(format!("devenv logs {service}"))
}

/// The last lines that the process said since its start; why there are none where they cannot be had.
///
/// They come to the log a moment after they were said: of a process that has ended, the init says so last.
async fn last_words(shared: &Shared, process: &Process, since: Timestamp) -> Vec<String> {
    let asked = Instant::now();
    loop {
        let left = LOG_WITHIN.saturating_sub(asked.elapsed());
        let said = timeout(left.max(LOG_AGAIN), said(shared, process, since)).await;
        let is_over = asked.elapsed() >= LOG_WITHIN;
        match said {
            Ok(Ok(lines)) if is_over || lines.iter().any(|line| line.contains(ENDED)) => {
                return lines;
            }
            Ok(Err(error)) if is_over => return vec![error.to_string()],
            Err(_) if is_over => return vec!["the cluster does not answer".to_owned()],
            _ => tokio::time::sleep(LOG_AGAIN).await,
        }
    }
}

async fn said(
    shared: &Shared,
    process: &Process,
    since: Timestamp,
) -> Result<Vec<String>, KubeError> {
    let options = LogOptions {
        tail: Some(LOG_LINES),
        ..LogOptions::default()
    };
    let container = process.service.as_str();
    let lines = shared.cluster.logs(&process.pod, container, &options);
    let lines: Vec<LogLine> = lines.try_collect().await?;
    let is_new = |line: &&LogLine| line.time.is_none_or(|time| time >= since);
    let text = |line: &LogLine| String::from_utf8_lossy(&line.bytes).into_owned();
    Ok(lines.iter().filter(is_new).map(text).collect())
}
