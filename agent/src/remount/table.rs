//! What is mounted where a process is, as its `mountinfo` tells: see `proc_pid_mountinfo(5)`.

use std::{fs, io};

/// The mounts of a process, in the order in which they were made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    mounts: Vec<Mount>,
    /// Whether what the runtime made for shared memory is mounted where programs look for it.
    pub(super) has_shared_memory: bool,
}

/// Where programs look for shared memory.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";
/// What is said of the one that the runtime makes for a pod: its kind and its source. A volume says something else.
const OF_RUNTIME: &str = "tmpfs shm ";

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is. Blanks and the like are written as octal numbers, so that a path with them is not found.
    at: String,
    /// Such as `rw,relatime`.
    options: String,
    /// Whether mounts below it are made elsewhere as well, or made here by others.
    is_private: bool,
}

impl Table {
    /// Those of a process.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        fs::read_to_string(format!("/proc/{process}/mountinfo")).map(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut has_shared_memory = false;
        let mounts = text.lines().filter_map(|line| {
            let (place, what) = line.split_once(" - ")?;
            if place.split(' ').nth(4) == Some(SHARED_MEMORY) {
                has_shared_memory = what.starts_with(OF_RUNTIME);
            }
            let mut words = place.split(' ').skip(4);
            Some(Mount {
                at: words.next()?.to_owned(),
                options: words.next()?.to_owned(),
                is_private: words.next().is_none(),
            })
        });
        Self {
            mounts: mounts.collect(),
            has_shared_memory,
        }
    }

    /// The mount at a path, where it is the only one there and none is below it; else why it is not.
    pub(super) fn alone(&self, path: &str) -> Result<&Mount, &'static str> {
        let is_below = |mount: &Mount| {
            let rest = mount.at.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        if self.mounts.iter().any(is_below) {
            return Err("something else is mounted below it");
        }
        let mut here = self.mounts.iter().filter(|mount| mount.at == path);
        match (here.next(), here.next()) {
            (Some(mount), None) => Ok(mount),
            (None, _) => Err("nothing is mounted there"),
            (Some(_), Some(_)) => Err("several things are mounted there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        711 650 0:61 / / rw,relatime - overlay overlay rw\n\
        720 711 0:65 / /proc rw,nosuid - proc proc rw\n\
        731 711 8:1 /volumes/db/data /data rw,relatime - ext4 /dev/sda1 rw\n\
        732 711 8:1 /volumes/db/other /data-2 ro,relatime master:11 - ext4 /dev/sda1 rw\n\
        733 711 8:1 /volumes/db/a /twice rw - ext4 /dev/sda1 rw\n\
        734 733 8:1 /volumes/db/b /twice rw - ext4 /dev/sda1 rw\n\
        735 720 0:70 / /proc/sys ro - proc proc rw\n";

    #[test]
    fn shared_memory_is_that_of_the_runtime_and_no_volume() {
        let has = |what: &str| {
            let text = format!("{TEXT}736 711 0:71 / /dev/shm rw - {what}\n");
            Table::parse(&text).has_shared_memory
        };
        assert!(has("tmpfs shm rw,size=65536k"));
        assert!(!has("tmpfs tmpfs rw"));
        assert!(!has("ext4 /dev/sda1 rw"));
        assert!(!Table::parse(TEXT).has_shared_memory);
    }

    #[test]
    fn a_mount_is_found_with_its_options_where_it_is_alone() {
        let table = Table::parse(TEXT);
        let mount = |at: &str, options: &str, is_private| Mount {
            at: at.to_owned(),
            options: options.to_owned(),
            is_private,
        };
        assert_eq!(
            table.alone("/data"),
            Ok(&mount("/data", "rw,relatime", true))
        );
        let other = mount("/data-2", "ro,relatime", false);
        assert_eq!(table.alone("/data-2"), Ok(&other));
        for (path, why) in [
            ("/proc", "below"),
            ("/twice", "several"),
            ("/dat", "nothing"),
            ("/volumes/db/data", "nothing"),
        ] {
            assert!(table.alone(path).unwrap_err().contains(why), "{path}");
        }
    }

    #[test]
    fn a_process_has_a_root() {
        assert!(Table::of(std::process::id()).unwrap().mounts.len() > 1);
    }
}
