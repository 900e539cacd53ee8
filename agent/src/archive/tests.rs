//! What is written is read again, and its bytes are those of the documented form.

use std::{
    collections::{BTreeMap, btree_map},
    io::{self, Read},
};

use proptest::{collection, prelude::*, sample::Index};

use super::*;

/// A file's data: where holes are, nothing is asked.
type Contents = Vec<u8>;

/// An entry and what a file has in it, holes as zeros.
type Whole = (Entry, Contents);

fn id(service: &str, volume: &str) -> VolumeId {
    VolumeId::new(service.as_bytes(), volume.as_bytes()).unwrap()
}

fn attributes(mode: u32) -> Attributes {
    Attributes {
        mode,
        user: 0,
        group: 0,
        modified: Moment {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
    }
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.into(),
        kind,
        attributes: attributes(0o644),
        extended: Extended::new(),
    }
}

fn top() -> Whole {
    (entry("", Kind::Directory), Vec::new())
}

fn file(path: &str, contents: &[u8]) -> Whole {
    let kind = Kind::File(Layout::whole(contents.len() as u64));
    (entry(path, kind), contents.to_vec())
}

/// Reads contents at an offset, as a file is read.
fn reading(contents: &[u8]) -> impl FnMut(u64, &mut [u8]) -> io::Result<usize> {
    move |at, room| {
        let mut rest = &contents[usize::try_from(at).unwrap()..];
        rest.read(room)
    }
}

fn try_write(volumes: &[(VolumeId, Vec<Whole>)], limits: Limits) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::archive(Vec::new(), b"{}", limits)?;
    for (id, entries) in volumes {
        let mut volume = writer.volume(id)?;
        for (entry, contents) in entries {
            match &entry.kind {
                Kind::HardLink { target } => volume.link(&entry.path, target)?,
                _ => volume.add(entry, reading(contents))?,
            }
        }
        volume.end()?;
    }
    writer.finish()
}

fn write(entries: Vec<Whole>) -> Vec<u8> {
    try_write(&[(id("db", "data"), entries)], Limits::default()).unwrap()
}

fn read(archive: &[u8], limits: Limits) -> Result<Vec<(VolumeId, Vec<Whole>)>, Error> {
    let mut reader = Reader::new(archive, limits);
    let mut volumes = Vec::new();
    while let Some(member) = reader.member()? {
        match member {
            Member::Manifest(manifest) => assert_eq!(manifest, b"{}"),
            Member::Volume(id) => volumes.push((id, Vec::new())),
            Member::Entry(entry) => {
                let mut contents = Vec::new();
                if let Kind::File(layout) = &entry.kind {
                    contents.resize(usize::try_from(layout.size()).unwrap(), 0);
                }
                while let Some(chunk) = reader.chunk()? {
                    let at = usize::try_from(chunk.at).unwrap();
                    contents[at..at + chunk.bytes.len()].copy_from_slice(chunk.bytes);
                }
                volumes.last_mut().unwrap().1.push((entry, contents));
            }
            Member::End(totals) => {
                let (_, entries) = volumes.last().unwrap();
                let files = entries
                    .iter()
                    .filter(|(entry, _)| entry.kind != Kind::Directory);
                assert_eq!(totals.files, files.count() as u64);
            }
        }
    }
    Ok(volumes)
}

fn refused(archive: &[u8], limits: Limits) -> Error {
    read(archive, limits).unwrap_err()
}

