//! Decides what becomes of the service: one event after the other, in one thread.

use std::{
    ops::ControlFlow::{self, Break, Continue},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use devenv_agent::init_protocol::{Answer, Refusal, Request, Restarted, State, Status};
use rustix::process::Signal;

use super::{
    beside::{Beside, RunNumber},
    child::{Ended, Group, NoCommand, Service, StartError, Started, code_of_signal, reap},
    control::Reply,
    signals::asks_to_end,
    stopping::{Stopped, Stopping},
};
use crate::{NOT_BEGUN, say};

/// Something that the supervisor acts on.
#[derive(Debug)]
pub(super) enum Event {
    /// The init was sent a signal.
    Signal(Signal),
    /// Children may have ended.
    ChildrenEnded,
    /// A client asks for something.
    Request {
        /// What.
        request: Request,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Who waited for a command beside the service is gone.
    Abandoned(RunNumber),
}

/// When the service is started first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstStart {
    /// At once.
    AtOnce,
    /// When it is released, or after this time.
    Held(Duration),
}

/// What becomes of the container when the service has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterEnd {
    /// It ends.
    End,
    /// It ends when it is released, or after this time: until then its files can be read.
    Keep(Duration),
}

/// What the service does.
#[derive(Debug)]
enum Phase {
    /// It waits for its start, until then at most.
    Held {
        until: Instant,
        otherwise: Unreleased,
    },
    /// It runs.
    Running(Group),
    /// It is stopped to be started again.
    Stopping(Stopping),
    /// The container is being stopped: it was asked to end, and the init ends with it.
    Ending(Group),
    /// It ended with this code and waits for a restart.
    Failed(u8),
    /// It ended with this code, and the container is kept, until then at most.
    Kept { code: u8, until: Instant },
}

/// What becomes of a service that is held and that nobody releases in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreleased {
    /// It is started for the first time.
    Start,
    /// The container ends with the code that the service ended with.
    End(u8),
}

/// The end of the service is expected.
#[derive(Debug, Clone, Copy)]
struct StandingBy {
    /// Until then.
    until: Instant,
    /// How long it is held afterwards.
    hold: Duration,
}

/// What a failure of the service leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// The container ends, and Kubernetes starts another.
    End,
    /// The init waits for a restart. Somebody works on the service: that Kubernetes waits longer with each failure
    /// until it starts another container would hold them up.
    Wait,
}

/// The last start that succeeded.
#[derive(Debug, Clone, Copy, Default)]
struct Starts {
    count: u32,
    last: Option<Instant>,
}

/// The service and what is to become of it.
#[derive(Debug)]
pub(super) struct Supervisor {
    service: Service,
    phase: Phase,
    on_failure: OnFailure,
    after_end: AfterEnd,
    /// Whether an end of the service is expected, and is not its container's.
    stands_by: Option<StandingBy>,
    starts: Starts,
    beside: Beside,
}

/// Whether to go on, or to end with a code.
type Flow<T = ()> = ControlFlow<u8, T>;

impl Supervisor {
    /// Nothing is started yet.
    pub(super) fn new(service: Service, after_end: AfterEnd) -> Self {
        let until = Instant::now();
        Self {
            service,
            phase: Phase::Held {
                until,
                otherwise: Unreleased::Start,
            },
            on_failure: OnFailure::End,
            after_end,
            stands_by: None,
            starts: Starts::default(),
            beside: Beside::default(),
        }
    }

    /// Runs the service until nothing is left to do; gives the code to end with.
    pub(super) fn run(mut self, first_start: FirstStart, events: &Receiver<Event>) -> u8 {
        let mut flow = match first_start {
            FirstStart::AtOnce => self.start_first(),
            FirstStart::Held(hold) => {
                let until = Instant::now() + hold;
                let otherwise = Unreleased::Start;
                self.phase = Phase::Held { until, otherwise };
                Continue(())
            }
        };
        loop {
            match flow {
                Continue(()) => flow = self.turn(events),
                Break(code) => return code,
            }
        }
    }

    /// Waits for one event or a deadline, and does what is to be done.
    fn turn(&mut self, events: &Receiver<Event>) -> Flow {
        match next(events, self.deadline())? {
            Some(Event::Signal(signal)) => self.signalled(signal)?,
            Some(Event::ChildrenEnded) => reap().try_for_each(|ended| self.ended(ended))?,
            Some(Event::Request { request, reply }) => self.asked(request, reply)?,
            Some(Event::Abandoned(run)) => self.beside.abandon(run),
            None => {}
        }
        self.settle(Instant::now())
    }

    fn deadline(&self) -> Option<Instant> {
        let of_service = match &self.phase {
            Phase::Held { until, .. } | Phase::Kept { until, .. } => Some(*until),
            Phase::Stopping(stopping) => stopping.deadline(),
            Phase::Running(_) | Phase::Ending(_) | Phase::Failed(_) => None,
        };
        of_service.into_iter().chain(self.beside.deadline()).min()
    }

