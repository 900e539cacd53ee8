//! The process group of a child: ended as a whole.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The leaders of all groups that run now: whoever ends this process without dropping anything ends them.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills every child that runs, with all it has started: for a process that ends at once.
pub fn kill_all() {
    for leader in running().iter().copied().filter_map(Pid::from_raw) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// Kills the group when dropped, unless disarmed.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Option<Pid>,
}

impl ProcessGroup {
    /// The group of a child that was started as its leader.
    pub(super) fn of(child: &Child) -> Self {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(leader) = leader {
            running().insert(leader.as_raw_nonzero().get());
        }
        Self { leader }
    }

    /// Leaves the group alone from now on: its leader was waited for, so that its id may be another's.
    pub(super) fn disarm(&mut self) {
        if let Some(leader) = self.leader.take() {
            running().remove(&leader.as_raw_nonzero().get());
        }
    }

    /// Asks the group to end, waits for its leader up to `grace`, then kills whoever is left.
    pub(super) async fn end(&mut self, child: &mut Child, grace: Duration) {
        self.signal(Signal::TERM);
        // While the leader is not waited for, its id cannot be given to another process.
        let is_gone = || {
            matches!(
                self.leader.map(rustix::process::test_kill_process_group),
                Some(Err(_))
            )
        };
        let deadline = tokio::time::Instant::now() + grace;
        let mut leader_ended = false;
        while !is_gone() && tokio::time::Instant::now() < deadline {
            if leader_ended {
                tokio::time::sleep(Duration::from_millis(20)).await;
            } else {
                leader_ended = tokio::time::timeout_at(deadline, child.wait())
                    .await
                    .is_ok();
            }
        }
        self.signal(Signal::KILL);
        let _ = tokio::time::timeout(grace, child.wait()).await;
        self.disarm();
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // The group may be gone already: that is what is wanted.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.disarm();
    }
}
