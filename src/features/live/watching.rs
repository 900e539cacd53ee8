//! What of this machine is watched for a project.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    adapters::{
        context,
        watch::{Ignore, Watched},
    },
    domain::{ChartOrigin, Environment, Failure, ImageName, Live, Service, Source, Workload},
};

/// The tree of a live service.
///
/// Files that its rules name are watched even if they are not sent to a build; those of `ignore` never.
pub(super) fn service(workload: &Workload, live: &Live) -> Result<Watched, Failure> {
    let mut patterns = Vec::new();
    let sources = live.sync.iter().map(|rule| &rule.from);
    for from in sources.chain(live.mount.iter().map(|rule| &rule.from)) {
        patterns.extend(with_those_above(&live.base, from));
    }
    let named = live
        .rebuild
        .iter()
        .chain(live.run.iter().flat_map(|rule| &rule.on));
    let named = named.chain(live.build.iter().flat_map(|build| &build.on));
    patterns.extend(named.map(|pattern| format!("!{pattern}")));
    patterns.extend(live.ignore.iter().cloned());
    let ignore = Ignore::patterns(patterns).map_err(|error| error.failure())?;
    let ignore = match &workload.image {
        ImageName::Build(build) => {
            let rules = context::ignore_rules(build).map_err(|error| error.failure())?;
            ignore.and_of_context(build.context.clone(), rules)
        }
        ImageName::Reference(_) => ignore,
    };
    Ok(Watched {
        root: live.base.clone(),
        ignore,
    })
}

/// The files that the manifest consists of: itself, its layers, and what it takes values, charts and objects from.
pub(super) fn manifest(environment: &Environment) -> Result<Watched, Failure> {
    let root = &environment.directory;
    let mut files = vec![
        environment.manifest.clone(),
        root.join("devenv.local.yaml"),
        root.join("profiles"),
        root.join(".devenv"),
    ];
    files.extend(environment.services.values().flat_map(sources));
    let patterns = only(root, &files);
    Ok(Watched {
        root: root.clone(),
        ignore: Ignore::patterns(patterns).map_err(|error| error.failure())?,
    })
}

fn sources(service: &Service) -> Vec<PathBuf> {
    match &service.source {
        Source::Workload(workload) => workload.secrets.clone(),
        Source::Manifests(files) => files.clone(),
        Source::Chart(chart) => {
            let own = match &chart.origin {
                ChartOrigin::Path(path) => Some(path.clone()),
                ChartOrigin::Repository { .. } => None,
            };
            own.into_iter().chain(chart.values_files.clone()).collect()
        }
    }
}

/// Patterns that bring back `path`, below `root`, and the directories above it.
fn with_those_above(root: &Path, path: &Path) -> Vec<String> {
    steps(root, path).map(|step| format!("!/{step}")).collect()
}

/// Patterns that leave out everything but `paths` and what lies below them.
fn only(root: &Path, paths: &[PathBuf]) -> Vec<String> {
    let mut named = BTreeSet::new();
    let mut above = BTreeSet::new();
    for path in paths {
        let mut steps: Vec<String> = steps(root, path).collect();
        named.extend(steps.pop());
        above.extend(steps);
    }
    let is_whole = |path: &str| named.iter().any(|name| Path::new(path).starts_with(name));
    // The last pattern that matches counts: what is deeper comes later.
    let depth = |path: &str| path.split('/').count();
    let mut patterns = vec![(0, "/*".to_owned())];
    for path in above.iter().filter(|path| !is_whole(path)) {
        patterns.push((depth(path), format!("!/{path}")));
        patterns.push((depth(path), format!("/{path}/*")));
    }
    patterns.extend(named.iter().map(|path| (depth(path), format!("!/{path}"))));
    patterns.sort_by_key(|(depth, _)| *depth);
    patterns.into_iter().map(|(_, pattern)| pattern).collect()
}

/// `path` relative to `root`, cut after each of its parts, escaped for a pattern; nothing where it lies elsewhere.
fn steps(root: &Path, path: &Path) -> impl Iterator<Item = String> {
    let inside = path.strip_prefix(root).unwrap_or(Path::new(""));
    let parts: Vec<String> = inside
        .components()
        .map(|part| escaped(&part.as_os_str().to_string_lossy()))
        .collect();
    (0..parts.len()).map(move |end| parts[..=end].join("/"))
}

fn escaped(name: &str) -> String {
    let special = |character: char| "\\*?[]! #".contains(character);
    name.chars()
        .flat_map(|character| {
            special(character)
                .then_some('\\')
                .into_iter()
                .chain([character])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_back_with_what_is_above_them_and_nothing_beside_them() {
        let root = Path::new("/shop");
        let paths = ["charts/a", "charts/se[ar]ch", "profiles"].map(|path| root.join(path));
        assert_eq!(
            only(root, &paths),
            [
                "/*",
                "!/charts",
                "/charts/*",
                "!/profiles",
                "!/charts/a",
                "!/charts/se\\[ar\\]ch"
            ]
        );
        assert_eq!(only(root, &["/elsewhere/x".into()]), ["/*"]);
        assert_eq!(
            with_those_above(root, &paths[0]),
            ["!/charts", "!/charts/a"]
        );
    }
}
