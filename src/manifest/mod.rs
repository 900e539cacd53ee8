//! devenv.yaml -> Environment: read with places, lay layers over each other, check, resolve.
//!
//! Called by `commands`. Knows only `domain`; reads files through `domain::ProjectFiles` and must not
//! touch anything else outside. The way of a manifest:
//!
//! ```text
//! yaml (text -> tree with places) -> normal (short forms written out) -> layers, merge, set (one tree)
//!   -> conform (tree x shape -> JSON + mistakes) -> types (JSON -> keys) -> check (mistakes) -> resolve
//! ```
//! Mistakes are collected on the whole way and reported at once. To add a key: its field with a doc
//! comment in `types`, its meaning in `resolve`, what must hold in `check`, a fixture of a bad manifest;
//! the shape, the schema and the reference page follow from the field.
//!
//! `dataset` reads datasets in the same way, `sanitize` rules for copies of data that leave the machine,
//! `policy` what a team allows.

mod builtin;
mod check;
pub mod config;
mod conform;
pub mod dataset;
mod env_file;
mod format;
mod layers;
mod merge;
mod normal;
mod places;
pub mod policy;
mod problem;
mod reference;
mod resolve;
pub mod sanitize;
mod schema;
mod set;
mod shape;
mod source;
mod tree;
mod types;
mod yaml;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use env_file::parse_env_file;
pub use layers::{profile_header, profiles};
pub use problem::{Mending, Mistake};
pub use reference::reference;
pub use schema::schema;

use self::{
    check::Checker,
    layers::{Layers, MANIFEST_FILE},
    places::Places,
    problem::Findings,
    resolve::Resolver,
    source::Sources,
    tree::Node,
    types::ManifestKeys,
};
use crate::domain::{
    BranchName, Environment, ExitClass, Failure, Failures, ProfileName, ProjectFiles,
};

/// What of the files that a manifest names: contexts, charts, secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamedFiles {
    /// They must be there.
    #[default]
    Required,
    /// Nobody will read them: whoever only looks, or takes down, needs none.
    Assumed,
}

/// Which environment is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The project directory, canonical.
    pub directory: PathBuf,
    /// The manifest file, relative to the directory or absolute; `devenv.yaml` if `None`.
    pub file: Option<PathBuf>,
    /// The profiles to lay over it, in order.
    pub profiles: Vec<ProfileName>,
    /// The branch of git that is checked out, whose overlay is laid over the profiles; none if `None`.
    pub branch: Option<BranchName>,
    /// `key=value` settings to lay over everything, in order.
    pub sets: Vec<String>,
    /// What of the files that it names.
    pub named_files: NamedFiles,
}

/// A loaded environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The environment, everything defaulted and checked.
    pub environment: Environment,
    /// What all layers say together, short forms written out; what is built in is not in it.
    pub written: serde_json::Value,
    /// What a user may want to know, one sentence each.
    pub notices: Vec<String>,
}

/// Reads, merges, checks and resolves a project's manifest.
///
/// All mistakes are reported at once, in the order of the files, with codes `manifest.*`.
pub fn load(request: &Request, files: &dyn ProjectFiles) -> Result<Loaded, Failures> {
    load_with_mistakes(request, files).map_err(|(failures, _)| failures)
}

/// Like [`load`]; what fails comes with the mistakes that can be mended mechanically.
pub fn load_with_mistakes(
    request: &Request,
    files: &dyn ProjectFiles,
) -> Result<Loaded, (Failures, Vec<Mistake>)> {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let bare = |failures| (failures, Vec::new());
    let layers = layers::gather(request, files, &mut sources, &mut findings).map_err(bare)?;
    let loaded = match layers {
        Some(layers) => finish(request, files, layers, &mut sources, &mut findings),
        None => None,
    };
    let mistakes = findings.mendable(&sources);
    if let Some(failures) = Failures::from_list(findings.into_failures(&sources)) {
        return Err((failures, mistakes));
    }
    let mut loaded = loaded.ok_or_else(|| {
        let what = "the manifest could not be resolved though nothing was wrong with it";
        bare(Failure::new("internal.unresolved-manifest", ExitClass::Internal, what).into())
    })?;
    // Whoever only looks, or takes down, may do that with anything.
    if request.named_files == NamedFiles::Required {
        let policy = policy::load(files).map_err(bare)?;
        if let Some(failures) = Failures::from_list(policy::broken(&policy, &loaded.environment)) {
            return Err(bare(failures));
        }
        loaded.environment.policy = policy;
    }
    Ok(loaded)
}

