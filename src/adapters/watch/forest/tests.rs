//! The core without the kernel: hints are given by hand, and watches are counted.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests change files as other programs do"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
};

use super::*;
use crate::adapters::watch::{
    Ignore,
    kernel::{WatchLimit, fake::Fake},
};

/// A directory that is watched by hand.
pub(super) struct Bed {
    home: tempfile::TempDir,
    pub(super) root: PathBuf,
    pub(super) forest: Forest<Fake>,
    kernel: Fake,
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(super) fn bed(files: &[(&str, &str)]) -> Bed {
    bed_with(files, &[], usize::MAX)
}

fn bed_with(files: &[(&str, &str)], patterns: &[&str], watches: usize) -> Bed {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap().join("root");
    fs::create_dir(&root).unwrap();
    for (path, text) in files {
        write(&root.join(path), text);
    }
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let watched = Watched {
        root: root.clone(),
        ignore: Ignore::patterns(patterns).unwrap(),
    };
    let kernel = Fake::with_watches(watches);
    let (forest, _) = Forest::plant(vec![watched], kernel.clone()).unwrap();
    Bed {
        home,
        root,
        forest,
        kernel,
    }
}

impl Bed {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.path(path), text);
    }

    fn hint(&mut self, paths: &[&str]) -> Outcome {
        let paths = paths.iter().map(|path| self.root.join(path)).collect();
        self.forest.apply(&Hints {
            paths,
            rescan: None,
        })
    }

    /// The changes that hints lead to, in words.
    fn changes(&mut self, hints: &[&str]) -> Vec<String> {
        words(&self.hint(hints))
    }

    pub(super) fn known(&self) -> BTreeMap<PathBuf, String> {
        self.forest.plots[0].tree.told()
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.kernel.below(&self.root)
    }
}

fn words(outcome: &Outcome) -> Vec<String> {
    let word = |change: &Change| {
        let path = change.path.display();
        match &change.kind {
            ChangeKind::File { .. } => format!("file {path}"),
            ChangeKind::Link { target } => format!("link {path} -> {}", target.display()),
            ChangeKind::Directory => format!("directory {path}"),
            ChangeKind::Removed => format!("removed {path}"),
            ChangeKind::Special => format!("special {path}"),
        }
    };
    outcome.changes.iter().map(word).collect()
}

/// What lies on the disk, in the words of [`Tree::told`].
pub(super) fn on_disk(root: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(root: &Path, path: &Path, told: &mut BTreeMap<PathBuf, String>) {
        let absolute = root.join(path);
        let meta = fs::symlink_metadata(&absolute).unwrap();
        let text = if meta.is_dir() {
            for entry in fs::read_dir(&absolute).unwrap() {
                walk(root, &path.join(entry.unwrap().file_name()), told);
            }
            "directory".to_owned()
        } else if meta.is_symlink() {
            format!("link {}", fs::read_link(&absolute).unwrap().display())
        } else {
            let hash = blake3::hash(&fs::read(&absolute).unwrap());
            format!("{:o} {hash}", meta.permissions().mode() & 0o7777)
        };
        told.insert(path.to_owned(), text);
    }
    let mut told = BTreeMap::new();
    walk(root, Path::new(""), &mut told);
    told
}

#[test]
fn a_write_is_told_and_an_identical_one_is_not() {
    let mut bed = bed(&[("a", "1"), ("b", "1")]);
    bed.write("a", "2");
    bed.write("b", "1");
    let outcome = bed.hint(&["a", "b"]);
    let hash = blake3::hash(b"2");
    assert!(matches!(
        &*outcome.changes,
        [Change { kind: ChangeKind::File { size: 1, hash: told, .. }, .. }] if *told == hash
    ));
    assert_eq!(outcome.why, Why::Events);
}