    /// Does what is due.
    fn settle(&mut self, now: Instant) -> Flow {
        self.beside.end_what_is_late(now);
        match &mut self.phase {
            Phase::Kept { code, until } if *until <= now => return Break(*code),
            Phase::Held { until, otherwise } if *until <= now => match *otherwise {
                Unreleased::Start => {
                    say("nobody released the service in time: starting what the image has");
                    return self.start_first();
                }
                Unreleased::End(code) => {
                    say("nobody released the service in time: the container ends with it");
                    return Break(code);
                }
            },
            Phase::Stopping(stopping) => {
                if let Some(Stopped { replies, took }) = stopping.advance(now) {
                    self.start_again(replies, took);
                }
            }
            _ => {}
        }
        Continue(())
    }

    /// The init was sent a signal that is the service's.
    fn signalled(&mut self, signal: Signal) -> Flow {
        match &mut self.phase {
            Phase::Running(group) | Phase::Ending(group) => {
                let group = *group;
                group.signal_leader(signal);
                if signal == Signal::TERM {
                    self.phase = Phase::Ending(group);
                } else if asks_to_end(signal) {
                    // Images may name such a signal for the end of their container; but some programs only say
                    // something when they get one, and can still be restarted.
                    self.on_failure = OnFailure::End;
                }
            }
            Phase::Stopping(stopping) => {
                let group = stopping.group();
                let runs = stopping.running_leader().is_some();
                if asks_to_end(signal) {
                    stopping.abandon();
                }
                if !runs {
                    return end_if_asked(signal, Some(group));
                }
                group.signal_leader(signal);
                if asks_to_end(signal) {
                    self.phase = Phase::Ending(group);
                }
            }
            Phase::Held { .. } | Phase::Failed(_) => return end_if_asked(signal, None),
            Phase::Kept { code, .. } if asks_to_end(signal) => return Break(*code),
            Phase::Kept { .. } => {}
        }
        Continue(())
    }

    /// A process was reaped: the service's own, a command's, or one that somebody in the container left behind.
    fn ended(&mut self, ended: Ended) -> Flow {
        let Ended { pid, code } = ended;
        self.beside.ended(ended);
        match &mut self.phase {
            Phase::Running(group) if group.leader() == pid => {
                group.signal_all(Signal::KILL);
                self.ended_by_itself(code)
            }
            Phase::Ending(group) if group.leader() == pid => {
                group.signal_all(Signal::KILL);
                Break(code)
            }
            Phase::Stopping(stopping) if stopping.running_leader() == Some(pid) => {
                stopping.leader_ended();
                Continue(())
            }
            _ => Continue(()),
        }
    }

    fn ended_by_itself(&mut self, code: u8) -> Flow {
        let now = Instant::now();
        let expected = self.stands_by.take().filter(|it| now < it.until);
        if let Some(StandingBy { hold, .. }) = expected {
            let until = now + hold;
            let otherwise = Unreleased::End(code);
            self.phase = Phase::Held { until, otherwise };
            return Continue(());
        }
        if code == 0 || self.on_failure == OnFailure::End {
            let AfterEnd::Keep(keep) = self.after_end else {
                return Break(code);
            };
            let until = Instant::now() + keep;
            self.phase = Phase::Kept { code, until };
            return Continue(());
        }
        say(&format!(
            "the service ended with code {code}: waiting for the next change"
        ));
        self.phase = Phase::Failed(code);
        Continue(())
    }

    /// Does what a client asks for.
    fn asked(&mut self, request: Request, reply: Reply) -> Flow {
        match request {
            Request::Status => reply.send(Ok(Answer::Status(self.status()))),
            Request::Release => return self.release(reply),
            Request::Restart { signal, grace_ms } => match named(signal) {
                Ok(signal) => self.restart(signal, Duration::from_millis(grace_ms.into()), reply),
                Err(refusal) => reply.send(Err(refusal)),
            },
            Request::Signal { signal } => reply.send(self.signal(signal)),
            Request::Run { command, within_ms } => {
                self.run_beside(&command, Duration::from_millis(within_ms.into()), reply);
            }
            Request::Command {
                command,
                environment,
            } => reply.send(match self.service.set(command.as_deref(), environment) {
                Ok(()) => Ok(Answer::CommandSet),
                Err(NoCommand) => Err(Refusal::NotRun(NoCommand.to_string())),
            }),
            Request::StandBy { within_ms, hold_ms } => {
                let [within, hold] =
                    [within_ms, hold_ms].map(|ms| Duration::from_millis(ms.into()));
                reply.send(self.stand_by(within, hold));
            }
        }
        Continue(())
    }

    fn run_beside(&mut self, command: &[String], within: Duration, reply: Reply) {
        if matches!(self.phase, Phase::Ending(_)) {
            return reply.send(Err(Refusal::Ending));
        }
        match self.beside.start(command, within) {
            Ok(watch) => reply.at_end(watch),
            Err(why) => reply.send(Err(Refusal::NotRun(why))),
        }
    }

    fn release(&mut self, reply: Reply) -> Flow {
        self.stands_by = None;
        let flow = match self.phase {
            Phase::Held { .. } => self.start_first(),
            Phase::Kept { code, .. } => {
                reply.send(Ok(Answer::Released));
                return Break(code);
            }
            _ => Continue(()),
        };
        reply.send(match flow {
            Continue(()) => Ok(Answer::Released),
            Break(_) => Err(Refusal::Ending),
        });
        flow
    }

