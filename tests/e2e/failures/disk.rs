//! A full disk: small file systems in memory, filled for real.

#![expect(clippy::disallowed_methods, reason = "makes the faults by hand")]

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use super::scene::Scene;
use crate::program::Project;

/// A file system of its own; goes when dropped.
struct Disk {
    at: TempDir,
}

impl Disk {
    fn mount(size: &str) -> Self {
        let disk = Self {
            at: tempfile::tempdir().unwrap(),
        };
        disk.tool(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ],
        );
        disk
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    fn resize(&self, size: &str) {
        self.tool("mount", &["-o", &format!("remount,size={size}")]);
    }

    /// Writes until nothing more can be written.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }

    /// Runs a program of the system on the disk; it needs root.
    fn tool(&self, program: &str, words: &[&str]) {
        let output = Command::new(program)
            .args(words)
            .arg(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    }

    /// What devenv has on it.
    fn environments(&self) -> usize {
        std::fs::read_dir(self.path().join("devenv")).map_or(0, Iterator::count)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a container that is still ending may see it.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

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
