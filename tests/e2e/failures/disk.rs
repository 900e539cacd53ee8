//! A full disk: small file systems in memory, filled for real.

use std::time::Duration;

use super::scene::Scene;
use crate::program::{Disk, Project};

#[test]
fn a_full_disk_is_explained_and_with_room_up_goes_through() {
    let (state, data) = (Disk::mount("8m"), Disk::mount("16m"));
    let mut project = Project::new(
        "disk",
        "services:\n  app:\n    build: app\n    command: [perl, /serve.pl, room]\n    ports: [8080]\n    \
         expose: { host: app.localhost }\n",
    );
    let text = |disk: &Disk| disk.path().to_str().unwrap().to_owned();
    project.set("XDG_STATE_HOME", text(&state));
    project.set("XDG_DATA_HOME", text(&data));
    let scene = Scene::of(project);

    state.fill();
    let full = scene.devenv(&["up"]).assert_code(4);
    let full = full.assert_within(Duration::from_secs(3));
    full.assert_says(&[
        "error[files.disk-full]: cannot ",
        &text(&state),
        "0 MiB of 8 MiB are free",
        "df -h",
        "then run the same command again",
    ]);
    assert_eq!(scene.left_in_docker(), "");
    state.make_room();

    // The image is larger than the disk on which the registry keeps it.
    let full = scene.devenv(&["up"]).assert_code(4);
    let full = full.assert_within(Duration::from_secs(40));
    full.assert_says(&[
        "error[registry.disk-full]: the image of app cannot be pushed",
        "build: app",
        "the registry keeps images in",
        &text(&data),
        "0 MiB of 16 MiB are free",
        "df -h",
        "XDG_DATA_HOME",
    ]);
    data.resize("512m");
    scene.devenv(&["up"]).assert_code(0);
    scene.assert_serves("app", "room");
    scene.end();
    assert_eq!((state.environments(), data.environments()), (0, 0));
}
