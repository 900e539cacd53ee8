//! What is copied, hashed and moved, on real file systems and as root.

mod archives;
mod drafts;
mod hashes;
mod stage;

use std::{
    fs,
    io::Write,
    os::{
        fd::BorrowedFd,
        unix::fs::{FileExt, MetadataExt, symlink},
    },
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    time::{Duration, Instant},
};

use devenv_agent::{
    protocol::{AgentError, FileProblem, read_frame},
    volume_protocol::{self, Answer, Means, Request, Source},
};
use rustix::fs::{FlockOperation, XattrFlags, flock, ioctl_ficlone, lsetxattr};

use self::stage::{Disk, LONG_AGO, Patient, SPARSE, Stage, described, names, problem, unfinished};
use super::{carry_out, copy, hash, measure, place::Root, progress};
use crate::listener::Listener;

/// As many files as take a while to be copied.
const MANY: usize = 5_000;

#[test]
fn a_copy_is_like_the_original_in_everything_that_can_be_seen() {
    let stage = Stage::new();
    stage.furnish("volume");
    let copied = stage.copy("volume", "copy").unwrap();
    let (original, copy) = (stage.at("volume"), stage.at("copy"));
    let (expected, seen) = (described(&original), described(&copy));
    assert_eq!(expected.len(), 19);
    for (path, text) in &expected {
        assert_eq!(seen.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(seen.len(), expected.len());
    assert_eq!((copied.files, copied.sockets), (14, 1));
    assert_eq!(copied.bytes, stage.measure("copy").bytes);
    assert_eq!(stage.hash("copy"), stage.hash("volume"));
    assert_eq!(stage.names(), ["copy", "volume"]);
}

#[test]
fn the_time_of_a_directory_is_that_of_the_original_although_its_files_came_later() {
    let stage = Stage::new();
    stage.furnish("volume");
    stage.copy("volume", "copy").unwrap();
    for path in ["copy", "copy/deep", "copy/deep/er", "copy/link"] {
        let there = stage.at(path).symlink_metadata().unwrap();
        assert_eq!((there.mtime(), there.mtime_nsec()), LONG_AGO, "{path}");
    }
}

#[test]
fn holes_stay_holes_and_what_is_between_them_is_there() {
    let stage = Stage::new();
    stage.furnish("volume");
    stage.copy("volume", "copy").unwrap();
    for (name, contents) in [("sparse", &b"in the middle"[..]), ("hole", &[0; 13])] {
        let file = fs::File::open(stage.at("copy").join(name)).unwrap();
        let there = file.metadata().unwrap();
        assert_eq!(there.len(), SPARSE);
        assert!(there.blocks() * 512 < SPARSE / 16, "{name}: {there:?}");
        let mut read = [0; 13];
        file.read_exact_at(&mut read, SPARSE / 2).unwrap();
        assert_eq!(read, *contents);
    }
}

#[test]
fn contents_are_cloned_where_the_file_system_can_and_copied_where_not() {
    let stage = Stage::new();
    let contents = b"0123456789abcdef".repeat(1 << 16);
    stage.write("volume/a", &contents);
    stage.write("volume/b", &contents);
    let (from, to) = (stage.at("volume/a"), stage.outside().join("probe"));
    let (from, to) = (fs::File::open(from), fs::File::create(to));
    let can_clone = ioctl_ficlone(to.unwrap(), from.unwrap()).is_ok();
    let means = stage.copy("volume", "copy").unwrap().means;
    assert_eq!(means == Means::Cloned, can_clone, "{means:?}");
    let disk = Disk::mount(stage.at("disk"), "8m");
    // From one file system to another nothing can.
    assert_eq!(
        stage.copy("volume", "disk/copy").unwrap().means,
        Means::Copied
    );
    assert_eq!(stage.hash("disk/copy"), stage.hash("volume"));
    assert_eq!(
        stage.copy("disk/copy", "back").unwrap().means,
        Means::Copied
    );
    assert_eq!(fs::read(stage.at("back/b")).unwrap(), contents);
    drop(disk);
}

#[test]
fn rights_that_are_inherited_where_a_copy_is_made_do_not_come_into_it() {
    let stage = Stage::new();
    stage.write("volume/deep/a", b"a");
    fs::create_dir(stage.at("copies")).unwrap();
    // What `setfacl -d -m u:1234:rwx` writes: its version, then kind, rights and user of each entry.
    let mut rights = 2_u32.to_le_bytes().to_vec();
    let entries = [(1, 7, u32::MAX), (2, 7, 1234), (4, 5, u32::MAX)];
    let others = [(0x10, 7, u32::MAX), (0x20, 5, u32::MAX)];
    for (kind, right, user) in entries.into_iter().chain(others) {
        rights.extend(u16::to_le_bytes(kind));
        rights.extend(u16::to_le_bytes(right));
        rights.extend(u32::to_le_bytes(user));
    }
    let (copies, name) = (stage.at("copies"), "system.posix_acl_default");
    lsetxattr(&copies, name, &rights, XattrFlags::empty()).unwrap();
    stage.copy("volume", "copies/one").unwrap();
    assert_eq!(
        described(&copies.join("one")),
        described(&stage.at("volume"))
    );
}

#[test]
fn nothing_is_copied_to_where_something_is_or_into_itself() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    stage.write("other/b", b"b");
    stage.write("file", b"file");
    for to in ["other", "file"] {
        let refused = stage.copy("volume", to).unwrap_err();
        assert_eq!(problem(&refused), &FileProblem::Exists, "{to}");
    }
    for to in ["volume", "volume/copy"] {
        let refused = stage.copy("volume", to).unwrap_err();
        assert!(matches!(refused, AgentError::Protocol(_)), "{refused}");
    }
    for (from, to) in [
        ("nowhere", "copy"),
        ("volume", "nowhere/copy"),
        ("file", "copy"),
    ] {
        let refused = stage.copy(from, to).unwrap_err();
        assert_eq!(problem(&refused), &FileProblem::NotThere, "{from} {to}");
    }
    assert_eq!(stage.names(), ["file", "other", "volume"]);
    assert_eq!(names(&stage.at("other")), ["b"]);
    assert_eq!(names(&stage.at("volume")), ["a"]);
}

#[test]
fn a_copy_is_whole_as_soon_as_it_is_there() {
    let stage = Stage::new();
    many(&stage, "volume");
    let copy = stage.at("copy");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                match fs::read_dir(&copy) {
                    Ok(entries) => assert_eq!(entries.count(), MANY),
                    Err(_) => std::thread::yield_now(),
                }
            }
        });
        stage.copy("volume", "copy").unwrap();
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let stage = Stage::new();
    many(&stage, "volume");
    let root = Root::open(stage.at("").as_os_str().as_encoded_bytes()).unwrap();
    let progress = progress::Progress::default();
    let refused = std::thread::scope(|scope| {
        let copying =
            scope.spawn(|| copy::copy(&root, b"volume", b"copy", Source::AtRest, &progress));
        while progress.so_far().files == 0 {
            assert!(!copying.is_finished());
        }
        assert!(stage.names()[0].starts_with(&unfinished("")));
        progress.give_up();
        copying.join().unwrap().unwrap_err()
    });
    assert_eq!(refused, AgentError::Cancelled);
    assert!((1..MANY as u64).contains(&progress.so_far().files));
    assert_eq!(stage.names(), ["volume"]);
}

