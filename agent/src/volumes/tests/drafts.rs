//! Copies of what others write to, in two goes.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use devenv_agent::volume_protocol::Copied;
use proptest::{
    prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest},
    prop_assert_eq,
};
use rustix::fs::{CWD, RenameFlags, XattrFlags, lsetxattr, renameat_with};

use super::stage::{LONG_AGO, Stage, described, names, set_time};
use crate::volumes::{
    copy::{How, copy_in},
    draft::Settled,
    place::Root,
    progress::Progress,
};

/// Copies `volume` to `copy`; `meanwhile` works when the draft is made, and nobody after it.
fn copied(stage: &Stage, settled: Settled, meanwhile: impl FnOnce()) -> Copied {
    let root = Root::open(stage.at("").as_os_str().as_encoded_bytes()).unwrap();
    let (progress, how) = (Progress::default(), How::ByDraft(settled));
    thread::scope(|scope| {
        let _ends = Ends(&progress);
        let copying = scope.spawn(|| copy_in(&root, (b"volume", b"copy"), how, &progress));
        while !progress.so_far().is_drafted {
            assert!(!copying.is_finished());
            thread::yield_now();
        }
        meanwhile();
        progress.come_to_rest();
        copying.join().unwrap().unwrap()
    })
}

/// A copy that a test waits for no more is not waited for by anybody.
struct Ends<'a>(&'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Whatever is changed from now on has a later time than what was changed before.
fn next_moment(stage: &Stage) -> Settled {
    let of = |path: &Path| {
        let there = path.metadata().unwrap();
        (there.ctime(), there.ctime_nsec())
    };
    let probe = stage.outside().join("clock");
    fs::write(&probe, "").unwrap();
    let before = of(&probe);
    while of(&probe) == before {
        fs::write(&probe, "").unwrap();
    }
    // As if all had been changed long ago.
    Settled(Duration::MAX)
}

