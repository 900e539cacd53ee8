//! Where the control groups of a process are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a control group of the first version has a hierarchy of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Cpu,
    Freezer,
    Memory,
}

impl Controller {
    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpuacct",
            Self::Freezer => "freezer",
            Self::Memory => "memory",
        }
    }
}

/// The directory of a control group, by the version that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Of a controller's own hierarchy.
    First(PathBuf),
    /// Of the hierarchy of all controllers.
    Second(PathBuf),
}

/// A mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    /// The group that is mounted.
    root: PathBuf,
    at: PathBuf,
    /// Of the first version; none of the second.
    controllers: Option<Vec<String>>,
}

/// Where the control group of a process is, as this process sees it.
pub(super) fn of(process: u32, controller: Controller) -> io::Result<Place> {
    let mounts = hierarchies(&fs::read_to_string("/proc/self/mountinfo")?);
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    find(&mounts, &groups, controller).ok_or_else(|| {
        let text = format!("no {} controller is mounted here", controller.name());
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

/// The hierarchies that a `mountinfo` tells of: see `proc_pid_mountinfo(5)`.
fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let lines = mountinfo.lines().filter_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, at) = (place.next()?, place.next()?);
        let mut system = system.split(' ');
        let controllers = match system.next()? {
            "cgroup" => Some(system.nth(1)?.split(',').map(str::to_owned).collect()),
            "cgroup2" => None,
            _ => return None,
        };
        Some(Hierarchy {
            root: root.into(),
            at: at.into(),
            controllers,
        })
    });
    lines.collect()
}

/// The place of a controller's group, by the groups of a process: see `cgroups(7)`.
fn find(mounts: &[Hierarchy], groups: &str, controller: Controller) -> Option<Place> {
    let name = controller.name();
    let lines = || {
        groups.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let first = lines().find(|(controllers, _)| controllers.split(',').any(|one| one == name));
    if let Some((_, group)) = first {
        let of_controller = |mount: &&Hierarchy| {
            let controllers = mount.controllers.iter().flatten();
            controllers.into_iter().any(|one| one == name)
        };
        let mount = mounts.iter().find(of_controller)?;
        return Some(Place::First(mount.directory(group)?));
    }
    let (_, group) = lines().find(|(controllers, _)| controllers.is_empty())?;
    let mount = mounts.iter().find(|mount| mount.controllers.is_none())?;
    Some(Place::Second(mount.directory(group)?))
}

impl Hierarchy {
    /// The directory of a group; `None` if it is not below the one that is mounted.
    fn directory(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        Some(self.at.join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "\
        25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw\n\
        33 32 0:29 /docker/abc /sys/fs/cgroup/memory ro,relatime master:11 - cgroup cgroup rw,memory\n\
        34 32 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:12 - cgroup cgroup rw,cpu,cpuacct\n\
        35 32 0:31 /docker/abc /sys/fs/cgroup/freezer ro shared:1 - cgroup cgroup rw,freezer\n\
        36 32 0:32 /docker/abc /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n";
    const GROUPS: &str = "\
        9:memory:/docker/abc/kubepods/pod1/c1\n\
        8:freezer:/docker/abc/kubepods/pod1/c2\n\
        4:cpu,cpuacct:/docker/abc/kubepods/pod1/c3\n\
        1:name=systemd:/docker/abc\n\
        0::/docker/abc/kubepods/pod1/c4\n";

    #[test]
    fn each_controller_of_the_first_version_has_a_hierarchy_of_its_own() {
        let mounts = hierarchies(FIRST);
        for (controller, expected) in [
            (Controller::Memory, "/sys/fs/cgroup/memory/kubepods/pod1/c1"),
            (
                Controller::Freezer,
                "/sys/fs/cgroup/freezer/kubepods/pod1/c2",
            ),
            (
                Controller::Cpu,
                "/sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/c3",
            ),
        ] {
            let found = find(&mounts, GROUPS, controller);
            assert_eq!(found, Some(Place::First(expected.into())));
        }
    }

    #[test]
    fn the_second_version_has_one_for_all() {
        let mounts = hierarchies("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n");
        let found = find(&mounts, "0::/kubepods/pod1/c1\n", Controller::Freezer);
        let expected = "/sys/fs/cgroup/kubepods/pod1/c1";
        assert_eq!(found, Some(Place::Second(expected.into())));
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_is_not_found() {
        let mounts = hierarchies(FIRST);
        let groups = "8:freezer:/docker/another/kubepods/pod1\n";
        assert_eq!(find(&mounts, groups, Controller::Freezer), None);
        assert_eq!(find(&[], GROUPS, Controller::Freezer), None);
    }
}
