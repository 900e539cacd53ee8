//! Finds the processes and the root directory of a container in this node.

use std::{
    collections::HashMap,
    fs,
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use devenv_agent::protocol::{AgentError, ContainerId, GONE_WITHIN, ProcessId};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::{Pid, Signal, kill_process},
};

use crate::{inits::Wanted, processes};

/// How often is looked whether a process is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The first process of each container that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    known: Mutex<HashMap<ContainerId, ProcessId>>,
}

impl Containers {
    /// The root directory of a container that runs.
    pub(crate) fn root(&self, id: &ContainerId) -> Result<OwnedFd, AgentError> {
        self.look(id, root)
    }

    /// The number of the first process of a container that runs.
    pub(crate) fn process(&self, id: &ContainerId) -> Result<u32, AgentError> {
        self.look(id, |process| is_there(process).then_some(process.pid))
    }

    /// Looks at the first process of a container; it is found anew if the known one has ended.
    fn look<T>(
        &self,
        id: &ContainerId,
        look: impl Fn(ProcessId) -> Option<T>,
    ) -> Result<T, AgentError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(id).and_then(|process| look(*process)) {
            return Ok(found);
        }
        known.remove(id);
        let absent = || AgentError::NoContainer(id.clone());
        let process = first_process(id).ok_or_else(absent)?;
        let found = look(process).ok_or_else(absent)?;
        known.insert(id.clone(), process);
        Ok(found)
    }
}

/// The root directory of a process; `None` if it has ended.
fn root(process: ProcessId) -> Option<OwnedFd> {
    let path = format!("/proc/{}/root", process.pid);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, path, flags, Mode::empty()).ok()?;
    // The id may have been given to another process: it is looked at after the directory was opened.
    is_there(process).then_some(root)
}

fn is_there(process: ProcessId) -> bool {
    processes::stat(process.pid).is_some_and(|now| now.started == process.started)
}

/// Kills all processes of a container.
pub(crate) fn kill(id: &ContainerId) {
    processes_of(id).for_each(kill_one);
}

/// Kills all processes of a container but one; says which.
pub(crate) fn kill_all_but(id: &ContainerId, spared: u32) -> Vec<ProcessId> {
    let mut killed = Vec::new();
    for pid in processes_of(id).filter(|pid| *pid != spared) {
        killed.extend(processes::stat(pid).map(|stat| ProcessId {
            pid,
            started: stat.started,
        }));
        kill_one(pid);
    }
    killed
}

fn kill_one(process: u32) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Waits until nothing is left of processes that were killed, not even one that is to be reaped: what is started
/// anew may look for those before it by their numbers.
pub(crate) fn until_gone(
    id: &ContainerId,
    killed: &[ProcessId],
    wanted: Wanted<'_>,
) -> Result<(), AgentError> {
    let until = Instant::now() + GONE_WITHIN;
    for process in killed {
        while is_there(*process) {
            if until <= Instant::now() {
                return Err(AgentError::NotGone(id.clone()));
            }
            if !wanted(LOOK_AGAIN) {
                return Err(AgentError::Cancelled);
            }
        }
    }
    Ok(())
}

/// The processes of a container, as their control groups tell.
fn processes_of(id: &ContainerId) -> impl Iterator<Item = u32> {
    processes::all().filter(|pid| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
        groups.is_ok_and(|groups| groups.contains(id.as_str()))
    })
}

/// The process of a container that all others of it come from.
fn first_process(id: &ContainerId) -> Option<ProcessId> {
    let processes = processes_of(id).filter_map(|pid| {
        let started = processes::stat(pid)?.started;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some((!is_first(&status), ProcessId { pid, started }))
    });
    // Where containers share their process ids the first is the oldest.
    processes
        .min_by_key(|(is_later, process)| (*is_later, process.started, process.pid))
        .map(|(_, process)| process)
}

/// Whether a process is number 1 in a process namespace of its own, by its `/proc/<pid>/status`.
fn is_first(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let ids: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        process::Command,
        thread,
    };

    use super::*;

    #[test]
    fn the_first_process_is_number_one_in_a_namespace_of_its_own() {
        assert!(is_first("Name:\tsh\nNSpid:\t4242\t1\n"));
        for other in ["NSpid:\t1\n", "NSpid:\t4242\t7\n", "Name:\tsh\n"] {
            assert!(!is_first(other), "{other}");
        }
    }

    #[test]
    fn a_container_that_does_not_run_is_named() {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let error = Containers::default().root(&id).unwrap_err();
        assert_eq!(error, AgentError::NoContainer(id));
    }

    #[test]
    fn a_process_is_not_taken_for_a_later_one_of_its_number() {
        let pid = std::process::id();
        let process = ProcessId {
            pid,
            started: processes::stat(pid).unwrap().started,
        };
        assert!(root(process).is_some());
        let other = ProcessId {
            started: process.started + 1,
            ..process
        };
        assert!(root(other).is_none());
    }

    #[test]
    fn what_was_killed_is_waited_for_until_it_is_reaped_and_no_longer_than_wanted() {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let started = processes::stat(pid).unwrap().started;
        let killed = [ProcessId { pid, started }];
        child.kill().unwrap();
        let unwanted = until_gone(&id, &killed, &|_| false);
        assert_eq!(unwanted, Err(AgentError::Cancelled));
        let waited = Cell::new(0);
        let reap = RefCell::new(child);
        let gone = until_gone(&id, &killed, &|pause| {
            thread::sleep(pause);
            waited.set(waited.get() + 1);
            waited.get() < 3 || reap.borrow_mut().wait().is_ok()
        });
        assert_eq!(gone, Ok(()));
        assert_eq!(waited.get(), 3);
    }
}
