//! datasets/<name>/dataset.yaml -> Dataset: read with places, put the variables in, check, resolve, hash.
//!
//! Reads what a dataset says and looks at its files; loads nothing. The way of a dataset is that of a
//! manifest: its keys are in `types`, what makes a step one of its kinds in `kinds`, and every mistake of a
//! dataset and of those below it is reported at once.

mod chain;
mod files;
pub(super) mod format;
mod hash;
mod kinds;
mod normal;
mod reference;
mod resolve;
mod services;
mod types;
mod variables;

pub use hash::hash;
pub use reference::{reference, schema};

use super::{problem::Findings, source::Sources, tree::Origin};
use crate::domain::{
    DataFiles, Dataset, DatasetBase, DatasetChain, DatasetName, Environment, ExitClass, Failure,
    Failures, ProjectFiles,
};

/// What there is to choose from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The datasets that can be loaded, as far as their files say, by name.
    pub good: Vec<Listed>,
    /// The others, by name.
    pub broken: Vec<Broken>,
}

/// A dataset of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: DatasetName,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// What it is loaded onto.
    pub base: DatasetBase,
}

/// A dataset that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The name of its directory.
    pub name: String,
    /// What is wrong with it and with those it extends.
    pub failures: Failures,
}

/// Reads, checks and resolves a dataset and those below it, for `environment`.
///
/// All mistakes are reported at once, from the top down, each file's in its order.
pub fn load(
    name: &DatasetName,
    environment: &Environment,
    files: &dyn DataFiles,
) -> Result<DatasetChain, Failures> {
    chain(name, Some(environment), files)
}

/// Every dataset of a project. Whether an environment has their services is not asked.
pub fn list(files: &dyn DataFiles) -> Result<Catalogue, Failure> {
    let directories = chain::directories(files).map_err(|error| chain::unlisted(&error))?;
    let mut catalogue = Catalogue::default();
    for directory in directories {
        let dataset = directory
            .parse::<DatasetName>()
            .map_err(|_| chain::unnamed(&directory).into())
            .and_then(|name| chain(&name, None, files));
        match dataset {
            Ok(chain) => catalogue.good.push(Listed {
                name: chain.top.name,
                description: chain.top.description,
                base: chain.top.base,
            }),
            Err(failures) => catalogue.broken.push(Broken {
                name: directory,
                failures,
            }),
        }
    }
    Ok(catalogue)
}

/// A dataset and those below it; without an environment only what their files say of them is right.
fn chain(
    name: &DatasetName,
    environment: Option<&Environment>,
    files: &dyn DataFiles,
) -> Result<DatasetChain, Failures> {
    let mut sources = Sources::default();
    let mut links = chain::read(name, files, &mut sources)?;
    let datasets: Vec<Option<Dataset>> = links
        .iter_mut()
        .map(|link| resolve::resolve(link, environment, files, &mut sources))
        .collect();
    let mut failures = Vec::new();
    for link in links {
        failures.extend(link.findings.into_failures(&sources));
    }
    if let Some(failures) = Failures::from_list(failures) {
        return Err(failures);
    }
    let datasets: Option<Vec<Dataset>> = datasets.into_iter().collect();
    let mut datasets = datasets.unwrap_or_default().into_iter();
    let Some(top) = datasets.next() else {
        let what = "the dataset could not be resolved though nothing was wrong with it";
        return Err(Failure::new("internal.unresolved-manifest", ExitClass::Internal, what).into());
    };
    let mut below: Vec<Dataset> = datasets.collect();
    below.reverse();
    Ok(DatasetChain { below, top })
}

/// Reports a dataset that a profile names and that is not there.
pub(super) fn named_by_profile(
    name: &DatasetName,
    origin: Origin,
    files: &dyn ProjectFiles,
    findings: &mut Findings,
) {
    if !chain::is_there(name, files) {
        findings.add(&chain::unknown(name, files), "dataset", origin);
    }
}

#[cfg(test)]
mod tests;
