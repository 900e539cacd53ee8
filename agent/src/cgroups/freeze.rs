//! Stops all processes of containers at once, and lets them go on.
//!
//! Who freezes may be killed. So another process, which does nothing else, waits for the end of a pipe that only the
//! one who freezes holds open, or for the time that was given to be over, and thaws then. It is the same that thaws
//! when all goes well.

use std::{
    ffi::OsString,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use devenv_agent::protocol::{AgentError, ContainerId};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::setsid,
};

use super::{
    place::{self, Controller, Place},
    refused,
};

/// How long it may take until the last process stands.
const STANDS_WITHIN: Duration = Duration::from_secs(5);
/// How long the kernel has for it at first; twice as long each time after that.
const STANDS_AT_ONCE: Duration = Duration::from_millis(200);
/// How long all go on before they are frozen again.
const GOES_ON: Duration = Duration::from_millis(10);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Containers whose processes all stand. They go on when this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen {
    groups: Vec<Group>,
    thawer: Child,
    since: Instant,
    until: Instant,
    /// From the first that stood to the last.
    took: Duration,
}

/// The control group of a container.
#[derive(Debug)]
struct Group {
    container: ContainerId,
    place: Place,
}

/// Freezes containers, each given with one of its processes, for a while at most.
pub(crate) fn freeze(
    containers: Vec<(ContainerId, u32)>,
    at_most: Duration,
) -> Result<Frozen, AgentError> {
    let groups = containers.into_iter().map(Group::of);
    let groups: Vec<Group> = groups.collect::<Result<_, _>>()?;
    let Some(first) = groups.first() else {
        return Err(AgentError::Protocol("no container is named".to_owned()));
    };
    // Before the thawer begins to count: it never thaws before `until`.
    let until = Instant::now() + at_most;
    let thawer = thawer(&groups, at_most);
    let thawer = thawer.map_err(|error| refused("watch", &first.container, &error))?;
    let mut frozen = Frozen {
        groups,
        thawer,
        since: Instant::now(),
        until,
        took: Duration::ZERO,
    };
    frozen.stop()?;
    frozen.took = frozen.since.elapsed();
    Ok(frozen)
}

impl Group {
    fn of((container, process): (ContainerId, u32)) -> Result<Self, AgentError> {
        let place = place::of(process, Controller::Freezer);
        let place = place.map_err(|error| refused("find", &container, &error))?;
        Ok(Self { container, place })
    }

    fn write(&self, state: State) -> Result<(), AgentError> {
        let doing = match state {
            State::Frozen => "freeze",
            State::Thawed => "thaw",
        };
        let written = self.place.write(state);
        written.map_err(|error| refused(doing, &self.container, &error))
    }

    fn stands(&self) -> Result<bool, AgentError> {
        let stands = self.place.stands();
        stands.map_err(|error| refused("freeze", &self.container, &error))
    }
}

impl Frozen {
    /// A process that stands can keep another from it, as one does that is being made in a container: then only all
    /// together get further.
    fn stop(&mut self) -> Result<(), AgentError> {
        let begun = Instant::now();
        let mut patience = STANDS_AT_ONCE;
        loop {
            self.since = Instant::now();
            let Some(late) = self.stop_once(patience)? else {
                return Ok(());
            };
            if begun.elapsed() > STANDS_WITHIN {
                return Err(late);
            }
            for group in &self.groups {
                // Of one that has ended since the next freezing says so.
                let _ = group.write(State::Thawed);
            }
            sleep(GOES_ON);
            patience *= 2;
        }
    }

    /// Returns which does not stand in time, if one does not.
    fn stop_once(&self, patience: Duration) -> Result<Option<AgentError>, AgentError> {
        for group in &self.groups {
            group.write(State::Frozen)?;
        }
        for group in &self.groups {
            while !group.stands()? {
                if self.since.elapsed() > patience {
                    let late = io::ErrorKind::TimedOut.into();
                    return Ok(Some(refused("freeze", &group.container, &late)));
                }
                sleep(LOOK_AGAIN);
                // One that was just being made was not reached.
                group.write(State::Frozen)?;
            }
        }
        Ok(None)
    }

    /// How long it took from the first that stood to the last.
    pub(crate) const fn took(&self) -> Duration {
        self.took
    }

    /// Until when they stand for certain.
    pub(crate) const fn until(&self) -> Instant {
        self.until
    }

    /// Lets the processes go on; returns how long they stood at most.
    pub(crate) fn thaw(mut self) -> Result<Duration, AgentError> {
        self.go_on()?;
        Ok(self.since.elapsed())
    }