#[test]
fn a_mode_alone_is_a_change() {
    let mut bed = bed(&[("run.sh", "x")]);
    fs::set_permissions(bed.path("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = bed.hint(&["run.sh"]);
    assert!(matches!(
        &*outcome.changes,
        [Change {
            kind: ChangeKind::File { mode: 0o755, .. },
            ..
        }]
    ));
}

#[test]
fn a_file_that_is_renamed_over_another_is_one_change() {
    let mut bed = bed(&[("a", "old")]);
    bed.write(".a.tmp", "new");
    fs::rename(bed.path(".a.tmp"), bed.path("a")).unwrap();
    assert_eq!(bed.changes(&[".a.tmp", "a"]), ["file a"]);
    fs::remove_file(bed.path("a")).unwrap();
    bed.write("a", "newer");
    assert_eq!(bed.changes(&["a"]), ["file a"]);
}

#[test]
fn directories_that_are_swapped_are_told_by_what_differs() {
    let mut bed = bed(&[
        ("live/same", "1"),
        ("live/other", "1"),
        ("live/gone", "1"),
        ("next/same", "1"),
        ("next/other", "2"),
        ("next/new", "1"),
    ]);
    fs::rename(bed.path("live"), bed.path("old")).unwrap();
    fs::rename(bed.path("next"), bed.path("live")).unwrap();
    fs::remove_dir_all(bed.path("old")).unwrap();
    let removed =
        ["next/same", "next/other", "next/new", "next"].map(|path| format!("removed {path}"));
    let mut expected = removed.to_vec();
    expected.extend(["removed live/gone", "file live/new", "file live/other"].map(str::to_owned));
    expected.sort();
    let mut changes = bed.changes(&["live", "next", "old"]);
    changes.sort();
    assert_eq!(changes, expected);
    assert_eq!(bed.known(), on_disk(&bed.root));
    assert_eq!(bed.watched(), ["", "live"].map(PathBuf::from));
}

#[test]
fn a_tree_that_is_removed_is_told_path_by_path_from_within() {
    let mut bed = bed(&[("d/a", ""), ("d/e/b", ""), ("f", "")]);
    fs::remove_dir_all(bed.path("d")).unwrap();
    assert_eq!(
        bed.changes(&["d"]),
        ["removed d/e/b", "removed d/e", "removed d/a", "removed d"]
    );
    assert_eq!(bed.watched(), [PathBuf::new()]);
}

#[test]
fn a_path_of_another_kind_is_told_as_what_it_is_now() {
    let mut bed = bed(&[("d/a", ""), ("f", "")]);
    fs::remove_dir_all(bed.path("d")).unwrap();
    bed.write("d", "file");
    fs::remove_file(bed.path("f")).unwrap();
    bed.write("f/a", "");
    assert_eq!(
        bed.changes(&["d", "f"]),
        ["removed d/a", "file d", "directory f", "file f/a"]
    );
}

#[test]
fn what_a_new_directory_holds_is_found_without_further_hints() {
    let mut bed = bed(&[]);
    bed.write("a/b/c/d", "");
    assert_eq!(
        bed.changes(&["a"]),
        [
            "directory a",
            "directory a/b",
            "directory a/b/c",
            "file a/b/c/d"
        ]
    );
    assert_eq!(bed.watched().len(), 4);
}

#[test]
fn a_hint_below_a_directory_that_nobody_told_of_finds_the_directory() {
    let mut bed = bed(&[("old/a", "")]);
    bed.write("new/b/c", "");
    bed.write("new/d", "");
    fs::remove_dir_all(bed.path("old")).unwrap();
    assert_eq!(
        bed.changes(&["new/b/c", "old/a"]),
        [
            "removed old/a",
            "removed old",
            "directory new",
            "directory new/b",
            "file new/b/c",
            "file new/d"
        ]
    );
}

#[test]
fn links_are_told_as_links_and_never_followed() {
    let mut bed = bed(&[("d/a", "")]);
    write(&bed.home.path().join("outside/secret"), "");
    symlink(".", bed.path("loop")).unwrap();
    symlink("/", bed.path("d/top")).unwrap();
    symlink(bed.home.path().join("outside"), bed.path("out")).unwrap();
    symlink("nowhere", bed.path("dangling")).unwrap();
    let changes = bed.changes(&["loop", "d/top", "out", "dangling", "out/secret"]);
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(changes.contains(&"link d/top -> /".to_owned()));
    assert_eq!(bed.known(), on_disk(&bed.root));
    assert_eq!(bed.watched(), ["", "d"].map(PathBuf::from));
    // A directory that becomes a link takes along what was in it.
    fs::rename(bed.path("d"), bed.home.path().join("d")).unwrap();
    symlink(bed.home.path().join("d"), bed.path("d")).unwrap();
    let changes = bed.changes(&["d/a"]);
    assert_eq!(changes[..2], ["removed d/top", "removed d/a"]);
    assert!(changes[2].starts_with("link d -> "), "{changes:?}");
}

#[test]
fn a_pipe_is_told_once_and_not_opened() {
    let mut bed = bed(&[]);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, bed.path("pipe"), fifo, mode, 0).unwrap();
    assert_eq!(bed.changes(&["pipe"]), ["special pipe"]);
    assert!(bed.changes(&["pipe"]).is_empty());
    fs::remove_file(bed.path("pipe")).unwrap();
    assert!(bed.changes(&["pipe"]).is_empty());
}

#[test]
fn a_huge_file_is_told_once_and_not_read_until_it_is_small_again() {
    let mut bed = bed(&[("log", "small")]);
    let log = bed.path("log");
    let grow = |bytes| {
        let file = fs::File::options().write(true).open(&log);
        // It has holes only: to read it would take seconds all the same.
        file.unwrap().set_len(bytes).unwrap();
    };
    grow(10 << 30);
    let grown = bed.hint(&["log"]);
    assert_eq!(words(&grown), [""; 0]);
    let told: Vec<String> = grown.notices.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("it has 10.0 GiB, and what is over 256 MiB"),
        "{told:?}"
    );
    grow(11 << 30);
    assert!(bed.hint(&["log"]).notices.is_empty());
    grow(2);
    assert_eq!(bed.changes(&["log"]), ["file log"]);
}

