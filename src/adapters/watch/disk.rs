//! What lies at a path: looked at without following links, read without waiting for another process.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::OFlags;

const PERMISSIONS: u32 = 0o7777;
/// The kernel's times advance in ticks of up to 10 ms: of two writes within one, the second leaves no other time.
const TICK: Duration = Duration::from_millis(20);
/// How often a file is read that changes meanwhile; the hints of its next write bring it back anyway.
const READS: usize = 3;
/// No rules of a person are longer.
const LONGEST_RULES: u64 = 1 << 20;
/// Larger files are not followed, in bytes: to hash and copy one takes longer than anybody waits for an edit.
pub(super) const LARGEST: u64 = 256 << 20;
/// Below this many a second thread costs more than it saves.
const ITEMS_PER_THREAD: usize = 32;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Absent,
    Directory,
    File {
        stamp: Stamp,
        mode: u32,
    },
    Link {
        target: PathBuf,
    },
    /// A pipe, a socket or a device.
    Special,
}

/// What changes with a file's contents: sizes in bytes, times in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Device and inode.
    place: (u64, u64),
}

/// Whether a stamp that is still the same proves that the contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Proves,
    /// The file was changed within the tick in which it was read, or while it was.
    Doubtful,
}

/// A file as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) stamp: Stamp,
    pub(super) trust: Trust,
    pub(super) mode: u32,
    pub(super) hash: blake3::Hash,
}

/// The entries of a directory.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) entries: Vec<(OsString, Found)>,
    /// The text of its `.gitignore`.
    pub(super) rules: Option<Vec<u8>>,
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            place: (meta.dev(), meta.ino()),
        }
    }

    /// Bytes.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// What it proves about contents that were read from `began` on.
    fn trust(&self, began: SystemTime) -> Trust {
        let (Ok(seconds), Ok(nanos)) =
            (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return Trust::Doubtful;
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
        if changed + TICK < began {
            Trust::Proves
        } else {
            Trust::Doubtful
        }
    }
}

/// Looks at a path without following a link at its end. An error is one of the path, such as no permission.
pub(super) fn look(path: &Path) -> io::Result<Found> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if is_absence(&error) => return Ok(Found::Absent),
        other => other?,
    };
    Ok(if meta.is_dir() {
        Found::Directory
    } else if meta.is_file() {
        Found::File {
            stamp: Stamp::of(&meta),
            mode: meta.mode() & PERMISSIONS,
        }
    } else if meta.is_symlink() {
        match fs::read_link(path) {
            Ok(target) => Found::Link { target },
            // It was replaced since: that is another hint.
            Err(error) if is_absence(&error) => Found::Absent,
            Err(error) => return Err(error),
        }
    } else {
        Found::Special
    })
}

/// Whether the error says that there is nothing at the path.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The entries of a directory, each looked at, and its rules. Entries that vanish meanwhile are left out.
pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut entries = Vec::new();
    let mut rules = None;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let path = directory.join(&name);
        let found = look(&path)?;
        if found == Found::Absent {
            continue;
        }
        if name == GITIGNORE {
            rules = rules_at(&path);
        }
        entries.push((name, found));
    }
    Ok(Listing { entries, rules })
}

/// The name of the files with git's rules.
pub(super) const GITIGNORE: &str = ".gitignore";

/// The text of the file of rules at `path`; `None` if there is none that can be read. Git follows no link there.
pub(super) fn rules_at(path: &Path) -> Option<Vec<u8>> {
    let file = open(path).ok()?;
    file.metadata().ok().filter(Metadata::is_file)?;
    let mut text = Vec::new();
    file.take(LONGEST_RULES).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The file at `path`, read as a whole in constant memory; `None` if it is no file any more.
pub(super) fn read(path: &Path) -> io::Result<Option<Contents>> {
    read_watched(path, || {})
}

/// Like [`read`], with something to do each time between reading and the check whether it changed meanwhile.
fn read_watched(path: &Path, mut meanwhile: impl FnMut()) -> io::Result<Option<Contents>> {
    let mut last = None;
    for _ in 0..READS {
        let file = open(path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Ok(None);
        }
        let began = SystemTime::now();
        let mut hasher = blake3::Hasher::new();
        // One that grows faster than it is read has no end.
        hasher.update_reader((&file).take(LARGEST))?;
        meanwhile();
        let stamp = Stamp::of(&file.metadata()?);
        let is_same = stamp == Stamp::of(&before);
        last = Some(Contents {
            stamp,
            trust: if is_same {
                stamp.trust(began)
            } else {
                Trust::Doubtful
            },
            mode: before.mode() & PERMISSIONS,
            hash: hasher.finalize(),
        });
        if is_same {
            break;
        }
    }
    Ok(last)
}

/// Opens without following a link, and without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Does `work` for every item, on all cores if there are many; the results in the order of the items.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(items.len() / ITEMS_PER_THREAD);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        while let Some((index, item)) = take(items, &next) {
            done.push((index, work(item)));
        }
        done
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        running
            .into_iter()
            .flat_map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "the tests change files as other programs do"
    )]

    use std::fs::FileTimes;

    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut writes = vec!["newest", "newer"];
        let contents = read_watched(&path, || {
            if let Some(text) = writes.pop() {
                fs::write(&path, text).unwrap();
            }
        });
        let contents = contents.unwrap().unwrap();
        assert_eq!(contents.hash, blake3::hash(b"newest"));
        assert_eq!(contents.stamp.size(), 6);
    }

    #[test]
    fn a_file_that_never_rests_is_taken_as_it_is_and_not_trusted() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        fs::write(&path, "").unwrap();
        let mut text = String::new();
        let contents = read_watched(&path, || {
            text.push('x');
            fs::write(&path, &text).unwrap();
        });
        assert_eq!(contents.unwrap().unwrap().trust, Trust::Doubtful);
    }

    #[test]
    fn only_a_stamp_older_than_a_tick_of_the_clock_proves_anything() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "x").unwrap();
        let stamp = Stamp::of(&fs::metadata(&path).unwrap());
        let changed = UNIX_EPOCH
            + Duration::new(
                stamp.changed.0.try_into().unwrap(),
                stamp.changed.1.try_into().unwrap(),
            );
        assert_eq!(stamp.trust(changed), Trust::Doubtful);
        assert_eq!(stamp.trust(changed + TICK), Trust::Doubtful);
        assert_eq!(stamp.trust(changed + TICK * 2), Trust::Proves);
    }

    #[test]
    fn a_file_whose_time_was_set_back_has_another_stamp() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "old").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let times = FileTimes::new().set_modified(UNIX_EPOCH);
        file.set_times(times).unwrap();
        let before = look(&path).unwrap();
        fs::write(home.path().join("new"), "new").unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(times)
            .unwrap();
        assert_ne!(look(&path).unwrap(), before);
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_a_link_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(look(&pipe).unwrap(), Found::Special);
        assert_eq!(read(&pipe).unwrap(), None);
        assert_eq!(rules_at(&pipe), None);
        let link = home.path().join("link");
        std::os::unix::fs::symlink("pipe", &link).unwrap();
        assert!(read(&link).is_err());
        assert!(
            matches!(look(&link).unwrap(), Found::Link { target } if target == Path::new("pipe"))
        );
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(in_parallel(&items, |item| item * 2)[999], 1998);
        assert!(in_parallel(&items, |item| *item).is_sorted());
    }
}