/// Where the copy is until it is complete.
fn draft_of(stage: &Stage) -> PathBuf {
    let mut names = names(&stage.at("")).into_iter();
    stage.at(&names.find(|name| name != "volume").unwrap())
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

#[test]
fn what_nobody_changes_is_copied_once() {
    let stage = Stage::new();
    stage.furnish("volume");
    let settled = next_moment(&stage);
    let mut drafted = None;
    let copied = copied(&stage, settled, || {
        drafted = Some(inode(&draft_of(&stage).join("plain")));
    });
    assert_eq!(described(&stage.at("copy")), described(&stage.at("volume")));
    assert_eq!(Some(inode(&stage.at("copy/plain"))), drafted);
    assert_eq!((copied.files, copied.sockets), (14, 1));
    assert_eq!(copied.bytes, stage.measure("copy").bytes);
    assert_eq!(stage.names(), ["copy", "volume"]);
}

#[test]
fn whatever_is_changed_after_the_draft_is_in_the_copy() {
    let stage = Stage::new();
    stage.furnish("volume");
    for name in ["replaced", "renamed/inner", "gone/deep/a", "turned"] {
        stage.write(&format!("volume/{name}"), b"before");
    }
    stage.write("volume/zz", b"linked");
    fs::hard_link(stage.at("volume/zz"), stage.at("volume/renamed/linked")).unwrap();
    let settled = next_moment(&stage);
    let at = |name: &str| stage.at("volume").join(name);
    let copied = copied(&stage, settled, || {
        // Of the same length, and at the same time as far as anybody can set it.
        let time = at("plain").metadata().unwrap();
        fs::write(at("plain"), "other\n".repeat(2_000)).unwrap();
        set_time(&at("plain"), (time.mtime(), time.mtime_nsec()));
        fs::write(at("new"), "new").unwrap();
        fs::rename(at("new"), at("replaced")).unwrap();
        fs::remove_dir_all(at("gone")).unwrap();
        fs::rename(at("renamed"), at("a new name")).unwrap();
        fs::remove_file(at("link")).unwrap();
        symlink("nothing", at("link")).unwrap();
        fs::remove_file(at("turned")).unwrap();
        fs::create_dir_all(at("turned/into/directories")).unwrap();
        fs::remove_dir(at("empty")).unwrap();
        fs::write(at("empty"), "a file").unwrap();
        fs::set_permissions(at("sticky"), fs::Permissions::from_mode(0o700)).unwrap();
        lchown(at("pipe"), Some(77), Some(78)).unwrap();
        lsetxattr(at("program"), "user.note", b"later", XattrFlags::empty()).unwrap();
        fs::hard_link(at("nothing"), at("deep/nothing too")).unwrap();
        renameat_with(CWD, at("sparse"), CWD, at("hole"), RenameFlags::EXCHANGE).unwrap();
        set_time(&at("deep"), LONG_AGO);
    });
    let (expected, seen) = (described(&stage.at("volume")), described(&stage.at("copy")));
    for (path, text) in &expected {
        assert_eq!(seen.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(seen.len(), expected.len());
    let measured = stage.measure("copy");
    assert_eq!(
        (copied.files, copied.bytes),
        (measured.files, measured.bytes)
    );
}

#[test]
fn what_was_changed_just_before_the_draft_is_copied_again() {
    let stage = Stage::new();
    stage.write("volume/a", b"before");
    let written = stage.at("volume/a").metadata().unwrap();
    let (seconds, nanoseconds) = (written.ctime(), written.ctime_nsec());
    let written = Duration::new(seconds.cast_unsigned(), nanoseconds.try_into().unwrap());
    // Held open, so that no other gets its number.
    let mut drafted = None;
    copied(&stage, Settled(written + Duration::from_millis(90)), || {
        let draft = draft_of(&stage);
        drafted = Some(fs::File::open(draft.join("a")).unwrap());
    });
    // Nothing would tell it from what was changed later within the same moment.
    let drafted = drafted.unwrap().metadata().unwrap();
    assert_ne!(inode(&stage.at("copy/a")), drafted.ino());
    assert_eq!(fs::read(stage.at("copy/a")).unwrap(), b"before");
}

#[test]
fn a_draft_is_made_while_others_work_at_what_it_is_of() {
    let stage = Stage::new();
    for number in 0..2_000 {
        stage.write(&format!("volume/{}/{number}", number % 20), b"small");
    }
    let root = Root::open(stage.at("").as_os_str().as_encoded_bytes()).unwrap();
    let (progress, how) = (Progress::default(), How::ByDraft(Settled::now()));
    let (is_over, volume) = (AtomicBool::new(false), stage.at("volume"));
    let rounds = thread::scope(|scope| {
        let _ends = Ends(&progress);
        let working = scope.spawn(|| {
            let mut rounds = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                disturb(&volume, rounds);
                rounds += 1;
            }
            rounds
        });
        let copying = scope.spawn(|| copy_in(&root, (b"volume", b"copy"), how, &progress));
        while !progress.so_far().is_drafted {
            assert!(!copying.is_finished(), "{:?}", copying.join().unwrap());
            thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
        let rounds = working.join().unwrap();
        progress.come_to_rest();
        copying.join().unwrap().unwrap();
        rounds
    });
    assert!(rounds > 2, "{rounds}");
    assert_eq!(described(&stage.at("copy")), described(&volume));
    assert_eq!(stage.hash("copy"), stage.hash("volume"));
}

/// Changes kinds, names and contents, over and over.
fn disturb(volume: &Path, round: u32) {
    let directory = volume.join((round % 20).to_string());
    for number in (round % 20..2_000).step_by(20).take(30) {
        let file = directory.join(number.to_string());
        match (round / 20 + number) % 5 {
            0 => fs::write(&file, round.to_string()).unwrap_or_default(),
            1 => {
                let _ = fs::remove_file(&file);
                let _ = symlink("nowhere", &file);
            }
            2 => {
                let _ = fs::remove_file(&file);
                let _ = fs::create_dir(&file);
            }
            3 => {
                let _ = fs::remove_dir(&file);
                let _ = fs::hard_link(directory.join("shared"), &file);
            }
            _ => {
                let _ = fs::write(directory.join("shared"), "shared");
                let _ = fs::rename(directory.join("shared"), &file);
            }
        }
    }
    let _ = fs::rename(&directory, volume.join("moved"));
    let _ = fs::rename(volume.join("moved"), &directory);
}

#[test]
fn a_draft_that_nobody_wants_leaves_nothing() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    let root = Root::open(stage.at("").as_os_str().as_encoded_bytes()).unwrap();
    let (progress, how) = (Progress::default(), How::ByDraft(Settled::now()));
    let refused = thread::scope(|scope| {
        let _ends = Ends(&progress);
        let copying = scope.spawn(|| copy_in(&root, (b"volume", b"copy"), how, &progress));
        while !progress.so_far().is_drafted {
            assert!(!copying.is_finished());
            thread::yield_now();
        }
        progress.give_up();
        copying.join().unwrap().unwrap_err()
    });
    assert_eq!(refused, devenv_agent::protocol::AgentError::Cancelled);
    assert_eq!(stage.names(), ["volume"]);
}

/// A change of a small tree: what, and where.
#[derive(Debug, Clone)]
enum Change {
    Write(u8, u8),
    Directory(u8),
    Symlink(u8),
    Link(u8, u8),
    Rename(u8, u8),
    Remove(u8),
    Mode(u8, bool),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0..40_u8;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, what)| Change::Write(at, what)),
        place().prop_map(Change::Directory),
        place().prop_map(Change::Symlink),
        (place(), place()).prop_map(|(one, other)| Change::Link(one, other)),
        (place(), place()).prop_map(|(from, to)| Change::Rename(from, to)),
        place().prop_map(Change::Remove),
        (place(), any::<bool>()).prop_map(|(at, is_open)| Change::Mode(at, is_open)),
    ]
}

