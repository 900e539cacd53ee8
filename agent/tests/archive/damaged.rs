//! Archives that were cut off or changed on the way.

use std::collections::BTreeMap;

use devenv_agent::archive::{
    Attributes, Device, Entry, Extended, Kind, Layout, Limits, Moment, Problem, Segment, VolumeId,
    Writer,
};

use crate::stage::{Stage, refused};

/// Where the manifest is, which is whose it is to protect.
const MANIFEST: std::ops::Range<usize> = 512..514;

/// An archive with something of every kind in one volume, and nothing in another.
pub(crate) fn archive() -> Vec<u8> {
    let mut writer = Writer::archive(Vec::new(), b"{}", Limits::default()).unwrap();
    for name in ["data", "logs"] {
        let id = VolumeId::new(b"db", name.as_bytes()).unwrap();
        let mut volume = writer.volume(&id).unwrap();
        let mut number = 0;
        let mut add = |path: &str, kind: Kind| {
            number += 1;
            let extended = BTreeMap::from([(b"trusted.note".to_vec(), b"note".to_vec())]);
            let entry = Entry {
                path: path.into(),
                kind,
                attributes: Attributes {
                    mode: 0o640,
                    user: 999,
                    group: 3_000_000,
                    modified: Moment {
                        seconds: 1_700_000_000,
                        nanoseconds: number,
                    },
                },
                // Of some only: as headers without others before them are there too.
                extended: if number % 2 == 0 {
                    Extended::new()
                } else {
                    extended
                },
            };
            volume.add(&entry, |_, room| {
                room.fill(b'x');
                Ok(room.len())
            })
        };
        let target = b"nowhere".to_vec();
        let piece = Segment {
            at: 4096,
            length: 700,
        };
        let sparse = Layout::sparse(9000, vec![piece]).unwrap();
        let device = Device { major: 1, minor: 3 };
        add("", Kind::Directory).unwrap();
        if name == "logs" {
            volume.end().unwrap();
            continue;
        }
        add("a", Kind::File(Layout::whole(1000))).unwrap();
        add("d", Kind::Directory).unwrap();
        add("d/link", Kind::Symlink { target }).unwrap();
        add("d/null", Kind::CharacterDevice(device)).unwrap();
        add("d/pipe", Kind::Pipe).unwrap();
        add("sparse", Kind::File(sparse)).unwrap();
        volume.link(b"too", b"a").unwrap();
        volume.end().unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn an_archive_that_is_cut_off_anywhere_leaves_nothing() {
    let (archive, stage) = (archive(), Stage::new());
    let told = stage.takes(&archive);
    assert_eq!(told.len(), 2);
    for length in (0..archive.len()).step_by(512) {
        for inside in [length, length + 1, length + 300] {
            let error = refused(&archive[..inside]).unwrap();
            assert_eq!(error.problem, Problem::Truncated, "{inside}");
            assert_eq!(error.offset, inside as u64);
        }
        stage.refuses("cut off", &archive[..length]);
        stage.refuses("cut off inside", &archive[..length + 77]);
    }
}

#[test]
fn a_bit_that_is_turned_anywhere_is_noticed() {
    let mut archive = archive();
    for at in (0..archive.len()).filter(|at| !MANIFEST.contains(at)) {
        let bit = 1 << (at % 8);
        archive[at] ^= bit;
        assert!(refused(&archive).is_some(), "bit {bit} of byte {at}");
        archive[at] ^= bit;
    }
    assert_eq!(refused(&archive), None);
}

/// Numbers that are the same each time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, most: usize) -> usize {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

#[test]
fn a_thousand_bits_that_are_turned_anywhere_are_noticed_and_some_by_the_agent_itself() {
    let (mut archive, stage) = (archive(), Stage::new());
    let mut seeded = Seeded(0x5eed);
    for round in 0..1000 {
        let (at, bit) = (seeded.below(archive.len()), 1 << seeded.below(8));
        if MANIFEST.contains(&at) {
            continue;
        }
        archive[at] ^= bit;
        if round % 10 == 0 {
            stage.refuses("a bit turned", &archive);
        } else {
            assert!(refused(&archive).is_some(), "bit {bit} of byte {at}");
        }
        archive[at] ^= bit;
    }
    assert_eq!(refused(&archive), None);
}

#[test]
fn contents_that_were_changed_are_named() {
    let mut archive = archive();
    let at = archive
        .windows(8)
        .position(|bytes| bytes == b"xxxxxxxx")
        .unwrap();
    archive[at] = b'y';
    let error = Stage::new().refuses("changed", &archive);
    assert_eq!(error.problem, Problem::Damaged);
    assert_eq!(error.member.as_deref(), Some("volumes/db/data/a"));
}
