//! What the nodes keep volumes in: an image of a file system that shares blocks between files, where the host's does
//! not and the kernel lets it be mounted; else a directory of the host. See docs/decisions/0013.

use std::time::Duration;

use futures::future::try_join_all;

use crate::{
    adapters::{agent, docker::Docker, files, k3d::NodeVolume, volume_image},
    domain::{ExitClass, Failure, VolumeStore},
    engine::{Progress, World},
    plan::{STORE_IN_NODE, VOLUMES_IN_NODE},
};

/// What k3d's own first program in a node calls before it starts Kubernetes, whenever the node is started.
const AT_START: &str = "bin/k3d-entrypoint-devenv-volumes.sh";
const WITHIN: Duration = Duration::from_secs(30);
const EMPTIED_WITHIN: Duration = Duration::from_mins(5);

/// What the volumes are kept in. Decided once: data does not move from one to the other.
pub(super) fn decide(world: &World) -> Result<VolumeStore, Failure> {
    if let Some(store) = world.memory.volume_store()? {
        if store == VolumeStore::Image && !files::exists(&world.places.volume_image) {
            return Err(lost(world));
        }
        return Ok(store);
    }
    let store = by_machine(world)?;
    world.memory.keeps_volumes_in(&store)?;
    Ok(store)
}

fn by_machine(world: &World) -> Result<VolumeStore, Failure> {
    let (volumes, image) = (&world.places.volumes, &world.places.volume_image);
    let failed = |error: files::FileError| error.failure();
    if files::exists(image) {
        if !volume_image::is_new(image).map_err(failed)? {
            // Only what says so was lost: the data is in it.
            return Ok(VolumeStore::Image);
        }
        // Made by a devenv that was killed before it could say so.
        files::remove_file(image).map_err(failed)?;
    }
    if volume_image::shares_blocks(volumes).map_err(failed)? {
        return Ok(VolumeStore::CloningDirectory);
    }
    let copying = |why: &str| {
        Ok(VolumeStore::CopyingDirectory {
            why: why.to_owned(),
        })
    };
    if !world.memory.may_use_image() {
        return copying("the settings of this machine want a directory");
    }
    if !cfg!(target_os = "linux") {
        return copying("the host is not Linux");
    }
    if !files::list(volumes).map_err(failed)?.is_empty() {
        return copying("there was data before devenv knew of images");
    }
    match volume_image::create(image) {
        Ok(()) => Ok(VolumeStore::Image),
        Err(error) => copying(&format!("{error}: {}", error.source)),
    }
}

/// Whether the volumes are in an image, which only the nodes see into.
pub(super) fn is_image(world: &World) -> Result<bool, Failure> {
    Ok(world.memory.volume_store()? == Some(VolumeStore::Image))
}

/// The directories of the host that nodes have for it.
pub(super) fn of_nodes(world: &World, store: &VolumeStore) -> Vec<NodeVolume> {
    let is_image = *store == VolumeStore::Image;
    let mut mounted = vec![NodeVolume {
        host: world.places.volumes.clone(),
        node: VOLUMES_IN_NODE.into(),
        // Nothing can be written beside an image that is not mounted yet: a pod that is started too early waits.
        read_only: is_image,
    }];
    if let (true, Some(directory)) = (is_image, world.places.volume_image.parent()) {
        mounted.push(NodeVolume {
            host: directory.to_owned(),
            node: STORE_IN_NODE.into(),
            read_only: false,
        });
    }
    mounted
}

/// Has the store ready in the nodes of a new cluster, and from now on whenever they are started.
///
/// Where the image cannot be mounted, though nothing was ever on it, the volumes are kept in the directory instead.
pub(super) async fn open(
    world: &World,
    store: &VolumeStore,
    progress: &Progress,
) -> Result<(), Failure> {
    if *store != VolumeStore::Image {
        return Ok(());
    }
    progress.note("mounting the image of the volumes");
    let Err(why) = in_all_nodes(world, Doing::Mount).await? else {
        return empty(world).await;
    };
    let image = &world.places.volume_image;
    let is_new = volume_image::is_new(image).map_err(|error| error.failure())?;
    if !is_new {
        return Err(not_mounted(world, why));
    }
    let why = why.last().cloned().unwrap_or_default();
    progress.note(format!("volumes are kept in a directory: {why}"));
    if let Err(said) = in_all_nodes(world, Doing::Directory).await? {
        return Err(not_mounted(world, said));
    }
    world
        .memory
        .keeps_volumes_in(&VolumeStore::CopyingDirectory { why })?;
    files::remove_file(image).map_err(|error| error.failure())
}

/// Has the volumes in an image removed with the next nodes: none sees into it without any.
pub(super) fn empty_later(world: &World) -> Result<(), Failure> {
    if !is_image(world)? {
        return Ok(());
    }
    let written = files::write_private(&emptied(world), b"");
    written.map_err(|error| error.failure())
}

