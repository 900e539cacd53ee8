//! Hooks: commands of the manifest that run after `up` and before `down`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        kube::{Cluster, ExecRequest},
        process::{self, Invocation},
    },
    domain::{ExitClass, Failure, Hook, HookMoment, ServiceName},
    engine::{Finished, Progress, World},
};

/// How many of a failed hook's last lines are shown.
const LINES_SHOWN: usize = 20;
/// Bytes that may wait between a command and its reader.
const PIPE: usize = 64 * 1024;

/// How a command ended, with what it said.
struct Said {
    code: i32,
    lines: Vec<String>,
}

/// Runs one hook; of one of `afterUp` it is written down that it has succeeded for what is deployed now.
pub(in crate::engine) async fn run(
    world: &World,
    (moment, index): (HookMoment, usize),
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let hook = &world.environment.hooks.of(moment)[index];
    let cluster = world.checked_cluster().await?;
    let place = world
        .environment
        .provenance
        .place(&format!("hooks.{}[{index}]", moment.key()))
        .cloned();
    let command = hook.command.join(" ");
    let said = run_hook(world, cluster, hook, progress, cancel).await?;
    if said.code != 0 {
        let mut failure = Failure::new(
            "hook.failed",
            ExitClass::Cluster,
            format!("the hook `{command}` ended with exit code {}", said.code),
        )
        .at(place)
        .with_evidence("its last lines", said.lines)
        .help(match moment {
            HookMoment::AfterUp => "mend it, then: devenv up",
            HookMoment::BeforeDown => {
                "nothing is removed; mend it, or do without: devenv down --set hooks.beforeDown="
            }
        });
        failure.service.clone_from(&hook.service);
        return Err(failure);
    }
    if moment == HookMoment::AfterUp
        && let Some(hash) = world.desired.hooks.get(index)
    {
        cluster
            .mark_hook(index, hash)
            .await
            .map_err(|error| error.failure())?;
    }
    Ok(Finished::Done)
}

/// Runs the command of a hook where it belongs.
async fn run_hook(
    world: &World,
    cluster: &Cluster,
    hook: &Hook,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Said, Failure> {
    match &hook.service {
        Some(service) => in_service(cluster, service, hook, progress, cancel).await,
        None => on_host(world, hook, progress, cancel).await,
    }
}

async fn on_host(
    world: &World,
    hook: &Hook,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Said, Failure> {
    let children = world
        .tools
        .children
        .clone()
        .with("KUBECONFIG", &world.places.kubeconfig);
    let (program, args) = hook.command.split_first().ok_or_else(|| {
        Failure::new(
            "run.inconsistent",
            ExitClass::Internal,
            "a hook without a command",
        )
    })?;
    let mut invocation = Invocation::new(program, children, hook.within).args(args);
    invocation.directory = Some(world.environment.directory.clone());
    let finished = process::run(&invocation, cancel, Some(&|_, line| progress.note(line))).await;
    let finished = finished.map_err(|error| error.failure())?;
    let text = format!("{}{}", finished.stdout_text(), finished.stderr_text());
    Ok(Said {
        code: finished.code,
        lines: last_lines(&text),
    })
}

async fn in_service(
    cluster: &Cluster,
    service: &ServiceName,
    hook: &Hook,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Said, Failure> {
    let pod = crate::engine::newest_ready_pod(cluster, service).await?;
    let request = ExecRequest {
        pod: pod.name,
        container: pod.container,
        command: hook.command.clone(),
        tty: false,
    };
    let (mut stdout, out) = tokio::io::duplex(PIPE);
    let (mut stderr, err) = tokio::io::duplex(PIPE);
    let collected = Arc::new(Mutex::new(Vec::new()));
    let copying = tokio::spawn(futures::future::join(
        collect(out, Arc::clone(&collected), progress.clone()),
        collect(err, Arc::clone(&collected), progress.clone()),
    ));
    let running = async {
        let input = None::<tokio::io::Empty>;
        let end = cluster
            .exec(&request, input, &mut stdout, &mut stderr, None)
            .await;
        let _ = futures::future::join(stdout.shutdown(), stderr.shutdown()).await;
        end
    };
    let waited = tokio::time::timeout(hook.within, cancel.run_until_cancelled(running)).await;
    let end = match waited {
        Err(_) => return Err(too_long(hook, hook.within)),
        Ok(None) => {
            return Err(Failure::interrupted());
        }
        Ok(Some(end)) => end.map_err(|error| error.failure())?,
    };
    let _ = copying.await;
    let text = collected.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Said {
        code: end.code,
        lines: last_lines(&String::from_utf8_lossy(&text)),
    })
}

/// Keeps what a command says, and passes its lines on as progress.
async fn collect(mut from: tokio::io::DuplexStream, into: Arc<Mutex<Vec<u8>>>, progress: Progress) {
    use tokio::io::AsyncReadExt as _;
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if let Some(line) = text.lines().last() {
            progress.note(line);
        }
        into.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&buffer[..count]);
    }
}

fn too_long(hook: &Hook, within: Duration) -> Failure {
    Failure::new(
        "hook.timeout",
        ExitClass::Cluster,
        format!(
            "the hook `{}` did not end within {} s",
            hook.command.join(" "),
            within.as_secs()
        ),
    )
    .help("give it more time: `within: 5m` beside its `command`")
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