#[test]
fn what_is_ignored_is_neither_watched_nor_told() {
    let mut bed = bed_with(
        &[
            (".gitignore", "node_modules/\n*.log\n"),
            (".git/HEAD", ""),
            ("node_modules/a/b/c", ""),
            ("web/node_modules/a", ""),
            ("web/.gitignore", "dist"),
            ("web/dist/a", ""),
            ("web/src/a", ""),
            ("gen/a", ""),
        ],
        &["/gen"],
        usize::MAX,
    );
    assert_eq!(bed.watched(), ["", "web", "web/src"].map(PathBuf::from));
    bed.write("a.log", "");
    bed.write("gen/b", "");
    bed.write("node_modules/a/b/d", "");
    bed.write("web/dist/b", "");
    assert!(
        bed.changes(&[
            "a.log",
            "gen/b",
            "node_modules/a/b/d",
            "web/dist/b",
            ".git/index"
        ])
        .is_empty()
    );
}

#[test]
fn other_rules_bring_back_what_they_left_out_and_remove_nothing() {
    let mut bed = bed(&[(".gitignore", "out\n"), ("out/a", ""), ("src/b", "")]);
    bed.write(".gitignore", "src\n");
    let outcome = bed.hint(&[".gitignore"]);
    assert_eq!(
        words(&outcome),
        ["file .gitignore", "directory out", "file out/a"]
    );
    assert_eq!(outcome.why, Why::Rescan(Rescan::Rules));
    assert_eq!(bed.watched(), ["", "out"].map(PathBuf::from));
    fs::remove_file(bed.path(".gitignore")).unwrap();
    assert_eq!(
        bed.changes(&[".gitignore"]),
        ["removed .gitignore", "directory src", "file src/b"]
    );
}

#[test]
fn rules_are_read_even_from_a_file_that_is_ignored_itself() {
    let mut bed = bed_with(&[("out/a", "")], &[".gitignore"], usize::MAX);
    bed.write(".gitignore", "out\n");
    assert!(bed.changes(&[".gitignore"]).is_empty());
    assert_eq!(bed.watched(), [PathBuf::new()]);
}

