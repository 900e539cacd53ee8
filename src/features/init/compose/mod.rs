//! A draft from a compose file. What has no counterpart is told, and stands as a comment in its place.

mod environment;
mod health;
mod image;
mod network;
mod service;
mod storage;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use super::{
    draft::{Draft, Part},
    interpolate::interpolate,
    names,
    secrets::SecretFile,
    yaml::Value,
};
use crate::{domain::ProjectFiles, report::NotConverted};

/// The names of compose files, in the order in which compose prefers them.
pub(super) const FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// Top-level keys that have no counterpart, and what to do.
const TOP_LEVEL: [(&str, &str); 4] = [
    (
        "include",
        "convert the files it names one by one with `devenv init --from`, and put the services together",
    ),
    (
        "networks",
        "nothing to do: the services of an environment reach each other by name, and nobody else does",
    ),
    ("configs", "copy the files in the Dockerfile"),
    (
        "secrets",
        "write the values to a file of KEY=value lines and name it in the service's `secrets`",
    ),
];

/// What a compose file came to.
#[derive(Debug)]
pub(super) struct Conversion {
    pub(super) draft: Draft,
    pub(super) not_converted: Vec<NotConverted>,
    pub(super) secrets: Vec<SecretFile>,
}

/// What the services of a file share while they are converted.
pub(super) struct Shared<'a> {
    /// The services as compose names them, `extends` resolved.
    services: BTreeMap<String, Value>,
    /// The names they get.
    names: BTreeMap<String, String>,
    /// Services that run to an end.
    jobs: BTreeSet<String>,
    /// Named volumes of more than one service.
    common_volumes: BTreeSet<String>,
    /// The directory of the compose file, relative to the project.
    directory: PathBuf,
    /// The variables of `.env`.
    known: BTreeMap<String, String>,
    files: &'a dyn ProjectFiles,
}

/// Converts `root`, read from `file` (relative to the project), for the project `name`.
pub(super) fn convert(
    root: &Value,
    file: &Path,
    name: &str,
    known: BTreeMap<String, String>,
    files: &dyn ProjectFiles,
) -> Conversion {
    let shared = Shared::of(root, file, known, files);
    let own_name = root.get("name").and_then(Value::text);
    let own_name = own_name.map(|text| interpolate(text, &shared.known).text);
    let mut conversion = Conversion {
        draft: Draft {
            name: own_name
                .and_then(|name| names::label(&name))
                .unwrap_or_else(|| name.to_owned()),
            head: vec![format!("Written by `devenv init` from {}.", file.display())],
            ..Draft::default()
        },
        not_converted: Vec::new(),
        secrets: Vec::new(),
    };
    // In the order of the file: its author put together what belongs together.
    for (service, _) in root.get("services").map(Value::entries).unwrap_or_default() {
        let mut converted = service::convert(service, &shared);
        conversion.secrets.extend(converted.secrets.take());
        tell(&converted.not_converted, &mut converted.part);
        conversion
            .not_converted
            .append(&mut converted.not_converted);
        if shared.jobs.contains(service) {
            conversion.draft.tasks.push(converted.part);
        } else {
            conversion.draft.services.push(converted.part);
        }
    }
    top_level(root, file, files, &mut conversion);
    conversion
}

/// Writes what is not converted into its place.
fn tell(not_converted: &[NotConverted], part: &mut Part) {
    for item in not_converted {
        part.comment(format!(
            "not converted: {}: {}; {}",
            item.key, item.what, item.help
        ));
    }
}

