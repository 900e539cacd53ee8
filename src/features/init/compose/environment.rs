//! `environment` and `env_file` of a service: plain values, and files of secrets.

use super::service::Converter;
use crate::{
    domain::{is_secret, names_a_secret},
    features::init::{secrets::SecretFile, yaml::Value},
    manifest::parse_env_file,
};

/// `NAME: value` and `- NAME=value` alike; `None` where there is only a name.
pub(super) fn pairs(value: Option<&Value>) -> Vec<(String, Option<String>)> {
    match value {
        Some(Value::List(items)) => {
            let texts = items.iter().filter_map(Value::text);
            let pairs = texts.map(|text| match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text.to_owned(), None),
            });
            pairs.collect()
        }
        Some(map) => {
            let entries = map.entries().iter();
            entries
                .map(|(name, value)| (name.clone(), value.text().map(str::to_owned)))
                .collect()
        }
        None => Vec::new(),
    }
}

/// Converts both; gives the file for the values that are secrets.
pub(super) fn convert(converter: &mut Converter<'_>) -> Option<SecretFile> {
    let mut plain: Vec<(String, Value)> = Vec::new();
    let raw = pairs(converter.raw.get("environment"));
    for (name, value) in pairs(converter.get("environment")) {
        let Some(value) = value.or_else(|| converter.shared.known.get(&name).cloned()) else {
            let what = format!("`{name}` comes from the shell");
            converter.tell(
                "environment",
                &what,
                "write its value into `env`, or into devenv.local.yaml",
            );
            continue;
        };
        if !is_variable(&name) {
            converter.tell(
                "environment",
                &format!("`{name}` is no name of a variable"),
                "rename it",
            );
            continue;
        }
        let written = raw
            .iter()
            .rev()
            .find(|(other, _)| *other == name)
            .and_then(|(_, value)| value.as_deref());
        if is_secret(&name, &value)
            || (!value.is_empty() && uses_secret(written.unwrap_or_default()))
        {
            converter.secrets.insert(name, value);
        } else if let Some(entry) = plain.iter_mut().find(|(other, _)| *other == name) {
            entry.1 = Value::of(value);
        } else {
            plain.push((name, Value::of(value)));
        }
    }
    if !plain.is_empty() {
        converter.part.key("env", Value::Map(plain));
    }
    let mut files = env_files(converter);
    let pairs = std::mem::take(&mut converter.secrets);
    let secret = (!pairs.is_empty())
        .then(|| SecretFile::of(&converter.name, &pairs, converter.shared.files));
    files.extend(
        secret
            .iter()
            .map(|secret| secret.path.display().to_string()),
    );
    if let Some(secret) = &secret {
        converter
            .part
            .comment(format!("Not committed: {}.", secret.names.join(", ")));
    }
    if !files.is_empty() {
        converter.part.key("secrets", Value::list(files));
    }
    secret
}

/// The name of a variable as the manifest takes it.
fn is_variable(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_inner)
}

/// Whether a text as written takes a variable whose name says that it is a secret.
fn uses_secret(written: &str) -> bool {
    let names = written.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
    });
    let mut names = names.filter(|name| !name.is_empty());
    names.any(names_a_secret)
}

/// The files of `env_file` that can be read as they are.
fn env_files(converter: &mut Converter<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let entries = converter.get("env_file").cloned().unwrap_or(Value::Null);
    for entry in entries.items() {
        let Some(written) = entry.text().or_else(|| entry.get("path")?.text()) else {
            continue;
        };
        let Some(path) = converter.shared.inner(written) else {
            converter.tell(
                "env_file",
                &format!("{written} is outside of the project"),
                "move it into it, and name it in `secrets`",
            );
            continue;
        };
        let shown = path.display().to_string();
        match converter.shared.files.read(&path) {
            Ok(text) if parse_env_file(&text, &path).is_ok() => found.push(shown),
            Ok(_) => converter.tell(
                "env_file",
                &format!("{shown} has lines that are not `KEY=value`"),
                "mend them, and name it in `secrets`",
            ),
            Err(_) => converter.tell(
                "env_file",
                &format!("{shown} is not there"),
                "create it, and name it in `secrets`",
            ),
        }
    }
    found
}
