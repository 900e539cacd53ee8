//! Helm releases: repair, install, remove.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        files,
        helm::{self, ChartReference, Helm, ReleaseRequest},
        kube::{Cluster, HeldObject, objects_in},
    },
    domain::{
        Desired, DesiredRelease, Environment, ExitClass, Failure, NoticeLevel, ReleaseChart,
        ServiceName,
    },
    engine::{
        Finished, Progress, World,
        steps::{claims, policy, start, volumes},
        world::NAMESPACE,
    },
};

const INSTALL_WITHIN: Duration = Duration::from_mins(2);
const RENDERED_WITHIN: Duration = Duration::from_mins(1);
const REMOVE_WITHIN: Duration = Duration::from_mins(2);
/// How long an object that was deleted may be kept by others before it counts as one that does not go.
const HELD_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Takes away the record of an operation that a killed Helm left pending, so that Helm works again.
///
/// What that operation had made in the cluster stays and is taken over by the next installation.
pub(in crate::engine) async fn repair(
    world: &World,
    service: &ServiceName,
) -> Result<Finished, Failure> {
    let cluster = world.checked_cluster().await?;
    let seen = cluster.observe().await.map_err(|e| e.failure())?;
    match seen
        .releases
        .get(service)
        .filter(|release| release.status.is_stuck())
    {
        Some(release) => {
            let deleted = cluster
                .delete_release_secret(service, release.revision)
                .await;
            deleted.map_err(|e| e.failure())?;
            Ok(Finished::Done)
        }
        None => Ok(Finished::Skipped("it is not pending any more".to_owned())),
    }
}

/// Installs or upgrades the release of a service; does not wait for its pods.
pub(in crate::engine) async fn install(
    world: &World,
    service: &ServiceName,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    world.checked_cluster().await?;
    world.prefetch.go_on();
    let release = release_of(&world.desired, service)?;
    if let Some(workload) = world
        .environment
        .services
        .get(service)
        .and_then(|s| s.workload())
    {
        let names = workload.volumes.iter().map(|volume| volume.name.as_str());
        volumes::make(world, service, names).await?;
    }
    let chart = chart(&world.places.charts, service, release)?;
    let _passing = Passing::of(release, &chart);
    let request = ReleaseRequest {
        service: service.clone(),
        namespace: NAMESPACE.to_owned(),
        chart,
        values: start::values(world, service, release, progress).await?,
        values_files: release.values_files.clone(),
        inputs: release.inputs.clone(),
    };
    let lost = match release.chart {
        ReleaseChart::Service => None,
        _ => look_inside(world, &request, progress, cancel).await?,
    };
    world.installing(service);
    progress.note("helm upgrade --install");
    let installed = world
        .tools
        .helm
        .upgrade_install(&request, cancel, INSTALL_WITHIN)
        .await;
    if installed.is_err() && cancel.is_cancelled() {
        // Helm was ended in the middle, and may not have had the time to say so in its record.
        repair(world, service).await?;
    }
    installed.map_err(|error| {
        let place = world
            .environment
            .provenance
            .place(&format!("services.{service}"));
        error.failure().of(service).at(place.cloned())
    })?;
    if let Some(lost) = lost {
        progress.outbox().notice(NoticeLevel::Warning, lost).await;
    }
    Ok(Finished::Done)
}

/// Looks at what a chart comes to before it is installed: whether the team allows it, and what it claims. Gives what is to
/// be told of data that is not kept.
async fn look_inside(
    world: &World,
    request: &ReleaseRequest,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Option<String>, Failure> {
    progress.note("looking what it is made of");
    let kubernetes = &world.environment.cluster.kubernetes;
    let helm = &world.tools.helm;
    let rendered = helm.template(request, kubernetes, cancel, RENDERED_WITHIN);
    let rendered = rendered.await;
    if cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    policy::enforce(&world.environment, &request.service, &rendered)?;
    claims::reserve(world, request, rendered).await
}

/// Removes the release of a service that left the manifest. What others keep of it is not waited for without end.
pub(in crate::engine) async fn remove(
    world: &World,
    service: &ServiceName,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let cluster = world.checked_cluster().await?;
    let removal = cancel.child_token();
    let helm = &world.tools.helm;
    let mut removing = pin!(helm.uninstall(service, NAMESPACE, &removal, REMOVE_WITHIN));
    let held = tokio::select! {
        removed = &mut removing => {
            removed.map_err(|error| error.failure().of(service))?;
            return Ok(Finished::Done);
        }
        held = until_held(cluster, service, progress) => held,
    };
    removal.cancel();
    // It is ended: what it says of that is known.
    let _ = removing.await;
    Err(not_removed(service, &held, &world.places.kubeconfig))
}

/// Waits until objects of a service were kept for so long that nobody will let them go.
async fn until_held(
    cluster: &Cluster,
    service: &ServiceName,
    progress: &Progress,
) -> Vec<HeldObject> {
    let mut since: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        // Helm says it where the cluster does not answer.
        let held = cluster.held(service).await.unwrap_or_default();
        let Some(first) = held.first() else {
            since = None;
            continue;
        };
        progress.note(format!(
            "waiting for {first}, which {} keeps",
            first.finalizers.join(", ")
        ));
        if since.get_or_insert_with(Instant::now).elapsed() >= HELD_WITHIN {
            return held;
        }
    }
}

