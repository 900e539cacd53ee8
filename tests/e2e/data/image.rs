//! What volumes are kept in where the disk's file system cannot clone files: an image, mounted in the nodes.

use std::os::unix::fs::FileExt as _;

use devenv::adapters::files;

use super::{LEFT, RIGHT, Stage};
use crate::program::Project;

#[test]
fn volumes_are_in_one_image_that_all_nodes_have_and_it_outlives_them() {
    let project = Stage::project("image");
    let manifest = project.read("devenv.yaml");
    let two_nodes = manifest.replacen("cluster: { ", "cluster: { agents: 1, ", 1);
    project.write("devenv.yaml", &two_nodes);
    project.devenv(&["up"]).assert_code(0);
    let stage = Stage { project };
    let status = stage.project.devenv(&["status", "-o", "json"]);
    assert_eq!(
        status.assert_code(0).json()["volumes"]["store"],
        "image",
        "the disk of this machine clones files itself: the test is of one that does not"
    );
    stage.write("kept");
    one_disk_is_mounted_by_all_nodes(&stage);
    a_snapshot_takes_no_room(&stage);
    nodes_that_are_started_again_have_it_before_their_pods(&stage);
    new_nodes_have_the_data(&stage);
    an_image_that_cannot_be_mounted_is_told_and_left_alone(&stage);
    snapshots_outlive_the_data_where_they_are_to(&stage);
    stage.project.end();
}

fn one_disk_is_mounted_by_all_nodes(stage: &Stage) {
    let mounted = |node: &str| {
        let node = format!("k3d-{}-{node}", stage.project.cluster_name());
        let script =
            "stat -c %d /var/lib/devenv/volumes/; grep ' /var/lib/devenv/volumes xfs' /proc/mounts";
        let words = ["exec", &node, "sh", "-c", script];
        stage.project.run("docker", &words).assert_code(0).stdout
    };
    let (server, agent) = (mounted("server-0"), mounted("agent-0"));
    assert_eq!(server, agent);
    assert!(server.contains("/dev/loop"), "{server}");
}

fn a_snapshot_takes_no_room(stage: &Stage) {
    stage.inside(LEFT, "head -c 100000000 /dev/urandom > /data/big; sync");
    let used = || -> u64 {
        let used = "df -m /var/lib/devenv/volumes | tail -1 | awk '{ print $3 }'";
        stage.in_node(used).trim().parse().unwrap()
    };
    let before = used();
    let saved = stage
        .snapshot(&["save", "big", "-o", "json"])
        .assert_code(0);
    for volume in saved.json()["snapshot"]["volumes"].as_array().unwrap() {
        assert_eq!(volume["means"], "cloned", "{volume}");
    }
    assert!(used() < before + 20, "{before} {}", used());
    stage.snapshot(&["remove", "big"]).assert_code(0);
}

fn nodes_that_are_started_again_have_it_before_their_pods(stage: &Stage) {
    for command in ["stop", "start"] {
        stage.project.devenv(&[command]).assert_code(0);
    }
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
    one_disk_is_mounted_by_all_nodes(stage);
    // As after the machine was started: docker starts the nodes, and devenv is not there.
    let nodes =
        ["server-0", "agent-0"].map(|n| format!("k3d-{}-{n}", stage.project.cluster_name()));
    let words = ["restart", "--time", "1", &nodes[0], &nodes[1]];
    stage.project.run("docker", &words).assert_code(0);
    stage.project.devenv(&["up"]).assert_code(0);
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
}

fn new_nodes_have_the_data(stage: &Stage) {
    let down = stage.project.devenv(&["down"]).assert_code(0);
    down.assert_says(&["kept data of left, right"]);
    stage.project.devenv(&["up"]).assert_code(0);
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
}

fn an_image_that_cannot_be_mounted_is_told_and_left_alone(stage: &Stage) {
    stage.project.devenv(&["down"]).assert_code(0);
    let image = stage.project.data().join("store/volumes.xfs");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&image)
        .unwrap();
    let mut head = [0; 4];
    file.read_exact_at(&mut head, 0).unwrap();
    file.write_all_at(b"none", 0).unwrap();
    stage
        .project
        .devenv(&["up"])
        .assert_code(5)
        .assert_says(&["volume.image-not-mounted", "devenv-agent"]);
    file.write_all_at(&head, 0).unwrap();
    stage.project.devenv(&["up"]).assert_code(0);
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
}

fn snapshots_outlive_the_data_where_they_are_to(stage: &Stage) {
    stage.snapshot(&["save", "before"]).assert_code(0);
    let down = ["down", "--volumes", "--keep-snapshots", "--yes"];
    stage.project.devenv(&down).assert_code(0);
    let emptied = stage.project.data().join("store/emptied");
    assert!(emptied.exists(), "nobody sees into the image yet");
    stage.project.devenv(&["up"]).assert_code(0);
    assert!(!emptied.exists());
    for service in [LEFT, RIGHT] {
        assert_eq!(stage.inside(service, "ls /data"), "now\n");
    }
    stage.snapshot(&["verify", "before"]).assert_code(0);
    stage
        .snapshot(&["restore", "before", "--yes"])
        .assert_code(0);
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
}

#[test]
fn a_new_image_that_cannot_be_mounted_makes_way_for_a_directory() {
    let project = Stage::project("no-image");
    no_file_system(&project);
    project.devenv(&["up"]).assert_code(0);
    let stage = Stage { project };
    let status = stage.project.devenv(&["status"]).assert_code(0);
    status.assert_says(&["data is copied: ", "Invalid argument"]);
    stage.write("kept");
    for command in ["stop", "start"] {
        stage.project.devenv(&[command]).assert_code(0);
    }
    assert_eq!(stage.data(), ["kept\n", "kept\n"]);
    let on_host = stage.project.data().join("volumes/left/data/kept");
    assert_eq!(files::read_text(&on_host).unwrap(), "kept\n");
    assert!(!stage.project.data().join("store/volumes.xfs").exists());
    somebody_at_work_in_a_volume_holds_up_no_removal(stage);
}

fn somebody_at_work_in_a_volume_holds_up_no_removal(stage: Stage) {
    let volume = stage.project.data().join("volumes/left/data");
    let at_work = "cd \"$0\" && exec 3< kept && echo at work && cat";
    let words = ["-c", at_work, volume.to_str().unwrap()];
    let mut somebody = stage.project.talking_to("sh", &words);
    somebody.until_it_says("at work");
    let down = stage.project.devenv(&["down", "--volumes", "--yes"]);
    down.assert_code(0);
    somebody.tell("still here");
    somebody.until_it_says("still here");
    assert!(!volume.exists());
    somebody.kill();
    stage.project.end();
}

/// As where the kernel does not know the file system: what is on the image is none.
fn no_file_system(project: &Project) {
    let status = project
        .devenv(&["status", "-o", "json"])
        .assert_code(5)
        .json();
    let data = project.home().join(".local/share/devenv");
    let data = data.join(status["environment"].as_str().unwrap());
    files::create_private_dir(&data.join("store")).unwrap();
    let image = std::fs::File::create(data.join("store/volumes.xfs")).unwrap();
    image.set_len(1 << 30).unwrap();
    files::write_private(&data.join("store.json"), br#"{"kind":"image"}"#).unwrap();
}
