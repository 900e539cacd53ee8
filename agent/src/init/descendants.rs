//! What a service has started, however far down and in whichever group: a debugger has its program in another.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// All processes below one, as they were at a moment.
#[derive(Debug)]
pub(super) struct Descendants(Vec<Process>);

/// A process, told from a later one of the same number by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: Pid,
    /// In clock ticks since boot.
    started: u64,
}

impl Descendants {
    /// Those of a process that runs; nobody knows them any more when it has ended.
    pub(super) fn of(leader: Pid) -> Self {
        let all = all();
        let (mut found, mut parents) = (Vec::new(), vec![leader]);
        while let Some(parent) = parents.pop() {
            for process in all.iter().filter(|process| process.parent == parent) {
                found.push(*process);
                parents.push(process.pid);
            }
        }
        Self(found)
    }

    /// Kills those that are left; whether none is, not even one that is to be reaped.
    pub(super) fn end(&mut self) -> bool {
        self.0.retain(|process| {
            look_at(process.pid).is_some_and(|now| now.started == process.started)
        });
        for process in &self.0 {
            // It may just have ended.
            let _ = kill_process(process.pid, Signal::KILL);
        }
        self.0.is_empty()
    }
}

/// All processes of the container; none where it has no `/proc`.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
    pids.filter_map(look_at).collect()
}

fn look_at(pid: Pid) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (parent, started) = parent_and_start(&stat)?;
    Some(Process {
        pid,
        parent,
        started,
    })
}

/// The 4th and the 22nd field. The second is the name in parentheses, which may hold any of both.
fn parent_and_start(stat: &str) -> Option<(Pid, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(1);
    let parent = Pid::from_raw(fields.next()?.parse().ok()?)?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_and_start_are_read_behind_any_name() {
        let rest: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) b) S) S {}", rest.join(" "));
        let parent = Pid::from_raw(4).unwrap();
        assert_eq!(parent_and_start(&stat), Some((parent, 22)));
        assert_eq!(parent_and_start("7 (a"), None);
    }
}
