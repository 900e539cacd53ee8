//! The directories of services' volumes, in the nodes.

use std::time::Duration;

use crate::{
    adapters::files,
    domain::{ExitClass, Failure, ServiceName},
    engine::{World, steps::volume_store},
    plan::VOLUMES_IN_NODE,
};

const MADE_WITHIN: Duration = Duration::from_secs(20);

/// Makes the directories of a service's volumes in the node, open to whichever user the image runs as.
///
/// They belong to root inside, so the node makes them; the local-path provisioner does it the same way.
pub(super) async fn make<'n>(
    world: &World,
    service: &ServiceName,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), Failure> {
    let paths = names.map(|name| format!("{VOLUMES_IN_NODE}/{service}/{name}"));
    let paths: Vec<String> = paths.collect();
    if paths.is_empty() {
        return Ok(());
    }
    let mut command = vec!["mkdir", "-p", "-m", "0777"];
    command.extend(paths.iter().map(String::as_str));
    let server = world.environment.id.cluster().server_container();
    let made = world
        .tools
        .docker
        .exec(&server, &command, None, MADE_WITHIN)
        .await;
    let made = made.map_err(|e| e.failure())?;
    if made.code == 0 {
        return note_volumes(world, service);
    }
    let said = String::from_utf8_lossy(&made.stderr)
        .lines()
        .map(str::to_owned)
        .collect();
    Err(Failure::new(
        "volume.not-made",
        ExitClass::Cluster,
        format!("the volumes of {service} cannot be made in the node"),
    )
    .of(service)
    .with_evidence("mkdir", said)
    .help(format!("df -h {}", world.places.volumes.display())))
}

/// Says on the host that a service has data, where that is in an image which only the nodes see.
fn note_volumes(world: &World, service: &ServiceName) -> Result<(), Failure> {
    if !volume_store::is_image(world)? {
        return Ok(());
    }
    let sign = world.places.volumes.join(service.as_str());
    files::create_private_dir(&sign).map_err(|e| e.failure())
}
