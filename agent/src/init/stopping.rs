//! A service that is stopped to be started again.

use std::time::{Duration, Instant};

use devenv_agent::init_protocol::Refusal;
use rustix::process::{Pid, Signal};

use super::{child::Group, control::Reply, descendants::Descendants};

/// How long is waited for killed processes of a group that others must reap, who may never do it.
const REAPED_BY_OTHERS: Duration = Duration::from_secs(1);

/// The service's own process, while its group is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leader {
    /// It has not ended yet.
    Runs,
    /// It ended and was reaped.
    Ended,
}

/// How hard the group is pressed.
#[derive(Debug, Clone, Copy)]
enum Pressure {
    /// It was asked to end and has time until then.
    Asked { until: Instant },
    /// It was killed. What is left then is not waited for.
    Killed { until: Instant },
}

/// The service can be started again.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Who waits for it.
    pub(super) replies: Vec<Reply>,
    /// How long it took.
    pub(super) took: Duration,
}

/// A group that is being stopped, and who waits for it.
#[derive(Debug)]
pub(super) struct Stopping {
    group: Group,
    /// What the service had started when it was asked to end.
    descendants: Descendants,
    leader: Leader,
    pressure: Pressure,
    begun: Instant,
    replies: Vec<Reply>,
}

impl Stopping {
    /// Asks all of the group to end.
    pub(super) fn begin(group: Group, signal: Signal, grace: Duration, reply: Reply) -> Self {
        let begun = Instant::now();
        let descendants = Descendants::of(group.leader());
        group.signal_all(signal);
        let until = begun + grace;
        Self {
            group,
            descendants,
            leader: Leader::Runs,
            pressure: Pressure::Asked { until },
            begun,
            replies: vec![reply],
        }
    }

    /// One more waits for the same start. Whoever gives less time gets it; the group is not asked again, which many
    /// programs take for the wish to end at once.
    pub(super) fn join(&mut self, grace: Duration, reply: Reply) {
        if let Pressure::Asked { until } = &mut self.pressure {
            *until = (*until).min(Instant::now() + grace);
        }
        self.replies.push(reply);
    }

    /// The group.
    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// The service's own process, if it has not ended.
    pub(super) fn running_leader(&self) -> Option<Pid> {
        (self.leader == Leader::Runs).then(|| self.group.leader())
    }

    /// The service's own process has ended.
    pub(super) fn leader_ended(&mut self) {
        self.leader = Leader::Ended;
    }

    /// When to look again, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.pressure, self.leader) {
            (Pressure::Asked { until }, _) | (Pressure::Killed { until }, Leader::Ended) => {
                Some(until)
            }
            // Its end will be reported.
            (Pressure::Killed { .. }, Leader::Runs) => None,
        }
    }

    /// Kills the group if its time is over; says when it is gone, once.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Stopped> {
        let has_ended = self.leader == Leader::Ended;
        // What left the group ends with it: nobody else would end it, and it may hold the service's port.
        if has_ended && self.group.is_gone() && self.descendants.end() {
            return Some(self.stopped());
        }
        match self.pressure {
            Pressure::Asked { until } if until <= now => {
                self.group.signal_all(Signal::KILL);
                let until = now + REAPED_BY_OTHERS;
                self.pressure = Pressure::Killed { until };
                None
            }
            Pressure::Killed { until } if until <= now && has_ended => Some(self.stopped()),
            Pressure::Asked { .. } | Pressure::Killed { .. } => None,
        }
    }

    fn stopped(&mut self) -> Stopped {
        Stopped {
            replies: std::mem::take(&mut self.replies),
            took: self.begun.elapsed(),
        }
    }

    /// There will be no start: the container ends.
    pub(super) fn abandon(&mut self) {
        for reply in self.replies.drain(..) {
            reply.send(Err(Refusal::Ending));
        }
    }
}