#[test]
fn whoever_does_not_listen_any_more_has_the_work_broken_off() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Listener for Gone {
        fn wait(&mut self, _: Option<BorrowedFd<'_>>, _: Duration) -> std::io::Result<()> {
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
        fn has_ended(&self) -> bool {
            false
        }
    }
    let stage = Stage::new();
    many(&stage, "volume");
    let (from, to) = (b"volume".to_vec(), b"copy".to_vec());
    let request = Request::Copy {
        from,
        to,
        source: Source::AtRest,
    };
    let root = stage.at("");
    let answer = carry_out(root.as_os_str().as_encoded_bytes(), &request, &mut Gone);
    assert_eq!(answer, Err(AgentError::Cancelled));
    assert_eq!(stage.names(), ["volume"]);
}

#[test]
fn a_hash_and_a_measurement_that_nobody_wants_end() {
    let stage = Stage::new();
    stage.furnish("volume");
    let root = Root::open(stage.at("").as_os_str().as_encoded_bytes()).unwrap();
    let progress = progress::Progress::default();
    progress.give_up();
    let hashed = hash::hash(&root, b"volume", &progress);
    assert_eq!(hashed, Err(AgentError::Cancelled));
    let measured = measure::measure(&root, b"volume", &progress);
    assert_eq!(measured, Err(AgentError::Cancelled));
}

