//! What hashes are made of, and that they differ after every change.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use devenv_agent::volume_protocol::TreeHash;

use super::{
    lengthen, overwrite,
    stage::{Stage, set_time},
};

#[test]
fn the_hash_is_that_of_the_documented_form() {
    let stage = Stage::new();
    stage.write("volume/d/file", b"contents");
    symlink("to", stage.at("volume/d.link")).unwrap();
    for (path, mode) in [
        ("volume", 0o750),
        ("volume/d", 0o700),
        ("volume/d/file", 0o4711),
    ] {
        fs::set_permissions(stage.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    chown(stage.at("volume/d"), Some(70), Some(71)).unwrap();
    let mut form = Vec::new();
    let mut head = |path: &[u8], kind: u8, mode: u32, user: u32, group: u32, rest: &[u8]| {
        form.extend((path.len() as u64).to_le_bytes());
        form.extend(path);
        form.push(kind);
        for number in [mode, user, group] {
            form.extend(number.to_le_bytes());
        }
        form.extend(rest);
    };
    head(b"", b'd', 0o750, 0, 0, b"");
    head(b"d", b'd', 0o700, 70, 71, b"");
    let contents = blake3::hash(b"contents");
    head(b"d/file", b'f', 0o4711, 0, 0, contents.as_bytes());
    head(b"d.link", b'l', 0o777, 0, 0, b"\x02\0\0\0\0\0\0\0to");
    let expected = TreeHash(blake3::derive_key(TreeHash::CONTEXT, &form));
    assert_eq!(stage.hash("volume"), expected);
    assert_eq!(expected.to_string().len(), 64);
}

#[test]
fn the_hash_differs_after_every_single_change_but_of_times() {
    let stage = Stage::new();
    stage.furnish("volume");
    let top = stage.at("volume");
    let at = |path: &str| top.join(path);
    let mut hashes = vec![stage.hash("volume")];
    let mut differs = |after: &str| {
        let hash = stage.hash("volume");
        assert!(!hashes.contains(&hash), "{after}");
        hashes.push(hash);
    };
    for path in ["plain", "sparse"] {
        overwrite(&at(path));
        differs("another byte");
    }
    lengthen(&at("nothing"));
    differs("another length");
    for (path, other) in [
        ("plain", 0o644),
        ("program", 0o755),
        ("empty", 0o711),
        ("", 0o711),
    ] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(other)).unwrap();
        differs("another mode");
    }
    for path in ["plain", "link", "deep", ""] {
        lchown(at(path), Some(1), None).unwrap();
        differs("another owner");
        lchown(at(path), None, Some(1)).unwrap();
        differs("another group");
    }
    fs::remove_file(at("deep/dangling")).unwrap();
    symlink("/elsewhere", at("deep/dangling")).unwrap();
    differs("another target");
    fs::rename(at("empty"), at("emptz")).unwrap();
    differs("another name");
    fs::rename(at("nothing"), at("deep/nothing")).unwrap();
    differs("another place");
    fs::create_dir(at("new")).unwrap();
    differs("a new directory");
    fs::remove_file(at("null")).unwrap();
    differs("a device less");

    set_time(&at("plain"), (7, 7));
    fs::remove_file(at("socket")).unwrap();
    assert_eq!(Some(&stage.hash("volume")), hashes.last());
}

#[test]
fn a_device_is_hashed_with_its_number() {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let stage = Stage::new();
    for (volume, kind, minor) in [
        ("a", FileType::CharacterDevice, 3),
        ("b", FileType::CharacterDevice, 5),
        ("c", FileType::BlockDevice, 3),
    ] {
        fs::create_dir(stage.at(volume)).unwrap();
        let path = stage.at(volume).join("device");
        mknodat(CWD, path, kind, Mode::RUSR, makedev(1, minor)).unwrap();
    }
    assert_ne!(stage.hash("a"), stage.hash("b"));
    assert_ne!(stage.hash("a"), stage.hash("c"));
}

/// Numbers that are the same each time.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }
}

/// A copy of a volume as a snapshot holds one: files of some lengths in some directories, as databases have them.
fn held(stage: &Stage, seeded: &mut Seeded) -> Vec<(PathBuf, usize)> {
    for number in 0..40 {
        let bytes: Vec<u8> = (0..=seeded.below(4096))
            .map(|_| seeded.next().to_le_bytes()[0])
            .collect();
        stage.write(&format!("volume/base/{}/{number}", number % 5), &bytes);
    }
    stage.copy("volume", "held").unwrap();
    let files = (0..40).map(|number| stage.at(&format!("held/base/{}/{number}", number % 5)));
    files
        .map(|path| {
            let length = fs::read(&path).unwrap().len();
            (path, length)
        })
        .collect()
}

fn turn(path: &Path, at: usize, bit: u8) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ bit], at as u64).unwrap();
}

#[test]
fn a_thousand_bits_that_are_turned_anywhere_in_a_copy_are_found() {
    let (stage, mut seeded) = (Stage::new(), Seeded(0x5eed));
    let files = held(&stage, &mut seeded);
    let good = stage.hash("held");
    assert_eq!(good, stage.hash("volume"));
    let found = (0..1000).filter(|_| {
        let (path, length) = &files[seeded.below(files.len())];
        let (at, bit) = (seeded.below(*length), 1 << seeded.below(8));
        turn(path, at, bit);
        let is_found = stage.hash("held") != good;
        turn(path, at, bit);
        is_found
    });
    assert_eq!(found.count(), 1000);
    assert_eq!(stage.hash("held"), good);
}
