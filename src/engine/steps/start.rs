//! What starts the process of a service with `live`, `debug` or volumes: devenv's init, with the command that the image
//! would have started.

use serde_json::{Value, json};

use crate::{
    adapters::registry::{self, ImageCommand},
    domain::{BuildInput, DesiredRelease, ExitClass, Failure, ImageName, ServiceName, Workload},
    engine::{Progress, World, steps::image_command::image_command},
};

/// The values of a release, with what can be known only now that its image is there.
pub(super) async fn values(
    world: &World,
    service: &ServiceName,
    release: &DesiredRelease,
    progress: &Progress,
) -> Result<Value, Failure> {
    let mut values = release.values.clone();
    let found = world.environment.services.get(service);
    let Some(workload) = found.and_then(|service| service.workload()) else {
        return Ok(values);
    };
    if !workload.wants_init() {
        return Ok(values);
    }
    if workload.command.is_empty() {
        let command = command(world, service, workload, progress).await;
        if workload.needs_init() {
            let unknown = || unknown(world, service, workload);
            (values["command"], values["args"]) = command?.ok_or_else(unknown)?;
        } else if let Ok(Some(command)) = command {
            (values["command"], values["args"]) = command;
        } else {
            // It starts as its image says, and does without what the init could do for it.
            values["init"] = Value::Null;
            return Ok(values);
        }
    }
    world.with_agents().await?;
    Ok(values)
}

/// Command and arguments as the container runtime would put them together; `None` where the image does not say them.
async fn command(
    world: &World,
    service: &ServiceName,
    workload: &Workload,
    progress: &Progress,
) -> Result<Option<(Value, Value)>, Failure> {
    let read = match &workload.image {
        ImageName::Reference(reference) => image_command(world, reference, progress).await,
        ImageName::Build(_) => {
            let input = BuildInput::Service(service.clone());
            let Some(image) = world.desired.images.get(&input) else {
                return Ok(None);
            };
            let port = world.environment.cluster.registry_port;
            let read = registry::image_command(port, &image.repository, &image.tag()).await;
            Some(read.map_err(|error| error.failure().of(service))?)
        }
    };
    let Some(ImageCommand { entrypoint, cmd }) = read else {
        return Ok(None);
    };
    let args = if workload.args.is_empty() {
        cmd
    } else {
        workload.args.clone()
    };
    if entrypoint.is_empty() && args.is_empty() {
        return Ok(None);
    }
    Ok(Some((json!(entrypoint), json!(args))))
}

fn unknown(world: &World, service: &ServiceName, workload: &Workload) -> Failure {
    let key = if workload.live.is_some() {
        "live"
    } else {
        "debug"
    };
    let place = format!("services.{service}.{key}");
    Failure::new(
            "live.command-unknown",
            ExitClass::Manifest,
            format!("it is not known what the image of {service} starts"),
        )
        .because(
            "a service with `live` or `debug` is started by devenv, so that it can be started anew in its container",
        )
        .of(service)
        .at(world.environment.provenance.place(&place).cloned())
        .help(format!(
            "write it in devenv.yaml: `services.{service}.command: [program, argument]`"
        ))
}
