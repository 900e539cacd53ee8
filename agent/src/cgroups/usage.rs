//! What containers use.

use std::{fs, io, path::Path};

use devenv_agent::protocol::{AgentError, ContainerId, Usage};

use super::{
    place::{self, Controller, Place},
    refused,
};

/// Limits from this on are the kernel's way to say that there is none.
const NO_LIMIT: u64 = 1 << 62;

/// What a container uses, by one of its processes.
pub(crate) fn usage(container: &ContainerId, process: u32) -> Result<Usage, AgentError> {
    let read = || {
        let (memory, memory_limit) = memory(&place::of(process, Controller::Memory)?)?;
        Ok(Usage {
            cpu_us: cpu(&place::of(process, Controller::Cpu)?)?,
            memory,
            memory_limit,
        })
    };
    read().map_err(|error| refused("read", container, &error))
}

/// Microseconds of a processor.
fn cpu(place: &Place) -> io::Result<u64> {
    match place {
        Place::First(group) => Ok(number(&group.join("cpuacct.usage"))? / 1000),
        Place::Second(group) => field(&group.join("cpu.stat"), "usage_usec"),
    }
}

/// What cannot be taken back from the container, as the kubelet counts it, and the most that it may have.
fn memory(place: &Place) -> io::Result<(u64, Option<u64>)> {
    let (group, now, most, idle) = match place {
        Place::First(group) => (
            group,
            "memory.usage_in_bytes",
            "memory.limit_in_bytes",
            "total_inactive_file",
        ),
        Place::Second(group) => (group, "memory.current", "memory.max", "inactive_file"),
    };
    let idle = field(&group.join("memory.stat"), idle)?;
    let used = number(&group.join(now))?.saturating_sub(idle);
    // `max` is no number.
    let limit = number(&group.join(most)).ok();
    Ok((used, limit.filter(|limit| *limit < NO_LIMIT)))
}

fn number(file: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    text.trim().parse().map_err(io::Error::other)
}

/// The number of a line that begins with a name.
fn field(file: &Path, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(its, _)| *its == name);
    let (_, number) = found.ok_or(io::ErrorKind::InvalidData)?;
    number.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group with these files.
    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let group = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(group.path().join(name), text).unwrap();
        }
        group
    }

    #[test]
    fn both_versions_are_read() {
        let first = group(&[
            ("cpuacct.usage", "2500000\n"),
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.limit_in_bytes", "4000\n"),
            ("memory.stat", "cache 7\ntotal_inactive_file 300\n"),
        ]);
        let second = group(&[
            ("cpu.stat", "usage_usec 2500\nuser_usec 1\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "4000\n"),
            ("memory.stat", "anon 7\ninactive_file 300\n"),
        ]);
        let first = Place::First(first.path().to_owned());
        let both = [first.clone(), Place::Second(second.path().to_owned())];
        for place in both {
            assert_eq!(cpu(&place).unwrap(), 2500);
            assert_eq!(memory(&place).unwrap(), (700, Some(4000)));
        }
    }

    #[test]
    fn no_limit_is_told_as_none() {
        for (name, text) in [
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.max", "max\n"),
        ] {
            let group = group(&[
                (name, text),
                ("memory.usage_in_bytes", "5"),
                ("memory.current", "5"),
                ("memory.stat", "inactive_file 9\ntotal_inactive_file 9\n"),
            ]);
            let path = group.path().to_owned();
            let place = match name {
                "memory.max" => Place::Second(path),
                _ => Place::First(path),
            };
            assert_eq!(memory(&place).unwrap(), (0, None));
        }
    }
}
