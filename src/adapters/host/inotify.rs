//! What of the kernel's inotify this user has in use.

use std::path::Path;

use crate::adapters::files;

/// What a descriptor of a watcher leads to.
const WATCHER: &str = "anon_inode:inotify";
/// How a watched directory shows among what the kernel says of a descriptor.
const WATCH: &str = "inotify wd:";
const QUEUED_EVENTS: &str = "/proc/sys/fs/inotify/max_queued_events";

/// What of inotify this user's processes have in use, as far as they can be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InotifyUse {
    /// Watchers.
    pub instances: u64,
    /// Watched directories and files.
    pub watches: u64,
}

/// Counts the watchers of this user, and what they watch. Blocks; some thousand processes take a tenth of a second.
pub fn inotify_use() -> InotifyUse {
    let own = rustix::process::getuid().as_raw();
    let mut used = InotifyUse::default();
    for process in files::list(Path::new("/proc")).unwrap_or_default() {
        let is_process = process
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if is_process && rustix::fs::stat(&process).is_ok_and(|about| about.st_uid == own) {
            count(&process, &mut used);
        }
    }
    used
}

fn count(process: &Path, used: &mut InotifyUse) {
    for descriptor in files::list(&process.join("fd")).unwrap_or_default() {
        let is_watcher = descriptor
            .read_link()
            .is_ok_and(|target| target.as_os_str() == WATCHER);
        let (true, Some(number)) = (is_watcher, descriptor.file_name()) else {
            continue;
        };
        let about = files::read_text(&process.join("fdinfo").join(number)).unwrap_or_default();
        let watches = about.lines().filter(|line| line.starts_with(WATCH)).count();
        used.instances += 1;
        used.watches += u64::try_from(watches).unwrap_or_default();
    }
}

/// How many events the kernel keeps for a watcher that is busy, if it says it.
pub fn most_queued_events() -> Option<u64> {
    let text = files::read_text(Path::new(QUEUED_EVENTS)).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use rustix::fs::inotify;

    use super::*;

    #[test]
    fn a_watcher_is_counted_with_what_it_watches() {
        let of_this_process = || {
            let mut used = InotifyUse::default();
            count(Path::new("/proc/self"), &mut used);
            used
        };
        let watcher = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        let home = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            let directory = home.path().join(name);
            files::create_dir(&directory).unwrap();
            inotify::add_watch(&watcher, &directory, inotify::WatchFlags::CREATE).unwrap();
        }
        let used = of_this_process();
        assert!(used.instances >= 1 && used.watches >= 3, "{used:?}");
        let all = inotify_use();
        assert!(all.instances >= 1 && all.watches >= 3, "{all:?}");
    }
}