#[test]
fn the_bytes_of_an_archive_are_those_of_the_documented_form() {
    let mut long = entry("long", Kind::Pipe);
    long.path = [b"d/".repeat(60), b"x".repeat(200)].concat();
    let mut entries = vec![top()];
    for depth in 1..=60 {
        entries.push((
            entry(&["d"; 60][..depth].join("/"), Kind::Directory),
            Vec::new(),
        ));
    }
    long.attributes.user = 3_000_000;
    long.attributes.modified = Moment {
        seconds: -1,
        nanoseconds: 500_000_000,
    };
    long.extended = BTreeMap::from([(b"user.a=%".to_vec(), b"\0\n".to_vec())]);
    entries.push((long, Vec::new()));
    entries.push(file("fi\\le", b"contents"));
    let archive = write(entries);

    assert_eq!(&archive[..14], b"snapshot.json\0");
    assert_eq!(&archive[100..108], b"0000644\0");
    assert_eq!(&archive[124..148], b"00000000002\x0000000000000\0");
    assert_eq!(&archive[156..158], b"0\0");
    assert_eq!(&archive[257..265], b"ustar\x0000");
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    let told = archive[148..156]
        .iter()
        .map(|byte| u32::from(*byte))
        .sum::<u32>();
    let expected = format!("{:06o}\0 ", sum - told + 8 * 32);
    assert_eq!(&archive[148..156], expected.as_bytes());
    assert_eq!(&archive[512..514], b"{}");
    assert_eq!(&archive[1024..1043], b"volumes/db/data/\0\0\0");
    let text = String::from_utf8_lossy(&archive);
    let records = [
        format!(
            "346 path=volumes/db/data/{}{}\n",
            "d/".repeat(60),
            "x".repeat(200)
        ),
        "15 uid=3000000\n".to_owned(),
        "14 mtime=-0.5\n".to_owned(),
        "32 SCHILY.xattr.user.a%3D%25=\0\n\n".to_owned(),
    ];
    assert!(text.contains(&records.concat()));
    let hash = blake3::hash(b"contents").to_hex();
    let list = format!("\\{hash}  volumes/db/data/fi\\\\le\n");
    let end = archive.len() - 1024;
    assert_eq!(&archive[end - 512..][..list.len()], list.as_bytes());
    assert_eq!(archive[end..], [0; 1024]);
}

#[test]
fn a_file_with_holes_has_the_map_of_gnu_tar_before_its_data() {
    let piece = |at, length| Segment { at, length };
    let layout = Layout::sparse(100_000, vec![piece(4096, 5), piece(65_536, 3)]).unwrap();
    let mut contents = vec![0; 100_000];
    contents[4096..4101].copy_from_slice(b"hello");
    contents[65_536..65_539].copy_from_slice(b"you");
    let archive = write(vec![top(), (entry("sparse", Kind::File(layout)), contents)]);
    let text = String::from_utf8_lossy(&archive);
    let map = "3\n4096\n5\n65536\n3\n100000\n0\n";
    let data = format!("{map}{}helloyou\0", "\0".repeat(512 - map.len()));
    assert!(text.contains(&data));
    let records = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n30 GNU.sparse.realsize=100000\n";
    assert!(text.contains(records));
}

#[test]
fn volumes_come_in_their_order_and_those_that_were_packed_elsewhere_too() {
    let parts: Vec<_> = [("a", "one"), ("a", "two"), ("b", "one")]
        .map(|(service, volume)| id(service, volume))
        .into();
    let mut writer = Writer::archive(Vec::new(), b"{}", Limits::default()).unwrap();
    for id in &parts {
        let mut part = Writer::part(Vec::new(), Limits::default());
        let mut volume = part.volume(id).unwrap();
        volume.add(&top().0, nothing).unwrap();
        volume.end().unwrap();
        let part = part.finish().unwrap();
        writer.packed(id, &mut &part[..]).unwrap();
    }
    let late = writer.packed(&parts[1], &mut &b""[..]).unwrap_err();
    assert_eq!(late.problem, Problem::Order);
    let archive = writer.finish().unwrap();
    let read: Vec<_> = read(&archive, Limits::default()).unwrap();
    assert_eq!(
        read.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
        parts
    );
    let whole = parts.iter().map(|id| (id.clone(), vec![top()]));
    let whole: Vec<_> = whole.collect();
    assert_eq!(archive, try_write(&whole, Limits::default()).unwrap());
}

