//! A draft from the Dockerfiles of a directory.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    dockerfile,
    draft::{Draft, Part},
    names,
    yaml::Value,
};
use crate::domain::ProjectFiles;

/// Where Dockerfiles are looked for.
const PATTERNS: [&str; 3] = ["Dockerfile", "*/Dockerfile", "*/*/Dockerfile"];
/// Directories that hold what others wrote.
const SKIPPED: [&str; 3] = ["node_modules", "vendor", "target"];

/// The draft of the project `name`: a service for each directory with a Dockerfile, or an example.
pub(super) fn draft(name: &str, files: &dyn ProjectFiles) -> Draft {
    let mut draft = Draft {
        name: name.to_owned(),
        ..Draft::default()
    };
    let mut taken = BTreeSet::new();
    for file in dockerfiles(files) {
        draft.services.push(service(&file, name, &mut taken, files));
    }
    if draft.services.is_empty() {
        draft.tail = EXAMPLE.map(str::to_owned).to_vec();
    } else {
        draft.head = vec![
            "Written by `devenv init` from the Dockerfiles. See it with `devenv plan`, start it with `devenv up`."
                .to_owned(),
        ];
    }
    draft
}

/// What a manifest without services says.
const EXAMPLE: [&str; 13] = [
    "There was no Dockerfile and no compose file. A service is made of one of `build`, `image`, `chart` and",
    "`manifests`. Put it in the place of the `{}` above, without the `# `:",
    "",
    "services:",
    "  db:",
    "    image: postgres:17",
    "    ports: [5432]",
    "    ready: { tcp: 5432 }",
    "  api:",
    "    build: services/api             # a directory with a Dockerfile",
    "    ports: [8080]",
    "    expose: api.localhost           # http://api.localhost:8080 on this machine",
    "    dependsOn: [db]",
];

fn dockerfiles(files: &dyn ProjectFiles) -> Vec<PathBuf> {
    let found = PATTERNS
        .iter()
        .flat_map(|pattern| files.glob(pattern).unwrap_or_default());
    let is_own = |path: &PathBuf| {
        path.components().all(|part| {
            let part = part.as_os_str().to_string_lossy();
            !part.starts_with('.') && !SKIPPED.contains(&&*part)
        })
    };
    found.filter(is_own).collect()
}

fn service(
    file: &Path,
    project: &str,
    taken: &mut BTreeSet<String>,
    files: &dyn ProjectFiles,
) -> Part {
    let directory = file.parent().unwrap_or(Path::new(""));
    let context = match directory.to_str() {
        Some("") | None => ".".to_owned(),
        Some(directory) => directory.to_owned(),
    };
    let wanted = directory
        .file_name()
        .and_then(|name| names::label(&name.to_string_lossy()));
    let name = names::unique(wanted.as_deref().unwrap_or(project), taken);
    let image = dockerfile::read(&files.read(file).unwrap_or_default(), None);
    let mut part = Part {
        name: name.clone(),
        above: image.language.map(str::to_owned).into_iter().collect(),
        ..Part::default()
    };
    part.key("build", Value::of(context));
    let port = image.ports.first().map_or(8080, |port| port.get());
    if image.ports.is_empty() {
        part.comment("The Dockerfile has no EXPOSE: write the port the process listens on.");
        part.comment(format!("ports: [{port}]"));
    } else {
        part.key(
            "ports",
            Value::list(image.ports.iter().map(ToString::to_string)),
        );
    }
    part.comment(
        "ready: { http: /healthz }        # without it: ready when it runs; or { tcp: PORT }",
    );
    part.comment(format!(
        "expose: {name}.localhost         # reachable from this machine by this name"
    ));
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::MemoryFiles;

    #[test]
    fn every_directory_with_a_dockerfile_is_a_service() {
        let files = MemoryFiles::default()
            .file("Dockerfile", "FROM scratch\n")
            .file("services/My_API/Dockerfile", "FROM node:22\nEXPOSE 3000\n")
            .file("web/Dockerfile", "FROM nginx\nEXPOSE 80\n")
            .file("a/b/c/Dockerfile", "")
            .file(".hidden/Dockerfile", "")
            .file("web/node_modules/Dockerfile", "");
        let draft = draft("shop", &files);
        assert_eq!(draft.service_names(), ["shop", "web", "my-api"]);
        let text = draft.text("s.json");
        assert!(
            text.contains(
                "  # Node.js\n  my-api:\n    build: services/My_API\n    ports: [3000]\n"
            ),
            "{text}"
        );
        let loaded = files.file("devenv.yaml", &text).load();
        assert!(loaded.is_ok(), "{text}");
    }

    #[test]
    fn without_a_dockerfile_the_manifest_is_empty_and_its_example_is_right() {
        let text = draft("shop", &MemoryFiles::default()).text("s.json");
        assert!(MemoryFiles::with_manifest(&text).load().is_ok(), "{text}");
        let (head, example) = text.split_once("services: {}").unwrap();
        let example: String = example
            .lines()
            .skip_while(|line| *line != "# services:")
            .map(|line| format!("{}\n", &line[2..]))
            .collect();
        let files = MemoryFiles::with_manifest(&format!("{head}{example}"))
            .file("services/api/Dockerfile", "");
        assert!(files.load().is_ok(), "{head}{example}");
    }
}
