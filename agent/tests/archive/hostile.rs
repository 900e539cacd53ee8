//! Archives that want something else than to be unpacked.

use std::{fs, process::Command};

use devenv_agent::archive::{NameProblem, Problem};

use crate::{
    raw::{Head, Raw, VOLUME, line, pax_header, record, seal},
    stage::Stage,
};

/// What is wrong with an archive, the archive, and what is said of it.
type Case = (&'static str, Vec<u8>, Problem);

fn all_are_refused(cases: Vec<Case>) {
    let stage = Stage::new();
    for (what, archive, problem) in cases {
        stage.refuses_as(what, &archive, &problem);
    }
}

/// A volume with that in it, and an end.
fn with(members: impl FnOnce(Raw) -> Raw) -> Vec<u8> {
    members(Raw::volume()).list(&[]).end()
}

#[test]
fn what_is_refused_here_would_be_taken_without_what_is_wrong_with_it() {
    let stage = Stage::new();
    let archive = Raw::volume()
        .file("a", b"contents")
        .hard_link("b", &format!("{VOLUME}a"))
        .directory("d")
        .symlink("d/link", "../../../outside")
        .list(&[("a", b"contents")])
        .end();
    let told = stage.takes(&archive);
    assert_eq!((told[0].files, told[0].bytes), (3, 8));
    stage.takes(&Raw::new().end());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let name = Problem::Name;
    let file = |name: &str| with(|raw| raw.member(&Head::file(name, 1), b"x"));
    let long = |path: &str| {
        with(|raw| {
            let head = Head::new("PaxHeaders/name", b'0');
            raw.records(&record("path", path)).member(&head, b"")
        })
    };
    let deep = format!("{VOLUME}{}", ["d"; 257].join("/"));
    let endless = format!("{VOLUME}{}", "d/".repeat(100_000));
    let part = format!("{VOLUME}{}", "x".repeat(256));
    all_are_refused(vec![
        (
            "..",
            file("volumes/db/data/../evil"),
            name(NameProblem::Dots),
        ),
        ("..", file("volumes/db/data/.."), name(NameProblem::Dots)),
        (".", file("volumes/db/data/./evil"), name(NameProblem::Dots)),
        (
            "//",
            file("volumes/db/data//evil"),
            name(NameProblem::Empty),
        ),
        (
            "file/",
            file("volumes/db/data/evil/"),
            name(NameProblem::Empty),
        ),
        (
            "service ..",
            file("volumes/../outside/evil"),
            name(NameProblem::Volume),
        ),
        (
            "volume ..",
            file("volumes/db/../evil"),
            name(NameProblem::Volume),
        ),
        (
            "service .",
            file("volumes/./data/evil"),
            name(NameProblem::Volume),
        ),
        (
            "Service",
            file("volumes/Db/data/evil"),
            name(NameProblem::Volume),
        ),
        ("no volume", file("volumes/evil"), name(NameProblem::Volume)),
        (
            "list ..",
            file("hashes/../../outside/file"),
            name(NameProblem::Volume),
        ),
        (
            "list below",
            file("hashes/db/data/evil"),
            name(NameProblem::Volume),
        ),
        ("absolute", file("/outside/file"), Problem::Unexpected),
        ("./", file("./volumes/db/data/evil"), Problem::Unexpected),
        ("elsewhere", file("evil"), Problem::Unexpected),
        (
            "a NUL",
            long("volumes/db/data/a\0b"),
            name(NameProblem::Nul),
        ),
        ("a long part", long(&part), name(NameProblem::LongPart)),
        ("a deep path", long(&deep), name(NameProblem::Deep)),
        ("an endless path", long(&endless), name(NameProblem::Long)),
    ]);
}

#[test]
fn links_lead_nobody_out() {
    let target = |path: &str| format!("{VOLUME}{path}");
    let setuid = |path: &str| {
        let mut head = Head::link(&target(path), b'1', &target("a"));
        head.mode = "0004755".into();
        head
    };
    all_are_refused(vec![
        (
            "a file through a link",
            with(|raw| raw.symlink("a", "../../../../outside").file("a/evil", b"x")),
            Problem::NoDirectory,
        ),
        (
            "a file through two links",
            with(|raw| {
                let raw = raw.symlink("a", "..").symlink("b", "a/../../../outside");
                raw.file("b/evil", b"x")
            }),
            Problem::NoDirectory,
        ),
        (
            "a directory through a link",
            with(|raw| raw.symlink("a", "/").directory("a/evil")),
            Problem::NoDirectory,
        ),
        (
            "a directory where a link was",
            with(|raw| raw.symlink("a", "/").directory("a")),
            Problem::Order,
        ),
        (
            "a hard link to an absolute path",
            with(|raw| raw.hard_link("a", "/outside/file")),
            Problem::Target,
        ),
        (
            "a hard link to what is outside",
            with(|raw| raw.hard_link("a", &target("../../../../outside/file"))),
            Problem::Target,
        ),
        (
            "a hard link through a link",
            with(|raw| {
                raw.symlink("a", "/outside")
                    .hard_link("b", &target("a/file"))
            }),
            Problem::Target,
        ),
        (
            "a hard link to a later file",
            with(|raw| raw.hard_link("a", &target("b")).file("b", b"")),
            Problem::Target,
        ),
        (
            "a hard link to a directory",
            with(|raw| raw.directory("a").hard_link("b", &target("a"))),
            Problem::Target,
        ),
        (
            "a hard link to a hard link",
            with(|raw| {
                let raw = raw.file("a", b"").hard_link("b", &target("a"));
                raw.hard_link("c", &target("b"))
            }),
            Problem::Target,
        ),
        (
            "a hard link into another volume",
            Raw::volume()
                .file("a", b"")
                .list(&[("a", b"")])
                .member(&Head::new("volumes/db/logs/", b'5'), b"")
                .member(&Head::link("volumes/db/logs/b", b'1', &target("a")), b"")
                .end(),
            Problem::Target,
        ),
        (
            "a hard link that makes a file setuid",
            with(|raw| raw.file("a", b"").member(&setuid("b"), b"")),
            Problem::Unlike,
        ),
        (
            "a hard link with attributes",
            with(|raw| {
                let raw = raw
                    .file("a", b"")
                    .records(&record("SCHILY.xattr.user.a", b"b"));
                raw.hard_link("b", &target("a"))
            }),
            Problem::Unlike,
        ),
        (
            "a link to nothing",
            with(|raw| raw.symlink("a", "")),
            Problem::NoPath,
        ),
        (
            "a manifest that is a link",
            Raw::default()
                .member(&Head::link("snapshot.json", b'2', "/outside"), b"")
                .end(),
            Problem::NotCanonical,
        ),
    ]);
}

#[test]
fn members_that_are_there_twice_or_at_another_place_are_refused() {
    let volume = |raw: Raw, name: &str| raw.member(&Head::new(name, b'5'), b"");
    let list = |raw: Raw, name: &str| raw.member(&Head::file(name, 0), b"");
    let manifest = Head::file("snapshot.json", 2);
    let whole = || Raw::volume().file("a", b"x").list(&[("a", b"x")]);
    all_are_refused(vec![
        (
            "a file twice",
            with(|raw| raw.file("a", b"x").file("a", b"y")),
            Problem::Order,
        ),
        (
            "out of order",
            with(|raw| raw.file("b", b"x").file("a", b"y")),
            Problem::Order,
        ),
        (
            "a file where a directory was",
            with(|raw| raw.directory("a").file("a/b", b"x").file("a", b"y")),
            Problem::Order,
        ),
        (
            "a directory again",
            with(|raw| raw.directory("a").file("b", b"x").file("a/b", b"y")),
            Problem::NoDirectory,
        ),
        (
            "a file in a file",
            with(|raw| raw.file("a", b"x").file("a/b", b"y")),
            Problem::NoDirectory,
        ),
        (
            "no volume",
            Raw::new().file("a", b"x").end(),
            Problem::NoDirectory,
        ),
        (
            "a volume twice",
            with(|raw| volume(raw, VOLUME)),
            Problem::Order,
        ),
        (
            "a volume again",
            volume(whole(), VOLUME).end(),
            Problem::Order,
        ),
        (
            "volumes out of order",
            volume(whole(), "volumes/a/z/").end(),
            Problem::Order,
        ),
        (
            "more of a volume",
            whole().file("b", b"x").end(),
            Problem::Order,
        ),
        (
            "two manifests",
            Raw::new().member(&manifest, b"{}").end(),
            Problem::Unexpected,
        ),
        (
            "a late manifest",
            with(|raw| raw.member(&manifest, b"{}")),
            Problem::Unexpected,
        ),
        (
            "an extra member",
            whole().member(&Head::file("evil", 1), b"x").end(),
            Problem::Unexpected,
        ),
        (
            "a list too many",
            list(whole(), "hashes/db/logs").end(),
            Problem::Unexpected,
        ),
        (
            "no manifest",
            Raw::default().bytes(&Raw::volume().0[1024..]).end(),
            Problem::NoManifest,
        ),
        (
            "nothing but an end",
            Raw::default().end(),
            Problem::NoManifest,
        ),
        ("no hash list", Raw::volume().end(), Problem::NoHashList),
        (
            "another volume's list",
            list(Raw::volume(), "hashes/db/a").end(),
            Problem::NoHashList,
        ),
        (
            "the next volume",
            volume(Raw::volume(), "volumes/web/a/").end(),
            Problem::NoHashList,
        ),
        ("nothing", Vec::new(), Problem::Truncated),
        ("no end", whole().0, Problem::Truncated),
        (
            "half an end",
            whole().bytes(&[0; 512]).0,
            Problem::Truncated,
        ),
        (
            "something in the end",
            whole().bytes(&[0; 512]).file("b", b"").0,
            Problem::Trailing,
        ),
        (
            "a byte after the end",
            [whole().end(), vec![0]].concat(),
            Problem::Trailing,
        ),
        (
            "a block after the end",
            [whole().end(), vec![0; 512]].concat(),
            Problem::Trailing,
        ),
        (
            "two archives",
            [whole().end(), whole().end()].concat(),
            Problem::Trailing,
        ),
    ]);
}

#[test]
fn a_hash_list_is_that_of_its_volume() {
    let (a, b) = (line("a", b"x"), line("b", b"y"));
    let listed = |text: &str| {
        let raw = Raw::volume().file("a", b"x").file("b", b"y");
        raw.listed(text).end()
    };
    let cases = [
        (
            "a file that is not there",
            format!("{a}{b}{}", line("c", b"z")),
        ),
        ("a file less", a.clone()),
        ("nothing", String::new()),
        ("another name", format!("{a}{}", line("c", b"y"))),
        ("another order", format!("{b}{a}")),
        ("a file twice", format!("{a}{a}")),
        ("no final newline", format!("{a}{b}").trim_end().to_owned()),
        (
            "a path elsewhere",
            format!("{a}{}", b.replace("db/data", "../../x")),
        ),
    ];
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|(what, text)| (what, listed(&text), Problem::HashList))
        .collect();
    let other = line("b", b"Y");
    cases.push((
        "other contents",
        listed(&format!("{a}{other}")),
        Problem::Damaged,
    ));
    let upper = format!("{}{}", b[..64].to_uppercase(), &b[64..]);
    cases.push((
        "large letters",
        listed(&format!("{a}{upper}")),
        Problem::Damaged,
    ));
    all_are_refused(cases);
}

#[test]
fn headers_that_programs_understand_differently_are_refused() {
    let file = |change: &dyn Fn(&mut Head)| {
        let mut head = Head::file(&format!("{VOLUME}a"), 1);
        change(&mut head);
        with(|raw| raw.member(&head, b"x"))
    };
    let after = |records: &[u8]| with(|raw| raw.records(records).file("a", b"x"));
    let flag = |flag: u8| file(&|head| head.flag = flag);
    let mut wide = Head::file(&format!("{VOLUME}a"), 1).block();
    wide[124] = 0x80;
    seal(&mut wide);
    let mut wrong = Head::file(&format!("{VOLUME}a"), 1).block();
    wrong[150] ^= 1;
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
