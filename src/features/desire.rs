//! What an environment comes to: hashes its contexts, charts and files into `Desired`.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use crate::{
    adapters::{
        agent::{self, INIT_SOCKET},
        context, files, helm,
    },
    domain::{
        Build, BuildInput, ChartOrigin, Desired, DesiredImage, DesiredRelease, Environment,
        ExitClass, Failure, Failures, Hook, ImageName, InputsHash, ReleaseChart, Service,
        ServiceName, Source, TaskName, Workload,
    },
    features::secrecy::read_secrets,
    plan::{Init, service_values},
    report::Outbox,
};

/// What `services` of the environment come to. Reads every context once, on several threads.
///
/// The values of secrets are registered for redaction before anything else can print them.
pub async fn desire(
    environment: &Environment,
    services: &[ServiceName],
    outbox: &Outbox,
) -> Result<Desired, Failures> {
    let mut desired = Desired {
        images: images(environment, services).await?,
        ..Desired::default()
    };
    let mut failures = Vec::new();
    for name in services {
        match release(environment, &environment.services[name], &desired, outbox) {
            Ok(release) => {
                desired.releases.insert(name.clone(), release);
            }
            Err(failure) => failures.push(failure.of(name)),
        }
    }
    if let Some(failures) = Failures::from_list(failures) {
        return Err(failures);
    }
    desired.hooks = environment
        .hooks
        .after_up
        .iter()
        .map(|hook| hook_hash(hook, &desired))
        .collect();
    Ok(desired)
}

/// What the image of a task comes to; `None` if it is not built here.
pub async fn task_image(
    environment: &Environment,
    task: &TaskName,
) -> Result<Option<(BuildInput, DesiredImage)>, Failures> {
    let Some(ImageName::Build(build)) = environment.tasks.get(task).map(|task| &task.image) else {
        return Ok(None);
    };
    let input = BuildInput::Task(task.clone());
    let images = hash_all(environment, vec![(input, build.clone())]).await?;
    Ok(images.into_iter().next())
}

async fn images(
    environment: &Environment,
    services: &[ServiceName],
) -> Result<BTreeMap<BuildInput, DesiredImage>, Failures> {
    let builds =
        services
            .iter()
            .filter_map(|name| match &environment.services[name].workload()?.image {
                ImageName::Build(build) => Some((BuildInput::Service(name.clone()), build.clone())),
                ImageName::Reference(_) => None,
            });
    hash_all(environment, builds.collect()).await
}

async fn hash_all(
    environment: &Environment,
    builds: Vec<(BuildInput, Build)>,
) -> Result<BTreeMap<BuildInput, DesiredImage>, Failures> {
    let hashing = builds.into_iter().map(|(input, build)| async move {
        let scanned = build.clone();
        let hash = tokio::task::spawn_blocking(move || {
            context::scan(&scanned)
                .map_err(|e| e.failure())?
                .hash()
                .map_err(|e| e.failure())
        });
        let hash = hash.await.unwrap_or_else(|error| {
            Err(Failure::new(
                "run.inconsistent",
                ExitClass::Internal,
                "a part of devenv ended early",
            )
            .caused_by(&error))
        });
        (input, build, hash)
    });
    let (mut images, mut failures) = (BTreeMap::new(), Vec::new());
    for (input, build, hash) in futures::future::join_all(hashing).await {
        match hash {
            Ok(hash) => {
                let repository = environment.project.to_string();
                let name = input.to_string();
                images.insert(
                    input,
                    DesiredImage {
                        repository,
                        name,
                        hash,
                        build,
                    },
                );
            }
            Err(failure) => {
                let place = match &input {
                    BuildInput::Service(name) => format!("services.{name}.build"),
                    BuildInput::Task(name) => format!("tasks.{name}.build"),
                };
                let place = environment.provenance.place(&place).cloned();
                failures.push(if failure.place.is_some() {
                    failure
                } else {
                    failure.at(place)
                });
            }
        }
    }
    Failures::from_list(failures).map_or(Ok(images), Err)
}

fn release(
    environment: &Environment,
    service: &Service,
    desired: &Desired,
    outbox: &Outbox,
) -> Result<DesiredRelease, Failure> {
    match &service.source {
        Source::Workload(workload) => {
            workload_release(environment, service, workload, desired, outbox)
        }
        Source::Chart(chart) => {
            let (reference, chart_hash) = match &chart.origin {
                ChartOrigin::Path(path) => {
                    let hash = files::hash_tree(path).map_err(|e| e.failure())?;
                    (ReleaseChart::Path(path.clone()), hash.as_str().to_owned())
                }
                ChartOrigin::Repository {
                    repo,
                    name,
                    version,
                } => {
                    let reference = ReleaseChart::Repository {
                        repo: repo.clone(),
                        name: name.clone(),
                        version: version.clone(),
                    };
                    (reference, format!("{repo} {name} {version}"))
                }
            };
            finish(
                reference,
                &chart_hash,
                chart.values.clone(),
                chart.values_files.clone(),
            )
        }
        Source::Manifests(paths) => {
            let hash = hash_files(paths)?;
            finish(
                ReleaseChart::Manifests(paths.clone()),
                &hash,
                Value::Null,
                Vec::new(),
            )
        }
    }
}

fn workload_release(
    environment: &Environment,
    service: &Service,
    workload: &Workload,
    desired: &Desired,
    outbox: &Outbox,
) -> Result<DesiredRelease, Failure> {
    let built = desired
        .images
        .get(&BuildInput::Service(service.name.clone()));
    let image = match (&workload.image, built) {
        (ImageName::Reference(reference), _) => reference.clone(),
        (ImageName::Build(_), Some(image)) => {
            let port = environment.cluster.registry_port;
            image.cluster_reference(&environment.id.cluster(), port)
        }
        (ImageName::Build(_), None) => {
            let what = format!("no image of {} is known", service.name);
            return Err(Failure::new("run.inconsistent", ExitClass::Internal, what));
        }
    };
    let secrets = read_secrets(&workload.secrets, outbox.redactor())?;
    let program = agent::program();
    let init = Init {
        program: &program,
        socket: INIT_SOCKET,
    };
    let values = service_values(environment, service, workload, &image, &secrets, init);
    let chart_hash = helm::service_chart_hash();
    finish(
        ReleaseChart::Service,
        chart_hash.as_str(),
        values,
        Vec::new(),
    )
}

fn finish(
    chart: ReleaseChart,
    chart_hash: &str,
    values: Value,
    values_files: Vec<PathBuf>,
) -> Result<DesiredRelease, Failure> {
    let all = format!("{chart_hash}\n{values}\n{}", hash_files(&values_files)?);
    let inputs = InputsHash::of(all.as_bytes());
    Ok(DesiredRelease {
        chart,
        values,
        values_files,
        inputs,
    })
}

fn hash_files(paths: &[PathBuf]) -> Result<String, Failure> {
    let mut hashes = String::new();
    for path in paths {
        let bytes = files::read(path).map_err(|error| error.failure())?;
        hashes.push_str(InputsHash::of(&bytes).as_str());
    }
    Ok(hashes)
}

/// A hook runs for the release of its service, or for all of them if it runs on the host.
fn hook_hash(hook: &Hook, desired: &Desired) -> InputsHash {
    let releases = desired
        .releases
        .iter()
        .filter(|(name, _)| hook.service.as_ref().is_none_or(|service| service == *name));
    let inputs: Vec<&str> = releases
        .map(|(_, release)| release.inputs.as_str())
        .collect();
    InputsHash::of(format!("{:?} {:?} {inputs:?}", hook.service, hook.command).as_bytes())
}
