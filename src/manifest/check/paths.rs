//! Files that a manifest names: are they there.

use std::path::{Path, PathBuf};

use super::Checker;
use crate::manifest::{
    builtin,
    format::InnerPath,
    problem::Problem,
    types::{BuildKeys, ServiceKeys},
};

/// What can be wrong with a path.
#[derive(Debug, thiserror::Error)]
enum PathProblem {
    #[error("`{path}` names a directory that does not exist: `{file}`")]
    NoDirectory { path: String, file: String },
    #[error("`{path}` names a file that does not exist: `{file}`")]
    NoFile { path: String, file: String },
    #[error("`{path}` names a directory without a Chart.yaml: `{file}`")]
    NoChart { path: String, file: String },
    #[error("`{path}` names files that do not exist: nothing matches `{pattern}`")]
    NoMatch { path: String, pattern: String },
    #[error("`{path}` cannot be looked up: {reason}")]
    Unreadable { path: String, reason: String },
}

impl Problem for PathProblem {
    fn code(&self) -> &'static str {
        "manifest.path-missing"
    }

    fn help(&self) -> Vec<String> {
        vec![
            match self {
                Self::NoFile { path, .. } if path.contains(".secrets") => {
                    "create it with its `KEY=value` lines, or remove it from the list"
                }
                Self::NoFile { path, .. } if path.contains(".build") => {
                    "write a Dockerfile there, or name it with `dockerfile`; it is relative to the context"
                }
                Self::Unreadable { .. } => "make the directory readable for you",
                _ => "paths are relative to the directory of the project",
            }
            .to_owned(),
        ]
    }
}

impl Checker<'_> {
    /// Checks the files of a service; gives those of its `manifests`.
    pub(super) fn service_paths(&mut self, service: &ServiceKeys, owner: &str) -> Vec<PathBuf> {
        self.build_paths(service.build.as_ref(), owner);
        self.secret_paths(&service.secrets, owner);
        if let Some(chart) = &service.chart {
            if let Some(directory) = &chart.path {
                self.chart_path(directory, &format!("{owner}.chart.path"));
            }
            self.each_file(&chart.values_files, &format!("{owner}.chart.valuesFiles"));
        }
        self.manifest_files(service, owner)
    }

    fn manifest_files(&mut self, service: &ServiceKeys, owner: &str) -> Vec<PathBuf> {
        let list = format!("{owner}.manifests");
        let mut found: Vec<PathBuf> = Vec::new();
        let patterns = service.manifests.as_deref().unwrap_or_default();
        for (path, pattern) in self.placed(patterns, &list) {
            let pattern = pattern.0.clone();
            match self.files.glob(&pattern) {
                Ok(files) if files.is_empty() => {
                    let problem = PathProblem::NoMatch {
                        path: path.clone(),
                        pattern,
                    };
                    self.report(&problem, &path);
                }
                Ok(files) => {
                    for file in files {
                        if !found.contains(&file) {
                            found.push(file);
                        }
                    }
                }
                Err(error) => {
                    let problem = PathProblem::Unreadable {
                        path: path.clone(),
                        reason: error.to_string(),
                    };
                    self.report(&problem, &path);
                }
            }
        }
        found
    }

    /// Checks the context, the Dockerfile and the secrets of a build.
    pub(super) fn build_paths(&mut self, build: Option<&BuildKeys>, owner: &str) {
        let Some(build) = build else { return };
        let path = format!("{owner}.build.context");
        let context = &build.context.0;
        if self.files.is_directory(context) {
            let dockerfile = build.dockerfile.as_ref().map_or_else(
                || Path::new(builtin::DOCKERFILE),
                |dockerfile| &dockerfile.0,
            );
            if self.intact(&format!("{owner}.build.dockerfile")) {
                self.file(
                    &context.join(dockerfile),
                    &format!("{owner}.build.dockerfile"),
                );
            }
        } else {
            let problem = PathProblem::NoDirectory {
                path: path.clone(),
                file: context.display().to_string(),
            };
            self.report(&problem, &path);
        }
        for (id, secret) in &build.secrets {
            self.file(&secret.0, &format!("{owner}.build.secrets.{id}"));
        }
    }

    /// Checks the files of `secrets`.
    pub(super) fn secret_paths(&mut self, secrets: &[InnerPath], owner: &str) {
        self.each_file(secrets, &format!("{owner}.secrets"));
    }

    fn each_file(&mut self, files: &[InnerPath], list: &str) {
        for (path, file) in self.placed(files, list) {
            self.file(&file.0, &path);
        }
    }

    fn file(&mut self, file: &Path, path: &str) {
        if !self.files.is_file(file) {
            let problem = PathProblem::NoFile {
                path: path.to_owned(),
                file: file.display().to_string(),
            };
            self.report(&problem, path);
        }
    }

    fn chart_path(&mut self, directory: &InnerPath, path: &str) {
        let file = directory.0.display().to_string();
        let path_text = path.to_owned();
        if !self.files.is_directory(&directory.0) {
            let problem = PathProblem::NoDirectory {
                path: path_text,
                file,
            };
            self.report(&problem, path);
        } else if !self.files.is_file(&directory.0.join("Chart.yaml")) {
            let problem = PathProblem::NoChart {
                path: path_text,
                file,
            };
            self.report(&problem, path);
        }
    }
}
