//! The pods of a namespace and the runs of their containers, as they come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, OsStr},
    io::{self, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use devenv_agent::log_protocol::{FileId, LogPosition, RunId};
use rustix::{
    fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init},
    io::Errno,
};

use super::{
    file::{Name, names},
    run::{Rest, Run},
};

/// What is told of a directory that holds others.
const OF_DIRECTORIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);
/// What is told of the directory of a container.
const OF_FILES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ONLYDIR);
const EVENTS: usize = 64 * 1024;

/// What there is to read after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// More, right now.
    More,
    /// Nothing until the kernel tells of something.
    Nothing,
    /// Nothing until then, or after this long.
    Until(Duration),
}

/// The logs of a namespace in a node.
#[derive(Debug)]
pub(super) struct Tail {
    directory: PathBuf,
    /// What the names of its pods' directories begin with.
    prefix: String,
    inotify: OwnedFd,
    watched: BTreeMap<i32, Watched>,
    containers: BTreeMap<PathBuf, Container>,
    /// Positions of runs that were not found yet.
    from: BTreeMap<RunId, (FileId, u64)>,
    next_stream: u32,
    /// Whether positions of runs that are gone were given up.
    is_settled: bool,
    /// Whether all is looked at, whatever the kernel told.
    looks_at_all: bool,
}

/// What a watch is on.
#[derive(Debug, Clone)]
enum Watched {
    Pods,
    Pod(PathBuf),
    Container(PathBuf),
}

#[derive(Debug)]
struct Container {
    pod: String,
    uid: String,
    name: String,
    runs: BTreeMap<u32, Run>,
    /// The latest run that was known of.
    latest: Option<u32>,
    work: Work,
}

/// What is to be done about a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Nothing,
    /// Its next file is due after this time.
    Wait(Duration),
    Read,
    List,
}

