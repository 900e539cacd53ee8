//! Small file systems in memory, which can be full for real.

#![expect(clippy::disallowed_methods, reason = "makes the faults by hand")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A file system of its own; goes when dropped.
pub(crate) struct Disk {
    at: TempDir,
}

impl Disk {
    pub(crate) fn mount(size: &str) -> Self {
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

    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    pub(crate) fn resize(&self, size: &str) {
        self.tool("mount", &["-o", &format!("remount,size={size}")]);
    }

    /// Writes until nothing more can be written.
    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
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
    pub(crate) fn environments(&self) -> usize {
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
