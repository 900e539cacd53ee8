//! What the followers of all services work with.

use super::Audience;
use crate::{
    adapters::kube::Cluster,
    domain::{Environment, ServiceName},
    engine::Tools,
    features::{Project, process::Agents},
    report::{LiveAction, LiveChange, Redactor},
};

/// What the followers of all services work with.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) project: Project,
    pub(super) tools: Tools,
    pub(super) cluster: Cluster,
    pub(super) agents: Agents,
    pub(super) audience: Audience,
    /// The secrets of the services.
    pub(super) redactor: Redactor,
}

impl Shared {
    pub(super) const fn environment(&self) -> &Environment {
        &self.project.environment
    }

    /// Where the manifest has a key of a service's `live`, such as `devenv.yaml:57`.
    pub(super) fn rule(&self, service: &ServiceName, key: &str) -> Option<String> {
        let key = format!("services.{service}.live.{key}");
        let place = self.environment().provenance.place(&key)?;
        Some(format!("{}:{}", place.file.display(), place.line))
    }

    /// A path of this machine as it is told: relative to the project.
    pub(super) fn told(&self, path: &std::path::Path) -> String {
        let inside = path.strip_prefix(&self.environment().directory);
        inside.unwrap_or(path).display().to_string()
    }
}

/// What is told of a change to files of a service.
pub(super) fn change(
    file: String,
    files: usize,
    action: LiveAction,
    rule: Option<String>,
    containers: usize,
) -> LiveChange {
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    LiveChange {
        file,
        files: number(files),
        action,
        rule,
        containers: number(containers),
    }
}
