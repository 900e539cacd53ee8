//! Removes directories in which containers wrote.

use std::{path::Path, time::Duration};

use crate::{
    adapters::{docker::Docker, files},
    domain::{ExitClass, Failure, FileKind},
};

const REMOVE_WITHIN: Duration = Duration::from_mins(5);

/// Removes a directory of an environment, or a file; none there is fine. `note` hears what is worth saying meanwhile.
///
/// What containers wrote may belong to root: where the user may not remove it, a container of the first of `images`
/// that is local does.
pub async fn remove_directory(
    docker: &Docker,
    images: &[String],
    directory: &Path,
    note: impl Fn(&str),
) -> Result<(), Failure> {
    let path = directory.to_owned();
    let removal = tokio::task::spawn_blocking(move || match files::kind_of(&path) {
        Ok(FileKind::File | FileKind::Link) => files::remove_file(&path),
        _ => files::remove_tree(&path),
    });
    let Ok(removed) = removal.await else {
        return Err(still_there(directory));
    };
    let Err(error) = removed else {
        return Ok(());
    };
    note("some of it belongs to root: a container removes it");
    let Some(image) = helper_image(docker, images).await? else {
        return Err(still_there(directory).caused_by(&error));
    };
    let children = files::list(directory).map_err(|error| error.failure())?;
    let names = children
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let names: Vec<String> = names.collect();
    let code = docker
        .remove_tree(directory, &names, &image, REMOVE_WITHIN)
        .await
        .map_err(|error| error.failure())?;
    if code != 0 {
        return Err(still_there(directory));
    }
    files::remove_tree(directory).map_err(|error| error.failure())
}

/// An image that is local already and has a `rm`.
async fn helper_image(docker: &Docker, images: &[String]) -> Result<Option<String>, Failure> {
    for image in images {
        let held = docker.image_id(image).await;
        if held.map_err(|error| error.failure())?.is_some() {
            return Ok(Some(image.clone()));
        }
    }
    Ok(None)
}

fn still_there(directory: &Path) -> Failure {
    let directory = directory.display();
    Failure::new(
        "data.not-removed",
        ExitClass::Data,
        format!("what is in {directory} could not be removed"),
    )
    .because("files in it belong to root, as containers wrote them")
    .help(format!("sudo rm -rf {directory}"))
}
