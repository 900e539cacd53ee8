//! Commands that run beside the service, each until it ends, its time is over, or nobody waits for it any more.
//!
//! The supervisor starts them and hears of their ends; what they say is read by the threads of those who asked.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    time::{Duration, Instant},
};

use devenv_agent::init_protocol::{Answer, OUTPUT_KEPT, Ran, Refusal};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, ioctl_fionbio},
    process::Signal,
};

use super::{
    child::{Ended, Group, StartError},
    supervisor::{Event, microseconds},
};

/// How much is read at a time, in bytes.
const AT_A_TIME: usize = 16 * 1024;
/// How often is read at most after a command's end, which is more than a pipe holds: somebody who left its group may
/// go on writing.
const READS_AFTER_END: usize = 64;

/// Tells a command from all others of this init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunNumber(u64);

/// The commands that run. They end with this.
#[derive(Debug, Default)]
pub(super) struct Beside {
    running: Vec<Running>,
    started: u64,
}

#[derive(Debug)]
struct Running {
    number: RunNumber,
    group: Group,
    begun: Instant,
    /// When its time is over; nothing once it was killed.
    until: Option<Instant>,
    finished: Sender<Finished>,
    /// Wakes whoever reads what the command says, when this is dropped.
    _runs: PipeWriter,
}

/// How a command ended.
#[derive(Debug)]
struct Finished {
    how: How,
    took: Duration,
}

#[derive(Debug)]
enum How {
    ByItself { code: u8 },
    Killed,
}

impl Beside {
    /// Starts a command; fails with the reason in words.
    pub(super) fn start(&mut self, command: &[String], within: Duration) -> Result<Watch, String> {
        let (program, arguments) = command.split_first().ok_or("there is no command to run")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let begun = Instant::now();
        let (group, output, ended, runs) = start(command).map_err(|error| error.to_string())?;
        let (finished, end) = mpsc::channel();
        self.started += 1;
        let number = RunNumber(self.started);
        self.running.push(Running {
            number,
            group,
            begun,
            until: Some(begun + within),
            finished,
            _runs: runs,
        });
        Ok(Watch {
            number,
            output,
            ended,
            end,
        })
    }

    /// When the next command's time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.iter().filter_map(|run| run.until).min()
    }

    /// Kills the commands whose time is over, each with its group. Their ends will be reported.
    pub(super) fn end_what_is_late(&mut self, now: Instant) {
        for run in &mut self.running {
            if run.until.is_some_and(|until| until <= now) {
                run.kill();
            }
        }
    }

    /// Kills a command that nobody waits for any more.
    pub(super) fn abandon(&mut self, number: RunNumber) {
        for run in &mut self.running {
            if run.number == number {
                run.kill();
            }
        }
    }

    /// A process was reaped: if it is a command's, its group ends with it.
    pub(super) fn ended(&mut self, Ended { pid, code }: Ended) {
        let is_its = |run: &Running| run.group.leader() == pid;
        let Some(at) = self.running.iter().position(is_its) else {
            return;
        };
        let run = self.running.swap_remove(at);
        run.group.signal_all(Signal::KILL);
        let how = match run.until {
            Some(_) => How::ByItself { code },
            None => How::Killed,
        };
        let took = run.begun.elapsed();
        // Whoever asked may be gone.
        let _ = run.finished.send(Finished { how, took });
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for run in &mut self.running {
            run.kill();
        }
    }
}

impl Running {
    fn kill(&mut self) {
        self.until = None;
        self.group.signal_all(Signal::KILL);
    }
}

/// Starts a command: its group, what it says, and a pipe whose writing end is to be dropped at its end.
fn start(mut command: Command) -> Result<(Group, PipeReader, PipeReader, PipeWriter), StartError> {
    let pipes = || {
        let (output, said) = io::pipe()?;
        // Another process may read from it too, and leave nothing to one that was told that there is something.
        ioctl_fionbio(&output, true)?;
        let (ended, runs) = io::pipe()?;
        Ok((output, said.try_clone()?, said, ended, runs))
    };
    let (output, out, err, ended, runs) =
        pipes().map_err(|error| StartError::of(&command, error))?;
    let group = Group::start(command.stdout(out).stderr(err))?;
    Ok((group, output, ended, runs))
}

