//! Small file systems in memory, which can be full for real.

#![expect(clippy::disallowed_methods, reason = "makes the faults by hand")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
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

    /// Leaves room for so many bytes and files more.
    pub(crate) fn leave(&self, room: Room) {
        let now = rustix::fs::statvfs(self.path()).unwrap();
        let bytes = (now.f_blocks - now.f_bfree) * now.f_frsize + room.bytes;
        let files = now.f_files - now.f_ffree + room.files;
        let options = format!("remount,size={bytes},nr_inodes={files}");
        self.tool("mount", &["-o", &options]);
    }

    /// Has somebody else take all room while something is done, once it has written so many bytes.
    pub(crate) fn taken_after<T>(&self, bytes: u64, done: impl FnOnce() -> T) -> T {
        let free = || {
            let now = rustix::fs::statvfs(self.path()).unwrap();
            now.f_bfree * now.f_frsize
        };
        let until = free() - bytes;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _over = Over(&is_over);
            scope.spawn(|| {
                while free() > until && !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                self.fill();
            });
            done()
        })
    }

    /// Writes until nothing more can be written.
    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        for size in [1 << 20, 4096] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    pub(crate) fn make_room(&self) {
        let _ = std::fs::remove_file(self.filler());
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

/// What can still be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// Says that something is over once it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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
