//! k3d and Helm: whether they are there, and new enough for devenv and for the project.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use semver::Version;

use super::{Project, Scope, within};
use crate::{
    adapters::{
        helm::Helm,
        k3d::{HelperImages, K3d},
        process::ChildEnvironment,
    },
    domain::{Failure, Finding, Severity},
    features::check,
};

/// The oldest versions that devenv is made for, as README.md says.
const OLDEST_K3D: Version = Version::new(5, 8, 0);
const OLDEST_HELM: Version = Version::new(3, 14, 0);

/// What a project may ask for a version of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Devenv,
    Docker,
    K3d,
    Helm,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::Devenv => "devenv",
            Self::Docker => "docker",
            Self::K3d => "k3d",
            Self::Helm => "helm",
        }
    }
}

/// Whether k3d is there, and new enough.
pub(super) async fn k3d(scope: &Scope<'_>) -> Vec<Finding> {
    let binary = scope.settings.binaries.k3d.clone();
    let k3d = K3d::new(
        binary.unwrap_or_else(|| "k3d".into()),
        children(scope),
        HelperImages::default(),
        state(scope),
    );
    match within("k3d", k3d.version(scope.cancel)).await {
        Ok(version) => judge(
            scope,
            Tool::K3d,
            version.map_err(|error| error.failure()),
            &OLDEST_K3D,
        ),
        Err(late) => vec![*late],
    }
}

/// Whether Helm is there, and new enough.
pub(super) async fn helm(scope: &Scope<'_>) -> Vec<Finding> {
    let binary = scope.settings.binaries.helm.clone();
    let state = state(scope);
    let helm = Helm::new(
        binary.unwrap_or_else(|| "helm".into()),
        children(scope),
        &state.join("kubeconfig"),
        String::new(),
        &state.join("helm"),
    );
    match within("helm", helm.version(scope.cancel)).await {
        Ok(version) => judge(
            scope,
            Tool::Helm,
            version.map_err(|error| error.failure()),
            &OLDEST_HELM,
        ),
        Err(late) => vec![*late],
    }
}

fn children(scope: &Scope<'_>) -> ChildEnvironment {
    let variables = scope.variables.iter();
    ChildEnvironment::inherit(variables.map(|(name, value)| (OsString::from(name), value.into())))
}

/// Where a tool would keep files; asked for its version it keeps none.
fn state(scope: &Scope<'_>) -> PathBuf {
    let users = scope
        .users
        .map_or_else(|| Path::new("/"), |users| users.state());
    users.to_owned()
}

/// Whether this devenv is the one that the project asks for.
pub(super) fn devenv(scope: &Scope<'_>) -> Option<Finding> {
    let own = Version::parse(env!("CARGO_PKG_VERSION")).ok()?;
    unwanted(scope.project, Tool::Devenv, &own)
}

/// What is to be said of a tool that is not of a version that the project asks for.
pub(super) fn unwanted(
    project: Option<&Project>,
    tool: Tool,
    version: &Version,
) -> Option<Finding> {
    let project = project?;
    let requires = &project.environment.requires;
    let wanted = match tool {
        Tool::Devenv => &requires.devenv,
        Tool::Docker => &requires.docker,
        Tool::K3d => &requires.k3d,
        Tool::Helm => &requires.helm,
    };
    let wanted = wanted.as_ref()?;
    let failure = || check::too_old(project, tool.name(), wanted, version);
    (!wanted.matches(version)).then(|| Finding::of(Severity::Problem, failure()))
}

fn judge(
    scope: &Scope<'_>,
    tool: Tool,
    version: Result<Version, Failure>,
    oldest: &Version,
) -> Vec<Finding> {
    let version = match version {
        Ok(version) => version,
        Err(failure) => return vec![Finding::of(Severity::Problem, failure)],
    };
    let unwanted = unwanted(scope.project, tool, &version);
    vec![unwanted.unwrap_or_else(|| judge_age(tool, &version, oldest))]
}

fn judge_age(tool: Tool, version: &Version, oldest: &Version) -> Finding {
    let tool = tool.name();
    // What comes before a release counts as the release.
    let plain = Version::new(version.major, version.minor, version.patch);
    if plain >= *oldest {
        return Finding::ok("tools", format!("{tool} {version} is there"));
    }
    Finding::warning(
        "tool.old",
        format!("{tool} {version} is older than what devenv is made for"),
    )
    .because(format!("devenv is tried with {tool} {oldest} and newer"))
    .fix(format!("install {tool} {oldest} or newer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Requires, features::project::testing};

    #[test]
    fn a_project_asks_for_versions_of_each_tool() {
        let mut project = testing::project(&[]);
        let version = Version::new(1, 2, 3);
        let all = [Tool::Devenv, Tool::Docker, Tool::K3d, Tool::Helm];
        for tool in all {
            assert_eq!(unwanted(None, tool, &version), None);
            assert_eq!(unwanted(Some(&project), tool, &version), None);
        }
        let newer = ">=1.3".parse().ok();
        project.environment.requires = Requires {
            devenv: newer.clone(),
            docker: newer.clone(),
            k3d: newer.clone(),
            helm: newer,
        };
        for tool in all {
            let finding = unwanted(Some(&project), tool, &version).unwrap();
            assert_eq!(finding.id.0, "tool.version");
            assert!(finding.what.contains(tool.name()), "{finding:?}");
            assert_eq!(unwanted(Some(&project), tool, &Version::new(1, 3, 0)), None);
        }
    }

    #[test]
    fn a_tool_is_new_enough_or_it_is_said_which_is() {
        for (version, id) in [
            ("5.8.0", "tools"),
            ("5.10.0", "tools"),
            ("5.8.0-rc.1", "tools"),
            ("5.7.9", "tool.old"),
            ("4.4.8", "tool.old"),
        ] {
            let found = judge_age(Tool::K3d, &version.parse().unwrap(), &OLDEST_K3D);
            assert_eq!(found.id.0, id, "{version}");
        }
    }
}
