//! The files of a dataset: are they there, are they what they must be, do they stay inside.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::resolve::Resolver;
use crate::{
    domain::{DataFile, DataFiles, FileKind, Filling},
    manifest::{
        problem::{Problem, nearest},
        resolve::clean,
    },
};

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    File,
    FileOrDirectory,
}

/// What lies at a path of a dataset.
pub(super) enum Found {
    File,
    /// All files below it, relative to the dataset's directory, in an order that is the same everywhere.
    Directory(Vec<PathBuf>),
}

/// Something of a dataset that cannot be taken, and where it is, relative to the dataset's directory.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) file: PathBuf,
    pub(super) cause: Cause,
}

/// Why it cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("it does not exist")]
    Missing,
    #[error("it is a symbolic link")]
    Link,
    #[error("it is neither a file nor a directory")]
    Special,
    #[error("its name is not UTF-8")]
    NotUtf8,
    #[error("it is not UTF-8 text, and a template must be")]
    NotText,
    #[error("{0}")]
    Unreadable(String),
}

impl Cause {
    const fn help(&self) -> &'static str {
        match self {
            Self::Link => "put the file itself there: a dataset is complete in itself",
            Self::NotUtf8 => "give it a name that every machine can write",
            Self::NotText => {
                "save it as UTF-8, or remove `template: true`: a step without it takes any file"
            }
            Self::Unreadable(_) => "make it readable for you",
            Self::Missing | Self::Special => "put a file or a directory there",
        }
    }
}

/// What can be wrong with a file that a key names.
#[derive(Debug, thiserror::Error)]
enum FileProblem {
    #[error("`{path}` names a file that does not exist: `{file}`")]
    Missing {
        path: String,
        file: String,
        similar: Option<String>,
    },
    #[error("`{path}` names a directory, not a file: `{file}`")]
    Directory { path: String, file: String },
    #[error("`{path}` names a directory without a file in it: `{file}`")]
    NoFiles { path: String, file: String },
    #[error("`{path}` cannot take `{file}`: {cause}")]
    Refused {
        path: String,
        file: String,
        cause: Cause,
        /// What else cannot be taken, with its cause.
        others: Vec<String>,
    },
}

impl Problem for FileProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoFiles { .. } => "manifest.path-missing",
            Self::Directory { .. } | Self::Refused { .. } => "dataset.file",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::Missing {
                similar: Some(similar),
                ..
            } => format!("did you mean `{similar}`?"),
            Self::Missing { .. } => "paths are relative to the dataset's directory".to_owned(),
            Self::Directory { .. } => "name one file in it; `files` copies directories".to_owned(),
            Self::NoFiles { .. } => "only files are copied: put one into it".to_owned(),
            Self::Refused { cause, others, .. } => {
                let mut help = others.clone();
                help.push(cause.help().to_owned());
                return help;
            }
        };
        vec![help]
    }
}

