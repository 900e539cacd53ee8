//! What a `debug` has set, written down so that the next command can undo what a killed one left; and the files of an
//! IDE, which are put back as they were.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Ide, IdeFile, Wanted, ide::Attach, launch};
use crate::{
    adapters::files::{self, FileError},
    domain::ServiceName,
    state::EnvironmentPaths,
};

/// How the names of records begin and end.
const RECORD: (&str, &str) = ("debug-", ".json");

/// What is to be undone of the debugging of a service. It is there for as long as something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The pod whose process runs under its debugger.
    pub(super) pod: String,
    /// The file of an IDE that is to be put back.
    file: Option<WrittenFile>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WrittenFile {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

impl WrittenFile {
    /// Puts it back as it was, if nobody has changed it since.
    fn put_back(self) -> Result<PutBack, FileError> {
        let now = files::read_text_if_there(&self.path)?;
        match (now, self.before) {
            (Some(now), Some(before)) if now == self.after => {
                files::write_shared(&self.path, before.as_bytes())?;
            }
            (Some(now), None) if now == self.after => files::remove_file(&self.path)?,
            (Some(now), Some(before)) if now == before => {}
            (Some(_), _) => return Ok(PutBack::ChangedMeanwhile(self.path)),
            (None, _) => {}
        }
        Ok(PutBack::AsBefore)
    }
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

/// Writes down that the process of a pod is about to run under its debugger; a file that was written stays written down.
pub(super) fn begin(
    paths: &EnvironmentPaths,
    service: &ServiceName,
    pod: &str,
) -> Result<(), FileError> {
    let file = record(paths, service)?.and_then(|record| record.file);
    let pod = pod.to_owned();
    save(paths, service, &Record { pod, file })
}

/// What is written down of a service; `None` if nothing is to be undone. One that is damaged says nothing.
pub(super) fn record(
    paths: &EnvironmentPaths,
    service: &ServiceName,
) -> Result<Option<Record>, FileError> {
    let text = files::read_if_there(&path(paths, service))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The services of which something is written down.
pub(super) fn services(paths: &EnvironmentPaths) -> Result<Vec<ServiceName>, FileError> {
    if !files::exists(paths.state()) {
        return Ok(Vec::new());
    }
    let listed = files::list(paths.state())?;
    let service = |path: &PathBuf| -> Option<ServiceName> {
        let name = path.file_name()?.to_str()?.strip_prefix(RECORD.0)?;
        name.strip_suffix(RECORD.1)?.parse().ok()
    };
    Ok(listed.iter().filter_map(service).collect())
}

/// Forgets a service: nothing of it is to be undone.
pub(super) fn forget(paths: &EnvironmentPaths, service: &ServiceName) -> Result<(), FileError> {
    let record = path(paths, service);
    if files::exists(&record) {
        files::remove_file(&record)?;
    }
    Ok(())
}

fn save(paths: &EnvironmentPaths, service: &ServiceName, record: &Record) -> Result<(), FileError> {
    let text = serde_json::to_vec(record).unwrap_or_default();
    files::write_private(&path(paths, service), &text)
}

fn path(paths: &EnvironmentPaths, service: &ServiceName) -> PathBuf {
    paths.debugging(service, RECORD.1.trim_start_matches('.'))
}

/// Writes the configuration for an IDE into the project.
pub(super) fn write(
    paths: &EnvironmentPaths,
    project: &Path,
    wanted: &Wanted,
    attach: &Attach,
) -> Result<Told, FileError> {
    let (path, text) = match wanted.ide {
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
    let before = files::read_text_if_there(&path)?;
    // First: what is not written down is never put back.
    if let (IdeFile::PutBack, Some(mut record)) = (wanted.file, record(paths, &wanted.service)?) {
        record.file = Some(WrittenFile {
            path: path.clone(),
            before,
            after: text.clone(),
        });
        save(paths, &wanted.service, &record)?;
    }
    if let Some(directory) = path.parent() {
        files::create_dir(directory)?;
    }
    files::write_shared(&path, text.as_bytes())?;
    Ok(Told::File(path))
}

/// Puts the file back as it was, if one was written and nobody has changed it since.
pub(super) fn put_back(
    paths: &EnvironmentPaths,
    service: &ServiceName,
) -> Result<PutBack, FileError> {
    let Some(mut record) = record(paths, service)? else {
        return Ok(PutBack::AsBefore);
    };
    let Some(file) = record.file.take() else {
        return Ok(PutBack::AsBefore);
    };
    let became = file.put_back()?;
    save(paths, service, &record)?;
    Ok(became)
}

#[cfg(test)]
mod tests {
    use super::{super::Wait, *};
    use crate::{
        adapters::host::HostEnvironment,
        domain::{DebugRuntime, testing::environment, testing::name},
        state::UserPaths,
    };

    fn wanted(ide: Ide, file: IdeFile) -> Wanted {
        Wanted {
            service: name("web"),
            wait: Wait::No,
            port: None,
            ide,
            file,
        }
    }

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
        begin(&paths, &name("web"), "web-1").unwrap();
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
            let wanted = wanted(Ide::Vscode, IdeFile::PutBack);
            let told = write(&paths, root.path(), &wanted, &attach()).unwrap();
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
        let wanted = wanted(Ide::Jetbrains, IdeFile::PutBack);
        let Told::File(file) = write(&paths, root.path(), &wanted, &attach()).unwrap() else {
            panic!("nothing was written");
        };
        files::write_shared(&file, b"<mine/>").unwrap();
        let put = put_back(&paths, &name("web")).unwrap();
        assert_eq!(put, PutBack::ChangedMeanwhile(file.clone()));
        assert_eq!(files::read_text(&file).unwrap(), "<mine/>");
    }
    #[test]
    fn a_file_that_is_to_stay_is_not_put_back() {
        let (root, paths) = place();
        let wanted = wanted(Ide::Vscode, IdeFile::Kept);
        let Told::File(file) = write(&paths, root.path(), &wanted, &attach()).unwrap() else {
            panic!("nothing was written");
        };
        assert_eq!(put_back(&paths, &name("web")).unwrap(), PutBack::AsBefore);
        assert!(files::read_text(&file).unwrap().contains("devenv: web"));
    }

    #[test]
    fn a_service_is_written_down_with_its_last_pod_until_it_is_forgotten() {
        let (_root, paths) = place();
        let web = name("web");
        begin(&paths, &web, "web-2").unwrap();
        // Its lock is no record, and neither is a file of another kind.
        files::write_private(&paths.debugging(&name("api"), "lock"), b"1").unwrap();
        assert_eq!(services(&paths).unwrap(), std::slice::from_ref(&web));
        assert_eq!(record(&paths, &web).unwrap().unwrap().pod, "web-2");
        forget(&paths, &web).unwrap();
        assert_eq!(services(&paths).unwrap(), []);
        assert_eq!(record(&paths, &web).unwrap(), None);
    }
}
