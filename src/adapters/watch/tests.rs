//! The watcher with the kernel's real events.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests change files as other programs do"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;

/// Longer than any machine needs; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Live {
    _home: tempfile::TempDir,
    root: PathBuf,
    watcher: Watcher,
    changes: Changes,
}

async fn live() -> Live {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap().join("root");
    fs::create_dir(&root).unwrap();
    live_in(home, root).await
}

async fn live_in(home: tempfile::TempDir, root: PathBuf) -> Live {
    let watched = Watched {
        root: root.clone(),
        ignore: Ignore::default(),
    };
    let (watcher, changes) = Watcher::start(vec![watched]).await.unwrap();
    Live {
        _home: home,
        root,
        watcher,
        changes,
    }
}

impl Live {
    async fn news(&mut self) -> News {
        let next = tokio::time::timeout(PATIENCE, self.changes.next());
        next.await.expect("news in time").expect("a watcher")
    }

    async fn batch(&mut self) -> Batch {
        match self.news().await {
            News::Batch(batch) => batch,
            News::Underway(changes) => panic!("no checkout is under way: {changes:?}"),
        }
    }

    /// What was told last of each path, until `is_all` says that it is all.
    async fn until(
        &mut self,
        is_all: impl Fn(&BTreeMap<PathBuf, ChangeKind>) -> bool,
    ) -> BTreeMap<PathBuf, ChangeKind> {
        let mut told = BTreeMap::new();
        while !is_all(&told) {
            let batch = self.batch().await;
            told.extend(
                batch
                    .changes
                    .into_iter()
                    .map(|change| (change.path, change.kind)),
            );
        }
        told
    }
}

fn is_file_of(kind: Option<&ChangeKind>, text: &[u8]) -> bool {
    matches!(kind, Some(ChangeKind::File { hash, .. }) if *hash == blake3::hash(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_files_in_thirty_new_directories_are_all_seen() {
    for _ in 0..3 {
        let mut live = live().await;
        for index in 0..300 {
            let directory = live.root.join(format!("{}", index % 30));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("{index}")), "").unwrap();
        }
        live.until(|told| told.len() == 330).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_right_after_its_deep_directory_was_made_is_seen() {
    let mut live = live().await;
    for round in 0..10 {
        let directory = live.root.join(format!("{round}/a/b/c/d"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), "x").unwrap();
        let file = PathBuf::from(format!("{round}/a/b/c/d/file"));
        live.until(|told| is_file_of(told.get(&file), b"x")).await;
        // The directories are watched now.
        fs::write(directory.join("file"), "y").unwrap();
        live.until(|told| is_file_of(told.get(&file), b"y")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identical_rewrite_is_not_told() {
    let mut live = live().await;
    let file = live.root.join("a");
    fs::write(&file, "same").unwrap();
    live.until(|told| is_file_of(told.get(Path::new("a")), b"same"))
        .await;
    let new = live.root.join(".new");
    fs::write(&new, "same").unwrap();
    fs::rename(&new, &file).unwrap();
    let told = live.root.join("b");
    fs::write(told, "other").unwrap();
    let told = live
        .until(|told| is_file_of(told.get(Path::new("b")), b"other"))
        .await;
    assert!(!told.contains_key(Path::new("a")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_change_places_are_watched_where_they_are() {
    let mut live = live().await;
    let [one, two, aside] = ["one", "two", "aside"].map(|name| live.root.join(name));
    for (directory, text) in [(&one, "1"), (&two, "2")] {
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::write(directory.join("sub/file"), text).unwrap();
    }
    let file = |name: &str| Path::new(name).join("sub/file");
    live.until(|told| told.len() == 6).await;
    for round in 0..6 {
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
        let texts = if round % 2 == 0 {
            [b"2", b"1"]
        } else {
            [b"1", b"2"]
        };
        live.until(|told| {
            is_file_of(told.get(&file("one")), texts[0])
                && is_file_of(told.get(&file("two")), texts[1])
        })
        .await;
        let new = format!("{round}");
        for name in ["one", "two"] {
            fs::write(live.root.join(name).join("sub/new"), &new).unwrap();
        }
        live.until(|told| {
            ["one", "two"]
                .iter()
                .all(|name| is_file_of(told.get(&Path::new(name).join("sub/new")), new.as_bytes()))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_removed_and_made_again_is_watched_again() {
    let mut live = live().await;
    let directory = live.root.join("build/out");
    for round in 0..20 {
        let text = format!("{round}");
        let _ = fs::remove_dir_all(live.root.join("build"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("first"), &text).unwrap();
        let first = Path::new("build/out/first");
        live.until(|told| is_file_of(told.get(first), text.as_bytes()))
            .await;
        fs::write(directory.join("second"), &text).unwrap();
        let second = Path::new("build/out/second");
        live.until(|told| is_file_of(told.get(second), text.as_bytes()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_comes_back_is_watched_again() {
    let mut live = live().await;
    fs::remove_dir_all(&live.root).unwrap();
    while !live
        .batch()
        .await
        .notices
        .contains(&Notice::RootGone(live.root.clone()))
    {}
    fs::create_dir(&live.root).unwrap();
    fs::write(live.root.join("a"), "1").unwrap();
    live.until(|told| is_file_of(told.get(Path::new("a")), b"1"))
        .await;
    fs::write(live.root.join("a"), "2").unwrap();
    live.until(|told| is_file_of(told.get(Path::new("a")), b"2"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescan_that_is_asked_for_answers_even_if_nothing_changed() {
    let mut live = live().await;
    live.watcher.rescan();
    let batch = live.batch().await;
    assert_eq!(batch.reason, Why::Rescan(Rescan::Asked));
    assert!(batch.changes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_is_told_while_it_goes_on_and_as_a_whole_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap().join("root");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(home.path().join(".git")).unwrap();
    let mut live = live_in(home, root).await;
    let lock = live.root.with_file_name(".git/index.lock");
    fs::write(&lock, "").unwrap();
    for (file, text) in [("a", "1"), ("b", "1"), ("a", "2")] {
        fs::write(live.root.join(file), text).unwrap();
        let told = |news: &News| match news {
            News::Underway(changes) => changes.iter().any(|change| {
                change.path == Path::new(file) && is_file_of(Some(&change.kind), text.as_bytes())
            }),
            News::Batch(batch) => panic!("the checkout goes on: {batch:?}"),
        };
        while !told(&live.news().await) {}
    }
    fs::remove_file(&lock).unwrap();
    let batch = live.batch().await;
    let told: BTreeMap<_, _> = batch
        .changes
        .into_iter()
        .map(|change| (change.path, change.kind))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(is_file_of(told.get(Path::new("a")), b"2"));
    assert!(is_file_of(told.get(Path::new("b")), b"1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_dropped_ends_its_changes() {
    let live = live().await;
    drop(live.watcher);
    let mut changes = live.changes;
    let end = tokio::time::timeout(PATIENCE, changes.next());
    assert_eq!(end.await.expect("an end in time"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_missing_is_an_error_at_the_start() {
    let watched = Watched {
        root: "/nowhere/at/all".into(),
        ignore: Ignore::default(),
    };
    let error = Watcher::start(vec![watched]).await.unwrap_err();
    assert_eq!(error.failure().code.0, "watch.root-missing");
}
