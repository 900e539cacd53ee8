//! Small archives, as they are and damaged.

use std::path::Path;

use crate::{
    damaged,
    mutate::{Mutator, rounds},
    raw::{Head, Raw, VOLUME},
    stage::{Stage, refused},
};

#[path = "../../../tests/support/corpus.rs"]
mod files;
#[path = "../../../tests/support/generated.rs"]
mod generated;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What each archive of the corpus is, and whether it is good.
fn archives() -> Vec<(&'static str, Vec<u8>, bool)> {
    let owned = |path: &str| format!("{VOLUME}{path}");
    let sparse_without_map = {
        let records = [
            crate::raw::record("GNU.sparse.major", "1"),
            crate::raw::record("GNU.sparse.name", owned("a")),
        ];
        Raw::volume().records(&records.concat()).file("a", b"text")
    };
    vec![
        ("everything", damaged::archive(), true),
        ("nothing", Raw::new().end(), true),
        (
            "one-file",
            Raw::volume()
                .directory("d")
                .file("d/a", b"text")
                .list(&[("d/a", b"text")])
                .end(),
            true,
        ),
        (
            "leads-out",
            Raw::volume()
                .symlink("d", "../../../outside")
                .file("d/file", b"mine")
                .end(),
            false,
        ),
        (
            "links-out",
            Raw::volume()
                .hard_link("a", "../../outside/file")
                .list(&[])
                .end(),
            false,
        ),
        ("sparse", sparse_without_map.list(&[]).end(), false),
        (
            "huge",
            Raw::volume()
                .member(&Head::file(&owned("a"), 0o7_777_777_777), b"")
                .end(),
            false,
        ),
    ]
}

#[test]
fn archives_of_the_corpus_are_read_and_whatever_is_done_to_them_is_answered() {
    for (name, bytes, is_good) in archives() {
        assert_eq!(refused(&bytes).is_none(), is_good, "{name}");
        generated::keep_up_to_date(repository(), &format!("archive/{name}.tar"), &bytes);
    }
    let corpus = files::files(repository(), "archive");
    assert_eq!(corpus.len(), archives().len());
    let stage = Stage::new();
    let mut mutator = Mutator::new(0x0a4c);
    let mut taken = 0_u32;
    for (index, (path, bytes)) in corpus.iter().enumerate() {
        let (_, other) = &corpus[(index + 1) % corpus.len()];
        for round in 0..rounds(400) {
            let damaged = mutator.damaged(bytes, other);
            if refused(&damaged).is_none() {
                taken += 1;
                stage.takes(&damaged);
            } else if round % 40 == 0 {
                stage.refuses(&path.display().to_string(), &damaged);
            }
        }
    }
    // Only where nothing was really changed, such as a piece of no length.
    assert!(taken > 0);
}
