//! Files of an IDE that are written while a service is debugged, and put back as they were.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Ide, ide::Attach, launch};
use crate::{
    adapters::files::{self, FileError},
    domain::ServiceName,
    state::EnvironmentPaths,
};

/// A file that was written, as it is kept until it is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

/// What became of a file that was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PutBack {
    /// It is as it was, or nothing was written.
    AsBefore,
    /// Somebody has changed it since, and it was left alone.
    ChangedMeanwhile(PathBuf),
}

/// What became of the wish for a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is written here.
    File(PathBuf),
    /// There is none; why, in words, unless nobody wanted one.
    None(Option<&'static str>),
}

/// Writes the configuration for an IDE into the project.
pub(super) fn write(
    paths: &EnvironmentPaths,
    project: &Path,
    ide: Ide,
    attach: &Attach,
) -> Result<Told, FileError> {
    let (path, text) = match ide {
        Ide::Print => return Ok(Told::None(None)),
        Ide::Vscode => {
            let Some(configuration) = attach.vscode() else {
                return Ok(Told::None(Some(
                    "it is not known how VS Code debugs this runtime",
                )));
            };
            let path = project.join(".vscode/launch.json");
            let before = files::read_text_if_there(&path)?;
            let Some(text) = launch::with(before.as_deref(), &configuration) else {
                let why = ".vscode/launch.json is not understood, and was left as it is";
                return Ok(Told::None(Some(why)));
            };
            (path, text)
        }
        Ide::Jetbrains => {
            let Some(text) = attach.jetbrains() else {
                let why = "JetBrains IDEs keep no configuration that attaches to this debugger";
                return Ok(Told::None(Some(why)));
            };
            let name = attach.service.as_str().replace('-', "_");
            let path = project.join(format!(".idea/runConfigurations/devenv_{name}.xml"));
            (path, text)
        }
    };
    let written = Written {
        before: files::read_text_if_there(&path)?,
        path,
        after: text,
    };
    let record = serde_json::to_vec(&written).unwrap_or_default();
    // First: what is not written down is never put back.
    files::write_private(&paths.debugging(&attach.service, "json"), &record)?;
    if let Some(directory) = written.path.parent() {
        files::create_dir(directory)?;
    }
    files::write_shared(&written.path, written.after.as_bytes())?;
    Ok(Told::File(written.path))
}

/// Puts the file back as it was, if one was written and nobody has changed it since.
pub(super) fn put_back(
    paths: &EnvironmentPaths,
    service: &ServiceName,
) -> Result<PutBack, FileError> {
    let record = paths.debugging(service, "json");
    let Some(text) = files::read_if_there(&record)? else {
        return Ok(PutBack::AsBefore);
    };
    let mut became = PutBack::AsBefore;
    if let Ok(written) = serde_json::from_slice::<Written>(&text) {
        let now = files::read_text_if_there(&written.path)?;
        match (now, written.before) {
            (Some(now), Some(before)) if now == written.after => {
                files::write_shared(&written.path, before.as_bytes())?;
            }
            (Some(now), None) if now == written.after => files::remove_file(&written.path)?,
            (Some(now), Some(before)) if now == before => {}
            (Some(_), _) => became = PutBack::ChangedMeanwhile(written.path),
            (None, _) => {}
        }
    }
    files::remove_file(&record)?;
    Ok(became)
}

/// Forgets that a file was written: it stays.
pub(super) fn keep(paths: &EnvironmentPaths, service: &ServiceName) -> Result<(), FileError> {
    let record = paths.debugging(service, "json");
    if files::exists(&record) {
        files::remove_file(&record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::host::HostEnvironment,
        domain::{DebugRuntime, testing::environment, testing::name},
        state::UserPaths,
    };

    fn attach() -> Attach {
        Attach {
            service: name("web"),
            runtime: DebugRuntime::Node,
            port: 9229,
            sources: None,
        }
    }

    fn place() -> (tempfile::TempDir, EnvironmentPaths) {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().display().to_string();
        let host = HostEnvironment::from_variables([("HOME".to_owned(), home)]);
        let paths = UserPaths::of(&host)
            .unwrap()
            .environment(&environment(&[]).id);
        paths.create().unwrap();
        (root, paths)
    }

    #[test]
    fn a_file_that_was_there_is_as_before_and_one_that_was_not_is_gone() {
        let (root, paths) = place();
        let file = root.path().join(".vscode/launch.json");
        for before in [None, Some("{ \"configurations\": [] } // mine\n")] {
            if let Some(before) = before {
                files::write_shared(&file, before.as_bytes()).unwrap();
            }
            let told = write(&paths, root.path(), Ide::Vscode, &attach()).unwrap();
            assert_eq!(told, Told::File(file.clone()));
            assert!(files::read_text(&file).unwrap().contains("devenv: web"));
            let put = put_back(&paths, &name("web")).unwrap();
            assert_eq!(put, PutBack::AsBefore);
            assert_eq!(files::read_text_if_there(&file).unwrap().as_deref(), before);
        }
    }

    #[test]
    fn what_the_user_has_changed_meanwhile_is_left_alone() {
        let (root, paths) = place();
        let Told::File(file) = write(&paths, root.path(), Ide::Jetbrains, &attach()).unwrap()
        else {
            panic!("nothing was written");
        };
        files::write_shared(&file, b"<mine/>").unwrap();
        let put = put_back(&paths, &name("web")).unwrap();
        assert_eq!(put, PutBack::ChangedMeanwhile(file.clone()));
        assert_eq!(files::read_text(&file).unwrap(), "<mine/>");
    }
}