fn not_removed(service: &ServiceName, held: &[HeldObject], kubeconfig: &Path) -> Failure {
    let mut failure = Failure::new(
        "helm.held",
        ExitClass::Cluster,
        format!("{service} was deleted and does not go"),
    )
    .of(service);
    for object in held {
        failure = failure.because(format!(
            "{object} is kept by its finalizer {}, and nobody takes that away",
            object.finalizers.join(", ")
        ));
    }
    failure = failure.help("start what has to take the finalizer away, then run `devenv up` again");
    for object in held {
        failure = failure.help(format!(
            "or give up what it stands for: kubectl --kubeconfig {} patch {} {} --type merge -p '{}'",
            kubeconfig.display(),
            object.kind.to_lowercase(),
            object.name,
            r#"{"metadata":{"finalizers":null}}"#,
        ));
    }
    failure
}

/// The objects that a service comes to, before anything is made; secrets are among them. Asks neither docker nor the cluster.
///
/// Fails where Helm cannot render its chart, where what it renders is not understood, and where the team's policy forbids it.
pub async fn render(
    helm: &Helm,
    charts: &Path,
    (environment, desired): (&Environment, &Desired),
    service: &ServiceName,
    cancel: &CancellationToken,
) -> Result<Vec<Value>, Failure> {
    let release = release_of(desired, service)?;
    let mut values = release.values.clone();
    if matches!(release.chart, ReleaseChart::Service) {
        // What the init starts is known only when the image is there.
        values["init"] = Value::Null;
    }
    let request = ReleaseRequest {
        service: service.clone(),
        namespace: NAMESPACE.to_owned(),
        chart: chart(charts, service, release)?,
        values,
        values_files: release.values_files.clone(),
        inputs: release.inputs.clone(),
    };
    let kubernetes = &environment.cluster.kubernetes;
    let rendered = helm.template(&request, kubernetes, cancel, RENDERED_WITHIN);
    let rendered = rendered.await;
    if !matches!(release.chart, ReleaseChart::Service) {
        policy::enforce(environment, service, &rendered)?;
    }
    let place = environment.provenance.place(&format!("services.{service}"));
    let rendered = rendered.map_err(|error| error.failure().of(service).at(place.cloned()))?;
    objects_in(&rendered).map_err(|unreadable| {
        let what = format!("what the chart of {service} comes to is not understood");
        Failure::new("validate.unreadable", ExitClass::Manifest, what)
            .of(service)
            .because(unreadable.to_string())
            .at(place.cloned())
            .help(format!(
                "helm template {service} CHART   # look at what it renders"
            ))
    })
}

fn release_of<'a>(
    desired: &'a Desired,
    service: &ServiceName,
) -> Result<&'a DesiredRelease, Failure> {
    desired.releases.get(service).ok_or_else(|| {
        Failure::new(
            "run.inconsistent",
            ExitClass::Internal,
            format!("no release of {service} is known"),
        )
    })
}

/// The chart around plain manifests, which may be Secrets: it is there for as long as Helm reads it.
struct Passing(Option<PathBuf>);

impl Passing {
    fn of(release: &DesiredRelease, chart: &ChartReference) -> Self {
        Self(match (&release.chart, chart) {
            (ReleaseChart::Manifests(_), ChartReference::Directory(path)) => Some(path.clone()),
            _ => None,
        })
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // What stays is for the user alone, like all of the state.
            let _ = files::remove_tree(directory);
        }
    }
}

fn chart(
    charts: &Path,
    service: &ServiceName,
    release: &DesiredRelease,
) -> Result<ChartReference, Failure> {
    Ok(match &release.chart {
        ReleaseChart::Service => {
            ChartReference::Embedded(helm::service_chart(charts).map_err(|e| e.failure())?)
        }
        ReleaseChart::Path(path) => ChartReference::Directory(path.clone()),
        ReleaseChart::Repository {
            repo,
            name,
            version,
        } => ChartReference::Repository {
            repo: repo.clone(),
            name: name.clone(),
            version: version.clone(),
        },
        ReleaseChart::Manifests(paths) => {
            let texts: Result<Vec<Vec<u8>>, _> =
                paths.iter().map(|path| files::read(path)).collect();
            let texts = texts.map_err(|e| e.failure())?;
            ChartReference::Directory(
                helm::wrap_manifests(charts, service, &texts).map_err(|e| e.failure())?,
            )
        }
    })
}