#[test]
fn a_writer_refuses_what_no_reader_takes() {
    let refuses = |entries: Vec<Whole>| {
        let volumes = [(id("db", "data"), entries)];
        try_write(&volumes, Limits::default()).unwrap_err().problem
    };
    let link = |path: &str, target: &str| {
        let target = target.into();
        (entry(path, Kind::HardLink { target }), Vec::new())
    };
    assert_eq!(refuses(vec![]), Problem::NoDirectory);
    assert_eq!(refuses(vec![file("a", b"")]), Problem::NoDirectory);
    assert_eq!(refuses(vec![top(), file("d/a", b"")]), Problem::NoDirectory);
    assert_eq!(
        refuses(vec![top(), file("b", b""), file("a", b"")]),
        Problem::Order
    );
    assert_eq!(refuses(vec![top(), link("b", "a")]), Problem::Target);
    let dots = refuses(vec![top(), file("..", b"")]);
    assert_eq!(dots, Problem::Name(NameProblem::Dots));
    let mut short = file("a", b"1234");
    short.1.pop();
    assert_eq!(refuses(vec![top(), short]), Problem::Shorter);
    let mut wild = file("a", b"");
    wild.0.attributes.mode = 0o10_0644;
    assert_eq!(refuses(vec![top(), wild]), Problem::Attributes);
    let mut large = file("a", b"");
    large.0.extended = BTreeMap::from([(b"user.a".to_vec(), vec![0; 1 << 20])]);
    let bound = Bound::Records;
    let most = 1 << 20;
    assert_eq!(
        refuses(vec![top(), large]),
        Problem::TooMuch { bound, most }
    );
    let manifest = vec![b' '; LONGEST_MANIFEST + 1];
    let long = Writer::archive(Vec::new(), &manifest, Limits::default()).unwrap_err();
    assert_eq!(long.member.as_deref(), Some("snapshot.json"));
}

#[test]
fn what_exceeds_a_limit_is_refused_when_it_is_met() {
    let archive = write(vec![top(), file("a", b"1234"), file("b", b"12345")]);
    let all = Limits {
        total: 9,
        file: 5,
        entries: 3,
        segments: 1,
        memory: 162,
    };
    assert!(read(&archive, all).is_ok());
    for (limits, bound, most) in [
        (Limits { total: 8, ..all }, Bound::Total, 8),
        (Limits { file: 4, ..all }, Bound::File, 4),
        (Limits { entries: 2, ..all }, Bound::Entries, 2),
        (Limits { memory: 161, ..all }, Bound::Memory, 161),
    ] {
        let refused = refused(&archive, limits);
        assert_eq!(refused.problem, Problem::TooMuch { bound, most });
        assert_eq!(refused.member.as_deref(), Some("volumes/db/data/b"));
    }
}

