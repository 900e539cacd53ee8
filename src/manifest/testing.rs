//! A project in memory, for tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Write as _,
    io,
    path::{Component, Path, PathBuf},
};

use super::{Loaded, Request, load};
use crate::domain::{DataFiles, Failures, FileKind, InputsHash, ProjectFiles};

/// Where the project in memory pretends to be.
pub(crate) const DIRECTORY: &str = "/project";

/// Files by path, relative to [`DIRECTORY`].
#[derive(Default)]
pub(crate) struct MemoryFiles {
    files: BTreeMap<PathBuf, Result<String, io::ErrorKind>>,
    directories: BTreeSet<PathBuf>,
    links: BTreeSet<PathBuf>,
}

impl MemoryFiles {
    /// A project whose `devenv.yaml` is `text`.
    pub(crate) fn with_manifest(text: &str) -> Self {
        Self::default().file("devenv.yaml", text)
    }

    /// Adds a file and the directories above it.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.put(path, Ok(text.to_owned()));
        self
    }

    /// Adds a file that cannot be read.
    pub(crate) fn broken(mut self, path: &str, kind: io::ErrorKind) -> Self {
        self.put(path, Err(kind));
        self
    }

    /// Adds a directory with nothing in it.
    pub(crate) fn directory(mut self, path: &str) -> Self {
        self.directories.insert(clean(Path::new(path)));
        self
    }

    /// Adds a symbolic link to something.
    pub(crate) fn link(mut self, path: &str) -> Self {
        self.put(path, Ok(String::new()));
        self.links.insert(clean(Path::new(path)));
        self
    }

    fn put(&mut self, path: &str, content: Result<String, io::ErrorKind>) {
        let path = clean(Path::new(path));
        let above = path.ancestors().skip(1).map(Path::to_path_buf);
        self.directories.extend(above);
        self.files.insert(path, content);
    }

    /// Loads it without flags.
    pub(crate) fn load(&self) -> Result<Loaded, Failures> {
        self.load_with(&[], &[])
    }

    /// Loads it with profiles and `--set` flags.
    pub(crate) fn load_with(&self, profiles: &[&str], sets: &[&str]) -> Result<Loaded, Failures> {
        let request = Request {
            directory: PathBuf::from(DIRECTORY),
            file: None,
            profiles: profiles.iter().map(|name| name.parse().unwrap()).collect(),
            sets: sets.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Request::default()
        };
        load(&request, self)
    }
}

fn clean(path: &Path) -> PathBuf {
    path.strip_prefix(DIRECTORY)
        .unwrap_or(path)
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

impl ProjectFiles for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.files.get(&clean(path)) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err(kind)) => Err((*kind).into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.read(path).map(|text| text.len() as u64)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.directories.contains(&clean(path))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(&clean(path))
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = clean(directory);
        let paths = self.files.keys().chain(&self.directories);
        let below = paths.filter(|path| path.parent() == Some(&directory));
        let names: BTreeSet<String> = below
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let glob = globset::GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(io::Error::other)?
            .compile_matcher();
        let files = self.files.keys().filter(|path| glob.is_match(path));
        Ok(files.cloned().collect())
    }
}

impl DataFiles for MemoryFiles {
    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        let path = clean(path);
        if self.links.contains(&path) {
            Ok(FileKind::Link)
        } else if self.directories.contains(&path) {
            Ok(FileKind::Directory)
        } else if self.files.contains_key(&path) {
            Ok(FileKind::File)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn entries(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let names = self.names(directory)?;
        Ok(names.into_iter().map(OsString::from).collect())
    }

    fn digest(&self, file: &Path) -> io::Result<InputsHash> {
        InputsHash::of_stream(self.read(file)?.as_bytes())
    }
}

/// Failures as `file:line:column code what`, one a line, help indented below.
pub(crate) fn render(failures: &Failures) -> String {
    let mut lines = String::new();
    for failure in failures.iter() {
        let place = failure.place.as_ref().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "-".to_owned());
        writeln!(lines, "{place} {} {}", failure.code, failure.what).unwrap();
        for help in &failure.help {
            writeln!(lines, "  {help}").unwrap();
        }
    }
    lines
}

/// Checks that a generated file of the repository is what it would be now.
///
/// With `UPDATE_GENERATED=1` it is written anew instead.
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at the repository it is part of"
)]
pub(crate) fn keep_up_to_date(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{file} is out of date: run `UPDATE_GENERATED=1 cargo test --lib manifest::`"
    );
}
