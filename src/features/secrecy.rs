//! What must never be said: the secrets of files, and those that are written in the manifest itself.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    adapters::{files, kube::objects_in},
    domain::{Environment, Failure, ImageName, Service, Source, conceal},
    manifest,
    report::Redactor,
};

/// The longest word that is left alone, in bytes.
const LONGEST_WORD: usize = 12;
/// A line of a build's secret that is shorter is in too many sentences, in bytes.
const SHORTEST_LINE: usize = 8;
/// A larger file is no login, in bytes: authorities that are trusted, say, which everybody may know.
const LARGEST_LOGIN: usize = 16 * 1024;

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
    let images = workloads().map(|workload| &workload.image);
    for image in images.chain(environment.tasks.values().map(|task| &task.image)) {
        hide_build_secrets(image, redactor);
    }
    for service in environment.services.values() {
        let written = match &service.source {
            Source::Workload(workload) => json!([
                workload.env,
                workload.command,
                workload.args,
                args_of(&workload.image)
            ]),
            Source::Chart(chart) => {
                let files = chart.values_files.iter().flat_map(|path| documents(path));
                files.for_each(|values| hide(values, redactor));
                chart.values.clone()
            }
            Source::Manifests(paths) => {
                let objects = paths.iter().flat_map(|path| documents(path));
                objects.for_each(|object| hide_object(object, redactor));
                continue;
            }
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

/// Hides what a build is given as secrets, line by line as its log would say it, with the passwords of URLs and with what
/// stands last in each: the token of `registry/:_authToken=...` and the password of `machine ... password ...`.
fn hide_build_secrets(image: &ImageName, redactor: &Redactor) {
    let ImageName::Build(build) = image else {
        return;
    };
    // A file that cannot be read is the affair of `up`.
    let texts = build
        .secrets
        .values()
        .filter_map(|path| files::read_text(path).ok());
    for text in texts.filter(|text| text.len() <= LARGEST_LOGIN) {
        for line in text.lines().map(str::trim) {
            hide(line.into(), redactor);
            let last = line.rsplit(['=', ':', ' ', '\t']).next().unwrap_or(line);
            for secret in [line, last] {
                if secret.len() >= SHORTEST_LINE {
                    register(secret, redactor);
                }
            }
        }
    }
}

/// The documents of a YAML file; none of one that cannot be read, which is the affair of `up`.
fn documents(path: &Path) -> Vec<Value> {
    let text = files::read_text(path).unwrap_or_default();
    objects_in(&text).unwrap_or_default()
}

/// Hides what a Kubernetes object holds: all values of a Secret, and of others those whose names say so.
pub(super) fn hide_object(object: Value, redactor: &Redactor) {
    if object["kind"] == "Secret" {
        for key in ["stringData", "data"] {
            let values = object[key].as_object().into_iter().flatten();
            for text in values.filter_map(|(_, value)| value.as_str()) {
                register(text, redactor);
                let decoded = BASE64.decode(text).ok().filter(|_| key == "data");
                if let Some(decoded) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
                    register(&decoded, redactor);
                }
            }
        }
    }
    hide(object, redactor);
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
    for secret in conceal(&mut written) {
        register(&secret, redactor);
    }
}

fn register(secret: &str, redactor: &Redactor) {
    let is_word = secret.len() <= LONGEST_WORD && secret.chars().all(char::is_alphabetic);
    if !is_word {
        redactor.register(secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Chart, ChartOrigin,
        testing::{environment, name},
    };

    #[test]
    fn what_a_build_is_given_as_a_secret_is_hidden_by_line_and_by_last_word() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("npmrc");
        let text = "//shop.test/:_authToken=build-secret-1\nalways-auth=true\n\
                    proxy=http://me:build-secret-2@proxy.test/\n";
        files::write_private(&path, text.as_bytes()).unwrap();
        let mut environment = environment(&[("order", &[])]);
        let order = environment.services.get_mut(&name("order")).unwrap();
        let Source::Workload(workload) = &mut order.source else {
            panic!("the sample is no workload");
        };
        let ImageName::Build(build) = &mut workload.image else {
            panic!("the sample is built");
        };
        build.secrets.insert("npmrc".to_owned(), path);
        let redactor = Redactor::default();
        hide_secrets(&environment, &redactor);
        assert_eq!(redactor.text("token build-secret-1"), "token [redacted]");
        assert_eq!(redactor.text("build-secret-2"), "[redacted]");
        assert_eq!(redactor.text("it is true"), "it is true");
    }

    #[test]
    fn secrets_of_values_files_and_of_plain_objects_are_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = directory.path().join(file);
            files::write_private(&path, text.as_bytes()).unwrap();
            vec![path]
        };
        let encoded = BASE64.encode("decoded-secret");
        let objects = write(
            "objects.yaml",
            &format!(
                "kind: ConfigMap\ndata: {{ colour: only-a-colour, API_TOKEN: named-secret }}\n---\n\
                 kind: Secret\ndata: {{ any: {encoded} }}\nstringData: {{ other: written-secret, word: postgres }}\n"
            ),
        );
        let mut environment = environment(&[("chart", &[]), ("plain", &[])]);
        let source = |environment: &mut Environment, service: &str, source| {
            environment.services.get_mut(&name(service)).unwrap().source = source;
        };
        source(&mut environment, "plain", Source::Manifests(objects));
        let chart = Chart {
            origin: ChartOrigin::Path("/chart".into()),
            values: json!({ "adminPassword": "value-secret" }),
            values_files: write("values.yaml", "db: { password: file-secret }\n"),
        };
        source(&mut environment, "chart", Source::Chart(chart));
        let redactor = Redactor::default();
        hide_secrets(&environment, &redactor);
        for secret in [
            "decoded-secret",
            &encoded,
            "named-secret",
            "written-secret",
            "value-secret",
            "file-secret",
        ] {
            assert_eq!(redactor.text(secret), "[redacted]", "{secret}");
        }
        for open in ["only-a-colour", "postgres"] {
            assert_eq!(redactor.text(open), open);
        }
    }
}
