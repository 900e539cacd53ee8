//! Files that are not there or cannot be read.

use std::{fmt::Write as _, io, path::Path};

use crate::manifest::{
    NamedFiles, Request, find_project, load,
    testing::{DIRECTORY, MemoryFiles, render},
};

fn said(files: &MemoryFiles) -> String {
    render(&files.load().unwrap_err())
}

#[test]
fn a_missing_manifest_names_the_directory_and_what_writes_one() {
    let said = said(&MemoryFiles::default());
    assert!(said.starts_with("- manifest.not-found there is no `devenv.yaml` in /project\n"));
    assert!(said.contains("devenv init"), "{said}");
}

#[test]
fn files_that_are_no_text_are_told_apart() {
    let with = |kind| said(&MemoryFiles::default().broken("devenv.yaml", kind));
    assert!(
        with(io::ErrorKind::InvalidData).contains("manifest.unreadable `devenv.yaml` is not UTF-8")
    );
    assert!(with(io::ErrorKind::PermissionDenied).contains("cannot be read: permission denied"));
    let directory = MemoryFiles::default().file("devenv.yaml/x", "");
    assert!(said(&directory).contains("`devenv.yaml` is a directory"));
}

#[test]
fn a_file_of_more_than_ten_megabytes_is_refused() {
    let text = "a".repeat(10 * 1024 * 1024 + 1);
    let said = said(&MemoryFiles::with_manifest(&text));
    assert!(
        said.contains("manifest.too-complex `devenv.yaml` is larger than 10 MB"),
        "{said}"
    );
}

#[test]
fn anchors_that_multiply_are_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, below) in ('b'..='h').zip('a'..) {
        let items = vec![format!("*{below}"); 9].join(",");
        writeln!(text, "{name}: &{name} [{items}]").unwrap();
    }
    let said = said(&MemoryFiles::with_manifest(&text));
    assert!(said.contains("manifest.too-complex"), "{said}");
}

#[test]
fn the_other_tool_is_recognised_by_its_file_beside_the_manifest() {
    let files = MemoryFiles::with_manifest("impure: true\n").file("devenv.nix", "");
    assert!(said(&files).contains("manifest.other-tool"));
}

#[test]
fn the_project_is_the_nearest_directory_above_with_a_manifest() {
    let files = MemoryFiles::with_manifest("").file("a/b/devenv.yaml", "");
    let found = |start: &str| find_project(&Path::new(DIRECTORY).join(start), &files);
    assert_eq!(found("a/b/c"), Some(Path::new(DIRECTORY).join("a/b")));
    assert_eq!(found("a"), Some(DIRECTORY.into()));
    assert_eq!(find_project(Path::new("/elsewhere"), &files), None);
}

#[test]
fn whoever_deploys_nothing_needs_no_file_that_the_manifest_names() {
    let files = MemoryFiles::with_manifest(
        "apiVersion: devenv/v1\nname: x\nservices:\n\
         \x20 a: { build: gone, secrets: [.env.gone] }\n\
         \x20 b: { chart: { path: gone } }\n\
         \x20 c: { manifests: [gone/*.yaml] }\n",
    )
    .file("profiles/p.yaml", "dataset: gone\n");
    let failures = files.load_with(&["p"], &[]).unwrap_err();
    assert_eq!(failures.iter().count(), 5, "{}", render(&failures));
    let request = Request {
        directory: DIRECTORY.into(),
        profiles: vec!["p".parse().unwrap()],
        named_files: NamedFiles::Assumed,
        ..Request::default()
    };
    let environment = load(&request, &files).unwrap().environment;
    assert_eq!(environment.services.len(), 3);
}

#[test]
fn a_file_full_of_mistakes_is_answered_with_the_first_of_them() {
    let mut text = "apiVersion: devenv/v1\nname: x\nservices:\n".to_owned();
    for n in 0..2_000 {
        writeln!(text, "  s{n}: {{ image: i, dependsOn: [t{n}], wrong: 1 }}").unwrap();
    }
    let failures = MemoryFiles::with_manifest(&text).load().unwrap_err();
    assert!(failures.iter().count() <= 200);
    let last = failures.iter().last().unwrap();
    assert!(
        last.help
            .last()
            .unwrap()
            .ends_with("more mistakes are not shown")
    );
}