impl Tail {
    pub(super) fn begin(
        directory: &Path,
        namespace: &str,
        from: Vec<LogPosition>,
    ) -> Result<Self, Errno> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let pods = add_watch(&inotify, directory, OF_DIRECTORIES)?;
        let from = from.into_iter().map(|p| (p.run, (p.file, p.offset)));
        Ok(Self {
            directory: directory.to_owned(),
            prefix: format!("{namespace}_"),
            inotify,
            watched: BTreeMap::from([(pods, Watched::Pods)]),
            containers: BTreeMap::new(),
            from: from.collect(),
            next_stream: 0,
            is_settled: false,
            looks_at_all: false,
        })
    }

    /// Can be read when something has changed.
    pub(super) fn stirs(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Has the next round look at everything.
    pub(super) fn look_at_all(&mut self) {
        self.looks_at_all = true;
    }

    /// Tells what is new: a piece of each run that has one.
    pub(super) fn round(&mut self, to: &mut impl Write) -> io::Result<Left> {
        self.hear()?;
        if !self.is_settled || std::mem::take(&mut self.looks_at_all) {
            self.list_pods()?;
            self.list_again();
        }
        let paths: Vec<PathBuf> = self
            .containers
            .iter()
            .filter(|(_, container)| container.work != Work::Nothing)
            .map(|(path, _)| path.clone())
            .collect();
        for path in paths {
            self.work_on(&path, to)?;
        }
        if !self.is_settled {
            self.is_settled = true;
            self.tell_gone(to)?;
        }
        let mut left = Left::Nothing;
        for container in self.containers.values() {
            left = match (container.work, left) {
                (Work::List | Work::Read, _) | (_, Left::More) => Left::More,
                (Work::Wait(pause), Left::Until(other)) => Left::Until(pause.min(other)),
                (Work::Wait(pause), Left::Nothing) => Left::Until(pause),
                (Work::Nothing, left) => left,
            };
        }
        Ok(left)
    }

    /// Takes in what the kernel tells.
    fn hear(&mut self) -> io::Result<()> {
        let mut buffer = vec![MaybeUninit::uninit(); EVENTS];
        let inotify = self.inotify.try_clone()?;
        let mut events = Reader::new(inotify, &mut buffer);
        let mut new_pods = BTreeSet::new();
        let mut pods_changed = false;
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.looks_at_all = true;
                continue;
            }
            let watched = self.watched.get(&event.wd());
            if flags.contains(ReadFlags::IGNORED) {
                if let Some(Watched::Container(path)) = watched
                    && let Some(container) = self.containers.get_mut(path)
                {
                    container.work = Work::List;
                }
                self.watched.remove(&event.wd());
                continue;
            }
            match watched {
                Some(Watched::Pods) => pods_changed = true,
                Some(Watched::Pod(path)) => {
                    new_pods.insert(path.clone());
                }
                Some(Watched::Container(path)) => {
                    if let Some(container) = self.containers.get_mut(path) {
                        let name = event.file_name().map(CStr::to_bytes);
                        container.heard(flags, name.unwrap_or_default());
                    }
                }
                None => {}
            }
        }
        if pods_changed {
            self.list_pods()?;
        }
        for pod in new_pods {
            self.list_pod(&pod)?;
        }
        Ok(())
    }

    fn list_again(&mut self) {
        for container in self.containers.values_mut() {
            container.work = Work::List;
        }
    }

    /// Finds the pods of the namespace.
    fn list_pods(&mut self) -> io::Result<()> {
        for path in directories(&self.directory)? {
            let is_ours = path.file_name().and_then(OsStr::to_str);
            if is_ours.is_some_and(|name| name.starts_with(&self.prefix)) {
                self.list_pod(&path)?;
            }
        }
        Ok(())
    }

    /// Finds the containers of a pod.
    fn list_pod(&mut self, path: &Path) -> io::Result<()> {
        let Some((pod, uid)) = self.pod_of(path) else {
            return Ok(());
        };
        // It is watched before it is looked at, so that nothing comes between.
        if !self.watch(path, OF_DIRECTORIES, Watched::Pod(path.to_owned()))? {
            return Ok(());
        }
        for path in directories(path)? {
            let Some(name) = path.file_name().and_then(OsStr::to_str) else {
                continue;
            };
            let is_new = !self.containers.contains_key(&path);
            if is_new && self.watch(&path, OF_FILES, Watched::Container(path.clone()))? {
                let container = Container {
                    pod: pod.clone(),
                    uid: uid.clone(),
                    name: name.to_owned(),
                    runs: BTreeMap::new(),
                    latest: None,
                    work: Work::List,
                };
                self.containers.insert(path, container);
            }
        }
        Ok(())
    }

    /// The pod and its uid, of `<namespace>_<pod>_<uid>`.
    fn pod_of(&self, path: &Path) -> Option<(String, String)> {
        let name = path.file_name()?.to_str()?;
        let (pod, uid) = name.strip_prefix(&self.prefix)?.split_once('_')?;
        Some((pod.to_owned(), uid.to_owned()))
    }

    /// Watches a directory; whether it is there.
    fn watch(&mut self, path: &Path, flags: WatchFlags, watched: Watched) -> io::Result<bool> {
        match add_watch(&self.inotify, path, flags) {
            Ok(number) => {
                self.watched.insert(number, watched);
                Ok(true)
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Does what is to be done about a container.
    fn work_on(&mut self, path: &Path, to: &mut impl Write) -> io::Result<()> {
        let Some(container) = self.containers.get_mut(path) else {
            return Ok(());
        };
        if container.work == Work::List {
            container.list(path, &mut self.from, &mut self.next_stream, to)?;
        }
        container.read(to)?;
        if container.runs.is_empty() && !path.is_dir() {
            self.containers.remove(path);
        }
        Ok(())
    }

    /// Tells of the runs that were read before and that are gone.
    fn tell_gone(&mut self, to: &mut impl Write) -> io::Result<()> {
        for (run, position) in std::mem::take(&mut self.from) {
            let nowhere = self.directory.join("gone");
            let stream = next(&mut self.next_stream);
            let mut run = Run::open(stream, run, &nowhere, Some(position), to)?;
            let rest = run.read(to)?;
            debug_assert_eq!(rest, Rest::Ended);
        }
        Ok(())
    }
}

impl Container {
    fn heard(&mut self, flags: ReadFlags, name: &[u8]) {
        let is_growth = ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE;
        let work = if flags.intersects(is_growth) {
            Work::Read
        } else {
            Work::List
        };
        self.work = self.work.max(work);
        let name = std::str::from_utf8(name).ok().and_then(Name::read);
        if flags.contains(ReadFlags::CLOSE_WRITE)
            && let Some(name) = name
            && let Some(run) = self.runs.get_mut(&name.run)
        {
            run.closed(name);
        }
    }

    /// Finds its runs and their files.
    fn list(
        &mut self,
        path: &Path,
        from: &mut BTreeMap<RunId, (FileId, u64)>,
        next_stream: &mut u32,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let numbers: BTreeSet<u32> = names(path)?.iter().map(|name| name.run).collect();
        for number in numbers {
            if self.runs.contains_key(&number) {
                continue;
            }
            let id = self.run_id(number);
            let before = self.latest.or_else(|| self.latest_of(from));
            let from = from.remove(&id);
            let run = Run::open(next(next_stream), id, path, from, to)?;
            // The runs between came and went unseen.
            if before.is_some_and(|before| before.saturating_add(1) < number) {
                run.lost(to)?;
            }
            self.latest = self.latest.max(Some(number));
            self.runs.insert(number, run);
        }
        for run in self.runs.values_mut() {
            run.list()?;
        }
        Ok(())
    }

    fn run_id(&self, run: u32) -> RunId {
        RunId {
            pod: self.pod.clone(),
            uid: self.uid.clone(),
            container: self.name.clone(),
            run,
        }
    }

    /// The latest run of which there is a position.
    fn latest_of(&self, from: &BTreeMap<RunId, (FileId, u64)>) -> Option<u32> {
        let runs = self.run_id(0)..=self.run_id(u32::MAX);
        from.range(runs).map(|(id, _)| id.run).next_back()
    }

    /// Reads a piece of each run.
    fn read(&mut self, to: &mut impl Write) -> io::Result<()> {
        let mut work = Work::Nothing;
        let mut ended = Vec::new();
        for (number, run) in &mut self.runs {
            match run.read(to)? {
                Rest::More => {
                    work = Work::Read;
                    // What it said before is told before what it said after its start.
                    break;
                }
                Rest::Next(pause) => work = work.max(Work::Wait(pause)),
                Rest::Nothing => {}
                Rest::Ended => ended.push(*number),
            }
        }
        self.work = work;
        self.runs.retain(|number, _| !ended.contains(number));
        Ok(())
    }
}

fn next(stream: &mut u32) -> u32 {
    *stream += 1;
    *stream
}

/// The directories in a directory; none where it is gone.
fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
