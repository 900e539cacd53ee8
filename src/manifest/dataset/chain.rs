//! Reads a dataset and those it extends, each as a tree with places.

use std::{io, path::PathBuf};

use crate::{
    domain::{DATASETS, DataFiles, Dataset, DatasetName, ExitClass, Failure, ProjectFiles},
    manifest::{
        layers,
        problem::{Findings, Problem, suggestions},
        source::Sources,
        tree::{Node, Origin, Value},
        yaml::{self, YamlProblem},
    },
};

/// The file that makes a directory below `datasets` a dataset.
const DATASET_FILE: &str = "dataset.yaml";

/// What can be wrong before a dataset is parsed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainProblem {
    #[error("there is no dataset `{name}`")]
    Unknown {
        name: DatasetName,
        known: Vec<String>,
    },
    #[error("datasets extend each other in a circle: {}", circle.join(" -> "))]
    Cycle { circle: Vec<String> },
    #[error("`{file}` says nothing")]
    Empty { file: String },
    #[error("`{DATASETS}/{text}` cannot be loaded: its name is not the name of a dataset")]
    InvalidName { text: String },
}

impl Problem for ChainProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "dataset.not-found",
            Self::Cycle { .. } => "dataset.cycle",
            Self::Empty { .. } => "dataset.empty",
            Self::InvalidName { .. } => "dataset.invalid-name",
        }
    }

    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Unknown { name, known } => {
                let mut help =
                    suggestions(name.as_str(), known.iter().map(String::as_str), "datasets");
                if known.is_empty() {
                    help.push(format!("write it to `{}`", file_of(name).display()));
                }
                return help;
            }
            Self::Cycle { .. } => "remove one of these `extends`".to_owned(),
            Self::Empty { .. } => {
                "write its `steps`, or a `description` if it stands for no data".to_owned()
            }
            Self::InvalidName { .. } => {
                "rename the directory: lower-case letters, digits and `-`".to_owned()
            }
        }]
    }
}

/// A dataset as it is written.
pub(super) struct Link {
    pub(super) name: DatasetName,
    /// `None` if it has no tree.
    pub(super) root: Option<Node>,
    pub(super) findings: Findings,
}

/// The dataset `name` and those it extends, from the top down, as far as they can be followed.
pub(super) fn read(
    name: &DatasetName,
    files: &dyn DataFiles,
    sources: &mut Sources,
) -> Result<Vec<Link>, Failure> {
    let mut links = vec![link(name, files, sources).map_err(|problem| problem.failure())?];
    while let Some((name, origin)) = links.last().and_then(extends) {
        let open = links.iter().position(|link| link.name == name);
        let next = match open {
            Some(open) => {
                let circle = links[open..].iter().map(|link| &link.name).chain([&name]);
                let circle = circle.map(ToString::to_string).collect();
                Err(ChainProblem::Cycle { circle }.into())
            }
            None => link(&name, files, sources),
        };
        match next {
            Ok(next) => links.push(next),
            Err(problem) => {
                if let Some(last) = links.last_mut() {
                    last.findings.add(&*problem, "extends", origin);
                }
                break;
            }
        }
    }
    Ok(links)
}

impl From<ChainProblem> for Box<dyn Problem> {
    fn from(problem: ChainProblem) -> Self {
        Box::new(problem)
    }
}

/// Reads a dataset's file.
fn link(
    name: &DatasetName,
    files: &dyn DataFiles,
    sources: &mut Sources,
) -> Result<Link, Box<dyn Problem>> {
    let file = file_of(name);
    let text = layers::read(files, &file).map_err(|error| -> Box<dyn Problem> {
        if error.kind() == io::ErrorKind::NotFound {
            Box::new(unknown(name, files))
        } else {
            Box::new(layers::unreadable_problem(&file, &error))
        }
    })?;
    let source = sources.add(&file, text);
    let mut findings = Findings::default();
    let root = yaml::parse(sources.text(source), source, &mut findings);
    let file = file.display().to_string();
    let root = match root {
        Some(root) if root.as_map().is_some_and(|map| !map.entries.is_empty()) => Some(root),
        Some(root) if !matches!(root.value, Value::Null | Value::Map(_)) => {
            let problem = YamlProblem::NotAMap {
                path: file,
                found: root.to_string(),
            };
            findings.add(&problem, "", root.origin);
            None
        }
        _ => {
            if findings.is_empty() {
                let origin = Origin::start_of(source);
                findings.add(&ChainProblem::Empty { file }, "", origin);
            }
            None
        }
    };
    Ok(Link {
        name: name.clone(),
        root,
        findings,
    })
}

/// The dataset that one extends, and where that is written.
fn extends(link: &Link) -> Option<(DatasetName, Origin)> {
    let node = link.root.as_ref()?.as_map()?.get("extends")?;
    Some((node.as_scalar()?.text.parse().ok()?, node.origin))
}

/// What there is to say about a name that no dataset has.
pub(super) fn unknown(name: &DatasetName, files: &dyn ProjectFiles) -> ChainProblem {
    let known = directories(files).unwrap_or_default();
    ChainProblem::Unknown {
        name: name.clone(),
        known: known
            .into_iter()
            .filter(|name| name.parse::<DatasetName>().is_ok())
            .collect(),
    }
}

/// Whether there is a dataset of this name.
pub(super) fn is_there(name: &DatasetName, files: &dyn ProjectFiles) -> bool {
    files.is_file(&file_of(name))
}

/// The names of the directories that hold a dataset, sorted; they need not be names of datasets.
pub(super) fn directories(files: &dyn ProjectFiles) -> io::Result<Vec<String>> {
    let directory = PathBuf::from(DATASETS);
    if !files.is_directory(&directory) {
        return Ok(Vec::new());
    }
    let mut names = files.names(&directory)?;
    names.retain(|name| files.is_file(&directory.join(name).join(DATASET_FILE)));
    Ok(names)
}

/// The failure of a directory whose name is not that of a dataset.
pub(super) fn unnamed(directory: &str) -> Failure {
    let text = directory.to_owned();
    ChainProblem::InvalidName { text }.failure()
}

fn file_of(name: &DatasetName) -> PathBuf {
    Dataset::directory_of(name).join(DATASET_FILE)
}

/// The failure of a directory of datasets that cannot be listed.
pub(super) fn unlisted(error: &io::Error) -> Failure {
    let what = format!("the directory `{DATASETS}` cannot be read");
    Failure::new("dataset.unreadable", ExitClass::Manifest, what)
        .because(error.to_string())
        .help("make it readable for you")
}
