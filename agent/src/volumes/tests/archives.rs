//! Volumes that are packed and unpacked, by the agent and by GNU tar, and who gets in the way of it.

use std::{
    fs::{self, File},
    io::Write,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{FileExt, MetadataExt, symlink},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use devenv_agent::{
    archive::{
        Attributes, Bound, Entry, Extended, Failure, Kind, Layout, Limits, Member, Moment,
        NameProblem, Problem, Reader, Unpacked, VolumeId, Writer,
    },
    protocol::{AgentError, FileProblem},
};
use rustix::fs::{
    CWD, FileType, Gid, Mode, OFlags, RenameFlags, Uid, XattrFlags, chown, lsetxattr, mknodat,
    openat, renameat_with, symlinkat,
};

use super::{
    super::{moves, pack, place::Root, unpack},
    stage::{Disk, SPARSE, Stage, described, names, set_time},
};
use crate::files::{UNFINISHED, open_directory, remove};

const MANIFEST: &[u8] = b"{}";

fn root(stage: &Stage) -> Root {
    Root::open(stage.at("").as_os_str().as_bytes()).unwrap()
}

fn db() -> VolumeId {
    VolumeId::new(b"db", b"data").unwrap()
}

/// An archive of one volume.
fn archive(stage: &Stage, path: &str) -> Vec<u8> {
    let mut part = Vec::new();
    let limits = Limits::default();
    pack::pack(&root(stage), path.as_bytes(), &db(), limits, &mut part).unwrap();
    let mut writer = Writer::archive(Vec::new(), MANIFEST, limits).unwrap();
    writer.packed(&db(), &mut &part[..]).unwrap();
    writer.finish().unwrap()
}

fn unpacked(stage: &Stage, path: &str, archive: &[u8]) -> Result<Vec<Unpacked>, Failure> {
    unpack::unpack(&root(stage), path.as_bytes(), archive, Limits::default())
}

/// More than a furnished volume has: all that does not fit into an old header.
fn furnish(stage: &Stage) {
    stage.furnish("volume");
    let top = stage.at("volume");
    let deep = format!("long/{}/{}", "d".repeat(150), "e".repeat(200));
    stage.write(&format!("volume/{deep}/{}", "f".repeat(255)), b"long");
    stage.write("volume/back\\slash\nline", b"named strangely");
    symlink("t".repeat(300), top.join("far")).unwrap();
    let (user, group) = (Uid::from_raw(3_000_000), Gid::from_raw(2_097_152));
    chown(top.join("long"), Some(user), Some(group)).unwrap();
    set_time(&top.join("nothing"), (-1_000, 5));
    set_time(&top.join("far"), (9_000_000_000, 999_999_999));
    // What `setfacl -m u:1234:r` writes: its version, then kind, rights and user of each entry.
    let mut rights = 2_u32.to_le_bytes().to_vec();
    let entries = [(1, 6, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX)];
    for (kind, right, user) in entries
        .into_iter()
        .chain([(0x10, 4, u32::MAX), (0x20, 0, u32::MAX)])
    {
        rights.extend(u16::to_le_bytes(kind));
        rights.extend(u16::to_le_bytes(right));
        rights.extend(u32::to_le_bytes(user));
    }
    let both = [("plain", "access"), ("deep", "default"), ("deep", "access")];
    for (path, which) in both {
        let name = format!("system.posix_acl_{which}");
        lsetxattr(top.join(path), name, &rights, XattrFlags::empty()).unwrap();
    }
    lsetxattr(
        top.join("nothing"),
        "user.a=b%3D",
        b"=\n\0",
        XattrFlags::empty(),
    )
    .unwrap();
    // As a database's files are: pieces of data with holes between them, none at the end.
    let file = File::create(top.join("pages")).unwrap();
    for page in 0..50 {
        file.write_all_at(&[page; 4096], u64::from(page) * 65_536)
            .unwrap();
    }
}

#[test]
fn a_volume_that_is_packed_and_unpacked_is_like_it_was_in_everything_that_can_be_seen() {
    let stage = Stage::new();
    furnish(&stage);
    let told = unpacked(&stage, "restored", &archive(&stage, "volume")).unwrap();
    let restored = stage.at("restored/db/data");
    let (expected, seen) = (described(&stage.at("volume")), described(&restored));
    assert_eq!(expected.len(), 26);
    for (path, text) in &expected {
        assert_eq!(seen.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(seen.len(), expected.len());
    assert_eq!(stage.hash("restored/db/data"), stage.hash("volume"));
    let measured = stage.measure("restored/db/data");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].files, told[0].bytes),
        (measured.files, measured.bytes)
    );
    assert_eq!((&told[0].service[..], &told[0].volume[..]), ("db", "data"));
    assert_eq!(stage.names(), ["restored", "volume"]);
    same_holes(&stage, "restored/db/data");
    // Packed again it has the same bytes.
    let (again, before) = (
        archive(&stage, "restored/db/data"),
        archive(&stage, "volume"),
    );
    assert!(again == before);
}

