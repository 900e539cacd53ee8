//! Hooks: commands of the manifest that run after `up` and before `down`.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        kube::{Cluster, ExecRequest, NotRun},
        process::{self, Invocation},
    },
    domain::{ExitClass, Failure, Hook, HookMoment, ServiceName},
    engine::{Finished, Progress, World},
};

/// How many of a failed hook's last lines are shown.
const LINES_SHOWN: usize = 20;

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
    let said = run_hook(world, cluster, (moment, index), progress, cancel).await?;
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
    (moment, index): (HookMoment, usize),
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Said, Failure> {
    let hook = &world.environment.hooks.of(moment)[index];
    if let Some(service) = &hook.service {
        return in_service(cluster, service, hook, progress, cancel).await;
    }
    let command = world.environment.host_hook(moment, index);
    let command = command.ok_or_else(|| {
        let what = "a hook that runs neither in a service nor on this machine";
        Failure::new("run.inconsistent", ExitClass::Internal, what)
    })?;
    world.memory.check_trust(&command)?;
    on_host(world, hook, progress, cancel).await
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
    let running = cluster.run(&request, None, hook.within, |line| progress.note(line));
    match cancel.run_until_cancelled(running).await {
        None => Err(Failure::interrupted()),
        Some(Ok(ran)) => Ok(Said {
            code: ran.code,
            lines: ran.last_lines,
        }),
        Some(Err(NotRun::Late)) => Err(too_long(hook, hook.within)),
        Some(Err(NotRun::Failed(error))) => Err(error.failure()),
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
