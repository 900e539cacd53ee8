//! Whose files become, by the users and groups that a container knows.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use devenv_agent::protocol::{AgentError, FileProblem, Owner, Principal};
use rustix::{
    fs::{FileType, Gid, OFlags, ResolveFlags, Stat, Uid, fchown, fstat},
    io::Errno,
};

use super::tree::{at, kind, open_below, problem_at};

/// Where a container has its users, and where its groups.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// How much of either is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Whose something is, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Ids {
    /// Those of what a `stat` speaks of.
    pub(super) const fn of(stat: &Stat) -> Self {
        Self {
            user: stat.st_uid,
            group: stat.st_gid,
        }
    }

    /// Gives them what is open.
    pub(super) fn take(self, file: impl AsFd) -> Result<(), Errno> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        fchown(file, Some(user), Some(group))
    }
}

/// The numbers of an owner in the container with this root.
pub(crate) fn owner(root: &OwnedFd, owner: &Owner) -> Result<Ids, AgentError> {
    Ok(Ids {
        user: number(root, USERS, &owner.user)?,
        group: number(root, GROUPS, &owner.group)?,
    })
}

fn number(root: &OwnedFd, list: &str, principal: &Principal) -> Result<u32, AgentError> {
    let name = match principal {
        Principal::Number(number) => return Ok(*number),
        Principal::Name(name) => name,
    };
    let text = read(root, Path::new(list))?;
    named(&text, name).ok_or_else(|| {
        let problem = FileProblem::Other(format!("`{name}` is not in it"));
        problem_at("look up an owner in", Path::new(list), problem)
    })
}

fn read(root: &OwnedFd, path: &Path) -> Result<String, AgentError> {
    let failed = |error| at("read", path, error);
    // What may be opened without harm is known only of a file; a pipe does not make this wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = open_below(root, path, flags, ResolveFlags::NO_MAGICLINKS).map_err(failed)?;
    if kind(&fstat(&file).map_err(failed)?) != FileType::RegularFile {
        let problem = FileProblem::Other("it is not a file".to_owned());
        return Err(problem_at("read", path, problem));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(LONGEST).read_to_end(&mut bytes);
    read.map_err(|error: io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number of a name: the third field of its line.
fn named(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_its = fields.next() == Some(name);
        is_its.then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_are_those_of_the_container_and_numbers_need_none() {
        let directory = tempfile::tempdir().unwrap();
        let root = || OwnedFd::from(File::open(directory.path()).unwrap());
        let of = |user: &str, group: Principal| {
            let user = Principal::Name(user.to_owned());
            owner(&root(), &Owner { user, group })
        };
        assert!(of("postgres", Principal::Number(7)).is_err(), "no list");
        fs::create_dir(directory.path().join("etc")).unwrap();
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\npostgres:x:70:71::/:/bin/sh\n";
        fs::write(directory.path().join("etc/passwd"), users).unwrap();
        fs::write(
            directory.path().join("etc/group"),
            "root:x:0:\nwww:x:33:a,b\n",
        )
        .unwrap();
        let ids = |user, group| Ok(Ids { user, group });
        assert_eq!(of("postgres", Principal::Number(7)), ids(70, 7));
        assert_eq!(of("root", Principal::Name("www".to_owned())), ids(0, 33));
        for nobody in ["broken", "x", "", "post"] {
            assert!(of(nobody, Principal::Number(7)).is_err(), "{nobody}");
        }
    }
}