#[test]
fn gnu_tar_extracts_an_archive_to_what_it_was_made_from() {
    let stage = Stage::new();
    furnish(&stage);
    fs::create_dir(stage.at("tar")).unwrap();
    let words = [
        "--extract",
        "--preserve-permissions",
        "--numeric-owner",
        "--xattrs",
    ];
    let mut tar = Command::new("tar")
        .args(words)
        .args([
            "--xattrs-include=*",
            "--delay-directory-restore",
            "--directory",
        ])
        .arg(stage.at("tar"))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = tar.stdin.take().unwrap();
    input.write_all(&archive(&stage, "volume")).unwrap();
    drop(input);
    assert!(tar.wait().unwrap().success());
    let extracted = stage.at("tar/volumes/db/data");
    let (expected, seen) = (described(&stage.at("volume")), described(&extracted));
    for (path, text) in &expected {
        assert_eq!(seen.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(seen.len(), expected.len());
    assert_eq!(stage.hash("tar/volumes/db/data"), stage.hash("volume"));
    same_holes(&stage, "tar/volumes/db/data");
    assert_eq!(fs::read(stage.at("tar/snapshot.json")).unwrap(), MANIFEST);
    let list = fs::read(stage.at("tar/hashes/db/data")).unwrap();
    let hash = blake3::hash(b"named strangely").to_hex();
    let line = format!("\\{hash}  volumes/db/data/back\\\\slash\\nline\n");
    assert!(list.starts_with(line.as_bytes()));
}

fn same_holes(stage: &Stage, volume: &str) {
    for (name, length) in [
        ("sparse", SPARSE),
        ("hole", SPARSE),
        ("pages", 49 * 65_536 + 4096),
    ] {
        let there = |volume: &str| stage.at(volume).join(name).metadata().unwrap();
        let (original, seen) = (there("volume"), there(volume));
        assert_eq!((seen.len(), original.len()), (length, length), "{name}");
        // What the file system needs to know where its pieces are may differ.
        assert!(seen.blocks().abs_diff(original.blocks()) <= 16, "{name}");
    }
}

#[test]
fn a_file_with_more_holes_than_there_may_be_keeps_the_first_of_them() {
    let stage = Stage::new();
    fs::create_dir(stage.at("volume")).unwrap();
    let file = File::create(stage.at("volume/pages")).unwrap();
    for page in 0..8_u8 {
        file.write_all_at(&[page + 1; 4096], u64::from(page) * 65_536)
            .unwrap();
    }
    let limits = Limits {
        segments: 3,
        ..Limits::default()
    };
    let mut part = Vec::new();
    pack::pack(&root(&stage), b"volume", &db(), limits, &mut part).unwrap();
    let mut writer = Writer::archive(Vec::new(), MANIFEST, limits).unwrap();
    writer.packed(&db(), &mut &part[..]).unwrap();
    let archive = writer.finish().unwrap();
    unpack::unpack(&root(&stage), b"restored", &archive[..], limits).unwrap();
    assert_eq!(stage.hash("restored/db/data"), stage.hash("volume"));
    let restored = stage.at("restored/db/data/pages").metadata().unwrap();
    assert_eq!(restored.blocks() * 512, 2 * 4096 + 5 * 65_536 + 4096);
}

#[test]
fn a_path_of_256_names_comes_back_and_a_longer_one_is_refused_by_its_name() {
    let stage = Stage::new();
    let deep = vec!["d"; 255].join("/");
    stage.write(&format!("volume/{deep}/file"), b"deep");
    unpacked(&stage, "restored", &archive(&stage, "volume")).unwrap();
    assert_eq!(stage.hash("restored/db/data"), stage.hash("volume"));
    stage.write(&format!("volume/{deep}/e/file"), b"deeper");
    let limits = Limits::default();
    let packed = pack::pack(&root(&stage), b"volume", &db(), limits, Vec::new());
    let Failure::Archive(error) = packed.unwrap_err() else {
        panic!("not the archive");
    };
    assert_eq!(error.problem, Problem::Name(NameProblem::Deep));
    let member = format!("volumes/db/data/{deep}/e/file");
    assert_eq!(error.member, Some(member));
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    stage.write("taken/kept", b"kept");
    let archive = archive(&stage, "volume");
    for path in ["taken", "taken/kept"] {
        let refused = unpacked(&stage, path, &archive).unwrap_err();
        let Failure::Node(AgentError::File { problem, .. }) = &refused else {
            panic!("{refused}");
        };
        assert_eq!(problem, &FileProblem::Exists);
    }
    assert_eq!(fs::read(stage.at("taken/kept")).unwrap(), b"kept");
    assert_eq!(stage.names(), ["taken", "volume"]);
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let stage = Stage::new();
    stage.write("volume/large", &vec![b'x'; 4 << 20]);
    let archive = archive(&stage, "volume");
    let disk = Disk::mount(stage.at("disk"), "1m");
    let refused = unpacked(&stage, "disk/restored", &archive).unwrap_err();
    let Failure::Node(AgentError::File { path, problem, .. }) = &refused else {
        panic!("{refused}");
    };
    assert_eq!(problem, &FileProblem::NoSpace);
    assert!(path.ends_with(b"disk/restored/db/data/large"));
    assert_eq!(names(&stage.at("disk")), Vec::<String>::new());
    drop(disk);
}

#[test]
fn what_no_archive_takes_is_named_when_it_is_packed() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    stage.write("volume/b", b"b");
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    let packed = pack::pack(&root(&stage), b"volume", &db(), limits, Vec::new());
    let Failure::Archive(error) = packed.unwrap_err() else {
        panic!("not the archive");
    };
    let (bound, most) = (Bound::Entries, 2);
    assert_eq!(error.problem, Problem::TooMuch { bound, most });
    assert_eq!(error.member.as_deref(), Some("volumes/db/data/b"));
    let nowhere = pack::pack(&root(&stage), b"nowhere", &db(), limits, Vec::new());
    assert!(matches!(
        nowhere.unwrap_err(),
        Failure::Node(AgentError::File { .. })
    ));
}

/// How often somebody has to be in the way in earnest, and how often it is tried at most.
const ENOUGH: u32 = 10;
const MOST: u32 = 50;
/// How often it is tried to exchange something that is not there yet.
const PATIENCE: usize = 300;
/// The directories of the volume that is unpacked meanwhile.
const DIRECTORIES: usize = 20;

/// An archive of directories with a file, links to it, and a pipe in each; what is outside has the same names.
fn labyrinth() -> Vec<u8> {
    let mut writer = Writer::archive(Vec::new(), MANIFEST, Limits::default()).unwrap();
    let mut volume = writer.volume(&db()).unwrap();
    let mut add = |path: &str, kind: Kind| {
        let attributes = Attributes {
            mode: 0o4777,
            user: 77,
            group: 77,
            modified: Moment {
                seconds: 1,
                nanoseconds: 1,
            },
        };
        let extended = Extended::new();
        let path = path.as_bytes().to_vec();
        let entry = Entry {
            path,
            kind,
            attributes,
            extended,
        };
        volume.add(&entry, |_, room| {
            room.fill(b'x');
            Ok(room.len())
        })
    };
    add("", Kind::Directory).unwrap();
    for number in 0..DIRECTORIES {
        let directory = format!("d{number:02}");
        add(&directory, Kind::Directory).unwrap();
        add(
            &format!("{directory}/file"),
            Kind::File(Layout::whole(4096)),
        )
        .unwrap();
        add(&format!("{directory}/kept"), Kind::File(Layout::whole(1))).unwrap();
        add(&format!("{directory}/pipe"), Kind::Pipe).unwrap();
        let target = b"kept".to_vec();
        add(&format!("{directory}/way"), Kind::Symlink { target }).unwrap();
    }
    volume.end().unwrap();
    writer.finish().unwrap()
}

#[test]
fn whoever_exchanges_directories_and_links_meanwhile_leads_nobody_out() {
    let stage = Stage::new();
    // In memory, as otherwise most of the time goes by while all is written to the disk.
    let disk = Disk::mount(stage.at("disk"), "64m");
    let outside = stage.at("disk/outside");
    fs::create_dir_all(outside.join("free")).unwrap();
    for name in ["file", "kept", "way"] {
        fs::write(outside.join(name), "kept").unwrap();
    }
    mknodat(CWD, outside.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let before = described(&outside);
    let archive = labyrinth();
    // Directories themselves, and then what is in each.
    for name in [None, Some("pipe"), Some("way"), Some("file")] {
        let is_done = AtomicBool::new(false);
        let (mut failed, mut all) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    get_in_the_way(&stage.at("disk"), name);
                }
            });
            while failed < ENOUGH && all < MOST {
                all += 1;
                failed += u32::from(unpacked(&stage, "disk/restored", &archive).is_err());
                // Whoever exchanges what is in it may be in the way of this too.
                let _ = moves::remove(&root(&stage), b"disk/restored");
            }
            is_done.store(true, Ordering::Relaxed);
        });
        assert_eq!(described(&outside), before, "{name:?}: {failed} of {all}");
    }
    drop(disk);
}

