//! Mounts the image in which the volumes of an environment are kept where its node's file system cannot share blocks
//! between files.
//!
//! Called as `devenv-agent mount IMAGE DIRECTORY` by devenv when a node is new, and by the node itself whenever it is
//! started again, before its first pod. All nodes of an environment have the same image, and must mount the same disk.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use devenv_loop::LoopDevice;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    mount::{self, MountFlags, mount_remount},
};

/// How long another node may take to make the image a disk.
const LOCKED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What is on the image.
const FILE_SYSTEM: &str = "xfs";
/// Every image is made from one template: its identity is that of its file, not the one written in it. What is removed
/// gives its room back to the host.
const OPTIONS: &std::ffi::CStr = c"nouuid,discard";

/// Runs `devenv-agent writable DIRECTORY`: what is mounted there, only to be read as long as an image was to be mounted
/// over it, can be written to.
pub(crate) fn writable(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        return crate::not_begun("writable DIRECTORY");
    };
    let again = mount_remount(Path::new(&directory), MountFlags::BIND, c"");
    crate::ended(again.map_err(io::Error::from))
}

/// Runs `devenv-agent mount IMAGE DIRECTORY`.
pub(crate) fn mount(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let paths = (arguments.next(), arguments.next(), arguments.next());
    let (Some(image), Some(directory), None) = paths else {
        return crate::not_begun("mount IMAGE DIRECTORY");
    };
    crate::ended(mount_image(Path::new(&image), Path::new(&directory)))
}

/// Has an image mounted at a directory; it may be already.
fn mount_image(image: &Path, directory: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(image)?;
    // Nodes are started at the same time. The device keeps what it is given open, and a lock on that with it.
    let lock = File::open(image)?;
    let until = Instant::now() + LOCKED_WITHIN;
    while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if error != Errno::WOULDBLOCK || until <= Instant::now() {
            return Err(io::Error::other(format!("lock it: {error}")));
        }
        sleep(LOOK_AGAIN);
    }
    if is_mounted(directory)? {
        return Ok(());
    }
    let device = disk(&file)?;
    let flags = MountFlags::empty();
    mount::mount(device.path(), directory, FILE_SYSTEM, flags, Some(OPTIONS)).map_err(|error| {
        let device = device.path().display();
        io::Error::other(format!("mount {device} as {FILE_SYSTEM}: {error}"))
    })
}

fn disk(file: &File) -> io::Result<LoopDevice> {
    LoopDevice::of(file).map_err(|error| io::Error::other(format!("make it a disk: {error}")))
}

/// Whether a file system of the image's kind is mounted at a directory.
fn is_mounted(directory: &Path) -> io::Result<bool> {
    let mounts = fs::read("/proc/self/mountinfo")?;
    Ok(mounts
        .split(|byte| *byte == b'\n')
        .any(|line| is_of(line, directory)))
}

/// Whether a line of `mountinfo` is of a directory: its fifth word is the path, and the first after `-` the kind.
fn is_of(line: &[u8], directory: &Path) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let path = words
        .nth(4)
        .map(|word| PathBuf::from(OsStr::from_bytes(word)));
    let kind = words.skip_while(|word| *word != b"-").nth(1);
    path.as_deref() == Some(directory) && kind == Some(FILE_SYSTEM.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_by_its_directory_and_its_kind() {
        let xfs =
            b"1 2 7:0 / /var/lib/devenv/volumes rw,relatime shared:1 - xfs /dev/loop0 rw,nouuid";
        let plain = b"1 2 8:1 /data /var/lib/devenv/volumes ro,relatime - ext4 /dev/vda rw";
        let volumes = Path::new("/var/lib/devenv/volumes");
        assert!(is_of(xfs, volumes));
        assert!(!is_of(plain, volumes));
        assert!(!is_of(xfs, Path::new("/var/lib/devenv")));
        assert!(!is_of(b"", volumes));
    }

    #[test]
    fn what_is_no_image_is_not_mounted() {
        let directory = tempfile::tempdir().unwrap();
        let missing = mount_image(&directory.path().join("none"), directory.path());
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
