//! What a service has started, however far down and in whichever group: a debugger has its program in another.

use rustix::process::{Pid, Signal, kill_process};

use crate::processes::{self, Stat};

/// All processes below one, as they were at a moment.
#[derive(Debug)]
pub(super) struct Descendants(Vec<Process>);

/// A process as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    number: u32,
    stat: Stat,
}

impl Descendants {
    /// Those of a process that runs; nobody knows them any more when it has ended.
    pub(super) fn of(leader: Pid) -> Self {
        let all: Vec<Process> = processes::all().filter_map(Process::look_at).collect();
        let (mut found, mut parents) = (Vec::new(), vec![leader.as_raw_nonzero().get()]);
        while let Some(parent) = parents.pop() {
            for process in all.iter().filter(|process| process.stat.parent == parent) {
                found.push(*process);
                parents.extend(i32::try_from(process.number));
            }
        }
        Self(found)
    }

    /// Kills those that are left; whether none is, not even one that is to be reaped.
    pub(super) fn end(&mut self) -> bool {
        self.0.retain(Process::is_there);
        for pid in self.0.iter().filter_map(Process::pid) {
            // It may just have ended.
            let _ = kill_process(pid, Signal::KILL);
        }
        self.0.is_empty()
    }
}

impl Process {
    fn look_at(number: u32) -> Option<Self> {
        let stat = processes::stat(number)?;
        Some(Self { number, stat })
    }

    fn is_there(&self) -> bool {
        let now = processes::stat(self.number);
        now.is_some_and(|now| now.started == self.stat.started)
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.number.try_into().ok()?)
    }
}
