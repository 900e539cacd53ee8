//! Archives that want more than there is.

use std::io::{self, Read};

use devenv_agent::archive::{Bound, Error, Limits, Problem, Reader};

use crate::{
    raw::{Head, Raw, VOLUME, record, size},
    stage::{Stage, refused},
};

fn too_much(bound: Bound, most: u64) -> Problem {
    Problem::TooMuch { bound, most }
}

/// A volume without an end: it is not read so far.
fn sparse(pieces: usize, map: &str, real_size: &str) -> Vec<u8> {
    let records = [("major", "1"), ("minor", "0"), ("realsize", real_size)];
    let records = records.map(|(key, value)| record(&format!("GNU.sparse.{key}"), value));
    let contents = format!("{pieces}\n{map}");
    let raw = Raw::volume().records(&records.concat());
    raw.file("a", contents.as_bytes()).0
}

#[test]
fn files_that_would_fill_the_disk_are_refused_before_they_are_made() {
    let stage = Stage::new();
    let most = Limits::default().file;
    let mut large = Head::file(&format!("{VOLUME}a"), 0);
    for size in ["9223372036854775808", "18446744073709551615"] {
        let raw = Raw::volume().records(&record("size", size));
        let archive = raw.member(&large, b"").0;
        stage.refuses_as(size, &archive, &too_much(Bound::File, most));
        let hole = sparse(1, &format!("{size}\n0\n"), size);
        stage.refuses_as("a hole", &hole, &too_much(Bound::File, most));
    }
    // Larger than any number is.
    let raw = Raw::volume().records(&record("size", "18446744073709551616"));
    stage.refuses_as("a size", &raw.member(&large, b"").0, &Problem::NotCanonical);
    large.size = "77777777777".into();
    let seven_gigabytes = Raw::volume().member(&large, b"").0;
    assert_eq!(
        refused(&seven_gigabytes).unwrap().problem,
        Problem::Truncated
    );
}

#[test]
fn a_million_holes_are_refused_before_their_map_is_read() {
    let stage = Stage::new();
    let map: String = (0..1_000_000_u64)
        .map(|at| format!("{}\n1\n", at * 2))
        .collect();
    let most = Limits::default().segments as u64;
    let archive = sparse(1_000_000, &map, "2000000");
    stage.refuses_as("holes", &archive, &too_much(Bound::Segments, most));
    // A map that tells fewer and does not end.
    let archive = sparse(2, &"0".repeat(1 << 20), "2000000");
    stage.refuses_as("a long number", &archive, &Problem::Holes);
}

#[test]
fn headers_and_manifests_of_any_length_are_refused_before_they_are_read() {
    let stage = Stage::new();
    let mut records = Head::new("PaxHeaders/member", b'x');
    records.size = size((1 << 20) + 1);
    let archive = Raw::volume().member(&records, b"").0;
    stage.refuses_as("records", &archive, &too_much(Bound::Records, 1 << 20));
    let manifest = Head::file("snapshot.json", (1 << 20) + 1);
    let archive = Raw::default().member(&manifest, b"").0;
    stage.refuses_as("manifest", &archive, &too_much(Bound::Manifest, 1 << 20));
}

/// An archive that never ends: files, one after another.
struct Endless {
    next: u64,
    left: Vec<u8>,
}

impl Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            let name = format!("{VOLUME}{:010}", self.next);
            self.left = Head::file(&name, 0).block().to_vec();
            self.next += 1;
        }
        let count = to.len().min(self.left.len());
        to[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

/// How many files were read when the reader said no, and why.
fn read_endlessly(limits: Limits) -> (u64, Error) {
    let mut endless = Endless {
        next: 0,
        left: Raw::volume().0,
    };
    let mut reader = Reader::new(&mut endless, limits);
    let error = loop {
        match reader.member() {
            Ok(member) => assert!(member.is_some()),
            Err(error) => break error,
        }
    };
    (endless.next, error)
}

#[test]
fn empty_files_without_end_are_refused_at_the_limit_of_entries_or_of_memory() {
    let limits = Limits::default();
    let entries = 20_000;
    let (read, error) = read_endlessly(Limits { entries, ..limits });
    assert_eq!(error.problem, too_much(Bound::Entries, entries));
    assert_eq!(read, entries);
    // A path of ten bytes and 80 more.
    let memory = 90 * 20_000;
    let (read, error) = read_endlessly(Limits { memory, ..limits });
    assert_eq!(error.problem, too_much(Bound::Memory, memory));
    assert_eq!(read, 20_001);
    assert!(limits.entries <= 10_000_000 && limits.memory <= 128 << 20);
}