#[test]
fn how_far_it_is_is_told_ten_times_a_second() {
    struct Counting {
        heard: Vec<u8>,
        told: std::sync::mpsc::Sender<()>,
    }
    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.heard.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.told.send(()).map_err(std::io::Error::other)
        }
    }
    impl Listener for Counting {
        fn wait(&mut self, stirs: Option<BorrowedFd<'_>>, most: Duration) -> std::io::Result<()> {
            Patient.wait(stirs, most)
        }
        fn has_ended(&self) -> bool {
            Patient.has_ended()
        }
    }
    let (told, tells) = channel();
    let mut listener = Counting {
        heard: Vec::new(),
        told,
    };
    let began = Instant::now();
    // It does nothing but count until it was told of three times, as a call that takes long.
    let done = progress::told(&mut listener, move |progress| {
        for _ in 0..3 {
            progress.add(1, 100);
            tells.recv().unwrap();
        }
        Ok("done")
    });
    assert_eq!(done, Ok("done"));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let mut heard = listener.heard.as_slice();
    let records =
        std::iter::from_fn(|| read_frame::<volume_protocol::Progress>(&mut heard).unwrap());
    let files: Vec<u64> = records.map(|record| record.files).collect();
    assert_eq!(files[..3], [1, 2, 3]);
}

#[test]
fn what_the_killed_have_left_goes_with_the_next_copy_or_removal_and_what_others_work_at_stays() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    let left = unfinished("77-3");
    let anothers = unfinished("78-3");
    let own = unfinished("of-somebody");
    for name in [&anothers, &own] {
        stage.write(&format!("{name}/half"), b"half");
    }
    let worked_at = fs::File::open(stage.at(&anothers)).unwrap();
    flock(&worked_at, FlockOperation::NonBlockingLockExclusive).unwrap();
    stage.write(&format!("{left}/deep/half"), b"half");
    stage.copy("volume", "copy").unwrap();
    assert_eq!(stage.names(), [&anothers, &own, "copy", "volume"]);
    stage.write(&format!("{left}/deep/half"), b"half");
    stage.remove("nothing").unwrap();
    assert_eq!(stage.names(), [&anothers, &own, "copy", "volume"]);
    // A kill gives the lock up.
    drop(worked_at);
    stage.remove("copy").unwrap();
    assert_eq!(stage.names(), [&own, "volume"]);
}

#[test]
fn copies_and_removals_beside_each_other_do_not_disturb_each_other() {
    let stage = Stage::new();
    stage.write("volume/deep/a", b"a");
    std::thread::scope(|scope| {
        for copy in ["a", "b", "c", "d"] {
            let stage = &stage;
            scope.spawn(move || {
                for _ in 0..10 {
                    stage.copy("volume", copy).unwrap();
                    assert_eq!(names(&stage.at(copy)), ["deep"]);
                    stage.remove(copy).unwrap();
                }
            });
        }
    });
    assert_eq!(stage.names(), ["volume"]);
}

