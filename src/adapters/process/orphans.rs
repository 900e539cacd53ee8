//! Children of a process of ours that was killed: they work on, and two would change one environment.
//!
//! Each child finds in its environment who started it and for what. The next process that has the same
//! thing to itself ends those whose parent is gone. Where the kernel does not show other processes'
//! environment (no `/proc`), none are found.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{super::files, ChildEnvironment};

/// Holds the process that started a child, and for what: `PID:PATH`.
const STARTED_BY: &str = "DEVENV_STARTED_BY";
/// How long orphans may take to end after they were asked to, and after they were killed.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl ChildEnvironment {
    /// Marks what is started with it as this process's, at work on `what`.
    #[must_use]
    pub fn started_for(self, what: &Path) -> Self {
        let mut mark = OsString::from(format!("{}:", std::process::id()));
        mark.push(what);
        self.with(STARTED_BY, mark)
    }
}

/// A child whose parent is gone: the leader of its process group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Orphan {
    pid: Pid,
    name: String,
}

/// Ends what killed processes of ours left at work on `what`, politely first; returns the programs' names.
///
/// Only commands that had not ended are ended. What a command leaves behind on purpose, such as a server
/// that a hook starts in the background, is not touched.
pub async fn end_orphans(what: &Path) -> Vec<String> {
    let found = orphans(what);
    for (signal, within) in [(Signal::TERM, GRACE), (Signal::KILL, GRACE)] {
        let left = orphans(what);
        if left.is_empty() {
            break;
        }
        for orphan in left {
            // It may have ended since.
            let _ = kill_process_group(orphan.pid, signal);
        }
        let gone = async {
            while !orphans(what).is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _ = tokio::time::timeout(within, gone).await;
    }
    found.into_iter().map(|orphan| orphan.name).collect()
}

fn orphans(what: &Path) -> Vec<Orphan> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = processes.filter_map(|entry| orphan(&entry.path(), what));
    found.collect()
}

fn orphan(directory: &Path, what: &Path) -> Option<Orphan> {
    let pid: i32 = directory.file_name()?.to_str()?.parse().ok()?;
    let environment = files::read(&directory.join("environ")).ok()?;
    let starter = starter(&environment, what)?;
    let Status {
        name,
        parent,
        group,
        session,
    } = status(&files::read_text(&directory.join("stat")).ok()?)?;
    // A command leads its group and not its session; a daemon that one left behind is no leader, or of both.
    (parent != starter && group == pid && session != pid).then_some(Orphan {
        pid: Pid::from_raw(pid)?,
        name,
    })
}

/// Who started the process of this environment, if it was for `what`.
fn starter(environment: &[u8], what: &Path) -> Option<i32> {
    let mark = environment.split(|byte| *byte == 0).find_map(|variable| {
        let value = variable.strip_prefix(STARTED_BY.as_bytes())?;
        std::str::from_utf8(value.strip_prefix(b"=")?).ok()
    })?;
    let (pid, path) = mark.split_once(':')?;
    (Path::new(path) == what).then(|| pid.parse().ok())?
}

struct Status {
    name: String,
    parent: i32,
    group: i32,
    session: i32,
}

/// Reads `/proc/PID/stat`: `12 (name) S 1 12 4 ...`; a name may hold anything.
fn status(text: &str) -> Option<Status> {
    let (before, after) = text.rsplit_once(')')?;
    let mut numbers = after.split_whitespace().skip(1).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Status {
        name: before.split_once('(')?.1.to_owned(),
        parent: next()?,
        group: next()?,
        session: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_by_who_started_it_and_for_what() {
        let what = Path::new("/state/shop-1");
        let environment = b"HOME=/root\0DEVENV_STARTED_BY=42:/state/shop-1\0PATH=/bin\0";
        assert_eq!(starter(environment, what), Some(42));
        assert_eq!(starter(environment, Path::new("/state/shop-2")), None);
        assert_eq!(starter(b"HOME=/root\0", what), None);
    }

    #[test]
    fn a_process_with_any_name_is_understood() {
        let status = status("12 (a) b( 9) S 1 12 4 0 -1").unwrap();
        assert_eq!(status.name, "a) b( 9");
        assert_eq!((status.parent, status.group, status.session), (1, 12, 4));
    }

    /// Starts a command in the background of a shell that ends at once, which leaves it without its parent.
    async fn leave_behind(what: &Path, by: u32, command: &str) {
        let mark = format!("{STARTED_BY}={by}:{}", what.display());
        // Job control gives the command a process group of its own.
        let script = format!("set -m; env '{mark}' {command} >/dev/null 2>&1 &");
        let environment = ChildEnvironment::default().with("PATH", "/usr/bin:/bin");
        let invocation = super::super::Invocation::new("bash", environment, GRACE);
        let cancel = tokio_util::sync::CancellationToken::new();
        let ended = super::super::run(&invocation.args(["-c", &script]), &cancel, None).await;
        assert!(ended.unwrap().succeeded());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_at_work_is_ended_and_nothing_else() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // No process has this number.
        leave_behind(ours.path(), 0, "sleep 60").await;
        leave_behind(other.path(), 0, "sleep 60").await;
        // `env` has to have become what it runs.
        while orphans(ours.path()).is_empty() || orphans(other.path()).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(end_orphans(ours.path()).await.len(), 1);
        assert_eq!(orphans(ours.path()), []);
        assert_eq!(orphans(other.path()).len(), 1);
        assert_eq!(end_orphans(other.path()).await.len(), 1);
    }

    #[tokio::test]
    async fn a_child_of_a_process_that_lives_is_left_alone() {
        let what = tempfile::tempdir().unwrap();
        let environment = ChildEnvironment::default()
            .with("PATH", "/usr/bin:/bin")
            .started_for(what.path());
        let invocation = super::super::Invocation::new("sleep", environment, GRACE).arg("0.2");
        let cancel = tokio_util::sync::CancellationToken::new();
        let running = super::super::run(&invocation, &cancel, None);
        let (ended, orphans) = tokio::join!(running, end_orphans(what.path()));
        assert!(ended.unwrap().succeeded());
        assert!(orphans.is_empty());
    }
}