    fn restart(&mut self, signal: Signal, grace: Duration, reply: Reply) {
        self.on_failure = OnFailure::Wait;
        match &mut self.phase {
            Phase::Held { .. } | Phase::Failed(_) => self.start_again(vec![reply], Duration::ZERO),
            Phase::Running(group) => {
                self.phase = Phase::Stopping(Stopping::begin(*group, signal, grace, reply));
            }
            Phase::Stopping(stopping) => stopping.join(grace, reply),
            Phase::Ending(_) | Phase::Kept { .. } => reply.send(Err(Refusal::Ending)),
        }
    }

    /// From now on the end of the service is expected. Only of one that runs: any other is about to do something else.
    fn stand_by(&mut self, within: Duration, hold: Duration) -> Result<Answer, Refusal> {
        match self.phase {
            Phase::Running(_) => {
                let until = Instant::now() + within;
                self.stands_by = Some(StandingBy { until, hold });
                Ok(Answer::StandsBy)
            }
            Phase::Ending(_) | Phase::Kept { .. } => Err(Refusal::Ending),
            Phase::Held { .. } | Phase::Stopping(_) | Phase::Failed(_) => Err(Refusal::NotRunning),
        }
    }

    fn signal(&self, signal: i32) -> Result<Answer, Refusal> {
        let signal = named(signal)?;
        let group = match &self.phase {
            Phase::Running(group) | Phase::Ending(group) => *group,
            Phase::Stopping(stopping) if stopping.running_leader().is_some() => stopping.group(),
            Phase::Held { .. } | Phase::Stopping(_) | Phase::Failed(_) | Phase::Kept { .. } => {
                return Err(Refusal::NotRunning);
            }
        };
        group.signal_leader(signal);
        Ok(Answer::Signalled)
    }

    fn status(&self) -> Status {
        let state = match &self.phase {
            Phase::Held { .. } => State::Held,
            Phase::Running(group) => State::Running { pid: group.pid() },
            Phase::Stopping(_) | Phase::Ending(_) => State::Stopping,
            Phase::Failed(code) => State::Failed { code: *code },
            Phase::Kept { code, .. } => State::Ended { code: *code },
        };
        let milliseconds = |last: Instant| last.elapsed().as_millis();
        let since_start = self.starts.last.map(milliseconds);
        Status {
            state,
            starts: self.starts.count,
            since_start_ms: since_start.map(|past| u64::try_from(past).unwrap_or(u64::MAX)),
        }
    }

    /// The container's first start, or one in its place: it ends with one that fails.
    fn start_first(&mut self) -> Flow {
        match self.start() {
            Ok(_) => Continue(()),
            Err(error) => {
                say(&error.to_string());
                Break(error.code())
            }
        }
    }

    /// A later start: one that fails waits for the next.
    fn start_again(&mut self, replies: Vec<Reply>, stopping: Duration) {
        let answer = match self.start() {
            Ok(Started { group, took }) => Ok(Answer::Restarted(Restarted {
                pid: group.pid(),
                stopping_us: microseconds(stopping),
                starting_us: microseconds(took),
            })),
            Err(error) => {
                say(&format!("{error}; waiting for the next change"));
                self.phase = Phase::Failed(error.code());
                Err(Refusal::NotStarted(error.to_string()))
            }
        };
        for reply in replies {
            reply.send(answer.clone());
        }
    }

    fn start(&mut self) -> Result<Started, StartError> {
        if let Phase::Held {
            otherwise: Unreleased::End(_),
            ..
        } = self.phase
        {
            // What was mounted there when the container was started may not be any more.
            self.service.enter()?;
        }
        let started = self.service.start()?;
        self.phase = Phase::Running(started.group);
        self.starts.count += 1;
        self.starts.last = Some(Instant::now());
        Ok(started)
    }
}

/// The next event; nothing if the deadline comes first.
fn next(events: &Receiver<Event>, deadline: Option<Instant>) -> Flow<Option<Event>> {
    let event = match deadline {
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        None => events.recv().map_err(RecvTimeoutError::from),
    };
    match event {
        Ok(event) => Continue(Some(event)),
        Err(RecvTimeoutError::Timeout) => Continue(None),
        // The thread that reports signals is gone, and with it all that could ever happen.
        Err(RecvTimeoutError::Disconnected) => Break(NOT_BEGUN),
    }
}

/// There is no process that could do what a signal asks for: the init does it, if it is to end. What a service left
/// behind ends with it.
fn end_if_asked(signal: Signal, left_behind: Option<Group>) -> Flow {
    if !asks_to_end(signal) {
        return Continue(());
    }
    if let Some(group) = left_behind {
        group.signal_all(Signal::KILL);
    }
    Break(code_of_signal(signal))
}

fn named(signal: i32) -> Result<Signal, Refusal> {
    Signal::from_named_raw(signal).ok_or(Refusal::NoSignal(signal))
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
