//! What must hold between the keys of a manifest, and between it and the project's files.
//!
//! Called by `manifest::load` once the shape is checked. Keys whose shape is wrong are left out of
//! what is checked here, so that one mistake is reported once.

mod cluster;
mod live;
mod paths;
mod references;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    layers::Only,
    places::Places,
    problem::{Damaged, Findings, Problem},
    types::{ManifestKeys, ServiceKeys},
};
use crate::domain::{ProjectFiles, ServiceName};

/// What the checks look at, and what they find.
pub(super) struct Checker<'a> {
    pub(super) keys: &'a ManifestKeys,
    /// Every key of `services`, also those whose value is wrong.
    pub(super) services: BTreeSet<String>,
    /// Every key of `tasks`.
    pub(super) tasks: BTreeSet<String>,
    pub(super) places: &'a Places,
    pub(super) only: Option<&'a Only>,
    pub(super) files: &'a dyn ProjectFiles,
    pub(super) findings: &'a mut Findings,
    /// Paths with mistakes found before.
    damaged: Damaged,
}

/// What the checks learned on the way.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The files that `manifests` patterns match, in order.
    pub(super) manifests: BTreeMap<ServiceName, Vec<PathBuf>>,
}

/// Checks everything. Mistakes go to the findings.
pub(super) fn check(mut checker: Checker<'_>) -> Learned {
    checker.damaged = checker.findings.damaged();
    checker.references();
    checker.cluster();
    let mut learned = Learned::default();
    for (name, service) in &checker.keys.services {
        let path = format!("services.{name}");
        checker.service(name, service, &path);
        let manifests = checker.service_paths(service, &path);
        learned.manifests.insert(name.clone(), manifests);
    }
    for (name, task) in &checker.keys.tasks {
        let path = format!("tasks.{name}");
        checker.task(task, &path);
        checker.build_paths(task.build.as_ref(), &path);
        checker.secret_paths(&task.secrets, &path);
    }
    learned
}

impl<'a> Checker<'a> {
    /// A checker of `keys`, the typed form of a tree with `places`.
    pub(super) fn new(
        keys: &'a ManifestKeys,
        places: &'a Places,
        only: Option<&'a Only>,
        files: &'a dyn ProjectFiles,
        findings: &'a mut Findings,
    ) -> Self {
        Self {
            keys,
            services: BTreeSet::new(),
            tasks: BTreeSet::new(),
            places,
            only,
            files,
            findings,
            damaged: Damaged::default(),
        }
    }

    /// Reports a mistake about the key at `path`.
    fn report(&mut self, problem: &dyn Problem, path: &str) {
        let origin = self.places.nearest(path);
        self.findings.add(problem, path, origin);
    }

    /// The items of a list of texts with their places in it: those that were wrong are left out of `items`.
    fn placed<'i, T>(&self, items: &'i [T], list: &str) -> Vec<(String, &'i T)> {
        let mut paths = (0..).map(|index| format!("{list}[{index}]"));
        items
            .iter()
            .filter_map(|item| {
                let path = paths.find(|path| !self.damaged.holds(path))?;
                Some((path, item))
            })
            .collect()
    }

    /// Whether nothing was wrong at `path` or below it.
    fn intact(&self, path: &str) -> bool {
        self.damaged.spares(path)
    }
}

/// Whether a service runs an image of its own, and is not made of a chart or of manifests.
fn is_workload(service: &ServiceKeys) -> bool {
    service.build.is_some() || service.image.is_some()
}