#[test]
fn what_becomes_an_ignored_name_is_removed_under_its_old_one() {
    let mut bed = bed(&[(".gitignore", "*.bak"), ("a", "")]);
    fs::rename(bed.path("a"), bed.path("a.bak")).unwrap();
    assert_eq!(bed.changes(&["a", "a.bak"]), ["removed a"]);
}

#[test]
fn names_that_are_no_text_are_kept_byte_for_byte() {
    let mut bed = bed(&[]);
    let name = std::ffi::OsStr::from_bytes(b"\xff\n\x1b.py");
    fs::write(bed.root.join(name), "").unwrap();
    let hints = Hints {
        paths: [bed.root.join(name)].into(),
        rescan: None,
    };
    let outcome = bed.forest.apply(&hints);
    assert_eq!(outcome.changes[0].path, Path::new(name));
}

#[test]
fn after_lost_events_everything_is_found_and_it_is_said_even_if_nothing_changed() {
    let mut bed = bed(&[("a", "1"), ("d/b", "1")]);
    let overflow = Hints {
        paths: BTreeSet::new(),
        rescan: Some(Rescan::Overflow),
    };
    let quiet = bed.forest.apply(&overflow);
    assert!(quiet.is_worth_telling() && quiet.changes.is_empty());
    bed.write("a", "2");
    bed.write("e/f", "");
    fs::remove_dir_all(bed.path("d")).unwrap();
    let outcome = bed.forest.apply(&overflow);
    assert_eq!(outcome.why, Why::Rescan(Rescan::Overflow));
    assert_eq!(
        words(&outcome),
        [
            "removed d/b",
            "removed d",
            "file a",
            "directory e",
            "file e/f"
        ]
    );
}

#[test]
fn ten_thousand_files_that_are_rewritten_are_all_known() {
    let mut bed = bed(&[]);
    let name = |index: usize| format!("d{}/f{index}", index % 100);
    for index in 0..10_000 {
        bed.write(&name(index), "1");
    }
    bed.forest.rescan(Rescan::Asked);
    let mut paths = BTreeSet::new();
    for index in 0..10_000 {
        let path = bed.path(&name(index));
        fs::write(&path, format!("{index}")).unwrap();
        paths.insert(path);
    }
    let hints = Hints {
        paths,
        rescan: None,
    };
    // The one file that holds "1" as before is none.
    assert_eq!(bed.forest.apply(&hints).changes.len(), 9_999);
    assert!(bed.known() == on_disk(&bed.root));
}

#[test]
fn directories_over_the_limit_are_looked_at_and_it_is_said_once() {
    let mut bed = bed_with(&[("a/x", "1"), ("b/x", "1"), ("c/x", "1")], &[], 2);
    assert!(bed.forest.needs_polling());
    bed.write("c/x", "2");
    bed.write("c/new/y", "");
    let outcome = bed.forest.poll();
    assert_eq!(
        words(&outcome),
        ["directory c/new", "file c/new/y", "file c/x"]
    );
    assert_eq!(outcome.why, Why::Rescan(Rescan::Poll));
    assert!(outcome.notices.is_empty(), "told at the start");
    bed.write("c/new/y", "2");
    assert_eq!(words(&bed.forest.poll()), ["file c/new/y"]);
    *bed.kernel.most.lock().unwrap() = 100;
    assert!(!bed.forest.poll().is_worth_telling());
    assert!(!bed.forest.needs_polling());
    assert_eq!(bed.watched().len(), 5);
}

#[test]
fn the_limit_is_told_at_the_start_with_what_raises_it() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    fs::create_dir(root.join("a")).unwrap();
    let watched = Watched {
        root,
        ignore: Ignore::default(),
    };
    let (_, outcome) = Forest::plant(vec![watched], Fake::with_watches(1)).unwrap();
    assert_eq!(
        outcome.notices,
        [Notice::Limit {
            limit: WatchLimit::Watches,
            unwatched: 1
        }]
    );
    let text = outcome.notices[0].to_string();
    assert!(text.contains("fs.inotify.max_user_watches = "), "{text}");
    assert!(
        text.contains("sudo sysctl fs.inotify.max_user_watches="),
        "{text}"
    );
}

