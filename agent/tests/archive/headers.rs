//! Headers that mean one thing to one program and another to the next.

use std::{fs, process::Command};

use devenv_agent::archive::Problem;

use crate::{
    hostile::{all_are_refused, with},
    raw::{Head, Raw, VOLUME, pax_header, record, seal},
    stage::Stage,
};

#[test]
fn records_that_programs_understand_differently_are_refused() {
    let after = |records: &[u8]| with(|raw| raw.records(records).file("a", b"x"));
    let other = Problem::NotCanonical;
    let twice = [record("uid", "3000000"), record("uid", "3000000")].concat();
    let order = [record("gid", "3000000"), record("uid", "3000000")].concat();
    let long = "x".repeat(120);
    all_are_refused(vec![
        (
            "a larger pax size",
            after(&record("size", "1024")),
            other.clone(),
        ),
        (
            "a smaller pax size",
            after(&record("size", "0")),
            other.clone(),
        ),
        (
            "a needless pax size",
            after(&record("size", "1")),
            other.clone(),
        ),
        (
            "a needless path",
            after(&record("path", "volumes/db/data/a")),
            other.clone(),
        ),
        ("a record twice", after(&twice), other.clone()),
        ("records out of order", after(&order), other.clone()),
        (
            "an unknown record",
            after(&record("comment", "hello")),
            other.clone(),
        ),
        (
            "a record without an end",
            after(b"99 path=x\n"),
            other.clone(),
        ),
        ("no record", after(b""), other.clone()),
        (
            "a path of another",
            after(&record("path", format!("{VOLUME}{long}"))),
            other.clone(),
        ),
        (
            "a user of none",
            after(&record("uid", u32::MAX.to_string())),
            Problem::Attributes,
        ),
        (
            "a pax header on a pax header",
            after(&record("size", "512")).splice_in(&record("size", "0")),
            Problem::Kind(b'x'),
        ),
    ]);
}

#[test]
fn fields_that_programs_understand_differently_are_refused() {
    let file = |change: &dyn Fn(&mut Head)| {
        let mut head = Head::file(&format!("{VOLUME}a"), 1);
        change(&mut head);
        with(|raw| raw.member(&head, b"x"))
    };
    let flag = |flag: u8| file(&|head| head.flag = flag);
    let mut wide = Head::file(&format!("{VOLUME}a"), 1).block();
    wide[124] = 0x80;
    seal(&mut wide);
    let mut wrong = Head::file(&format!("{VOLUME}a"), 1).block();
    wrong[150] ^= 1;
    let other = Problem::NotCanonical;
    all_are_refused(vec![
        ("a global pax header", flag(b'g'), Problem::Kind(b'g')),
        ("a long name of GNU", flag(b'L'), Problem::Kind(b'L')),
        ("a long target of GNU", flag(b'K'), Problem::Kind(b'K')),
        ("an old sparse file of GNU", flag(b'S'), Problem::Kind(b'S')),
        ("an old directory of GNU", flag(b'D'), Problem::Kind(b'D')),
        ("a contiguous file", flag(b'7'), Problem::Kind(b'7')),
        ("an old file", flag(0), Problem::Kind(0)),
        (
            "GNU's magic",
            file(&|head| head.magic = *b"ustar  \0"),
            other.clone(),
        ),
        ("no magic", file(&|head| head.magic = [0; 8]), other.clone()),
        (
            "a user's name",
            file(&|head| head.user_name = b"root"),
            other.clone(),
        ),
        (
            "a needless prefix",
            file(&|head| (head.name, head.prefix) = (b"db/data/a".into(), b"volumes")),
            other.clone(),
        ),
        (
            "spaces for zeros",
            file(&|head| head.size = "         1 ".into()),
            other.clone(),
        ),
        (
            "no zeros",
            file(&|head| head.size = "1".into()),
            other.clone(),
        ),
        (
            "a size in binary",
            with(|raw| raw.bytes(&wide)),
            other.clone(),
        ),
        (
            "a wrong checksum",
            with(|raw| raw.bytes(&wrong)),
            Problem::Checksum,
        ),
        (
            "a kind in the mode",
            file(&|head| head.mode = "0100644".into()),
            Problem::Attributes,
        ),
        (
            "a directory without /",
            file(&|head| head.flag = b'5'),
            other.clone(),
        ),
        (
            "a link with contents",
            file(&|head| (head.flag, head.target) = (b'2', b"b".into())),
            other.clone(),
        ),
        (
            "a pipe with contents",
            file(&|head| head.flag = b'6'),
            other.clone(),
        ),
        (
            "a file with a target",
            file(&|head| head.target = b"b".into()),
            other,
        ),
    ]);
}

