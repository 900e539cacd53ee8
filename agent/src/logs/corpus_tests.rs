//! Whatever is in the files of a node: every byte of theirs is told once and in order, in pieces of a bounded size.

use std::{fs, path::Path};

use devenv_agent::{
    log_protocol::LogRecord,
    protocol::{LONGEST_FRAME, read_frame},
};
use tempfile::TempDir;

use super::tail::{Left, Tail};

#[path = "../../../tests/support/corpus.rs"]
mod corpus;
#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use self::mutate::{Mutator, rounds};

/// More rounds than any of these files needs.
const MANY: usize = 64;
const CONTAINER: &str = "shop_order-7c9d_uid-1/order";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What is told of a run whose file holds these bytes, until its pod is gone.
fn told(node: &TempDir, bytes: &[u8]) -> Vec<u8> {
    let container = node.path().join(CONTAINER);
    fs::create_dir_all(&container).unwrap();
    fs::write(container.join("0.log"), bytes).unwrap();
    let mut tail = Tail::begin(node.path(), "shop", Vec::new()).unwrap();
    let mut said = Vec::new();
    read(&mut tail, &mut said);
    // Half a line is told once nobody can write its other half.
    fs::remove_dir_all(&container).unwrap();
    read(&mut tail, &mut said);
    said
}

fn read(tail: &mut Tail, said: &mut Vec<u8>) {
    for _ in 0..MANY {
        let mut records = Vec::new();
        let left = tail.round(&mut records).unwrap();
        assert!(records.len() < LONGEST_FRAME);
        let mut records = records.as_slice();
        while let Some(record) = read_frame(&mut records).unwrap() {
            match record {
                LogRecord::Lines { bytes, offset, .. } => {
                    said.extend(bytes);
                    assert_eq!(offset, said.len() as u64);
                }
                LogRecord::Lost { .. } => panic!("nothing was lost"),
                _ => {}
            }
        }
        if left != Left::More {
            return;
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn whatever_a_file_holds_every_byte_of_it_is_told_once_and_in_order() {
    let node = tempfile::tempdir().unwrap();
    let corpus = corpus::files(repository(), "logs");
    for (path, bytes) in &corpus {
        assert!(told(&node, bytes) == *bytes, "{}", path.display());
    }
    let mut mutator = Mutator::new(0x1095);
    for (index, (path, bytes)) in corpus.iter().enumerate() {
        let (_, other) = &corpus[(index + 1) % corpus.len()];
        for _ in 0..rounds(20) {
            let damaged = mutator.damaged(bytes, other);
            assert!(told(&node, &damaged) == damaged, "{}", path.display());
        }
    }
}