/// Everything after the files are one tree; `None` if there were mistakes.
fn finish(
    request: &Request,
    files: &dyn ProjectFiles,
    layers: Layers,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Loaded> {
    let Layers {
        mut root,
        only,
        dataset,
    } = layers;
    for flag in &request.sets {
        set::apply(&mut root, flag, sources, findings);
    }
    normal::normalise(&mut root);
    merge::apply_defaults(&mut root);
    merge::strip_nulls(&mut root);
    let places = Places::of(&root);
    let json = conform::conform(&root, &shape::MANIFEST, findings)?;
    let keys: ManifestKeys = match serde_path_to_error::deserialize(&json) {
        Ok(keys) => keys,
        Err(error) => {
            let path = error.path().to_string();
            let problem = Unreadable {
                path: path.clone(),
                reason: error.inner().to_string(),
            };
            let origin = places.nearest(&path);
            findings.add(&problem, path, origin);
            return None;
        }
    };
    let assumed = AllThere(files);
    let files = match request.named_files {
        NamedFiles::Required => files,
        NamedFiles::Assumed => &assumed,
    };
    let mut checker = Checker::new(&keys, &places, only.as_ref(), files, findings);
    checker.services = keys_below(&root, "services");
    let named = keys.services.keys().map(ToString::to_string);
    checker.services.extend(named);
    checker.tasks = keys_below(&root, "tasks");
    let learned = check::check(checker);
    if let Some((name, origin)) = &dataset {
        dataset::named_by_profile(name, *origin, files, findings);
    }
    if !findings.is_empty() {
        return None;
    }
    let resolver = Resolver {
        request,
        learned,
        only: only.as_ref(),
        dataset: dataset.map(|(name, _)| name),
    };
    let project = keys.name.clone()?;
    let (environment, notices) = resolver.environment(project, keys, places.provenance(sources));
    Some(Loaded {
        environment,
        written: json,
        notices,
    })
}

/// The files of a project with every file that could be asked for.
struct AllThere<'a>(&'a dyn ProjectFiles);

impl ProjectFiles for AllThere<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.read(path)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        self.0.length(path)
    }
    fn is_directory(&self, _: &Path) -> bool {
        true
    }
    fn is_file(&self, _: &Path) -> bool {
        true
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.names(directory)
    }
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let found = self.0.glob(pattern)?;
        Ok(if found.is_empty() {
            vec![pattern.into()]
        } else {
            found
        })
    }
}

/// A value that the shape lets through and its type does not.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be read: {reason}")]
struct Unreadable {
    path: String,
    reason: String,
}

impl problem::Problem for Unreadable {
    fn code(&self) -> &'static str {
        "manifest.invalid-value"
    }
    fn help(&self) -> Vec<String> {
        Vec::new()
    }
}

fn keys_below(root: &Node, group: &str) -> std::collections::BTreeSet<String> {
    let group = root.as_map().and_then(|map| map.get(group));
    let entries = group.and_then(Node::as_map).map(|map| map.entries.iter());
    entries
        .into_iter()
        .flatten()
        .map(|entry| entry.key.clone())
        .collect()
}

/// The first directory from `start` upwards that holds a `devenv.yaml`.
///
/// `files` must take absolute paths, as its contract says; `start` is absolute.
pub fn find_project(start: &Path, files: &dyn ProjectFiles) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|directory| files.is_file(&directory.join(MANIFEST_FILE)))
        .map(Path::to_path_buf)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
