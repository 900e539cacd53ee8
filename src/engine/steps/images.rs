//! Images: build and push.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        context,
        docker::{BuildRequest, ENVIRONMENT, PushProgress},
        host::{self, Space},
        registry,
    },
    domain::{BuildInput, DesiredImage, ExitClass, Failure, NoticeLevel},
    engine::{Finished, Progress, World},
};

/// Builds one image.
pub(in crate::engine) async fn build(
    world: &World,
    input: &BuildInput,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let image = image_of(world, input)?;
    let build = image.build.clone();
    let scanned = tokio::task::spawn_blocking(move || {
        let context = context::scan(&build).map_err(|error| error.failure())?;
        let hash = context.hash().map_err(|error| error.failure())?;
        Ok::<_, Failure>((context, hash))
    });
    let (context, hash) = scanned.await.map_err(|error| internal(&error))??;
    if hash != image.hash {
        return Err(changed(input));
    }
    for warning in context.warnings() {
        let text = format!("{input}: {warning}");
        progress.outbox().notice(NoticeLevel::Warning, text).await;
    }
    let labels = BTreeMap::from([
        (ENVIRONMENT.to_owned(), world.environment.id.to_string()),
        ("devenv.image".to_owned(), input.to_string()),
    ]);
    let request = BuildRequest {
        title: input.to_string(),
        context: Arc::new(context),
        secrets: image.build.secrets.clone(),
        labels,
        reference: image.host_reference(world.environment.cluster.registry_port),
    };
    let docker = &world.tools.docker;
    let built = docker
        .build(&request, &|said| progress.note(said.to_string()), cancel)
        .await;
    built.map_err(|error| at_manifest(error.failure(), world, input))?;
    Ok(Finished::Done)
}

/// Pushes one image, unless the registry holds it already.
pub(in crate::engine) async fn push(
    world: &World,
    input: &BuildInput,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let image = image_of(world, input)?;
    let finished = push_missing(world, input, progress, cancel).await?;
    if let BuildInput::Service(service) = input {
        let (docker, environment) = (&world.tools.docker, &world.environment);
        world.prefetch.begin(docker, environment, service, image);
    }
    Ok(finished)
}

async fn push_missing(
    world: &World,
    input: &BuildInput,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let image = image_of(world, input)?;
    let port = world.environment.cluster.registry_port;
    let there = registry::has_manifest(port, &image.repository, &image.tag()).await;
    if there.map_err(|error| error.failure())? {
        return Ok(Finished::Skipped(
            "the registry holds it already".to_owned(),
        ));
    }
    let reference = image.host_reference(port);
    let storage = &world.places.registry;
    // The engine only knows that the registry failed, and tries again for most of a minute.
    let is_hopeless = cancel.child_token();
    let note = |said: PushProgress| {
        progress.note(format!("{} of {} layers", said.layers_done, said.layers));
        if said.layers_retried > 0 && full(storage).is_some() {
            is_hopeless.cancel();
        }
    };
    let docker = &world.tools.docker;
    let pushed = docker.push(&reference, &note, &is_hopeless).await;
    pushed.map_err(|error| {
        let failure = match full(storage) {
            Some(space) if !cancel.is_cancelled() => no_room(input, storage, space),
            _ => error.failure(),
        };
        at_manifest(failure, world, input)
    })?;
    Ok(Finished::Done)
}

/// The space where the registry keeps its images, if there is none left.
fn full(storage: &Path) -> Option<Space> {
    let space = host::space(storage).ok()?;
    space.is_full().then_some(space)
}

fn no_room(input: &BuildInput, storage: &Path, space: Space) -> Failure {
    let storage = storage.display();
    Failure::new(
        "registry.disk-full",
        ExitClass::Prerequisite,
        format!("the image of {input} cannot be pushed: the disk of the registry is full"),
    )
    .because(format!("the registry keeps images in {storage}"))
    .because(format!("{space} on its file system"))
    .help(format!("make room there: df -h {storage}"))
    .help("or point XDG_DATA_HOME at a file system with more room")
    .help("then: devenv up")
}

fn image_of<'a>(world: &'a World, input: &BuildInput) -> Result<&'a DesiredImage, Failure> {
    world.desired.images.get(input).ok_or_else(|| {
        Failure::new(
            "run.inconsistent",
            ExitClass::Internal,
            format!("no image of {input} is known"),
        )
    })
}

/// What is built must be what its tag says.
fn changed(input: &BuildInput) -> Failure {
    Failure::new(
        "image.context-changed",
        ExitClass::Cluster,
        format!("files of {input} changed while devenv was at work"),
    )
    .help("leave files that are written all the time out of the context: .dockerignore")
    .help("when the files rest: devenv up")
}

fn internal(error: &tokio::task::JoinError) -> Failure {
    Failure::new(
        "run.inconsistent",
        ExitClass::Internal,
        "a part of devenv ended early",
    )
    .caused_by(error)
}

/// A failed build goes back to the `build` of its service, unless it names a better place itself.
fn at_manifest(failure: Failure, world: &World, input: &BuildInput) -> Failure {
    let (key, service) = match input {
        BuildInput::Service(name) => (format!("services.{name}.build"), Some(name)),
        BuildInput::Task(name) => (format!("tasks.{name}.build"), None),
    };
    let mut failure = match service {
        Some(service) => failure.of(service),
        None => failure,
    };
    if let Some(place) = &mut failure.place {
        if let Ok(inside) = place.file.strip_prefix(&world.environment.directory) {
            place.file = inside.to_path_buf();
        }
        return failure;
    }
    failure.at(world.environment.provenance.place(&key).cloned())
}
