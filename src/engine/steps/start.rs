//! What starts the process of a service with `live` or `debug`: devenv's init, with the command that the image would
//! have started.

use serde_json::{Value, json};

use crate::{
    adapters::registry::{self, ImageCommand},
    domain::{BuildInput, DesiredRelease, ExitClass, Failure, ServiceName, Workload},
    engine::World,
};

/// The values of a release, with what can be known only now that its image is there.
pub(super) async fn values(
    world: &World,
    service: &ServiceName,
    release: &DesiredRelease,
) -> Result<Value, Failure> {
    let mut values = release.values.clone();
    let found = world.environment.services.get(service);
    let Some(workload) = found.and_then(|service| service.workload()) else {
        return Ok(values);
    };
    if !workload.needs_init() {
        return Ok(values);
    }
    world.with_agents().await?;
    if workload.command.is_empty() {
        let (command, args) = command(world, service, workload).await?;
        values["command"] = json!(command);
        values["args"] = json!(args);
    }
    Ok(values)
}

/// Command and arguments as the container runtime would put them together.
async fn command(
    world: &World,
    service: &ServiceName,
    workload: &Workload,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let image = world
        .desired
        .images
        .get(&BuildInput::Service(service.clone()));
    let unknown = || {
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
    };
    let image = image.ok_or_else(unknown)?;
    let port = world.environment.cluster.registry_port;
    let read = registry::image_command(port, &image.repository, &image.tag()).await;
    let ImageCommand { entrypoint, cmd } = read.map_err(|error| error.failure().of(service))?;
    let args = if workload.args.is_empty() {
        cmd
    } else {
        workload.args.clone()
    };
    if entrypoint.is_empty() && args.is_empty() {
        return Err(unknown());
    }
    Ok((entrypoint, args))
}