#[test]
fn a_full_disk_is_named_and_left_as_it_was() {
    let stage = Stage::new();
    stage.write("volume/small", b"fits");
    stage.write("volume/zzz", &vec![b'x'; 3 << 20]);
    let disk = Disk::mount(stage.at("disk"), "2m");
    let refused = stage.copy("volume", "disk/copy").unwrap_err();
    assert_eq!(problem(&refused), &FileProblem::NoSpace);
    assert_eq!(names(&stage.at("disk")), Vec::<String>::new());
    disk.read_only();
    let refused = stage.copy("volume", "disk/copy").unwrap_err();
    assert_eq!(problem(&refused), &FileProblem::ReadOnly);
}

#[test]
fn two_directories_take_each_others_places() {
    let stage = Stage::new();
    stage.write("volumes/a/new", b"new");
    stage.write("snapshots/a/old", b"old");
    stage.write("file", b"file");
    let exchange = |one: &str, other: &str| {
        let (one, other) = (one.into(), other.into());
        stage.ask(&Request::Exchange { one, other })
    };
    assert_eq!(exchange("volumes/a", "snapshots/a"), Ok(Answer::Exchanged));
    assert_eq!(names(&stage.at("volumes/a")), ["old"]);
    assert_eq!(names(&stage.at("snapshots/a")), ["new"]);
    for other in ["nowhere", "file"] {
        let refused = exchange("volumes/a", other).unwrap_err();
        assert_eq!(problem(&refused), &FileProblem::NotThere, "{other}");
    }
    assert_eq!(names(&stage.at("volumes/a")), ["old"]);
}

#[test]
fn a_directory_gets_another_path_where_nothing_is() {
    let stage = Stage::new();
    stage.write("one/a", b"a");
    stage.write("other/b", b"b");
    let rename = |from: &str, to: &str| {
        let (from, to) = (from.into(), to.into());
        stage.ask(&Request::Rename { from, to })
    };
    let refused = rename("one", "other").unwrap_err();
    assert_eq!(problem(&refused), &FileProblem::Exists);
    let refused = rename("nowhere", "third").unwrap_err();
    assert_eq!(problem(&refused), &FileProblem::NotThere);
    assert_eq!(rename("one", "other/one"), Ok(Answer::Renamed));
    assert_eq!(stage.names(), ["other"]);
    assert_eq!(names(&stage.at("other/one")), ["a"]);
}

#[test]
fn a_removal_takes_all_below_and_nothing_that_links_lead_to() {
    let stage = Stage::new();
    stage.furnish("volume");
    stage.write("file", b"file");
    fs::write(stage.outside().join("kept"), "kept").unwrap();
    symlink("volume", stage.at("link")).unwrap();
    for path in ["link", "file", "never", "never/was", "volume/plain/never"] {
        assert_eq!(stage.remove(path), Ok(Answer::Removed), "{path}");
    }
    assert_eq!(stage.names(), ["volume"]);
    stage.remove("volume").unwrap();
    assert_eq!(stage.names(), Vec::<String>::new());
    assert_eq!(names(&stage.outside()), ["kept"]);
}

#[test]
fn a_directory_is_measured_with_hard_links_once() {
    let stage = Stage::new();
    stage.write("volume/a", &[b'a'; 5_000]);
    stage.write("volume/deep/b", &[b'b'; 100]);
    fs::hard_link(stage.at("volume/a"), stage.at("volume/deep/a")).unwrap();
    symlink("a", stage.at("volume/link")).unwrap();
    let measured = stage.measure("volume");
    assert_eq!((measured.files, measured.directories), (4, 2));
    assert_eq!(measured.bytes, 5_100);
    let once = ["", "a", "deep", "deep/b", "link"];
    let blocks = once.map(|path| {
        let path = stage.at("volume").join(path);
        path.symlink_metadata().unwrap().blocks() * 512
    });
    assert_eq!(measured.allocated, blocks.iter().sum::<u64>());
}

