//! A directory stands for the root of a container.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use devenv_agent::protocol::{
    AgentError, Entry, EntryKind, FileChange, FileProblem, frame, read_frame,
};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use tempfile::TempDir;

use super::{UNFINISHED, change, list, owner::Ids, read};

struct Stage {
    directory: TempDir,
}

impl Stage {
    /// `root` is the container's, `outside` is not.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["root/app/src", "outside"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn root(&self) -> OwnedFd {
        fs::File::open(self.at("root")).unwrap().into()
    }

    fn change(&self, base: &str, records: &[u8]) -> Result<u32, AgentError> {
        change(self.root(), base.as_bytes(), None, &mut &*records)
    }

    fn list(&self, directory: &str) -> Vec<Entry> {
        let mut records = Vec::new();
        let count = list(self.root(), directory.as_bytes(), &mut records).unwrap();
        let mut reader = records.as_slice();
        let entries = std::iter::from_fn(|| read_frame(&mut reader).unwrap());
        let entries: Vec<Entry> = entries.collect();
        assert_eq!(entries.len(), count as usize);
        entries
    }

    /// What is left in the whole stage of files that were being written.
    fn unfinished(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        let mut open = vec![self.directory.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.to_string_lossy().contains(UNFINISHED) {
                    left.push(path);
                } else if path.is_dir() && !path.is_symlink() {
                    open.push(path);
                }
            }
        }
        left
    }
}

fn file(path: &str, contents: &[u8]) -> Vec<u8> {
    let head = FileChange::File {
        path: path.into(),
        mode: 0o640,
        size: contents.len() as u64,
        hash: *blake3::hash(contents).as_bytes(),
    };
    [&frame(&head).unwrap(), contents].concat()
}

fn absent(path: &str) -> Vec<u8> {
    frame(&FileChange::Absent { path: path.into() }).unwrap()
}