trait SpliceIn {
    /// Puts a pax header before the first that is there.
    fn splice_in(self, records: &[u8]) -> Self;
}

impl SpliceIn for Vec<u8> {
    fn splice_in(mut self, records: &[u8]) -> Self {
        // Behind the manifest and the volume.
        let at = Raw::volume().0.len();
        let header = pax_header(records, &self[at..at + 512]);
        self.splice(at..at, header);
        self
    }
}

#[test]
fn what_fills_up_a_block_is_zero() {
    let mut after_contents = Raw::volume().file("a", b"x").list(&[("a", b"x")]).end();
    after_contents[2560 - 1] = 1;
    let mut after_manifest = Raw::new().end();
    after_manifest[1023] = 1;
    let mut after_records = with(|raw| {
        let raw = raw.records(&record("uid", "3000000"));
        raw.file("a", b"x")
    });
    let at = Raw::volume().0.len() + 1023;
    after_records[at] = 1;
    let mut after_list = Raw::volume().file("a", b"x").list(&[("a", b"x")]).end();
    let at = after_list.len() - 1025;
    after_list[at] = 1;
    all_are_refused(vec![
        ("after contents", after_contents, Problem::Padding),
        ("after the manifest", after_manifest, Problem::Padding),
        ("after records", after_records, Problem::NotCanonical),
        ("after the hash list", after_list, Problem::Padding),
    ]);
}

#[test]
fn the_map_of_a_file_with_holes_is_the_one_there_is() {
    let sparse = |map: &str, real: &str, data: &[u8]| {
        let records = [("major", "1"), ("minor", "0"), ("realsize", real)];
        let records = records.map(|(key, value)| record(&format!("GNU.sparse.{key}"), value));
        let mut contents = map.as_bytes().to_vec();
        contents.resize(map.len().next_multiple_of(512), 0);
        contents.extend_from_slice(data);
        with(|raw| raw.records(&records.concat()).file("a", &contents))
    };
    let hole = Stage::new();
    let fine = sparse("1\n4096\n5\n", "4101", b"xxxxx");
    // All but the hash list is right.
    hole.refuses_as("no list", &fine, &Problem::HashList);
    let cases = [
        ("no map", sparse("", "100", b"")),
        ("not a number", sparse("x\n", "100", b"")),
        (
            "a number that is too large",
            sparse("99999999999999999999\n", "100", b""),
        ),
        ("half a map", sparse("2\n0\n", "100", b"")),
        ("no hole", sparse("1\n0\n5\n", "5", b"xxxxx")),
        ("beyond the end", sparse("1\n4096\n5\n", "4100", b"xxxxx")),
        ("out of order", sparse("2\n4096\n1\n0\n1\n", "5000", b"xx")),
        (
            "over each other",
            sparse("2\n10\n5\n12\n5\n", "17", b"xxxxxxxxxx"),
        ),
        ("touching", sparse("2\n10\n5\n15\n5\n", "20", b"xxxxxxxxxx")),
        (
            "nothing in the middle",
            sparse("2\n10\n0\n15\n5\n", "20", b"xxxxx"),
        ),
        ("no end", sparse("1\n10\n5\n", "20", b"xxxxx")),
        ("a zero before", sparse("1\n04096\n5\n", "4101", b"xxxxx")),
        ("a sign", sparse("1\n+4096\n5\n", "4101", b"xxxxx")),
        ("more data", sparse("1\n4096\n5\n", "4101", b"xxxxxx")),
        ("less data", sparse("1\n4096\n5\n", "4101", b"xxxx")),
        (
            "an overflow",
            sparse("1\n18446744073709551615\n5\n", "4101", b"xxxxx"),
        ),
    ];
    let cases = cases.map(|(what, archive)| (what, archive, Problem::Holes));
    all_are_refused(cases.into());
}

#[test]
fn archives_of_gnu_tar_are_refused_in_each_of_its_formats() {
    let stage = Stage::new();
    let tree = stage.at("tree");
    fs::create_dir_all(tree.join("volumes/db/data")).unwrap();
    fs::write(tree.join("snapshot.json"), "{}").unwrap();
    fs::write(tree.join("volumes/db/data").join("x".repeat(200)), "x").unwrap();
    let sparse = fs::File::create(tree.join("volumes/db/data/sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    for format in ["gnu", "oldgnu", "posix"] {
        let output = Command::new("tar")
            .args(["--create", "--sparse", "--format", format, "--directory"])
            .arg(&tree)
            .args(["snapshot.json", "volumes"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        stage.refuses_as(format, &output.stdout, &Problem::NotCanonical);
    }
}
