//! The hash of everything that decides an image.

use std::{
    os::unix::ffi::OsStrExt as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Context, ContextFile, FileKind};
use crate::{
    adapters::files::{self, FileError, Operation},
    domain::InputsHash,
};

/// Changes when what is hashed, or how, changes: tags of older versions then no longer match.
const FORMAT: &[u8] = b"devenv build context 1";
/// Below this many files a second thread costs more than it saves.
const FILES_PER_THREAD: usize = 32;

impl Context {
    /// The hash of the Dockerfile's name, target, arguments, and every path, mode, link and content; not of times.
    ///
    /// Reads every file once, on all cores. The archive is checked against it, so that what is built is what was
    /// hashed. Blocks.
    pub fn hash(&self) -> Result<InputsHash, FileError> {
        let contents = if let Some(contents) = self.contents.get() {
            contents
        } else {
            let hashed = hash_contents(&self.files)?;
            self.contents.get_or_init(|| hashed)
        };
        let mut whole = Fields(blake3::Hasher::new());
        whole.add(FORMAT);
        whole.add(self.dockerfile.as_bytes());
        whole.add(self.target.as_deref().unwrap_or_default().as_bytes());
        whole.count(self.args.len());
        for (name, value) in &self.args {
            whole.add(name.as_bytes());
            whole.add(value.as_bytes());
        }
        for (file, content) in self.files.iter().zip(contents) {
            whole.add(file.path.as_os_str().as_bytes());
            whole.add(&file.mode.to_le_bytes());
            match (&file.kind, content) {
                (FileKind::Symlink { target }, _) => {
                    whole.add(b"link");
                    whole.add(target.as_os_str().as_bytes());
                }
                (FileKind::File { .. }, Some(content)) => {
                    whole.add(b"file");
                    whole.add(content.as_bytes());
                }
                (FileKind::File { .. } | FileKind::Directory, _) => whole.add(b"directory"),
            }
        }
        Ok(InputsHash::of(whole.0.finalize().as_bytes()))
    }
}

/// Hashes fields so that no two lists of fields look the same.
struct Fields(blake3::Hasher);

impl Fields {
    fn add(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }
}

fn hash_contents(files: &[ContextFile]) -> Result<Vec<Option<blake3::Hash>>, FileError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(files.len() / FILES_PER_THREAD).max(1);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Option<blake3::Hash>)>, FileError> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else {
                return Ok(done);
            };
            done.push((index, hash_content(file)?));
        }
    };
    let parts = if threads == 1 {
        vec![work()]
    } else {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    };
    let mut contents = vec![None; files.len()];
    for part in parts {
        for (index, content) in part? {
            contents[index] = content;
        }
    }
    Ok(contents)
}

fn hash_content(file: &ContextFile) -> Result<Option<blake3::Hash>, FileError> {
    if !matches!(file.kind, FileKind::File { .. }) {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(files::open(&file.absolute)?)
        .map_err(|source| FileError {
            operation: Operation::Read,
            path: file.absolute.clone(),
            source,
        })?;
    Ok(Some(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::adapters::context::scan::{
        scan,
        tests::{build, directory},
    };

    fn hash(build: &crate::domain::Build) -> InputsHash {
        scan(build).unwrap().hash().unwrap()
    }

    #[test]
    fn the_hash_follows_contents_modes_names_and_settings() {
        let home = directory(&[("Dockerfile", "FROM scratch"), ("a", "1"), ("sub/b", "2")]);
        let mut build = build(home.path());
        let mut seen = vec![hash(&build)];
        let mut changed = |build: &crate::domain::Build, what: &str| {
            let now = hash(build);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        files::write_shared(&home.path().join("a"), b"3").unwrap();
        changed(&build, "content");
        fs::set_permissions(home.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        changed(&build, "mode");
        files::rename(&home.path().join("a"), &home.path().join("c")).unwrap();
        changed(&build, "name");
        files::create_dir(&home.path().join("empty")).unwrap();
        changed(&build, "an empty directory");
        std::os::unix::fs::symlink("c", home.path().join("link")).unwrap();
        changed(&build, "a link");
        build.target = Some("dev".to_owned());
        changed(&build, "target");
        build.args.insert("A".to_owned(), "1".to_owned());
        changed(&build, "argument");
    }

    #[test]
    fn the_hash_does_not_follow_times_places_or_ignored_files() {
        let files: &[(&str, &str)] = &[
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "x"),
            ("a", "1"),
        ];
        let (here, there) = (directory(files), directory(files));
        files::write_shared(&there.path().join("x"), b"ignored").unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options()
            .write(true)
            .open(there.path().join("a"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(hash(&build(here.path())), hash(&build(there.path())));
    }

    #[test]
    fn many_files_hash_the_same_on_many_threads() {
        let names: Vec<String> = (0..200).map(|n| format!("d{}/f{n}", n % 7)).collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        files.push(("Dockerfile", ""));
        let home = directory(&files);
        let context = scan(&build(home.path())).unwrap();
        let one_by_one: Vec<_> = context
            .files()
            .iter()
            .map(|file| hash_content(file).unwrap())
            .collect();
        assert_eq!(hash_contents(context.files()).unwrap(), one_by_one);
    }
}
