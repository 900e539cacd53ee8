//! The page of a project for those who are new to it, written from its manifest.
//!
//! Called by the command `docs`. It says what everybody has: nothing of this machine, of its overlay or of the time is in it,
//! so that it is the same wherever it is written.

mod page;
mod place;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub use self::place::{Place, place};
use crate::{
    adapters::files,
    domain::{DatasetName, Environment, Failure, Failures, ProfileName, ProjectFiles, conceal},
    manifest::{
        self, Request,
        config::{Layer, View},
        dataset,
    },
};

/// The end of the name of the overlay that belongs to one machine.
const LOCAL: &str = ".local.yaml";

/// What the page is written from.
#[derive(Debug, Clone, PartialEq)]
struct Handbook {
    environment: Environment,
    /// By name: what is said about it.
    datasets: BTreeMap<DatasetName, Option<String>>,
    /// By name.
    profiles: BTreeMap<String, Profile>,
    /// The variables that example files beside files of secrets name, by the path of these.
    variables: BTreeMap<PathBuf, Vec<String>>,
}

/// A profile, as its file says it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Profile {
    description: Option<String>,
    /// Other profiles that it stands on.
    extends: Vec<String>,
    /// The services that are left; all if empty.
    only: Vec<String>,
    /// The dataset that it wants.
    dataset: Option<String>,
    /// The keys that it sets, without secrets.
    keys: Vec<(String, Value)>,
}

/// The page, from the manifest that a request is about, without profiles, settings and what belongs to this machine.
pub fn handbook(request: &Request) -> Result<String, Failures> {
    let request = &Request {
        profiles: Vec::new(),
        branch: None,
        sets: Vec::new(),
        ..request.clone()
    };
    let files = files::Project::new(request.directory.clone());
    let shared = Shared(&files);
    let environment = manifest::load(request, &shared)?.environment;
    let listed = dataset::list(&files)?;
    let mut profiles = BTreeMap::new();
    for name in manifest::profiles(&shared) {
        profiles.insert(name.clone(), profile(&name, request, &shared)?);
    }
    let book = Handbook {
        datasets: listed
            .good
            .into_iter()
            .map(|listed| (listed.name, listed.description))
            .collect(),
        profiles,
        variables: variables(&environment, &shared),
        environment,
    };
    Ok(book.page())
}

fn profile(name: &str, request: &Request, files: &dyn ProjectFiles) -> Result<Profile, Failures> {
    let Ok(name) = name.parse::<ProfileName>() else {
        return Ok(Profile::default());
    };
    let header = manifest::profile_header(&name, files).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |key: &str| -> Vec<String> {
        let items = header.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(text).collect()
    };
    let layer = Layer::Profile(name.clone());
    let with_it = Request {
        profiles: vec![name],
        ..request.clone()
    };
    let written = View::of(&with_it, files)?.layer(&layer.file(request)?);
    let mut written = written.unwrap_or_default();
    conceal(&mut written);
    let mut keys = Vec::new();
    for (key, value) in written.as_object().into_iter().flatten() {
        leaves(key, value, &mut keys);
    }
    Ok(Profile {
        description: header.get("description").and_then(text),
        extends: texts("extends"),
        only: texts("only"),
        dataset: header.get("dataset").and_then(text),
        keys,
    })
}

/// The keys below a key, each with its value.
fn leaves(key: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                leaves(&format!("{key}.{name}"), field, found);
            }
        }
        value => found.push((key.to_owned(), value.clone())),
    }
}

/// The names of variables in `.env.web.example` for `.env.web`, where there is one.
fn variables(
    environment: &Environment,
    files: &dyn ProjectFiles,
) -> BTreeMap<PathBuf, Vec<String>> {
    let of_services = environment.services.values();
    let of_services = of_services.filter_map(|service| Some(&service.workload()?.secrets));
    let of_tasks = environment.tasks.values().map(|task| &task.secrets);
    let mut variables = BTreeMap::new();
    for path in of_services.chain(of_tasks).flatten() {
        let mut example = path.clone().into_os_string();
        example.push(".example");
        let example = PathBuf::from(example);
        let read = files.read(&example).ok();
        let pairs = read.and_then(|text| manifest::parse_env_file(&text, &example).ok());
        if let Some(pairs) = pairs {
            variables.insert(path.clone(), pairs.into_keys().collect());
        }
    }
    variables
}

/// The files of a project as everybody has them: without the overlay of one machine.
struct Shared<'a>(&'a dyn ProjectFiles);

impl ProjectFiles for Shared<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(LOCAL) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.0.read(path)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        self.0.length(path)
    }
    fn is_directory(&self, path: &Path) -> bool {
        self.0.is_directory(path)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.names(directory)
    }
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        self.0.glob(pattern)
    }
}

/// What is in a file that may not be there.
pub fn written(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    files::read_if_there(path).map_err(|error| error.failure())
}