fn problem(error: &AgentError) -> &FileProblem {
    match error {
        AgentError::File { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn files_links_and_directories_come_and_go() {
    let stage = Stage::new();
    fs::create_dir(stage.at("root/app/src/old")).unwrap();
    fs::write(stage.at("root/app/src/old/a"), "a").unwrap();
    let link = FileChange::Link {
        path: b"latest".to_vec(),
        target: b"new/b.py".to_vec(),
    };
    let directory = FileChange::Directory {
        path: b"empty/one".to_vec(),
        mode: 0o750,
    };
    let records = [
        absent("old"),
        absent("never/was"),
        file("new/b.py", b"print()"),
        frame(&link).unwrap(),
        frame(&directory).unwrap(),
    ];
    assert_eq!(stage.change("/app/src", &records.concat()), Ok(5));
    let written = stage.at("root/app/src/new/b.py");
    assert_eq!(fs::read(&written).unwrap(), b"print()");
    assert_eq!(written.metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(
        fs::read(stage.at("root/app/src/latest")).unwrap(),
        b"print()"
    );
    let made = stage.at("root/app/src/empty/one").metadata().unwrap();
    assert_eq!(made.mode() & 0o7777, 0o750);
    assert!(!stage.at("root/app/src/old").exists());
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
}

/// The records of a tree in which `a` is a directory, `b` a file, and `c` a directory.
fn turned() -> Vec<Vec<u8>> {
    let directory = |path: &str| {
        frame(&FileChange::Directory {
            path: path.into(),
            mode: 0o755,
        })
        .unwrap()
    };
    vec![
        directory("a"),
        file("a/x", b"in a"),
        file("b", b"b"),
        absent("b/y"),
        directory("c"),
        directory("c/d"),
        file("c/d/z", b"in d"),
    ]
}

#[test]
fn files_directories_and_links_take_each_others_places() {
    let stage = Stage::new();
    let at = |path: &str| stage.at(&format!("root/app/src/{path}"));
    fs::write(at("a"), "a file").unwrap();
    fs::create_dir_all(at("b/of/image")).unwrap();
    fs::write(at("b/y"), "in b").unwrap();
    fs::create_dir(at("linked")).unwrap();
    std::os::unix::fs::symlink("linked", at("c")).unwrap();
    assert_eq!(stage.change("/app/src", &turned().concat()), Ok(7));
    assert_eq!(fs::read(at("a/x")).unwrap(), b"in a");
    assert_eq!(fs::read(at("b")).unwrap(), b"b");
    assert_eq!(fs::read(at("c/d/z")).unwrap(), b"in d");
    assert!(!at("c").symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_dir(at("linked")).unwrap().count(), 0);
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_said_of_a_path_last_counts() {
    let stage = Stage::new();
    let at = |path: &str| stage.at(&format!("root/app/src/{path}"));
    let mut records = vec![
        file("a", b"first"),
        file("gone", b"soon"),
        absent("a"),
        absent("gone"),
    ];
    records.extend(turned());
    records.push(file("a/x", b"last"));
    assert_eq!(stage.change("/app/src", &records.concat()), Ok(12));
    assert_eq!(fs::read(at("a/x")).unwrap(), b"last");
    assert!(!at("gone").exists());
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
}

#[test]
fn a_listing_says_what_a_change_has_made() {
    let stage = Stage::new();
    let records = [file("b/c", b"two"), file("a", b"one")].concat();
    stage.change("/app/src", &records).unwrap();
    let at = |path: &str, contents: &[u8]| Entry {
        path: path.into(),
        kind: EntryKind::File {
            mode: 0o640,
            hash: *blake3::hash(contents).as_bytes(),
        },
    };
    let directory = Entry {
        path: b"b".to_vec(),
        kind: EntryKind::Directory { mode: 0o755 },
    };
    let expected = [at("a", b"one"), directory, at("b/c", b"two")];
    assert_eq!(stage.list("/app/src"), expected);
}

#[test]
fn a_stream_that_breaks_off_or_is_damaged_changes_nothing() {
    let stage = Stage::new();
    let before = stage.list("/");
    let whole = [file("a", b"first"), file("deep/b", b"second")].concat();
    let boundary = file("a", b"first").len();
    for end in (1..whole.len()).filter(|end| *end != boundary) {
        assert!(stage.change("/app/src", &whole[..end]).is_err(), "{end}");
    }
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let error = stage.change("/app/src", &damaged).unwrap_err();
    assert_eq!(problem(&error), &FileProblem::Damaged);
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
    let mut after = stage.list("/");
    // Directories that were made for it are all that it leaves.
    after.retain(|entry| entry.path != b"app/src/deep");
    assert_eq!(after, before);
}

#[test]
fn a_stream_that_breaks_off_leaves_what_another_kind_of_file_was_to_replace() {
    let stage = Stage::new();
    fs::write(stage.at("root/app/src/a"), "a file").unwrap();
    fs::create_dir(stage.at("root/app/src/b")).unwrap();
    let before = stage.list("/");
    let whole = turned().concat();
    assert!(stage.change("/app/src", &whole[..whole.len() - 1]).is_err());
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
    let mut after = stage.list("/");
    after.retain(|entry| !entry.path.starts_with(b"app/src/c"));
    assert_eq!(after, before);
}

#[test]
fn what_a_killed_agent_was_writing_is_removed_by_the_next_look_and_anothers_is_not() {
    let stage = Stage::new();
    // Numbers of processes end far below this one.
    let killed = stage.at(&format!("root/app/src/{UNFINISHED}{}-3", u32::MAX));
    let anothers = stage.at(&format!(
        "root/app/src/{UNFINISHED}{}-3",
        std::os::unix::process::parent_id()
    ));
    let own = stage.at(&format!("root/app/src/{UNFINISHED}of-somebody"));
    for path in [&killed, &anothers, &own] {
        fs::write(path, "half").unwrap();
    }
    let listed = stage.list("/app/src");
    assert!(!killed.exists());
    assert!(anothers.exists());
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(own.exists());
}

#[test]
fn a_replaced_file_is_whole_at_every_moment() {
    let stage = Stage::new();
    let contents = |letter: u8| vec![letter; 300_000];
    stage.change("/app", &file("f", &contents(b'a'))).unwrap();
    let path = stage.at("root/app/f");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let seen = fs::read(&path).unwrap();
                assert_eq!(seen.len(), 300_000);
                assert!(seen.iter().all(|byte| *byte == seen[0]));
            }
        });
        for letter in b"bcdefghij" {
            stage
                .change("/app", &file("f", &contents(*letter)))
                .unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn no_link_of_the_container_leads_out_of_it() {
    let stage = Stage::new();
    let outside = stage.at("outside");
    symlink(&outside, stage.at("root/absolute")).unwrap();
    symlink("../../../../outside", stage.at("root/app/relative")).unwrap();
    symlink("../../outside/f", stage.at("root/app/file")).unwrap();
    for (base, path) in [
        ("/absolute", "f"),
        ("/app/relative", "f"),
        ("/app", "relative/f"),
        ("/app", "file"),
        ("/", "absolute/deep/f"),
    ] {
        // It may be refused, or land in the container: what counts is that nothing is outside.
        let _ = stage.change(base, &file(path, b"out"));
        let _ = stage.change(base, &absent(path));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{base} {path}");
    }
    fs::write(outside.join("kept"), "kept").unwrap();
    fs::create_dir(stage.at("root/app/tree")).unwrap();
    symlink(&outside, stage.at("root/app/tree/way-out")).unwrap();
    stage.change("/app", &absent("tree")).unwrap();
    assert!(
        outside.join("kept").exists(),
        "a link was followed to remove"
    );
}

#[test]
fn a_directory_that_is_swapped_for_a_link_meanwhile_leads_nobody_out() {
    let stage = Stage::new();
    let (inner, outside) = (stage.at("root/app/src"), stage.at("outside"));
    let link = stage.at("root/app/link");
    symlink(&outside, &link).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                renameat_with(CWD, &inner, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..2_000 {
            let _ = stage.change("/app/src", &file("deep/f", b"out"));
            let _ = stage.change("/app/src", &absent("deep"));
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn what_a_file_belongs_to_stays_and_a_new_one_is_its_directorys() {
    let stage = Stage::new();
    let directory = stage.at("root/app/src");
    let mine = directory.metadata().unwrap();
    stage.change("/app/src", &file("new/f", b"x")).unwrap();
    for path in ["root/app/src/new", "root/app/src/new/f"] {
        let made = stage.at(path).metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (mine.uid(), mine.gid()));
    }
}

#[test]
fn a_path_that_is_none_is_refused_and_the_others_with_it() {
    let stage = Stage::new();
    let records = [file("good", b"x"), file("../bad", b"x")].concat();
    let error = stage.change("/app/src", &records).unwrap_err();
    assert_eq!(problem(&error), &FileProblem::Path);
    assert!(!stage.at("root/app/src/good").exists());
    assert_eq!(stage.unfinished(), Vec::<PathBuf>::new());
}

#[test]
fn a_file_that_may_not_be_read_by_others_is_not_either_while_it_is_written() {
    let stage = Stage::new();
    fs::set_permissions(stage.at("root/app/src"), fs::Permissions::from_mode(0o755)).unwrap();
    let head = &file("secret", b"0123456789")[..];
    // All but the last byte: the file is there and unfinished when the stream breaks off.
    let mut stream = Halting {
        bytes: &head[..head.len() - 1],
        seen: Vec::new(),
        stage: &stage,
    };
    change(stage.root(), b"/app/src", None, &mut stream).unwrap_err();
    assert_eq!(stream.seen, [0o600]);
}

/// At its end it looks at the files that are being written.
struct Halting<'a> {
    bytes: &'a [u8],
    seen: Vec<u32>,
    stage: &'a Stage,
}

impl std::io::Read for Halting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.bytes.is_empty() {
            let modes = self.stage.unfinished().into_iter();
            self.seen = modes
                .map(|path| path.metadata().unwrap().mode() & 0o7777)
                .collect();
        }
        self.bytes.read(buffer)
    }
}

#[test]
fn a_listed_file_is_one_entry_without_a_path() {
    let stage = Stage::new();
    fs::write(stage.at("root/app/program"), "x").unwrap();
    let entries = stage.list("/app/program");
    assert_eq!(entries.len(), 1);
    assert!(entries[0].path.is_empty(), "{entries:?}");
    assert!(matches!(entries[0].kind, EntryKind::File { .. }));
}

#[test]
fn a_file_is_read_through_links_that_stay_in_the_container() {
    let stage = Stage::new();
    let contents: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    fs::write(stage.at("root/app/large"), &contents).unwrap();
    symlink("/app/large", stage.at("root/app/link")).unwrap();
    let mut told = Vec::new();
    let bytes = read(&stage.root(), b"/app/link", &mut told);
    assert_eq!(bytes, Ok(contents.len() as u64));
    assert!(told == contents);
}

#[test]
fn what_is_outside_or_no_file_is_not_read() {
    let stage = Stage::new();
    fs::write(stage.at("outside/secret"), "secret").unwrap();
    symlink(stage.at("outside/secret"), stage.at("root/app/absolute")).unwrap();
    symlink("../../outside/secret", stage.at("root/app/relative")).unwrap();
    mknodat(
        CWD,
        stage.at("root/app/pipe"),
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for path in [
        "/app/absolute",
        "/app/relative",
        "/app/none",
        "/app/pipe",
        "/app",
        "/app/../app",
    ] {
        let mut told = Vec::new();
        let refused = read(&stage.root(), path.as_bytes(), &mut told);
        assert!(matches!(refused, Err(AgentError::File { .. })), "{path}");
        assert_eq!(told, b"", "{path}");
    }
}

#[test]
fn what_is_named_becomes_whose_it_is_said_to_and_nothing_else_does() {
    let stage = Stage::new();
    let directory = FileChange::Directory {
        path: b"made/inner".to_vec(),
        mode: 0o750,
    };
    let records = [frame(&directory).unwrap(), file("made/inner/f", b"x")].concat();
    let before = fs::metadata(stage.at("root/app")).unwrap();
    // Who is not root can give nothing away, but to itself.
    let (user, group) = if before.uid() == 0 {
        (70, 71)
    } else {
        (before.uid(), before.gid())
    };
    let said = Some(Ids { user, group });
    assert_eq!(
        change(stage.root(), b"/app", said, &mut records.as_slice()),
        Ok(2)
    );
    let of = |path: &str| {
        let found = fs::metadata(stage.at(path)).unwrap();
        (
            found.uid(),
            found.gid(),
            found.permissions().mode() & 0o7777,
        )
    };
    assert_eq!(of("root/app/made/inner"), (user, group, 0o750));
    assert_eq!(of("root/app/made/inner/f"), (user, group, 0o640));
    assert_eq!(of("root/app/made").0, before.uid());
}
