//! A directory in which archives are unpacked, and one beside it that nothing may touch.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use devenv_agent::archive::{Error, Failure, Limits, Problem, Reader, Unpacked};
use tempfile::TempDir;

pub(crate) struct Stage {
    directory: TempDir,
    outside: BTreeMap<PathBuf, String>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["root", "outside", "outside/kept"] {
            fs::create_dir(at(path)).unwrap();
        }
        fs::write(at("outside/file"), "kept").unwrap();
        fs::write(at("outside/program"), "kept").unwrap();
        fs::set_permissions(at("outside/program"), fs::Permissions::from_mode(0o4711)).unwrap();
        symlink("file", at("outside/link")).unwrap();
        let outside = described(&at("outside"));
        Self { directory, outside }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn unpack(&self, archive: &[u8]) -> Output {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_devenv-agent"))
            .arg("unpack")
            .arg(self.at("root"))
            .arg("restored")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = agent.stdin.take().unwrap();
        // Who refuses an archive need not read the rest of it.
        let _ = input.write_all(archive);
        drop(input);
        agent.wait_with_output().unwrap()
    }

    /// Fails unless the archive is refused by the agent as by the reader, and nothing is changed by it.
    pub(crate) fn refuses(&self, what: &str, archive: &[u8]) -> Error {
        let expected = refused(archive).expect(what);
        let output = self.unpack(archive);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        assert_eq!(output.stdout, b"", "{what}");
        let failure: Failure = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(failure, Failure::Archive(expected.clone()), "{what}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        self.is_untouched(what);
        expected
    }

    pub(crate) fn refuses_as(&self, what: &str, archive: &[u8], problem: &Problem) {
        assert_eq!(&self.refuses(what, archive).problem, problem, "{what}");
    }

    fn is_untouched(&self, what: &str) {
        assert_eq!(described(&self.at("root")).len(), 1, "{what}");
        assert_eq!(described(&self.at("outside")), self.outside, "{what}");
    }

    /// Fails unless the archive is unpacked; what it made goes.
    pub(crate) fn takes(&self, archive: &[u8]) -> Vec<Unpacked> {
        assert_eq!(refused(archive), None);
        let output = self.unpack(archive);
        assert!(output.status.success(), "{output:?}");
        fs::remove_dir_all(self.at("root/restored")).unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// What the reader says against an archive.
pub(crate) fn refused(archive: &[u8]) -> Option<Error> {
    let mut reader = Reader::new(archive, Limits::default());
    loop {
        match reader.member() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

/// All below a directory, and what must not change of it.
fn described(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let there = path.symlink_metadata().unwrap();
        if there.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        }
        let text = format!(
            "{:o} {} {} {} {} {:?}",
            there.mode(),
            there.uid(),
            there.nlink(),
            there.mtime_nsec(),
            there.ino(),
            fs::read(&path).ok(),
        );
        all.insert(path, text);
    }
    all
}