#[test]
fn a_root_that_goes_empties_nothing_and_what_differs_is_told_when_it_is_back() {
    let mut bed = bed(&[("a", "1"), ("d/b", "1")]);
    let away = bed.home.path().canonicalize().unwrap().join("away");
    fs::rename(&bed.root, &away).unwrap();
    let outcome = bed.hint(&[""]);
    assert!(outcome.changes.is_empty());
    assert_eq!(outcome.notices, [Notice::RootGone(bed.root.clone())]);
    assert_eq!(
        bed.kernel.below(Path::new("/")),
        [bed.root.parent().unwrap().strip_prefix("/").unwrap()]
    );
    fs::write(away.join("a"), "2").unwrap();
    fs::rename(&away, &bed.root).unwrap();
    let outcome = bed.hint(&[""]);
    assert_eq!(words(&outcome), ["file a"]);
    assert_eq!(outcome.why, Why::Rescan(Rescan::RootBack));
    assert_eq!(bed.watched(), ["", "d"].map(PathBuf::from));
}

#[test]
fn a_root_is_waited_for_even_where_its_parents_are_gone_too() {
    let home = tempfile::tempdir().unwrap();
    let top = home.path().canonicalize().unwrap();
    let root = top.join("a/b/root");
    write(&root.join("x"), "1");
    let watched = Watched {
        root: root.clone(),
        ignore: Ignore::default(),
    };
    let kernel = Fake::with_watches(usize::MAX);
    let (mut forest, _) = Forest::plant(vec![watched], kernel.clone()).unwrap();
    let mut hint = |path: &Path| {
        forest.apply(&Hints {
            paths: [path.to_owned()].into(),
            rescan: None,
        })
    };
    fs::remove_dir_all(top.join("a")).unwrap();
    hint(&root);
    assert_eq!(kernel.below(&top), [PathBuf::new()]);
    fs::create_dir_all(top.join("a/b")).unwrap();
    assert!(!hint(&top.join("a")).is_worth_telling());
    assert_eq!(kernel.below(&top), [PathBuf::from("a/b")]);
    write(&root.join("x"), "2");
    assert_eq!(words(&hint(&root)), ["file x"]);
    assert_eq!(kernel.below(&top), [PathBuf::from("a/b/root")]);
}

#[test]
fn trees_that_overlap_are_told_apart_and_share_their_watches() {
    let home = tempfile::tempdir().unwrap();
    let outer = home.path().canonicalize().unwrap();
    write(&outer.join("inner/d/a"), "1");
    let trees = ["", "inner"].map(|path| Watched {
        root: outer.join(path),
        ignore: Ignore::default(),
    });
    let kernel = Fake::with_watches(usize::MAX);
    let (mut forest, _) = Forest::plant(trees.to_vec(), kernel.clone()).unwrap();
    write(&outer.join("inner/d/a"), "2");
    let hint = |path: &str| Hints {
        paths: [outer.join(path)].into(),
        rescan: None,
    };
    let changes = forest.apply(&hint("inner/d/a")).changes;
    let told: Vec<(usize, &Path)> = changes
        .iter()
        .map(|change| (change.tree.0, &*change.path))
        .collect();
    assert_eq!(told, [(0, Path::new("inner/d/a")), (1, Path::new("d/a"))]);
    // What one leaves out stays watched for the other.
    write(&outer.join(".gitignore"), "inner/d");
    forest.apply(&hint(".gitignore"));
    assert!(kernel.below(&outer).contains(&"inner/d".into()));
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let watched = Watched {
        root: "/nowhere/at/all".into(),
        ignore: Ignore::default(),
    };
    let error = Forest::plant(vec![watched], Fake::with_watches(1)).unwrap_err();
    assert_eq!(error.failure().code.0, "watch.root-missing");
}