impl Change {
    /// One that cannot be made changes nothing.
    fn make(&self, top: &Path) {
        // Forty places: four at the top, the others in these and in what is in these.
        let at = |place: u8| match place {
            0..4 => top.join(place.to_string()),
            4..16 => top
                .join((place % 4).to_string())
                .join((place / 4).to_string()),
            _ => {
                let above = top.join((place % 4).to_string());
                above
                    .join((place / 4 % 4).to_string())
                    .join(place.to_string())
            }
        };
        let _ = match *self {
            Self::Write(place, what) => fs::write(at(place), [what; 5]),
            Self::Directory(place) => fs::create_dir_all(at(place)),
            Self::Symlink(place) => symlink("somewhere", at(place)),
            Self::Link(one, other) => fs::hard_link(at(one), at(other)),
            Self::Rename(from, to) => fs::rename(at(from), at(to)),
            Self::Remove(place) => {
                fs::remove_file(at(place)).or_else(|_| fs::remove_dir_all(at(place)))
            }
            Self::Mode(place, is_open) => {
                let mode = if is_open { 0o755 } else { 0o700 };
                fs::set_permissions(at(place), fs::Permissions::from_mode(mode))
            }
        };
    }
}

fn make_all(changes: &[Change], top: &Path) {
    for change in changes {
        change.make(top);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_changes_before_and_after_a_draft_are_in_the_copy(
        before in proptest::collection::vec(change(), 0..60),
        after in proptest::collection::vec(change(), 0..30),
    ) {
        let stage = Stage::new();
        let volume = stage.at("volume");
        fs::create_dir(&volume).unwrap();
        make_all(&before, &volume);
        let settled = next_moment(&stage);
        let copied = copied(&stage, settled, || make_all(&after, &volume));
        prop_assert_eq!(described(&stage.at("copy")), described(&volume));
        let measured = stage.measure("copy");
        prop_assert_eq!((copied.files, copied.bytes), (measured.files, measured.bytes));
    }
}
