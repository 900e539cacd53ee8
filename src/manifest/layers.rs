//! Reads the files of a project, in the order in which they are laid over each other.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Request,
    conform::conform,
    merge::merge,
    normal::normalise,
    problem::{Findings, Problem, suggestions},
    shape::{PROFILE, Shape},
    source::Sources,
    tree::{Map, Node, Origin, Value},
    yaml::{self, YamlProblem},
};
use crate::domain::{
    BranchName, DatasetName, Failure, Failures, ProfileName, ProjectFiles, ServiceName,
};

/// The name of the manifest file.
pub(super) const MANIFEST_FILE: &str = "devenv.yaml";
/// Bytes; a manifest is written by people.
const LARGEST: u64 = 10 * 1024 * 1024;

/// What can be wrong before a file is parsed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("there is no `{file}` in {directory}")]
    NotFound { file: String, directory: String },
    #[error("`{file}` is a directory, not a file")]
    Directory { file: String },
    #[error("`{file}` is a pipe, a socket or a device, not a file")]
    Special { file: String },
    #[error("`{file}` is not UTF-8 text")]
    NotText { file: String },
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable { file: String, reason: String },
    #[error("`{file}` is larger than {} MB", LARGEST / 1024 / 1024)]
    TooLarge { file: String },
    #[error("`{file}` is a manifest of the Nix-based tool that is also called devenv")]
    OtherTool { file: String },
    #[error("there is no profile `{name}`")]
    UnknownProfile { name: String, known: Vec<String> },
    #[error("profiles extend each other in a circle: {}", circle.join(" -> "))]
    ProfileCycle { circle: Vec<String> },
}

impl Problem for FileProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "manifest.not-found",
            Self::Directory { .. }
            | Self::Special { .. }
            | Self::NotText { .. }
            | Self::Unreadable { .. } => "manifest.unreadable",
            Self::TooLarge { .. } => "manifest.too-complex",
            Self::OtherTool { .. } => "manifest.other-tool",
            Self::UnknownProfile { .. } => "manifest.unknown-profile",
            Self::ProfileCycle { .. } => "manifest.profile-cycle",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::NotFound { .. } => {
                "`devenv init` writes one; or name the project's directory with `-C`, the file with `-f`"
            }
            Self::Directory { .. } => "name the file itself with `-f`",
            Self::Special { .. } => {
                "it is read again after each change: write it to a file, and name that with `-f`"
            }
            Self::NotText { .. } => "save it as UTF-8",
            Self::Unreadable { .. } => "make it readable for you",
            Self::TooLarge { .. } => "keep data out of it, and split it into profiles",
            Self::OtherTool { .. } => {
                "keep it, write this tool's manifest to another file, and name that: `devenv -f devenv.k8s.yaml up`"
            }
            Self::UnknownProfile { name, known } => {
                let mut help = suggestions(name, known.iter().map(String::as_str), "profiles");
                if known.is_empty() {
                    help.push(format!("write it to `profiles/{name}.yaml`"));
                }
                return help;
            }
            Self::ProfileCycle { .. } => "remove one of these from an `extends`",
        };
        vec![help.to_owned()]
    }
}

/// `only:` of the last profile that has it: names and where they are written.
pub(super) type Only = Vec<(ServiceName, Origin)>;

/// `dataset:` of the last profile that has it, and where it is written.
pub(super) type NamedDataset = (DatasetName, Origin);

/// The layers of a project, merged.
pub(super) struct Layers {
    pub(super) root: Node,
    pub(super) only: Option<Only>,
    pub(super) dataset: Option<NamedDataset>,
}

