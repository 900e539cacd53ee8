//! Archives that want something else than to be unpacked.

use devenv_agent::archive::{NameProblem, Problem};

use crate::{
    raw::{Head, Raw, VOLUME, line, record},
    stage::Stage,
};

/// What is wrong with an archive, the archive, and what is said of it.
pub(crate) type Case = (&'static str, Vec<u8>, Problem);

pub(crate) fn all_are_refused(cases: Vec<Case>) {
    let stage = Stage::new();
    for (what, archive, problem) in cases {
        stage.refuses_as(what, &archive, &problem);
    }
}

/// A volume with that in it, and an end.
pub(crate) fn with(members: impl FnOnce(Raw) -> Raw) -> Vec<u8> {
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
fn symbolic_links_lead_nobody_out() {
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
fn hard_links_lead_to_files_before_them_in_the_same_volume() {
    let target = |path: &str| format!("{VOLUME}{path}");
    let setuid = |path: &str| {
        let mut head = Head::link(&target(path), b'1', &target("a"));
        head.mode = "0004755".into();
        head
    };
    all_are_refused(vec![
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
    ]);
}

#[test]
fn members_that_are_there_twice_or_at_another_place_are_refused() {
    let volume = |raw: Raw, name: &str| raw.member(&Head::new(name, b'5'), b"");
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
    ]);
}

#[test]
fn an_archive_is_a_manifest_and_volumes_with_their_lists_and_an_end() {
    let volume = |raw: Raw, name: &str| raw.member(&Head::new(name, b'5'), b"");
    let list = |raw: Raw, name: &str| raw.member(&Head::file(name, 0), b"");
    let manifest = Head::file("snapshot.json", 2);
    let whole = || Raw::volume().file("a", b"x").list(&[("a", b"x")]);
    all_are_refused(vec![
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