/// Removes all volumes of an image, and leaves the snapshots, if that was put off.
async fn empty(world: &World) -> Result<(), Failure> {
    let is_due = emptied(world);
    if !files::exists(&is_due) {
        return Ok(());
    }
    // What begins with a dot is no volume's.
    let script = format!("cd {VOLUMES_IN_NODE} && rm -rf -- * .exchange .prepared");
    let node = world.environment.id.cluster().server_container();
    let docker = &world.tools.docker;
    let words = ["sh", "-c", &script];
    let removed = docker.exec(&node, &words, None, EMPTIED_WITHIN).await;
    let removed = removed.map_err(|error| error.failure())?;
    if removed.code != 0 {
        return Err(not_emptied(
            world,
            &String::from_utf8_lossy(&removed.stderr),
        ));
    }
    files::remove_file(&is_due).map_err(|error| error.failure())
}

/// While this file is there, the volumes of the image are still to be removed.
fn emptied(world: &World) -> std::path::PathBuf {
    world.places.volume_image.with_file_name("emptied")
}

/// Makes sure of it in nodes that were started again.
pub(super) async fn open_again(world: &World, progress: &Progress) -> Result<(), Failure> {
    if !is_image(world)? {
        return Ok(());
    }
    progress.note("mounting the image of the volumes");
    match in_all_nodes(world, Doing::Mount).await? {
        Ok(()) => Ok(()),
        Err(said) => Err(not_mounted(world, said)),
    }
}

/// What is done in a node.
#[derive(Debug, Clone, Copy)]
enum Doing {
    /// The image is mounted.
    Mount,
    /// The directory in its place is made writable.
    Directory,
}

impl Doing {
    fn words(self, program: &str, image: &str) -> Vec<String> {
        let words = match self {
            Self::Mount => vec![program, "mount", image, VOLUMES_IN_NODE],
            Self::Directory => vec![program, "writable", VOLUMES_IN_NODE],
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

/// Does it now and at every start. What was said where it did not succeed is the inner error.
async fn in_all_nodes(world: &World, doing: Doing) -> Result<Result<(), Vec<String>>, Failure> {
    world.with_agents().await?;
    let docker = &world.tools.docker;
    let cluster = world.environment.id.cluster();
    let nodes = docker.nodes_of(&cluster).await;
    let nodes = nodes.map_err(|error| error.failure())?;
    let name = world.places.volume_image.file_name().unwrap_or_default();
    let image = format!("{STORE_IN_NODE}/{}", name.to_string_lossy());
    let words = doing.words(&agent::program(), &image);
    let all = nodes.iter().map(|node| in_node(docker, &node.name, &words));
    Ok(try_join_all(all).await?.into_iter().collect())
}

async fn in_node(
    docker: &Docker,
    node: &str,
    words: &[String],
) -> Result<Result<(), Vec<String>>, Failure> {
    let script = format!(
        "#!/bin/sh\n# The volumes of the environment, before the first pod.\nexec {}\n",
        words.join(" ")
    );
    let put = docker.put_program(node, AT_START, script.as_bytes(), WITHIN);
    put.await.map_err(|error| error.failure())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = docker.exec(node, &words, None, WITHIN).await;
    let done = done.map_err(|error| error.failure())?;
    let said = String::from_utf8_lossy(&done.stderr);
    Ok(match done.code {
        0 => Ok(()),
        _ => Err(said.lines().map(str::to_owned).collect()),
    })
}

fn not_mounted(world: &World, said: Vec<String>) -> Failure {
    let image = world.places.volume_image.display();
    Failure::new(
        "volume.image-not-mounted",
        ExitClass::Cluster,
        "the image that the volumes are kept in cannot be mounted in the nodes",
    )
    .with_evidence("devenv-agent mount", said)
    .help(format!("file {image}   # it has to say XFS"))
    .help("devenv down && devenv up   # with new nodes; the data stays")
}

fn not_emptied(world: &World, said: &str) -> Failure {
    let image = world.places.volume_image.display();
    Failure::new(
        "data.not-removed",
        ExitClass::Data,
        format!("the volumes in {image} could not be removed, as `down --volumes` was to"),
    )
    .with_evidence("rm", said.lines().map(str::to_owned).collect())
    .help("run the same command again: it begins with this")
    .help("or give up the snapshots too: devenv down --volumes")
}

fn lost(world: &World) -> Failure {
    let image = world.places.volume_image.display();
    Failure::new(
        "data.image-lost",
        ExitClass::Data,
        format!("the image that the volumes are kept in is gone: {image}"),
    )
    .because("somebody removed it from the environment's data directory, and all data with it")
    .help(
        "put it back where it was; or begin with empty volumes: devenv down --volumes && devenv up",
    )
}