/// A command that runs, as whoever waits for it sees it.
#[derive(Debug)]
pub(super) struct Watch {
    number: RunNumber,
    output: PipeReader,
    /// Ends with the command.
    ended: PipeReader,
    end: Receiver<Finished>,
}

/// What there is to do for who watches a command.
struct Seen {
    command_ended: bool,
    client_is_gone: bool,
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Some,
    NothingYet,
    Closed,
}

impl Watch {
    /// Reads what the command says until it ends; gives what became of it. A client that is gone ends the command.
    pub(super) fn answer(
        mut self,
        client: &UnixStream,
        events: &Sender<Event>,
    ) -> Result<Answer, Refusal> {
        let mut tail = Tail::default();
        let mut is_open = true;
        loop {
            let seen = self.wait(is_open, client);
            if seen.client_is_gone {
                // An init that ends kills what runs.
                let _ = events.send(Event::Abandoned(self.number));
                return Err(Refusal::Ending);
            }
            if seen.command_ended {
                break;
            }
            is_open = is_open && tail.take(&mut self.output) != Taken::Closed;
        }
        for _ in 0..READS_AFTER_END {
            if tail.take(&mut self.output) != Taken::Some {
                break;
            }
        }
        self.told(tail.end())
    }

    /// Waits until there is something to do; `is_open` says whether more output can come.
    fn wait(&self, is_open: bool, client: &UnixStream) -> Seen {
        // The end of a client's stream is reported without being asked for.
        let mut watched = [
            PollFd::new(&self.ended, PollFlags::IN),
            PollFd::new(client, PollFlags::empty()),
            PollFd::new(&self.output, PollFlags::IN),
        ];
        let count = if is_open { 3 } else { 2 };
        while poll(&mut watched[..count], None) == Err(Errno::INTR) {}
        let happened = |at: usize| !watched[at].revents().is_empty();
        Seen {
            command_ended: happened(0),
            client_is_gone: happened(1),
        }
    }

    fn told(&self, output: Vec<u8>) -> Result<Answer, Refusal> {
        match self.end.recv() {
            Ok(Finished {
                how: How::ByItself { code },
                took,
            }) => Ok(Answer::Ran(Ran {
                code,
                output,
                took_us: microseconds(took),
            })),
            Ok(Finished {
                how: How::Killed, ..
            }) => Err(Refusal::TookTooLong { output }),
            Err(_) => Err(Refusal::Ending),
        }
    }
}

/// The end of what a command says.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Reads once.
    fn take(&mut self, from: &mut impl Read) -> Taken {
        let mut buffer = [0; AT_A_TIME];
        match from.read(&mut buffer) {
            Ok(0) => Taken::Closed,
            Ok(count) => {
                self.keep(&buffer[..count]);
                Taken::Some
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Taken::NothingYet,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Taken::Some,
            Err(_) => Taken::Closed,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Not with every few bytes: the rest moves each time.
        if self.bytes.len() > 2 * OUTPUT_KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let too_many = self.bytes.len().saturating_sub(OUTPUT_KEPT);
        self.bytes.drain(..too_many);
    }

    fn end(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_much_output_is_kept() {
        let mut tail = Tail::default();
        let all: Vec<u8> = (0..=250).cycle().take(5 * OUTPUT_KEPT + 7).collect();
        for some in all.chunks(1000) {
            tail.keep(some);
            assert!(tail.bytes.len() <= 2 * OUTPUT_KEPT);
        }
        assert_eq!(tail.end(), all[all.len() - OUTPUT_KEPT..]);
    }

    #[test]
    fn little_output_is_kept_whole() {
        let mut tail = Tail::default();
        let mut little = &b"little"[..];
        assert_eq!(tail.take(&mut little), Taken::Some);
        assert_eq!(tail.take(&mut little), Taken::Closed);
        assert_eq!(tail.end(), b"little");
    }
}
