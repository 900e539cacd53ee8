//! A directory stands for the root of a request, with all kinds of files in it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use devenv_agent::{
    protocol::{AgentError, FileProblem},
    volume_protocol::{Answer, Copied, Measured, Request, Source, TreeHash},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{
        AtFlags, CWD, FileType, Mode, Timespec as FileTime, Timestamps, XattrFlags, lgetxattr,
        llistxattr, lsetxattr, makedev, mknodat, utimensat,
    },
};
use tempfile::TempDir;

use super::super::carry_out;
use crate::{files::UNFINISHED, listener::Listener};

/// A time that nobody has by chance.
pub(super) const LONG_AGO: (i64, i64) = (1_000_000_007, 123_456_789);
/// A time of the year 2040, which 32 bits cannot say.
const FAR_AWAY: (i64, i64) = (2_208_988_800, 5);
/// A time before 1970.
const BEFORE_ALL: (i64, i64) = (-86_400, 250_000_000);
/// The length of a file that is mostly holes.
pub(super) const SPARSE: u64 = 32 << 20;

pub(super) struct Stage {
    directory: TempDir,
}

impl Stage {
    /// `root` is the request's, `outside` is not.
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["root", "outside"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path)
    }

    pub(super) fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    pub(super) fn write(&self, path: &str, contents: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(super) fn ask(&self, request: &Request) -> Result<Answer, AgentError> {
        let root = self.at("");
        carry_out(root.as_os_str().as_bytes(), request, &mut Patient)
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> Result<Copied, AgentError> {
        let (from, to) = (from.into(), to.into());
        match self.ask(&Request::Copy {
            from,
            to,
            source: Source::AtRest,
        })? {
            Answer::Copied(copied) => Ok(copied),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn hash(&self, path: &str) -> TreeHash {
        let path = path.into();
        match self.ask(&Request::Hash { path }).unwrap() {
            Answer::Hashed(hash) => hash,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn measure(&self, path: &str) -> Measured {
        let path = path.into();
        match self.ask(&Request::Measure { path }).unwrap() {
            Answer::Measured(measured) => measured,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn remove(&self, path: &str) -> Result<Answer, AgentError> {
        self.ask(&Request::Remove { path: path.into() })
    }

    /// The names directly below the root.
    pub(super) fn names(&self) -> Vec<String> {
        names(&self.at(""))
    }

    /// A directory with everything that may be in a volume.
    pub(super) fn furnish(&self, path: &str) {
        let top = self.at(path);
        for directory in ["deep/er", "empty", "sticky"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        fs::write(top.join("plain"), "plain\n".repeat(2_000)).unwrap();
        fs::write(top.join("nothing"), "").unwrap();
        fs::write(top.join("program"), "#!").unwrap();
        fs::write(top.join(OsStr::from_bytes(b"deep/caf\xe9\n")), "latin").unwrap();
        fs::hard_link(top.join("plain"), top.join("deep/er/plain too")).unwrap();
        symlink("plain", top.join("link")).unwrap();
        symlink("/nowhere", top.join("deep/dangling")).unwrap();
        symlink(self.outside(), top.join("way out")).unwrap();
        fs::hard_link(top.join("link"), top.join("deep/link too")).unwrap();
        drop(UnixListener::bind(top.join("socket")).unwrap());
        make(&top.join("pipe"), FileType::Fifo, 0);
        make(&top.join("null"), FileType::CharacterDevice, makedev(1, 3));
        make(&top.join("disk"), FileType::BlockDevice, makedev(7, 99));
        sparse(&top.join("sparse"), b"in the middle");
        sparse(&top.join("hole"), b"");
        own(&top);
        for (path, mode) in [
            ("", 0o700),
            ("plain", 0o640),
            ("program", 0o6755),
            ("sticky", 0o3777),
            ("pipe", 0o602),
            ("deep/er", 0o500),
        ] {
            fs::set_permissions(top.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        extend(&top);
        for (path, time) in [("nothing", FAR_AWAY), ("empty", BEFORE_ALL)] {
            set_time(&top.join(path), time);
        }
        // Of directories last: what is made in them changes them.
        for path in ["plain", "link", "null", "deep/er", "deep", ""] {
            set_time(&top.join(path), LONG_AGO);
        }
    }
}

fn make(path: &Path, kind: FileType, device: u64) {
    mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device).unwrap();
}

/// A file with a hole before and behind its contents.
fn sparse(path: &Path, contents: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(SPARSE).unwrap();
    file.write_all_at(contents, SPARSE / 2).unwrap();
}

/// Gives files to users that this machine does not have.
fn own(top: &Path) {
    let of = [("", 999, 998), ("plain", 999, 998), ("link", 997, 997)];
    let others = [("deep", 0, 4_000_000), ("pipe", 5, 6), ("program", 7, 8)];
    for (path, user, group) in of.into_iter().chain(others) {
        lchown(top.join(path), Some(user), Some(group)).unwrap();
    }
}

/// Sets extended attributes.
fn extend(top: &Path) {
    // What `setcap cap_net_raw+ep` writes.
    let capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let of: [(&str, &str, &[u8]); 5] = [
        ("plain", "user.note", b"of a file"),
        ("deep", "user.note", b""),
        ("link", "trusted.note", b"of a link"),
        ("pipe", "trusted.note", b"of a pipe"),
        ("program", "security.capability", &capability),
    ];
    for (path, name, value) in of {
        lsetxattr(top.join(path), name, value, XattrFlags::empty()).unwrap();
    }
}

pub(super) fn set_time(path: &Path, (tv_sec, tv_nsec): (i64, i64)) {
    let time = FileTime { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// The names in a directory, in their order.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(super) fn problem(error: &AgentError) -> &FileProblem {
    match error {
        AgentError::File { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// The name of something that is not finished.
pub(super) fn unfinished(of: &str) -> String {
    format!("{UNFINISHED}{of}")
}

/// All that can be said of the files of a directory: by their paths.
pub(super) fn described(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(path) = open.pop() {
        let whole = top.join(&path);
        let there = whole.symlink_metadata().unwrap();
        if there.is_dir() {
            let entries = fs::read_dir(&whole).unwrap();
            open.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
            open.sort();
            open.reverse();
        }
        let contents = if there.is_file() {
            fs::read(&whole).map(|read| blake3::hash(&read)).ok()
        } else {
            None
        };
        let first = first_names.entry(there.ino()).or_insert(path.clone());
        let times = (there.mtime(), there.mtime_nsec());
        let text = format!(
            "mode {:o} of {}:{} at {times:?} device {} contents {contents:?} target {:?} the file {first:?} {:?}",
            there.mode(),
            there.uid(),
            there.gid(),
            there.rdev(),
            fs::read_link(&whole).ok(),
            extended(&whole),
        );
        if !there.file_type().is_socket() {
            all.insert(path, text);
        }
    }
    all
}

fn extended(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut names, mut value) = (vec![0; 4096], vec![0; 4096]);
    let length = llistxattr(path, &mut names[..]).unwrap();
    let names = String::from_utf8(names[..length].to_vec()).unwrap();
    let names = names.split_terminator('\0');
    let mut of = |name: &str| {
        let length = lgetxattr(path, name, &mut value[..]).unwrap();
        (name.to_owned(), value[..length].to_vec())
    };
    names.map(&mut of).collect()
}

/// Listens as long as there is something to hear.
pub(super) struct Patient;

impl io::Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Listener for Patient {
    fn wait(
        &mut self,
        stirs: Option<std::os::fd::BorrowedFd<'_>>,
        at_most: Duration,
    ) -> io::Result<()> {
        let stirs = stirs.unwrap();
        let mut one = [PollFd::from_borrowed_fd(stirs.as_fd(), PollFlags::IN)];
        poll(&mut one, Some(&Timespec::try_from(at_most).unwrap()))?;
        Ok(())
    }

    fn has_ended(&self) -> bool {
        false
    }
}

/// A file system of its own in memory; goes when dropped. It takes root.
pub(super) struct Disk {
    at: PathBuf,
}

impl Disk {
    pub(super) fn mount(at: PathBuf, size: &str) -> Self {
        fs::create_dir(&at).unwrap();
        let disk = Self { at };
        let options = format!("size={size}");
        disk.tool("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"]);
        disk
    }

    pub(super) fn read_only(&self) {
        self.tool("mount", &["-o", "remount,ro"]);
    }

    fn tool(&self, program: &str, words: &[&str]) {
        let output = Command::new(program).args(words).arg(&self.at).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
