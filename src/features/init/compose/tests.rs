//! Compose files as people write them: what they come to, and that it loads.

use std::path::Path;

use super::super::create::{converted, loadable};
use crate::{
    domain::Environment,
    manifest::testing::{DIRECTORY, MemoryFiles, render},
};

/// The directory around a compose file.
fn project(compose: &str) -> MemoryFiles {
    let dockerfile = "FROM node:22\nEXPOSE 4000\n";
    MemoryFiles::default()
        .file("docker-compose.yml", compose)
        .file("Dockerfile", dockerfile)
        .file("vote/Dockerfile", "FROM python:3 AS dev\n")
        .file("result/Dockerfile", dockerfile)
        .file(
            "worker/Dockerfile",
            "FROM mcr.microsoft.com/dotnet/sdk:9.0\n",
        )
        .file("docker/web.Dockerfile", "FROM python:3 AS dev\nFROM dev\n")
        .file(".env.app", "APP_KEY=1\n")
        .file(".env", "APP_ENV=test\n")
        .file("traefik.yml", "")
}

/// The manifest, what is not converted, and the names in files of secrets; the manifest loads.
fn outcome(compose: &str) -> (String, Environment) {
    let files = project(compose);
    let conversion = converted(Path::new("docker-compose.yml"), "shop", &files).unwrap();
    let loaded = loadable(
        conversion,
        Path::new("devenv.yaml"),
        Path::new(DIRECTORY),
        &files,
    );
    let (conversion, manifest) = loaded.map_err(|failures| render(&failures)).unwrap();
    let mut all = files.file("devenv.yaml", &manifest);
    let mut text = manifest;
    for secret in &conversion.secrets {
        text.push_str(&format!(
            "--- {}: {}\n",
            secret.path.display(),
            secret.names.join(", ")
        ));
        all = all.file(&secret.path.display().to_string(), &secret.text);
    }
    for item in &conversion.not_converted {
        let service = item.service.as_deref().unwrap_or("-");
        text.push_str(&format!("! {service} {}: {}\n", item.key, item.what));
    }
    let environment = all
        .load()
        .map_err(|failures| render(&failures))
        .unwrap()
        .environment;
    (text, environment)
}

macro_rules! fixtures {
    ($($name:ident: $services:literal,)*) => {$(
        #[test]
        fn $name() {
            let (text, environment) = outcome(include_str!(concat!(
                "../../../../tests/fixtures/compose/",
                stringify!($name),
                ".yml"
            )));
            assert_eq!(environment.services.len(), $services, "{text}");
            insta::with_settings!({
                prepend_module_to_snapshot => false,
                snapshot_path => "../../../../tests/fixtures/compose/expected",
            }, { insta::assert_snapshot!(stringify!($name), text); });
        }
    )*};
}

fixtures! {
    voting: 5,
    rails: 4,
    django: 2,
    unsupported: 4,
    microservices: 4,
    monitoring: 2,
}

#[test]
fn secrets_stay_out_of_the_manifest() {
    for compose in [
        include_str!("../../../../tests/fixtures/compose/rails.yml"),
        include_str!("../../../../tests/fixtures/compose/django.yml"),
    ] {
        let (text, _) = outcome(compose);
        for secret in ["hunter2", "abc123", "root!"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_file_that_is_none_of_compose_is_refused_with_its_place() {
    for (text, line) in [
        ("a: 1\n", None),
        ("services: [\n", Some(1)),
        ("services: {}\n", None),
    ] {
        let refused = converted(Path::new("docker-compose.yml"), "shop", &project(text));
        let failure = refused.unwrap_err().failure();
        assert_eq!(failure.code.0, "init.not-compose", "{text}");
        assert_eq!(failure.place.map(|place| place.line), line, "{text}");
    }
}