/// Reads and merges the manifest, its profiles and its overlays. Nulls are still in it.
pub(super) fn gather(
    request: &Request,
    files: &dyn ProjectFiles,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Result<Option<Layers>, Failures> {
    let written = each(request, files, sources, findings)?;
    Ok(written.and_then(|written| {
        let root = written.layers.into_iter().reduce(merge)?;
        Some(Layers {
            root,
            only: written.only,
            dataset: written.dataset,
        })
    }))
}

/// The layers of a project, in the order in which they are laid over each other.
pub(super) struct Written {
    pub(super) layers: Vec<Node>,
    only: Option<Only>,
    dataset: Option<NamedDataset>,
}

/// The file of the overlay that is not committed, beside a manifest.
pub(super) fn local_file(manifest: &Path) -> PathBuf {
    manifest.with_extension("local.yaml")
}

/// The file of a branch's overlay, relative to the project.
pub(super) fn branch_file(branch: &BranchName) -> PathBuf {
    PathBuf::from(format!(".devenv/branches/{}.yaml", branch.as_str()))
}

/// The file of a profile, relative to the project.
pub(super) fn profile_file(name: &ProfileName) -> PathBuf {
    PathBuf::from(format!("profiles/{name}.yaml"))
}

/// Reads the layers; `None` where one has no tree.
pub(super) fn each(
    request: &Request,
    files: &dyn ProjectFiles,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Result<Option<Written>, Failures> {
    let file = request
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(MANIFEST_FILE));
    let mut reader = Reader {
        request,
        files,
        sources,
        findings,
        visited: Vec::new(),
        open: Vec::new(),
        layers: Vec::new(),
        only: None,
        dataset: None,
        is_broken: false,
    };
    reader.manifest(&file)?;
    for name in &request.profiles {
        reader.profile(name, None);
    }
    if let Some(branch) = &request.branch {
        reader.overlay(&branch_file(branch))?;
    }
    reader.overlay(&local_file(&file))?;
    if reader.is_broken {
        return Ok(None);
    }
    Ok(Some(Written {
        layers: reader.layers,
        only: reader.only,
        dataset: reader.dataset,
    }))
}

struct Reader<'a> {
    request: &'a Request,
    files: &'a dyn ProjectFiles,
    sources: &'a mut Sources,
    findings: &'a mut Findings,
    /// Profiles already laid.
    visited: Vec<ProfileName>,
    /// Profiles whose `extends` is being followed.
    open: Vec<ProfileName>,
    layers: Vec<Node>,
    only: Option<Only>,
    dataset: Option<NamedDataset>,
    /// A file has no tree: nothing can be said about the whole.
    is_broken: bool,
}

impl Reader<'_> {
    fn manifest(&mut self, file: &Path) -> Result<(), Failures> {
        let text = match read(self.files, file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let problem = FileProblem::NotFound {
                    file: file.display().to_string(),
                    directory: self.request.directory.display().to_string(),
                };
                return Err(problem.failure().into());
            }
            Err(error) => return Err(unreadable(file, &error).into()),
        };
        let file = self.shown(file);
        let source = self.sources.add(&file, text);
        let before = self.findings.len();
        let Some(node) = yaml::parse(self.sources.text(source), source, self.findings) else {
            self.is_broken = true;
            if self.findings.len() == before {
                self.findings
                    .add(&YamlProblem::Empty, "", Origin::start_of(source));
            }
            return Ok(());
        };
        if is_of_other_tool(&node, self.files) {
            let problem = FileProblem::OtherTool {
                file: file.display().to_string(),
            };
            let place = self.sources.place(node.origin);
            return Err(problem.failure().at(Some(place)).into());
        }
        let is_empty = matches!(&node.value, Value::Null)
            || node.as_map().is_some_and(|map| map.entries.is_empty());
        if is_empty {
            self.is_broken = true;
            self.findings
                .add(&YamlProblem::Empty, "", Origin::start_of(source));
            return Ok(());
        }
        self.lay(node, &file);
        Ok(())
    }

    /// Lays a file over the others, if there is one.
    fn overlay(&mut self, file: &Path) -> Result<(), Failures> {
        let text = match read(self.files, file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(file, &error).into()),
        };
        let file = self.shown(file);
        if let Some(node) = self.parse_overlay(&file, text) {
            self.lay(node, &file);
        }
        Ok(())
    }

    /// Lays a profile and those it extends. `from` is where it is named, unless that is a flag.
    fn profile(&mut self, name: &ProfileName, from: Option<Origin>) {
        if let Some(at) = self.open.iter().position(|open| open == name) {
            let circle = self.open[at..].iter().chain([name]);
            let circle = circle.map(ToString::to_string).collect();
            self.add(&FileProblem::ProfileCycle { circle }, from);
            return;
        }
        if self.visited.contains(name) {
            return;
        }
        self.visited.push(name.clone());
        let file = profile_file(name);
        let text = match read(self.files, &file) {
            Ok(text) => text,
            Err(error) => {
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                self.is_broken |= from.is_none() || !is_missing;
                if is_missing {
                    let known = profiles(self.files);
                    let name = name.to_string();
                    self.add(&FileProblem::UnknownProfile { name, known }, from);
                } else {
                    self.add(&unreadable_problem(&file, &error), from);
                }
                return;
            }
        };
        let Some(mut node) = self.parse_overlay(&file, text) else {
            return;
        };
        let header = node.as_map_mut().map(take_header).unwrap_or_default();
        let extends = names(&header, "extends");
        let only = header.has("only").then(|| names(&header, "only"));
        let dataset = header.get("dataset").and_then(named);
        let header = Node::new(Value::Map(header), node.origin);
        conform(&header, &PROFILE, self.findings);
        self.open.push(name.clone());
        for (other, at) in extends {
            self.profile(&other, Some(at));
        }
        self.open.pop();
        self.only = only.or(self.only.take());
        self.dataset = dataset.or(self.dataset.take());
        self.lay(node, &file);
    }

    fn parse_overlay(&mut self, file: &Path, text: String) -> Option<Node> {
        let source = self.sources.add(file, text);
        let before = self.findings.len();
        let node = yaml::parse(self.sources.text(source), source, self.findings);
        // An empty overlay changes nothing.
        self.is_broken |= node.is_none() && self.findings.len() > before;
        node.filter(|node| node.value != Value::Null)
    }

    fn lay(&mut self, mut node: Node, file: &Path) {
        if node.as_map().is_none() {
            self.is_broken = true;
            let problem = YamlProblem::NotAMap {
                path: file.display().to_string(),
                found: node.to_string(),
            };
            self.findings.add(&problem, "", node.origin);
            return;
        }
        normalise(&mut node);
        self.layers.push(node);
    }

    fn add(&mut self, problem: &FileProblem, from: Option<Origin>) {
        self.findings.add(problem, problem.to_string(), from);
    }

    /// The file as it is shown: relative to the project where it is inside it.
    fn shown(&self, file: &Path) -> PathBuf {
        file.strip_prefix(&self.request.directory)
            .unwrap_or(file)
            .to_path_buf()
    }
}