fn top_level(root: &Value, file: &Path, files: &dyn ProjectFiles, conversion: &mut Conversion) {
    let mut add = |key: &str, what: String, help: &str| {
        let item = NotConverted {
            service: None,
            key: key.to_owned(),
            what,
            help: help.to_owned(),
        };
        conversion.draft.tail.push(format!(
            "not converted: {}: {}; {}",
            item.key, item.what, item.help
        ));
        conversion.not_converted.push(item);
    };
    for (key, help) in TOP_LEVEL {
        if let Some(value) = root.get(key).filter(|value| **value != Value::Null) {
            let names: Vec<&str> = value
                .entries()
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let what = if names.is_empty() {
                "the whole".to_owned()
            } else {
                names.join(", ")
            };
            add(key, what, help);
        }
    }
    for (name, volume) in root.get("volumes").map(Value::entries).unwrap_or_default() {
        if volume.get("external").is_some() || volume.get("driver_opts").is_some() {
            let help =
                "the services get a new, empty volume: copy the data into it if it is needed";
            add("volumes", format!("{name} has settings of its own"), help);
        }
    }
    let stem = file.with_extension("");
    for extension in ["yml", "yaml"] {
        let other = PathBuf::from(format!("{}.override.{extension}", stem.display()));
        if files.is_file(&other) {
            let help = "put its values into devenv.local.yaml, or into a profile";
            add(
                "override",
                format!("{} was not read", other.display()),
                help,
            );
        }
    }
}

impl<'a> Shared<'a> {
    fn of(
        root: &Value,
        file: &Path,
        known: BTreeMap<String, String>,
        files: &'a dyn ProjectFiles,
    ) -> Self {
        let raw = root.get("services").map(Value::entries).unwrap_or_default();
        let services: BTreeMap<String, Value> = raw
            .iter()
            .map(|(name, value)| (name.clone(), extended(value, raw, raw.len())))
            .collect();
        let mut taken = BTreeSet::new();
        let names = raw.iter().map(|(name, _)| {
            let wanted = names::label(name).unwrap_or_else(|| "service".to_owned());
            (name.clone(), names::unique(&wanted, &mut taken))
        });
        Self {
            names: names.collect(),
            jobs: jobs(&services),
            common_volumes: storage::shared(&services),
            services,
            directory: file.parent().unwrap_or(Path::new("")).to_path_buf(),
            known,
            files,
        }
    }

    /// A path of the compose file, relative to the project; `None` if it leads out of it.
    fn inner(&self, path: &str) -> Option<PathBuf> {
        let mut inner = PathBuf::new();
        for part in self.directory.join(path).components() {
            match part {
                Component::Normal(part) => inner.push(part),
                Component::CurDir => {}
                Component::ParentDir => {
                    if !inner.pop() {
                        return None;
                    }
                }
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        if inner.as_os_str().is_empty() {
            inner.push(".");
        }
        (!path.starts_with('~')).then_some(inner)
    }
}

/// A service over the one of the same file that it extends.
fn extended(service: &Value, all: &[(String, Value)], depth: usize) -> Value {
    let extends = service.get("extends");
    let is_elsewhere = extends.is_some_and(|extends| extends.get("file").is_some());
    let name = extends.and_then(|extends| extends.get("service").unwrap_or(extends).text());
    let base = all
        .iter()
        .find(|(other, _)| Some(other.as_str()) == name && !is_elsewhere && depth > 0);
    match base {
        None => service.clone(),
        Some((_, base)) => {
            let own = service
                .entries()
                .iter()
                .filter(|(key, _)| key != "extends")
                .cloned()
                .collect();
            laid_over(&extended(base, all, depth - 1), &Value::Map(own))
        }
    }
}

/// Maps merge, lists are joined, the rest replaces.
fn laid_over(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Map(entries), Value::Map(others)) => {
            let mut entries = entries.clone();
            for (key, value) in others {
                match entries.iter_mut().find(|(name, _)| name == key) {
                    Some((_, base)) => *base = laid_over(base, value),
                    None => entries.push((key.clone(), value.clone())),
                }
            }
            Value::Map(entries)
        }
        (Value::List(items), Value::List(others)) => {
            Value::List(items.iter().chain(others).cloned().collect())
        }
        _ => over.clone(),
    }
}

/// Services that others wait for to end.
fn jobs(services: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let conditions = services
        .values()
        .filter_map(|service| service.get("depends_on"));
    let ended = conditions.flat_map(Value::entries).filter(|(_, value)| {
        value.get("condition").and_then(Value::text) == Some("service_completed_successfully")
    });
    ended.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
