//! Other directories in the places of those that a container has mounted, while it runs.
//!
//! Called by the server, for containers that stand and whose processes are killed, so that nobody in them looks on. A
//! copy of the mount that the kubelet would make is moved into the container's own mount namespace, by a thread that
//! does nothing else and then ends. What came out of it is looked at from outside.

mod table;

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    thread,
};

use devenv_agent::protocol::{AgentError, ContainerId, Mounting};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::{
    fs::{CWD, OFlags, ResolveFlags, fstat},
    mount::{
        MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_change,
        move_mount, open_tree, unmount,
    },
};

use self::table::{Mount, SHARED_MEMORY, Table};
use crate::files::{children, open_below, open_within, remove};

/// A directory of the node that is to be mounted.
struct Prepared {
    /// Where, in the container.
    at: PathBuf,
    /// What is mounted there until then.
    before: Mount,
    directory: OwnedFd,
    /// A mount of it that is nowhere yet.
    tree: OwnedFd,
}

/// Mounts directories of the node in the places of what a container has mounted there. It is given with its first
/// process and its root; all of it must stand. Where this fails some may be mounted, and others not.
pub(crate) fn remount(
    container: &ContainerId,
    process: u32,
    root: &OwnedFd,
    mountings: &[Mounting],
) -> Result<(), AgentError> {
    let refused = |path: &Path, reason: &dyn ToString| AgentError::NotRemounted {
        container: container.clone(),
        path: path.as_os_str().as_bytes().to_vec(),
        reason: reason.to_string(),
    };
    let of_process = |error: io::Error| refused(Path::new("/"), &error);
    let table = Table::of(process).map_err(of_process)?;
    let prepared = mountings.iter().map(|mounting| {
        let at = Path::new(OsStr::from_bytes(&mounting.at));
        prepare(&table, at, mounting).map_err(|error| refused(at, &error))
    });
    let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
    let space = File::open(format!("/proc/{process}/ns/mnt")).map_err(of_process)?;
    let moving = thread::scope(|scope| {
        let moving = scope.spawn(|| {
            enter(&space).map_err(|error| (Path::new("/"), error))?;
            let mut each = prepared.iter();
            each.try_for_each(|one| exchange(one).map_err(|error| (one.at.as_path(), error)))
        });
        moving.join()
    });
    match moving {
        Ok(moved) => moved.map_err(|(path, error)| refused(path, &error))?,
        Err(_) => return Err(refused(Path::new("/"), &"its thread broke off")),
    }
    let table = Table::of(process).map_err(of_process)?;
    let mut each = prepared.iter();
    each.try_for_each(|one| check(&table, root, one).map_err(|error| refused(&one.at, &error)))?;
    if table.has_shared_memory {
        // It fills up after some dozens of times else; until then it is in nobody's way.
        let _ = forget_shared_memory(root);
    }
    Ok(())
}

/// Removes what the killed had in shared memory: they cannot, and another pod would begin without.
fn forget_shared_memory(root: &OwnedFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let path = Path::new(SHARED_MEMORY);
    let memory = open_below(root, path, flags, ResolveFlags::NO_SYMLINKS)?;
    for name in children(&memory)? {
        remove(&memory, &name)?;
    }
    Ok(())
}

fn prepare(table: &Table, at: &Path, mounting: &Mounting) -> io::Result<Prepared> {
    let path = at.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let before = table.alone(path).map_err(io::Error::other)?.clone();
    let root = Path::new(OsStr::from_bytes(&mounting.root));
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let root = open_within(CWD, root, flags, ResolveFlags::NO_MAGICLINKS)?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let below = Path::new(OsStr::from_bytes(&mounting.directory));
    let directory = open_within(&root, below, flags, within)?;
    let tree = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        // As the kubelet mounts it.
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&directory, "", tree)?;
    Ok(Prepared {
        at: at.to_owned(),
        before,
        directory,
        tree,
    })
}

/// Has this thread see what is mounted in a mount namespace, and nothing else.
fn enter(space: &File) -> io::Result<()> {
    // Root and working directory are the process's until they are a thread's own; and those change with this.
    unshare(CloneFlags::CLONE_FS)?;
    Ok(setns(space, CloneFlags::CLONE_NEWNS)?)
}

/// Takes away what is mounted at a place, and mounts what is prepared.
fn exchange(prepared: &Prepared) -> io::Result<()> {
    let at = &prepared.at;
    unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    let from_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(prepared.tree.as_fd(), "", CWD, at, from_fd)?;
    let to_nobody = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change(at, to_nobody)?)
}

/// Whether a container has now mounted what it should, as it had mounted what was there before.
fn check(table: &Table, root: &OwnedFd, prepared: &Prepared) -> io::Result<()> {
    let path = prepared.at.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let now = table.alone(path).map_err(io::Error::other)?;
    if *now != prepared.before {
        return Err(io::Error::other("it is mounted in another way than before"));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let seen = fstat(open_below(
        root,
        &prepared.at,
        flags,
        ResolveFlags::NO_SYMLINKS,
    )?)?;
    let meant = fstat(&prepared.directory)?;
    if (seen.st_dev, seen.st_ino) != (meant.st_dev, meant.st_ino) {
        return Err(io::Error::other("another directory is there"));
    }
    Ok(())
}