/// The names of the profiles that a project has, sorted.
pub fn profiles(files: &dyn ProjectFiles) -> Vec<String> {
    let files = files.glob("profiles/*.yaml").unwrap_or_default();
    let stem = |file: &PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    files.iter().filter_map(stem).collect()
}

/// What a profile says beside the manifest's keys: `description`, `extends`, `only`, `dataset`; `None` if it is broken.
pub fn profile_header(name: &ProfileName, files: &dyn ProjectFiles) -> Option<serde_json::Value> {
    let file = profile_file(name);
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let source = sources.add(&file, read(files, &file).ok()?);
    let mut node = yaml::parse(sources.text(source), source, &mut findings)?;
    let header = take_header(node.as_map_mut()?);
    let header = Node::new(Value::Map(header), node.origin);
    conform(&header, &PROFILE, &mut findings)
}

/// The text of a file that people write, without a byte order mark.
pub(super) fn read(files: &dyn ProjectFiles, file: &Path) -> io::Result<String> {
    if files.is_directory(file) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if files.length(file)? > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let text = files.read(file)?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Why a file could not be [`read`].
pub(super) fn unreadable_problem(file: &Path, error: &io::Error) -> FileProblem {
    let file = file.display().to_string();
    match error.kind() {
        io::ErrorKind::IsADirectory => FileProblem::Directory { file },
        io::ErrorKind::InvalidInput => FileProblem::Special { file },
        io::ErrorKind::InvalidData => FileProblem::NotText { file },
        io::ErrorKind::FileTooLarge => FileProblem::TooLarge { file },
        _ => FileProblem::Unreadable {
            file,
            reason: error.to_string(),
        },
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    unreadable_problem(file, error).failure()
}

/// The items of a list that are names; the others are reported by the shape.
fn names<T: std::str::FromStr>(header: &Map, key: &str) -> Vec<(T, Origin)> {
    let Some(Value::List(items)) = header.get(key).map(|node| &node.value) else {
        return Vec::new();
    };
    items.iter().filter_map(named).collect()
}

/// A name and where it is written; what is none is reported by the shape.
fn named<T: std::str::FromStr>(node: &Node) -> Option<(T, Origin)> {
    Some((node.as_scalar()?.text.parse().ok()?, node.origin))
}

/// Takes the keys that only profiles have.
fn take_header(map: &mut Map) -> Map {
    let mut header = Map::default();
    if let Shape::Object(profile) = &*PROFILE {
        for key in profile.keys.keys() {
            header.entries.extend(map.remove(key));
        }
    }
    header
        .entries
        .retain(|entry| entry.node.value != Value::Null);
    header
}

/// Keys that only the other tool's manifests have.
const KEYS_OF_OTHER_TOOL: [&str; 6] = [
    "inputs",
    "imports",
    "allowUnfree",
    "allowBroken",
    "nixpkgs",
    "permittedInsecurePackages",
];

fn is_of_other_tool(root: &Node, files: &dyn ProjectFiles) -> bool {
    let Some(map) = root.as_map() else {
        return false;
    };
    if map.has("apiVersion") {
        return false;
    }
    KEYS_OF_OTHER_TOOL.iter().any(|key| map.has(key))
        || (!map.has("services") && files.is_file(Path::new("devenv.nix")))
}