    fn go_on(&mut self) -> Result<(), AgentError> {
        drop(self.thawer.stdin.take());
        if self.thawer.wait().is_ok_and(|end| end.success()) {
            return Ok(());
        }
        // It was killed, or could not.
        let thawed = self
            .groups
            .iter()
            .map(|group| match group.write(State::Thawed) {
                Err(_) if group.place.is_gone() => Ok(()),
                other => other,
            });
        thawed.fold(Ok(()), Result::and)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.go_on();
    }
}

/// What the processes of a group do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Frozen,
    Thawed,
}

impl Place {
    fn write(&self, state: State) -> io::Result<()> {
        match (self, state) {
            (Self::First(group), State::Frozen) => fs::write(group.join("freezer.state"), "FROZEN"),
            (Self::First(group), State::Thawed) => fs::write(group.join("freezer.state"), "THAWED"),
            (Self::Second(group), State::Frozen) => fs::write(group.join("cgroup.freeze"), "1"),
            (Self::Second(group), State::Thawed) => fs::write(group.join("cgroup.freeze"), "0"),
        }
    }

    /// Whether all processes stand.
    fn stands(&self) -> io::Result<bool> {
        Ok(match self {
            Self::First(group) => {
                fs::read_to_string(group.join("freezer.state"))?.trim() == "FROZEN"
            }
            Self::Second(group) => fs::read_to_string(group.join("cgroup.events"))?
                .lines()
                .any(|line| line == "frozen 1"),
        })
    }

    /// Whether the container has ended, and nothing of it stands.
    fn is_gone(&self) -> bool {
        let (Self::First(group) | Self::Second(group)) = self;
        !group.exists()
    }

    /// The version and the directory as words of a command line.
    fn words(&self) -> [OsString; 2] {
        match self {
            Self::First(group) => ["1".into(), group.clone().into()],
            Self::Second(group) => ["2".into(), group.clone().into()],
        }
    }
}

/// Lets all groups go on, whatever becomes of some.
fn thaw(groups: &[Place]) -> io::Result<()> {
    let thawed = groups.iter().map(|group| match group.write(State::Thawed) {
        Err(_) if group.is_gone() => Ok(()),
        other => other,
    });
    thawed.fold(Ok(()), Result::and)
}

/// Starts the process that thaws.
fn thawer(groups: &[Group], at_most: Duration) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg("thaw")
        .arg(at_most.as_millis().to_string())
        .args(groups.iter().flat_map(|group| group.place.words()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Runs `devenv-agent thaw MILLISECONDS [VERSION GROUP]...`: thaws once standard input has ended or the time is over.
pub(crate) fn thaw_when_left(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    // What is sent to the group of the one who freezes is not meant for this.
    let _ = setsid();
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let at_most = arguments.next().ok_or_else(invalid)?;
    let at_most = at_most.to_str().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_millis(at_most.ok_or_else(invalid)?);
    let mut groups = Vec::new();
    while let (Some(version), Some(group)) = (arguments.next(), arguments.next()) {
        let group: &Path = group.as_ref();
        groups.push(match version.to_str() {
            Some("1") => Place::First(group.to_owned()),
            _ => Place::Second(PathBuf::from(group)),
        });
    }
    wait_for_end(&io::stdin(), until);
    thaw(&groups)
}

/// Waits until nobody holds the other end of a pipe, or until a moment.
fn wait_for_end(pipe: &impl AsFd, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut pipe = [PollFd::new(pipe, PollFlags::IN)];
        let left = Timespec::try_from(left).ok();
        match poll(&mut pipe, left.as_ref()) {
            Err(Errno::INTR) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_are_thawed_though_one_cannot_be_and_one_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let (second, broken) = (home.path().join("second"), home.path().join("broken"));
        for group in [&second, &broken.join("cgroup.freeze")] {
            fs::create_dir_all(group).unwrap();
        }
        let groups = [
            Place::Second(home.path().join("gone")),
            Place::Second(broken),
            Place::Second(second.clone()),
        ];
        assert!(thaw(&groups).is_err());
        assert_eq!(fs::read(second.join("cgroup.freeze")).unwrap(), b"0");
        thaw(&groups[..1]).unwrap();
    }

    #[test]
    fn the_end_of_the_pipe_is_noticed_and_so_is_the_end_of_the_time() {
        let (reading, writing) = io::pipe().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        wait_for_end(&reading, soon);
        assert!(Instant::now() >= soon);
        drop(writing);
        wait_for_end(&reading, Instant::now() + Duration::from_mins(1));
        assert!(soon.elapsed() < Duration::from_secs(30));
    }
}