#[test]
fn no_path_and_no_link_leads_out_of_the_root() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    fs::create_dir_all(stage.outside().join("tree")).unwrap();
    fs::write(stage.outside().join("tree/kept"), "kept").unwrap();
    symlink(stage.outside(), stage.at("absolute")).unwrap();
    symlink("../outside", stage.at("relative")).unwrap();
    symlink("volume", stage.at("within")).unwrap();
    let of_somebody_who_works = unfinished("77-3");
    for path in [
        "absolute/tree",
        "relative/tree",
        "../outside/tree",
        "/outside/tree",
        "volume/../../outside/tree",
        "within",
        "absolute",
        "",
        ".",
        &of_somebody_who_works,
    ] {
        for request in requests(path) {
            let refused = stage.ask(&request);
            assert!(refused.is_err(), "{request:?}: {refused:?}");
        }
    }
    for path in ["absolute/tree", "relative/tree/kept", "../outside/tree", ""] {
        assert!(stage.remove(path).is_err(), "{path}");
    }
    assert_eq!(names(&stage.outside().join("tree")), ["kept"]);
    assert_eq!(names(&stage.outside()), ["tree"]);
    assert_eq!(stage.names(), ["absolute", "relative", "volume", "within"]);
}

/// What a path can be asked for that has to be a directory, or where one would be made.
fn requests(path: &str) -> Vec<Request> {
    let (path, volume) = (path.as_bytes().to_vec(), b"volume".to_vec());
    let copy = |from: &[u8], to: &[u8]| Request::Copy {
        from: from.to_vec(),
        to: to.to_vec(),
        source: Source::AtRest,
    };
    vec![
        copy(&volume, &path),
        copy(&path, b"copy"),
        Request::Exchange {
            one: volume.clone(),
            other: path.clone(),
        },
        Request::Rename {
            from: volume.clone(),
            to: path.clone(),
        },
        Request::Rename {
            from: path.clone(),
            to: b"moved".to_vec(),
        },
        Request::Hash { path: path.clone() },
        Request::Measure { path },
    ]
}

/// Writes a directory that takes a while to be copied.
fn many(stage: &Stage, path: &str) {
    for number in 0..MANY {
        stage.write(&format!("{path}/{number}"), b"small");
    }
}

/// Changes a byte and nothing else.
fn overwrite(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    file.write_all_at(b"X", middle).unwrap();
}

fn lengthen(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(1).unwrap();
}

#[test]
fn directories_are_prepared_with_those_above_and_known_by_their_inode() {
    let stage = Stage::new();
    let ask = |request: Request| stage.ask(&request);
    let look = |path: &[u8]| match ask(Request::Look {
        path: path.to_vec(),
    })
    .unwrap()
    {
        Answer::Looked(inode) => inode,
        other => panic!("{other:?}"),
    };
    assert_eq!(look(b"a/b/c"), None);
    for _ in 0..2 {
        let path = b"a/b/c".to_vec();
        assert_eq!(ask(Request::Prepare { path }).unwrap(), Answer::Prepared);
    }
    let made = fs::metadata(stage.at("a/b/c")).unwrap();
    assert_eq!(look(b"a/b/c"), Some(made.ino()));
    assert_eq!(made.mode() & 0o777, 0o700);
    stage.write("file", b"");
    let path = b"file/c".to_vec();
    ask(Request::Prepare { path }).unwrap_err();
    assert_eq!(ask(Request::Sync).unwrap(), Answer::Synced);
    let Answer::Space(space) = ask(Request::Space).unwrap() else {
        panic!("no space")
    };
    assert!(0 < space.free && space.free <= space.total, "{space:?}");
}
