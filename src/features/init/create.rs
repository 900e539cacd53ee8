//! A directory without a manifest gets one.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    compose::{self, Conversion},
    draft::Draft,
    ignored, names, scan,
    yaml::{self, NotYaml},
};
use crate::{
    adapters::files::{self, FileError},
    domain::{ExitClass, Failure, Failures, Place, ProjectFiles, names_a_secret},
    manifest::{self, Request, parse_env_file},
    report::{Init, InitFile, InitFileChange},
};

/// The name of the manifest where none is given.
pub(super) const MANIFEST_FILE: &str = "devenv.yaml";
/// Where the schema for editors goes, relative to the project.
const SCHEMA_FILE: &str = ".devenv/devenv.schema.json";

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The project directory, absolute.
    pub directory: PathBuf,
    /// The manifest, relative to the directory; `devenv.yaml` if `None`.
    pub file: Option<PathBuf>,
    /// The compose file to convert, relative to the directory; one that is found if `None`.
    pub from: Option<PathBuf>,
}

/// What can keep a manifest from being made.
#[derive(Debug, thiserror::Error)]
pub enum InitProblem {
    /// There is one already.
    #[error("`{}` is there already, and is left as it is", file.display())]
    Exists {
        /// The manifest.
        file: PathBuf,
    },
    /// The compose file cannot be read.
    #[error("the compose file `{}` cannot be read", file.display())]
    Unreadable {
        /// The compose file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The compose file is no YAML, or has no services.
    #[error("`{}` is not a compose file: {reason}", file.display())]
    NotCompose {
        /// The compose file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Where.
        place: Option<Box<Place>>,
    },
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl InitProblem {
    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let what = self.to_string();
        match self {
            Self::Exists { .. } => Failure::new("init.exists", ExitClass::Usage, what)
                .help("devenv init --fix   # mends it")
                .help("devenv init -f other.yaml   # writes another one"),
            Self::Unreadable { source, .. } => {
                Failure::new("init.compose-unreadable", ExitClass::Usage, what)
                    .caused_by(source)
                    .help("name the compose file: `devenv init --from docker-compose.yml`")
            }
            Self::NotCompose { place, .. } => {
                Failure::new("init.not-compose", ExitClass::Manifest, what)
                    .at(place.as_deref().cloned())
                    .help("see what compose says: `docker compose config`")
                    .help("move it away, and `devenv init` looks for Dockerfiles instead")
            }
            Self::File(error) => error.failure(),
        }
    }
}

/// Writes the first manifest of a directory, with what belongs to it. Blocks.
pub fn create(wanted: &Wanted) -> Result<Init, Failures> {
    let directory = &wanted.directory;
    let project = files::Project::new(directory.clone());
    let manifest = wanted
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(MANIFEST_FILE));
    let failed = |problem: InitProblem| Failures::from(problem.failure());
    if files::exists(&directory.join(&manifest)) {
        return Err(failed(InitProblem::Exists { file: manifest }));
    }
    let conversion = drafted(wanted, &project).map_err(failed)?;
    let (conversion, text) = loadable(conversion, &manifest, directory, &project)?;
    let changes = write(&conversion, &manifest, &text, directory, &project)
        .map_err(|error| failed(error.into()))?;
    Ok(report(&conversion, changes, directory, &manifest))
}

fn drafted(wanted: &Wanted, project: &dyn ProjectFiles) -> Result<Conversion, InitProblem> {
    let name = names::of_directory(&wanted.directory);
    let found = || {
        compose::FILES
            .iter()
            .map(PathBuf::from)
            .find(|file| project.is_file(file))
    };
    let file = match &wanted.from {
        Some(from) => Some(inside(from, &wanted.directory)),
        None => found(),
    };
    match file {
        Some(file) => converted(&file, &name, project),
        None => Ok(Conversion {
            draft: scan::draft(&name, project),
            not_converted: Vec::new(),
            secrets: Vec::new(),
        }),
    }
}

/// `file` relative to the project, if it is in it.
fn inside(file: &Path, directory: &Path) -> PathBuf {
    let full = files::canonical(&directory.join(file)).ok();
    let inner = full.and_then(|full| full.strip_prefix(directory).map(Path::to_path_buf).ok());
    inner.unwrap_or_else(|| file.to_path_buf())
}