/// Exchanges what is being made with links that lead out, and back: directories, or what has a name in each.
fn get_in_the_way(disk: &Path, name: Option<&str>) {
    let top = File::open(disk).unwrap().into();
    let is_unfinished = |name: &String| name.starts_with(UNFINISHED);
    for unfinished in names(disk).into_iter().filter(is_unfinished) {
        let volume = Path::new(&unfinished).join("db/data");
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(volume) = openat(&top, &volume, flags, Mode::empty()) else {
            continue;
        };
        for number in 0..DIRECTORIES {
            let directory = PathBuf::from(format!("d{number:02}"));
            let Some(name) = name else {
                swap(&volume, &directory, &top, "outside/free");
                continue;
            };
            // Not through a link: what is outside is nobody's to exchange.
            if let Ok(directory) = open_directory(&volume, &directory) {
                swap(
                    &directory,
                    Path::new(name),
                    &top,
                    &format!("outside/{name}"),
                );
            }
        }
    }
}

/// Puts a link to something outside where something is made, as soon as it is, and that back.
fn swap(directory: &OwnedFd, name: &Path, top: &OwnedFd, outside: &str) {
    let trap = Path::new("trap");
    let target = Path::new("/proc/self/fd").join(top.as_raw_fd().to_string());
    let _ = remove(top, trap);
    symlinkat(target.join(outside), top, trap).unwrap();
    let exchange = || renameat_with(directory, name, top, trap, RenameFlags::EXCHANGE).is_ok();
    if (0..PATIENCE).any(|_| exchange()) {
        exchange();
    }
}

#[test]
fn the_contents_of_an_archive_can_be_an_archive() {
    let stage = Stage::new();
    stage.write("volume/a", b"a");
    let inner = archive(&stage, "volume");
    stage.write("volume/inner.tar", &inner);
    let outer = archive(&stage, "volume");
    unpacked(&stage, "restored", &outer).unwrap();
    assert_eq!(
        fs::read(stage.at("restored/db/data/inner.tar")).unwrap(),
        inner
    );
    let mut reader = Reader::new(&outer[..], Limits::default());
    let mut paths = Vec::new();
    while let Some(member) = reader.member().unwrap() {
        if let Member::Entry(entry) = member {
            paths.push(String::from_utf8(entry.path).unwrap());
        }
    }
    assert_eq!(paths, ["", "a", "inner.tar"]);
}
