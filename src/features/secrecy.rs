//! What must never be said: the secrets of files, and those that are written in the manifest itself.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    adapters::files,
    domain::{Environment, Failure, ImageName, Service, Source, conceal},
    manifest,
    report::Redactor,
};

/// The longest word that is left alone, in bytes.
const LONGEST_WORD: usize = 12;

/// The variables of `key=value` files, later files over earlier ones; their values are never printed from now on.
pub fn read_secrets(
    paths: &[PathBuf],
    redactor: &Redactor,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut secrets = BTreeMap::new();
    for path in paths {
        let text = files::read_text(path).map_err(|error| error.failure())?;
        secrets.extend(manifest::parse_env_file(&text, path)?);
    }
    for value in secrets.values() {
        redactor.register(value);
    }
    Ok(secrets)
}

/// Keeps the secrets of all services and tasks out of what is said from now on: services may say each other's.
pub fn hide_secrets(environment: &Environment, redactor: &Redactor) {
    let workloads = || environment.services.values().filter_map(Service::workload);
    let files = workloads().map(|workload| &workload.secrets);
    let files = files.chain(environment.tasks.values().map(|task| &task.secrets));
    for paths in files {
        // A file that cannot be read is the affair of `up`.
        let _ = read_secrets(paths, redactor);
    }
    for service in environment.services.values() {
        let written = match &service.source {
            Source::Workload(workload) => json!([
                workload.env,
                workload.command,
                workload.args,
                args_of(&workload.image)
            ]),
            Source::Chart(chart) => chart.values.clone(),
            Source::Manifests(_) => continue,
        };
        hide(written, redactor);
    }
    for task in environment.tasks.values() {
        hide(
            json!([task.env, task.command, args_of(&task.image)]),
            redactor,
        );
    }
}

const fn args_of(image: &ImageName) -> Option<&BTreeMap<String, String>> {
    match image {
        ImageName::Build(build) => Some(&build.args),
        ImageName::Reference(_) => None,
    }
}

/// Hides what is written in the manifest as a secret. Words such as `postgres` and `password` are none: they are in
/// too many sentences.
fn hide(mut written: Value, redactor: &Redactor) {
    let is_word =
        |text: &String| text.len() <= LONGEST_WORD && text.chars().all(char::is_alphabetic);
    for secret in conceal(&mut written) {
        if !is_word(&secret) {
            redactor.register(&secret);
        }
    }
}
