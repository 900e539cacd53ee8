//! The files of a project, as those who read a manifest or a dataset ask for them.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};

use crate::domain::{DataFiles, FileKind, InputsHash, ProjectFiles};

/// The files of a project on disk.
#[derive(Debug, Clone)]
pub struct Project {
    directory: PathBuf,
}

impl Project {
    /// The project in `directory`.
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl ProjectFiles for Project {
    fn read(&self, path: &Path) -> io::Result<String> {
        // Else to open a pipe would wait for who writes into it.
        let at_once = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(at_once)
            .open(self.directory.join(path))
            .map_err(|error| match error.raw_os_error() {
                // A socket cannot be opened.
                Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
                    io::ErrorKind::InvalidInput.into()
                }
                _ => error,
            })?;
        let kind = file.metadata()?;
        // Of a directory, reading says so itself.
        if !kind.is_file() && !kind.is_dir() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        io::read_to_string(file)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(self.directory.join(path))?.len())
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.directory.join(path).is_dir()
    }

    fn is_file(&self, path: &Path) -> bool {
        self.directory.join(path).is_file()
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.directory.join(directory))?;
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        let mut names = names
            .filter_map(Result::transpose)
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Paths are relative to the project directory if the pattern is. Links to directories are not followed.
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        // Without wildcards in it, the first part need not be searched; and `..` can stay in it.
        let (base, names) = split_pattern(pattern);
        if names.as_os_str().is_empty() {
            return Ok(self.is_file(&base).then_some(base).into_iter().collect());
        }
        let matcher = GlobBuilder::new(&names.to_string_lossy())
            .literal_separator(true)
            .build()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
            .compile_matcher();
        let depth = if pattern.contains("**") {
            usize::MAX
        } else {
            names.components().count()
        };
        let mut found = Vec::new();
        let root = self.directory.join(&base);
        if root.is_dir() {
            search(&root, Path::new(""), depth, &matcher, &mut found)?;
        }
        let mut found: Vec<PathBuf> = found.into_iter().map(|path| base.join(path)).collect();
        found.sort();
        Ok(found)
    }
}

impl DataFiles for Project {
    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        let kind = fs::symlink_metadata(self.directory.join(path))?.file_type();
        Ok(if kind.is_symlink() {
            FileKind::Link
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_file() {
            FileKind::File
        } else {
            FileKind::Other
        })
    }

    fn entries(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(self.directory.join(directory))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn digest(&self, file: &Path) -> io::Result<InputsHash> {
        InputsHash::of_stream(fs::File::open(self.directory.join(file))?)
    }
}

/// The leading parts without wildcards, and the rest.
fn split_pattern(pattern: &str) -> (PathBuf, PathBuf) {
    let is_plain = |part: &Component<'_>| {
        !part
            .as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', '{'])
    };
    let parts: Vec<Component<'_>> = Path::new(pattern).components().collect();
    let plain = parts.iter().take_while(|part| is_plain(part)).count();
    (
        parts[..plain].iter().collect(),
        parts[plain..].iter().collect(),
    )
}

fn search(
    root: &Path,
    below: &Path,
    depth: usize,
    matcher: &GlobMatcher,
    found: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if depth > 1 {
                search(root, &path, depth - 1, matcher, found)?;
            }
        } else if matcher.is_match(&path) && root.join(&path).is_file() {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's own files")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_names_its_files_and_directories_sorted() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("a/src")).unwrap();
        fs::write(home.path().join("a/Dockerfile"), "").unwrap();
        let project = Project::new(home.path().to_owned());
        let names = project.names(Path::new("a")).unwrap();
        assert_eq!(names, ["Dockerfile", "src"]);
        assert!(project.names(Path::new("b")).is_err());
    }

    #[test]
    fn what_a_path_leads_to_is_told_without_following_it() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("directory")).unwrap();
        fs::write(home.path().join("file"), "bytes").unwrap();
        symlink("file", home.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap();
        let project = Project::new(home.path().to_owned());
        for (name, kind) in [
            ("directory", FileKind::Directory),
            ("file", FileKind::File),
            ("link", FileKind::Link),
            ("socket", FileKind::Other),
        ] {
            assert_eq!(project.kind(Path::new(name)).unwrap(), kind);
        }
        let error = project.kind(Path::new("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let names = project.entries(Path::new("")).unwrap();
        assert_eq!(names, ["directory", "file", "link", "socket"]);
        let digest = project.digest(Path::new("file")).unwrap();
        assert_eq!(digest, InputsHash::of(b"bytes"));
    }

    #[test]
    fn a_pattern_finds_files_sorted_and_as_deep_as_it_says() {
        let home = tempfile::tempdir().unwrap();
        for path in ["k8s/b.yaml", "k8s/a.yaml", "k8s/c.txt", "k8s/sub/d.yaml"] {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let project = Project::new(home.path().join("k8s"));
        let names = |pattern: &str| project.glob(pattern).unwrap();
        assert_eq!(names("*.yaml"), ["a.yaml", "b.yaml"].map(PathBuf::from));
        assert_eq!(names("**/d.yaml"), [PathBuf::from("sub/d.yaml")]);
        assert_eq!(names("../k8s/c.*"), [PathBuf::from("../k8s/c.txt")]);
        assert_eq!(names("a.yaml"), [PathBuf::from("a.yaml")]);
        assert!(names("none/*.yaml").is_empty());
        assert!(project.glob("[").is_err());
    }
}
