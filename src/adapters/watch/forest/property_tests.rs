//! Whatever is done in a tree, what is known of it and what was told become what is on the disk.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests change files as other programs do"
)]

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use proptest::prelude::*;

use super::{
    tests::{bed, on_disk},
    *,
};

/// Something that a program does in a tree.
#[derive(Debug, Clone)]
enum Step {
    Write(PathBuf, u8),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Mode(PathBuf, u32),
    MakeDirectory(PathBuf),
}

impl Step {
    /// Does it as far as it can be done; what may have changed.
    fn take(&self, root: &Path) -> Vec<PathBuf> {
        let at = |path: &Path| root.join(path);
        match self {
            Self::Write(path, text) => {
                let _ = fs::write(at(path), [*text]);
                vec![at(path)]
            }
            Self::Remove(path) => {
                let _ = fs::remove_file(at(path)).or_else(|_| fs::remove_dir_all(at(path)));
                vec![at(path)]
            }
            Self::Rename(from, to) => {
                let _ = fs::rename(at(from), at(to));
                vec![at(from), at(to)]
            }
            Self::Mode(path, mode) => {
                if at(path).is_file() {
                    let _ = fs::set_permissions(at(path), fs::Permissions::from_mode(*mode));
                }
                vec![at(path)]
            }
            Self::MakeDirectory(path) => {
                let _ = fs::create_dir_all(at(path));
                vec![at(path)]
            }
        }
    }
}

fn paths() -> impl Strategy<Value = PathBuf> {
    proptest::collection::vec(prop_oneof!["a", "b", "c"], 1..4)
        .prop_map(|names| names.iter().collect())
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (paths(), 0..3_u8).prop_map(|(path, text)| Step::Write(path, text)),
        1 => paths().prop_map(Step::Remove),
        2 => (paths(), paths()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (paths(), prop_oneof![Just(0o600), Just(0o755)])
            .prop_map(|(path, mode)| Step::Mode(path, mode)),
        2 => paths().prop_map(Step::MakeDirectory),
    ]
}

/// Whether a hint arrives, and whether somebody looks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    Lost,
    Kept,
    KeptAndLookedAt,
}

fn hints() -> impl Strategy<Value = Hint> {
    prop_oneof![
        Just(Hint::Lost),
        Just(Hint::Kept),
        Just(Hint::KeptAndLookedAt)
    ]
}

/// Takes the steps, then looks at everything: what is known, what was told of it, and what is on the disk.
fn after(steps: &[(Step, Hint)], end: Option<Rescan>) -> [BTreeMap<PathBuf, String>; 3] {
    let mut bed = bed(&[]);
    let mut told = bed.known();
    let mut pending = Hints::default();
    for (step, hint) in steps {
        let paths = step.take(&bed.root);
        if *hint != Hint::Lost {
            pending.paths.extend(paths);
        }
        if *hint == Hint::KeptAndLookedAt {
            follow(&mut told, bed.forest.apply(&std::mem::take(&mut pending)));
        }
    }
    pending.rescan = end;
    follow(&mut told, bed.forest.apply(&pending));
    [bed.known(), told, on_disk(&bed.root)]
}

/// Does to a copy what is told.
fn follow(copy: &mut BTreeMap<PathBuf, String>, outcome: Outcome) {
    for Change { path, kind, .. } in outcome.changes {
        match kind {
            ChangeKind::File { mode, hash, .. } => copy.insert(path, format!("{mode:o} {hash}")),
            ChangeKind::Directory => copy.insert(path, "directory".to_owned()),
            ChangeKind::Removed => copy.remove(&path),
            ChangeKind::Link { .. } | ChangeKind::Special => unreachable!("there are none"),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_and_whatever_hints_are_lost_a_rescan_finds_the_truth(
        steps in proptest::collection::vec((steps(), hints()), 1..24),
    ) {
        let [known, told, disk] = after(&steps, Some(Rescan::Overflow));
        prop_assert_eq!(&known, &disk);
        prop_assert_eq!(&told, &disk);
    }

    #[test]
    fn whatever_is_done_with_every_hint_no_rescan_is_needed(
        steps in proptest::collection::vec(steps(), 1..24),
        looks in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let steps: Vec<(Step, Hint)> = steps
            .into_iter()
            .zip(looks)
            .map(|(step, look)| (step, if look { Hint::KeptAndLookedAt } else { Hint::Kept }))
            .collect();
        let [known, told, disk] = after(&steps, None);
        prop_assert_eq!(&known, &disk);
        prop_assert_eq!(&told, &disk);
    }
}
