//! Finds the files of a build context.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use super::{
    Context, ContextFile, FileKind,
    ignore::{Covered, IgnoreRules, InvalidPattern},
};
use crate::{
    adapters::files::{self, FileError, Operation},
    domain::{Build, ExitClass, Failure, Place},
};

/// The name in the archive of a Dockerfile that lies outside of its context.
const OUTSIDE_DOCKERFILE: &str = ".devenv.Dockerfile";
const PERMISSIONS: u32 = 0o7777;

/// A context that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no such directory.
    #[error("the build context {} is not a directory", .0.display())]
    NoDirectory(PathBuf),
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at {}", .0.display())]
    NoDockerfile(PathBuf),
    /// A line of the ignore file is no pattern.
    #[error("{} has a line that is no pattern", path.display())]
    Pattern {
        /// The ignore file.
        path: PathBuf,
        /// The line.
        #[source]
        source: InvalidPattern,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ContextError {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        match self {
            Self::NoDirectory(_) => {
                Failure::new("image.no-context", ExitClass::Manifest, self.to_string())
                    .help("correct `build.context` in devenv.yaml")
            }
            Self::NoDockerfile(path) => {
                Failure::new("image.no-dockerfile", ExitClass::Manifest, self.to_string())
                    .help(format!(
                        "write {}, or name another with `build.dockerfile` in devenv.yaml",
                        path.display()
                    ))
            }
            Self::Pattern { path, source } => {
                Failure::new("image.bad-dockerignore", ExitClass::Manifest, self.to_string())
                    .caused_by(source)
                    .help("correct the line; the syntax: https://docs.docker.com/build/concepts/context/#dockerignore-files")
                    .at(Some(Place {
                        file: path.clone(),
                        line: source.line,
                        column: 1,
                        length: source.text.chars().count().max(1),
                        source_line: source.text.clone(),
                    }))
            }
            Self::File(error) => error.failure(),
        }
    }
}

/// The context of `build`: everything that `.dockerignore` (or `<Dockerfile>.dockerignore`) does not leave out, and
/// the Dockerfile in any case. Links are not followed; sockets, pipes and devices are left out. Blocks.
pub fn scan(build: &Build) -> Result<Context, ContextError> {
    let directory = build.context.clone();
    if !directory.is_dir() {
        return Err(ContextError::NoDirectory(directory));
    }
    let dockerfile_on_disk = directory.join(&build.dockerfile);
    if !dockerfile_on_disk.is_file() {
        return Err(ContextError::NoDockerfile(dockerfile_on_disk));
    }
    let rules = ignore_rules(build)?;
    let mut walk = Walk {
        directory: &directory,
        rules: &rules,
        files: Vec::new(),
        pending: Vec::new(),
    };
    walk.below(Path::new(""), &rules.root())?;
    let mut files = walk.files;
    let dockerfile = with_dockerfile(&mut files, &build.dockerfile, &dockerfile_on_disk)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Context {
        directory,
        files,
        dockerfile,
        dockerfile_on_disk,
        target: build.target.clone(),
        args: build.args.clone().into_iter().collect(),
        contents: OnceLock::new(),
    })
}

/// What is left out of the context of `build`: the rules of `<Dockerfile>.dockerignore`, else of `.dockerignore`.
pub fn ignore_rules(build: &Build) -> Result<IgnoreRules, ContextError> {
    let mut own = build.context.join(&build.dockerfile).into_os_string();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), build.context.join(".dockerignore")] {
        if let Some(text) = files::read_text_if_there(&path)? {
            return IgnoreRules::parse(&text)
                .map_err(|source| ContextError::Pattern { path, source });
        }
    }
    Ok(IgnoreRules::default())
}

struct Walk<'a> {
    directory: &'a Path,
    rules: &'a IgnoreRules,
    files: Vec<ContextFile>,
    /// Excluded directories above the present one: sent only if something below them is.
    pending: Vec<ContextFile>,
}

impl Walk<'_> {
    fn below(&mut self, path: &Path, covered: &Covered) -> Result<(), FileError> {
        for absolute in files::list(&self.directory.join(path))? {
            let Some(name) = absolute.file_name() else {
                continue;
            };
            let relative = path.join(name);
            let (excluded, covered) = self.rules.check(&relative, covered);
            let meta = match fs::symlink_metadata(&absolute) {
                Ok(meta) => meta,
                // It was removed since the directory was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(inspecting(&absolute, source)),
            };
            let may_hold_more = meta.is_dir()
                && (!excluded || self.rules.may_bring_back_below(&relative, &covered));
            let Some(entry) = entry(relative, absolute, &meta)? else {
                continue;
            };
            if excluded && !may_hold_more {
                continue;
            }
            let relative = entry.path.clone();
            let outer = self.pending.len();
            if excluded {
                self.pending.push(entry);
            } else {
                self.files.append(&mut self.pending);
                self.files.push(entry);
            }
            if may_hold_more {
                self.below(&relative, &covered)?;
            }
            self.pending.truncate(outer);
        }
        Ok(())
    }
}