impl Resolver<'_> {
    /// The file that is written at `path`; `None` if it cannot be taken.
    pub(super) fn file(
        &mut self,
        file: &Path,
        wanted: Wanted,
        filling: Filling,
        path: &str,
    ) -> Option<DataFile> {
        let data = self.readable(file, wanted, filling, path);
        self.is_unsure |= data.is_none() && filling == Filling::Template;
        data
    }

    fn readable(
        &mut self,
        file: &Path,
        wanted: Wanted,
        filling: Filling,
        path: &str,
    ) -> Option<DataFile> {
        let file = clean(file);
        let found = found(self.files, &self.directory, &file);
        let found = found.map_err(|troubles| self.refuse(troubles, path)).ok()?;
        let (path_text, shown) = (path.to_owned(), shown(&file));
        let texts = match found {
            Found::Directory(_) if wanted == Wanted::File => {
                let problem = FileProblem::Directory {
                    path: path_text,
                    file: shown,
                };
                self.report(&problem, path);
                return None;
            }
            Found::Directory(files) if files.is_empty() => {
                let problem = FileProblem::NoFiles {
                    path: path_text,
                    file: shown,
                };
                self.report(&problem, path);
                return None;
            }
            Found::Directory(files) => files,
            Found::File => vec![file.clone()],
        };
        if filling == Filling::Template {
            let troubles = texts.iter().filter_map(|text| self.template(text));
            let troubles: Vec<Trouble> = troubles.collect();
            if !troubles.is_empty() {
                self.refuse(troubles, path);
                return None;
            }
        }
        Some(DataFile {
            path: file,
            filling,
        })
    }

    /// Looks for the variables in a file, once however many steps read it.
    fn template(&mut self, file: &Path) -> Option<Trouble> {
        if self.templates.contains(file) {
            return None;
        }
        let whole = self.directory.join(file);
        match self.files.read(&whole) {
            Ok(text) => {
                self.variables
                    .look_into(&whole, text, self.sources, self.findings);
                self.templates.insert(file.to_path_buf());
                None
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Some(trouble(file, Cause::NotText))
            }
            Err(error) => Some(trouble(file, Cause::Unreadable(error.to_string()))),
        }
    }

    /// Reports what cannot be taken of what is written at `path`.
    fn refuse(&mut self, troubles: Vec<Trouble>, path: &str) {
        let mut troubles = troubles.into_iter();
        let Some(first) = troubles.next() else { return };
        let (path_text, file) = (path.to_owned(), shown(&first.file));
        let problem = match first.cause {
            Cause::Missing => FileProblem::Missing {
                path: path_text,
                file,
                similar: self.similar(&first.file),
            },
            cause => FileProblem::Refused {
                path: path_text,
                file,
                cause,
                others: troubles
                    .map(|other| format!("nor `{}`: {}", shown(&other.file), other.cause))
                    .collect(),
            },
        };
        self.report(&problem, path);
    }

    /// The path of something in the same directory with nearly the same name.
    fn similar(&self, file: &Path) -> Option<String> {
        let above = file.parent()?;
        let names = self.files.names(&self.directory.join(above)).ok()?;
        let name = file.file_name()?.to_str()?;
        let found = nearest(name, names.iter().map(String::as_str))?;
        Some(above.join(found).display().to_string())
    }
}

fn shown(file: &Path) -> String {
    if file.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        file.display().to_string()
    }
}

/// What lies at `file` of a dataset, no link followed on the way.
pub(super) fn found(
    files: &dyn DataFiles,
    dataset: &Path,
    file: &Path,
) -> Result<Found, Vec<Trouble>> {
    let mut kind = FileKind::Directory;
    let mut reached = PathBuf::new();
    for part in file.components() {
        // The part before this one is a file: nothing can be in it.
        let is_missing = kind != FileKind::Directory;
        reached.push(part);
        if is_missing {
            return Err(vec![trouble(&reached, Cause::Missing)]);
        }
        kind = kind_of(files, dataset, &reached).map_err(|trouble| vec![trouble])?;
    }
    if kind == FileKind::File {
        return Ok(Found::File);
    }
    let mut walk = Walk {
        files,
        dataset,
        found: Vec::new(),
        troubles: Vec::new(),
    };
    walk.below(file);
    if walk.troubles.is_empty() {
        Ok(Found::Directory(walk.found))
    } else {
        Err(walk.troubles)
    }
}

/// A file or a directory; everything else is trouble.
fn kind_of(files: &dyn DataFiles, dataset: &Path, file: &Path) -> Result<FileKind, Trouble> {
    let cause = match files.kind(&dataset.join(file)) {
        Ok(kind @ (FileKind::File | FileKind::Directory)) => return Ok(kind),
        Ok(FileKind::Link) => Cause::Link,
        Ok(FileKind::Other) => Cause::Special,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Cause::Missing,
        Err(error) => Cause::Unreadable(error.to_string()),
    };
    Err(trouble(file, cause))
}

fn trouble(file: &Path, cause: Cause) -> Trouble {
    Trouble {
        file: file.to_path_buf(),
        cause,
    }
}

/// Looks at everything below a directory.
struct Walk<'a> {
    files: &'a dyn DataFiles,
    dataset: &'a Path,
    found: Vec<PathBuf>,
    troubles: Vec<Trouble>,
}

impl Walk<'_> {
    fn below(&mut self, directory: &Path) {
        let entries = match self.files.entries(&self.dataset.join(directory)) {
            Ok(entries) => entries,
            Err(error) => {
                let cause = Cause::Unreadable(error.to_string());
                self.troubles.push(trouble(directory, cause));
                return;
            }
        };
        for name in entries {
            let file = directory.join(&name);
            if name.to_str().is_none() {
                self.troubles.push(trouble(&file, Cause::NotUtf8));
                continue;
            }
            match kind_of(self.files, self.dataset, &file) {
                Ok(FileKind::Directory) => self.below(&file),
                Ok(_) => self.found.push(file),
                Err(trouble) => self.troubles.push(trouble),
            }
        }
    }
}