#[test]
fn a_reader_that_failed_says_so_again() {
    let archive = write(vec![top(), file("a", b"1234")]);
    let mut reader = Reader::new(&archive[..archive.len() - 3000], Limits::default());
    let first = loop {
        match reader.member() {
            Ok(member) => assert!(member.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(reader.member().unwrap_err(), first);
    assert_eq!(reader.chunk().unwrap_err(), first);
}

#[test]
fn errors_and_results_are_one_line_of_json() {
    let error = Problem::Name(NameProblem::Dots).at(Some(b"volumes/a/b/\xff\n/.."), 512);
    let text = serde_json::to_string(&Failure::from(error.clone())).unwrap();
    let expected =
        r#"{"archive":{"problem":{"name":"dots"},"member":"volumes/a/b/\\xff\n/..","offset":512}}"#;
    assert_eq!(text, expected);
    let back: Failure = serde_json::from_str(&text).unwrap();
    assert_eq!(back, Failure::Archive(error));
}

/// Names that are short, long, special or no text.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let plain = "[a-c.\\\\\n %=ä-]{1,4}".prop_map(String::into_bytes);
    let bytes = collection::vec(1..=255_u8, 1..120);
    prop_oneof![4 => plain, 1 => bytes].prop_filter("a name", |name| {
        !name.contains(&b'/') && !matches!(&name[..], b"." | b"..")
    })
}

fn owners() -> impl Strategy<Value = Attributes> {
    let large = prop_oneof![Just(0), Just(2_097_151), Just(2_097_152), 0..u32::MAX];
    let time = prop_oneof![
        Just(0),
        Just(-1),
        Just((1 << 33) - 1),
        Just(1 << 33),
        -10_000_000_000_i64..10_000_000_000,
        any::<i64>(),
    ];
    let part = prop_oneof![Just(0), Just(500_000_000), 0..1_000_000_000_u32];
    (0..=0o7777_u32, large.clone(), large, time, part).prop_map(
        |(mode, user, group, seconds, nanoseconds)| Attributes {
            mode,
            user,
            group,
            modified: Moment {
                seconds,
                nanoseconds,
            },
        },
    )
}

/// A file whose data and holes take turns.
fn files() -> impl Strategy<Value = (Kind, Contents)> {
    let pieces = collection::vec((0..2000_usize, 1..2000_usize), 0..4);
    (pieces, 0..2000_usize, any::<u8>()).prop_map(|(pieces, hole, byte)| {
        let (mut contents, mut data) = (Vec::new(), Vec::<Segment>::new());
        for (hole, length) in pieces {
            let at = (contents.len() + hole) as u64;
            contents.resize(contents.len() + hole, 0);
            contents.resize(contents.len() + length, byte);
            let length = length as u64;
            match data.last_mut() {
                Some(last) if last.end() == at => last.length += length,
                _ => data.push(Segment { at, length }),
            }
        }
        contents.resize(contents.len() + hole, 0);
        let layout = Layout::sparse(contents.len() as u64, data).unwrap();
        (Kind::File(layout), contents)
    })
}

fn kinds() -> impl Strategy<Value = (Kind, Contents)> {
    let target = collection::vec(1..=255_u8, 1..300);
    let device = (0..4096_u32, 0..1_048_576_u32);
    let device = device.prop_map(|(major, minor)| Device { major, minor });
    let without = prop_oneof![
        Just(Kind::Directory),
        Just(Kind::Directory),
        Just(Kind::Pipe),
        // Becomes a link to something before it.
        Just(Kind::HardLink { target: Vec::new() }),
        target.prop_map(|target| Kind::Symlink { target }),
        device.clone().prop_map(Kind::CharacterDevice),
        device.prop_map(Kind::BlockDevice),
    ];
    prop_oneof![without.prop_map(|kind| (kind, Vec::new())), files()]
}

fn extended() -> impl Strategy<Value = Extended> {
    let name = "user\\.[a-z=%]{1,5}".prop_map(String::into_bytes);
    collection::btree_map(name, collection::vec(any::<u8>(), 0..100), 0..3)
}

/// Something somewhere: the name, what it is, and in which of the directories before it.
type Anything = (Vec<u8>, (Kind, Contents), Attributes, Extended, Index);

/// Puts things into directories, and in order.
fn tree(things: Vec<Anything>) -> Vec<Whole> {
    let mut directories = vec![Vec::new()];
    let mut all = BTreeMap::from([(Vec::new(), top())]);
    for (name, (kind, contents), attributes, extended, index) in things {
        let mut path: Vec<Vec<u8>> = index.get(&directories).clone();
        path.push(name);
        let entry = Entry {
            path: path.join(&b'/'),
            kind,
            attributes,
            extended,
        };
        if let btree_map::Entry::Vacant(free) = all.entry(path) {
            if entry.kind == Kind::Directory {
                directories.push(free.key().clone());
            }
            free.insert((entry, contents));
        }
    }
    // Vectors of names are ordered as a walk finds them.
    let mut entries: Vec<Whole> = all.into_values().collect();
    let mut first = None;
    entries.retain_mut(|(entry, _)| {
        match (&entry.kind, &first) {
            (Kind::HardLink { .. }, None) => return false,
            (Kind::HardLink { .. }, Some((target, attributes))) => {
                let target = Vec::clone(target);
                entry.kind = Kind::HardLink { target };
                entry.attributes = *attributes;
                entry.extended = Extended::new();
            }
            (Kind::Directory, _) => {}
            _ => first = Some((entry.path.clone(), entry.attributes)),
        }
        true
    });
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_again(
        things in collection::vec(
            (names(), kinds(), owners(), extended(), any::<Index>()),
            0..24,
        )
    ) {
        let volumes = vec![(id("db", "data"), tree(things)), (id("web", "files"), vec![top()])];
        let archive = try_write(&volumes, Limits::default()).unwrap();
        prop_assert_eq!(read(&archive, Limits::default()).unwrap(), volumes);
    }

    #[test]
    fn bytes_that_were_never_written_are_refused(
        at in any::<Index>(),
        bytes in collection::vec(any::<u8>(), 1..64),
    ) {
        let mut archive = write(vec![top(), file("a", b"1234"), file("b", b"12345")]);
        let at = at.index(archive.len());
        let end = archive.len().min(at + bytes.len());
        let before = archive[at..end].to_vec();
        archive[at..end].copy_from_slice(&bytes[..end - at]);
        // The manifest is anybody's.
        let is_changed = before != archive[at..end] && !(512..514).contains(&at);
        prop_assert_eq!(read(&archive, Limits::default()).is_err(), is_changed);
    }
}