/// The entry for what lies at `absolute`; `None` for what no archive holds.
fn entry(
    path: PathBuf,
    absolute: PathBuf,
    meta: &Metadata,
) -> Result<Option<ContextFile>, FileError> {
    let kind = if meta.is_dir() {
        FileKind::Directory
    } else if meta.is_symlink() {
        let target = fs::read_link(&absolute).map_err(|source| inspecting(&absolute, source))?;
        FileKind::Symlink { target }
    } else if meta.is_file() {
        FileKind::File { size: meta.len() }
    } else {
        return Ok(None);
    };
    Ok(Some(ContextFile {
        path,
        kind,
        mode: meta.mode() & PERMISSIONS,
        modified: meta.mtime().try_into().unwrap_or(0),
        absolute,
    }))
}

fn inspecting(path: &Path, source: io::Error) -> FileError {
    FileError {
        operation: Operation::Inspect,
        path: path.to_owned(),
        source,
    }
}

/// Adds the Dockerfile's contents, wherever it lies and be it ignored or a link; its name in the archive.
fn with_dockerfile(
    files: &mut Vec<ContextFile>,
    written: &Path,
    absolute: &Path,
) -> Result<String, FileError> {
    let path = inside(written).unwrap_or_else(|| OUTSIDE_DOCKERFILE.into());
    let meta = fs::metadata(absolute).map_err(|source| inspecting(absolute, source))?;
    let name = path.to_string_lossy().into_owned();
    if let Some(dockerfile) = entry(path, absolute.to_owned(), &meta)? {
        files.retain(|file| file.path != dockerfile.path);
        files.push(dockerfile);
    }
    Ok(name)
}

/// The path without `.` and `..`; `None` if it leads out of its directory.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir if parts.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::adapters::files::{create_dir, write_shared};

    /// A context directory with the given files.
    pub(in crate::adapters::context) fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = home.path().join(path);
            create_dir(path.parent().unwrap()).unwrap();
            write_shared(&path, text.as_bytes()).unwrap();
        }
        home
    }

    pub(in crate::adapters::context) fn build(directory: &Path) -> Build {
        Build {
            context: directory.to_owned(),
            dockerfile: "Dockerfile".into(),
            target: None,
            args: std::collections::BTreeMap::new(),
            secrets: std::collections::BTreeMap::new(),
        }
    }

    fn names(build: &Build) -> Vec<String> {
        let context = scan(build).unwrap();
        let names = context
            .files()
            .iter()
            .map(|file| file.path.to_string_lossy().into_owned());
        names.collect()
    }

    #[test]
    fn what_is_ignored_is_not_sent_but_the_dockerfile_is() {
        let home = directory(&[
            (".dockerignore", "*\n!src/**/*.py\n"),
            ("Dockerfile", "FROM scratch"),
            ("src/app/main.py", ""),
            ("src/app/main.pyc", ""),
            ("src/empty/x.txt", ""),
            ("other/a.py", ""),
        ]);
        assert_eq!(
            names(&build(home.path())),
            ["Dockerfile", "src", "src/app", "src/app/main.py"]
        );
    }

    #[test]
    fn an_ignore_file_beside_the_dockerfile_has_precedence() {
        let home = directory(&[
            (".dockerignore", "a"),
            ("dev.Dockerfile", "FROM scratch"),
            ("dev.Dockerfile.dockerignore", "b"),
            ("a", ""),
            ("b", ""),
        ]);
        let mut build = build(home.path());
        build.dockerfile = "dev.Dockerfile".into();
        let names = names(&build);
        assert!(
            names.contains(&"a".to_owned()) && !names.contains(&"b".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_is_sent_under_a_name_of_ours() {
        let home = directory(&[("Dockerfile", "FROM scratch"), ("service/a", "")]);
        let mut build = build(&home.path().join("service"));
        build.dockerfile = "../Dockerfile".into();
        assert_eq!(scan(&build).unwrap().dockerfile(), OUTSIDE_DOCKERFILE);
        assert_eq!(names(&build), [OUTSIDE_DOCKERFILE, "a"]);
    }

    #[test]
    fn links_are_sent_as_links_even_in_a_loop_and_sockets_not_at_all() {
        let home = directory(&[("Dockerfile", "FROM scratch")]);
        symlink(".", home.path().join("loop")).unwrap();
        symlink("/", home.path().join("out")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap();
        let context = scan(&build(home.path())).unwrap();
        let kinds: Vec<_> = context
            .files()
            .iter()
            .map(|file| file.kind.clone())
            .collect();
        assert_eq!(
            kinds[1..],
            [".", "/"].map(|target| FileKind::Symlink {
                target: target.into()
            })
        );
    }

    #[test]
    fn what_is_missing_is_said_and_a_bad_line_is_shown() {
        let home = directory(&[("file", "")]);
        let code = |build: &Build| scan(build).unwrap_err().failure().code.0;
        assert_eq!(code(&build(&home.path().join("file"))), "image.no-context");
        assert_eq!(code(&build(home.path())), "image.no-dockerfile");
        let home = directory(&[("Dockerfile", ""), (".dockerignore", "a\n[b")]);
        let failure = scan(&build(home.path())).unwrap_err().failure();
        assert_eq!(failure.code.0, "image.bad-dockerignore");
        assert_eq!(failure.place.unwrap().line, 2);
    }
}