/// The conversion of a compose file, with the variables of the `.env` beside it.
pub(super) fn converted(
    file: &Path,
    name: &str,
    project: &dyn ProjectFiles,
) -> Result<Conversion, InitProblem> {
    let text = project
        .read(file)
        .map_err(|source| InitProblem::Unreadable {
            file: file.to_owned(),
            source,
        })?;
    let not_compose = |reason: &str, place| InitProblem::NotCompose {
        file: file.to_owned(),
        reason: reason.to_owned(),
        place,
    };
    let root = yaml::read(&text).map_err(|error| {
        let place = place(file, &text, &error);
        not_compose(&error.to_string(), Some(Box::new(place)))
    })?;
    if root
        .get("services")
        .is_none_or(|services| services.entries().is_empty())
    {
        return Err(not_compose("it has no `services`", None));
    }
    let variables = file.with_file_name(".env");
    let known = project
        .read(&variables)
        .ok()
        .and_then(|text| parse_env_file(&text, &variables).ok());
    Ok(compose::convert(
        &root,
        file,
        name,
        known.unwrap_or_default(),
        project,
    ))
}

fn place(file: &Path, text: &str, error: &NotYaml) -> Place {
    let line = text.lines().nth(error.line - 1).unwrap_or_default();
    let key = line.split([':', '=']).next().unwrap_or_default();
    // A line that may hold a secret is not shown.
    let is_shown = !names_a_secret(key.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    Place {
        file: file.to_owned(),
        line: error.line,
        column: error.column,
        length: 1,
        source_line: if is_shown {
            line.to_owned()
        } else {
            String::new()
        },
    }
}

/// The text of the manifest, and the draft without the services that would not load.
pub(super) fn loadable(
    mut conversion: Conversion,
    manifest: &Path,
    directory: &Path,
    project: &dyn ProjectFiles,
) -> Result<(Conversion, String), Failures> {
    forget_left_out(&mut conversion.draft);
    loop {
        let text = conversion.draft.text(&schema_from(manifest));
        let mut drafts: BTreeMap<PathBuf, String> = conversion
            .secrets
            .iter()
            .map(|file| (file.path.clone(), file.text.clone()))
            .collect();
        drafts.insert(manifest.to_path_buf(), text.clone());
        let request = Request {
            directory: directory.to_path_buf(),
            file: Some(manifest.to_path_buf()),
            ..Request::default()
        };
        let Err(failures) = manifest::load(
            &request,
            &Overlay {
                drafts,
                project,
                manifest,
            },
        ) else {
            return Ok((conversion, text));
        };
        // Each round leaves out a part at least, so that this comes to an end.
        if !leave_out(&mut conversion.draft, &failures) {
            return Err(failures);
        }
    }
}

/// Leaves out the parts that failures are about; whether there was one.
fn leave_out(draft: &mut Draft, failures: &Failures) -> bool {
    let mut was_one = false;
    for part in draft
        .services
        .iter_mut()
        .chain(&mut draft.tasks)
        .filter(|part| part.left_out.is_none())
    {
        let of_task = format!("`tasks.{}.", part.name);
        let why = failures.iter().find(|failure| {
            failure
                .service
                .as_ref()
                .is_some_and(|service| service.as_str() == part.name)
                || failure.what.contains(&of_task)
        });
        if let Some(failure) = why {
            part.left_out = Some(failure.what.clone());
            was_one = true;
        }
    }
    forget_left_out(draft);
    was_one
}

fn forget_left_out(draft: &mut Draft) {
    let gone = draft.services.iter().filter(|part| part.left_out.is_some());
    let gone: Vec<String> = gone.map(|part| part.name.clone()).collect();
    for part in draft.services.iter_mut().chain(&mut draft.tasks) {
        for name in &gone {
            part.forget(name);
        }
    }
}

/// The schema's path as the manifest names it.
fn schema_from(manifest: &Path) -> String {
    let up = manifest
        .parent()
        .map_or(0, |parent| parent.components().count());
    format!("{}{SCHEMA_FILE}", "../".repeat(up))
}

/// The project as it will be.
struct Overlay<'a> {
    drafts: BTreeMap<PathBuf, String>,
    project: &'a dyn ProjectFiles,
    manifest: &'a Path,
}

impl ProjectFiles for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.drafts.get(path) {
            Some(text) => Ok(text.clone()),
            // What somebody lays over it later is not the draft's matter.
            None if path == self.manifest.with_extension("local.yaml") => {
                Err(io::ErrorKind::NotFound.into())
            }
            None => self.project.read(path),
        }
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        match self.drafts.get(path) {
            Some(text) => Ok(text.len() as u64),
            None => self.project.length(path),
        }
    }
    fn is_directory(&self, path: &Path) -> bool {
        self.project.is_directory(path)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.drafts.contains_key(path) || self.project.is_file(path)
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.project.names(directory)
    }
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        self.project.glob(pattern)
    }
}

/// Writes everything, the manifest last: a run that was ended before can be done again.
fn write(
    conversion: &Conversion,
    manifest: &Path,
    text: &str,
    directory: &Path,
    project: &dyn ProjectFiles,
) -> Result<Vec<InitFile>, FileError> {
    let mut changes = Vec::new();
    let schema = serde_json::to_string_pretty(&manifest::schema()).unwrap_or_default() + "\n";
    if let Some(folder) = directory.join(SCHEMA_FILE).parent() {
        files::create_dir(folder)?;
    }
    let mut shared = vec![(PathBuf::from(SCHEMA_FILE), schema)];
    let mut ignored = vec![manifest.with_extension("local.yaml").display().to_string()];
    for secret in &conversion.secrets {
        let change = change(&secret.path, &secret.text, project);
        if change != InitFileChange::Kept {
            files::write_private(&directory.join(&secret.path), secret.text.as_bytes())?;
        }
        changes.push(InitFile {
            path: secret.path.display().to_string(),
            change,
        });
        ignored.push(secret.path.display().to_string());
    }
    // What becomes a repository only later must not take the secrets with it.
    let may_be_committed =
        ignored::is_repository(directory, project) || !conversion.secrets.is_empty();
    if may_be_committed && let Some(text) = ignored::with(directory, &ignored, project) {
        shared.push((PathBuf::from(".gitignore"), text));
    }
    shared.push((manifest.to_path_buf(), text.to_owned()));
    for (path, text) in shared {
        let change = change(&path, &text, project);
        if change != InitFileChange::Kept {
            files::write_shared(&directory.join(&path), text.as_bytes())?;
        }
        changes.push(InitFile {
            path: path.display().to_string(),
            change,
        });
    }
    changes.reverse();
    Ok(changes)
}

fn change(path: &Path, text: &str, project: &dyn ProjectFiles) -> InitFileChange {
    match project.read(path) {
        Ok(found) if found == text => InitFileChange::Kept,
        Ok(_) => InitFileChange::Updated,
        Err(_) => InitFileChange::Created,
    }
}

fn report(
    conversion: &Conversion,
    files: Vec<InitFile>,
    directory: &Path,
    manifest: &Path,
) -> Init {
    let draft = &conversion.draft;
    let parts = draft.services.iter().chain(&draft.tasks);
    let left_out = parts.filter_map(|part| {
        Some(crate::report::NotConverted {
            service: Some(part.name.clone()),
            key: "service".to_owned(),
            what: part.left_out.clone()?,
            help: "it stands in the manifest as a comment".to_owned(),
        })
    });
    let flag = if manifest == Path::new(MANIFEST_FILE) {
        String::new()
    } else {
        format!(" -f {}", manifest.display())
    };
    let services = draft.service_names();
    let next_steps = if services.is_empty() {
        vec![
            format!(
                "write a service into {}; there is an example at its end",
                manifest.display()
            ),
            format!("devenv{flag} up"),
        ]
    } else {
        vec![format!("devenv{flag} up")]
    };
    Init {
        directory: directory.display().to_string(),
        files,
        services,
        not_converted: left_out
            .chain(conversion.not_converted.iter().cloned())
            .collect(),
        next_steps,
        ..Init::default()
    }
}
